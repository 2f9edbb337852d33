# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.release import VERSION
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import loader as module
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import MEASURES_DIR, load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import DataError

ROOT = Path(__file__).parents[5]
GOOD = (MEASURES_DIR / "11.4.6.yml").read_text()
COUNTS = {"11.1": 3, "11.2": 10, "11.3": 10, "11.4": 13}


def test_all_36_measures_in_the_standards_order():
    found = list(load_standard().measures)
    expected = [f"{section}.{number}" for section, count in COUNTS.items() for number in range(1, count + 1)]
    assert found == expected


def test_every_measure_has_a_tier_1_check_on_kvm():
    for measure in load_standard().measures.values():
        deciding = [check for check in measure.checks if check.platform in ("all", "kvm") and check.tier == 1]
        assert deciding, f"{measure.id} would be unknown for ever"


def test_the_same_name_means_the_same_idea_once_per_platform():
    for measure in load_standard().measures.values():
        keys = [(check.platform, check.name) for check in measure.checks]
        assert len(keys) == len(set(keys)), f"{measure.id}: {sorted(k for k in keys if keys.count(k) > 1)}"


def test_every_gold_setting_is_used_by_a_check_a_role_or_the_engine():
    used = {name for check in load_standard().checks.values() for name in check.gold}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        if path.parts[-3] != "gold":
            used |= set(yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"])
    engine = {"gold_section_11_3", "gold_section_11_3_position", "gold_attestation_max_age_days"}
    assert set(load_standard().gold) - used - engine == set()


def test_every_default_meets_its_floor_or_fails_closed():
    """A default below its floor is allowed only for an empty list or text: nothing authorised yet, so the check
    fails."""
    for setting in load_standard().gold.values():
        if setting.floor_fault(setting.default):
            assert setting.default in ([], {}, "", None), f"{setting.name}: {setting.floor_fault(setting.default)}"


def test_release_is_the_collections():
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    assert galaxy["version"] == VERSION


def broken(tmp_path, text):
    (tmp_path / "11.4.6.yml").write_text(text)
    module._load_standard.cache_clear()
    with pytest.raises(DataError) as caught:
        load_standard(tmp_path)
    return str(caught.value)


def line_of(text, word):
    return next(number for number, line in enumerate(text.splitlines(), 1) if word in line)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("    passes: ", "    pases: ", r'unknown key "pases" in check kvm-11\.4\.6-.*did you mean "passes"'),
        ("obligation: must", "obligation: shall", r"expected one of must, should, advisory"),
        ("{empty: true}", "{emty: true}", r"unknown predicate 'emty'"),
        ("gold_ssh_permit_root", "gold_ssh_permit_rot", r'did you mean "gold_ssh_permit_root"'),
        ("id: kvm-11.4.6-", "id: kvm-11.4.7-", r"the id is <platform>-<measure>-<words>"),
        ("kind: technical", "kind: mixed", r"needs an attestation or external check"),
        ("title: Root", "title: [Root", r"11\.4\.6\.yml:\d+"),
    ],
)
def test_a_bad_file_is_refused_with_file_line_key_and_nearest(tmp_path, old, new, complaint):
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    said = broken(tmp_path, text)
    assert re.search(complaint, said), said
    assert re.match(r".*11\.4\.6\.yml:\d+: ", said), said


def test_a_projection_is_refused(tmp_path):
    text = GOOD.replace("fact: remote_access.ssh.servers", "fact: vms[].label", 1)
    said = broken(tmp_path, text)
    assert "only key paths and indexes" in said
    assert f":{line_of(text, 'vms[].label')}:" in said
