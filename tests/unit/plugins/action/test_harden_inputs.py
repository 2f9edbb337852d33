# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""harden.yml checks what a person wrote once, before a host is contacted, not with a task for each host and play."""

from __future__ import annotations

import json

import pytest
import yaml

from ansible_collections.dwp.hypervisor.tests.unit.plugins.action.playing import CHECKOUT, run_playbook

HARDEN = CHECKOUT / "playbooks" / "harden.yml"
# Nothing answers there; whoever contacts it says so.
NOWHERE = {"ansible_host": "192.0.2.1", "ansible_ssh_common_args": "-o ConnectTimeout=1", "hypervisor_platform": "kvm"}


@pytest.mark.parametrize(
    ("gold", "told"),
    [
        ({"gold_ssh_permit_root": ["yes"]}, "gold_ssh_permit_root"),
        ({"gold_hypervisor_admins": [{"name": "alice"}]}, "gold_hypervisor_admins"),
        ({"gold_overrides": [{"subjects": "nobody", "gold": {"gold_ssh_permit_rot": "no"}}]}, "gold_ssh_permit_rot"),
    ],
)
def test_a_wrong_gold_setting_stops_the_run_before_a_host_is_contacted(tmp_path, gold, told):
    hosts = {"kvm1": NOWHERE, "kvm2": NOWHERE}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    given = {"hypervisor_report_dir": str(tmp_path / "reports"), **gold}
    done = run_playbook(tmp_path, str(HARDEN), "-e", json.dumps(given))
    said = done.stdout + done.stderr
    assert done.returncode == 2 and told in said, said
    assert "UNREACHABLE" not in said and "Validating arguments" not in said, said


def test_no_play_and_no_area_validates_arguments_for_each_host():
    plays = yaml.safe_load(HARDEN.read_text(encoding="utf-8"))
    roles = [[task["ansible.builtin.import_role"] for task in play["tasks"]] for play in plays]
    assert [[role["name"] for role in each] for each in roles] == [["dwp.hypervisor.gold", "dwp.hypervisor.harden"]] * 3
    assert all(role["rolespec_validate"] is False for each in roles for role in each)
    assert not any("roles" in play for play in plays)
    stage = CHECKOUT / "roles" / "harden" / "tasks" / "enforce.yml"
    (block,) = [task["block"] for task in yaml.safe_load(stage.read_text(encoding="utf-8")) if "block" in task]
    (area,) = [task["ansible.builtin.include_role"] for task in block if "ansible.builtin.include_role" in task]
    assert area["rolespec_validate"] is False
