# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that lose hosts: none of them leaves the report, and the gate still decides.

`lost` answers no connection, `drops` takes the module and hangs up, `refuses` has a gold setting that stops its own
audit, `router` is no hypervisor. `here` is this machine, read as any host is.
"""

from __future__ import annotations

import json
import re

import pytest
import yaml

from ansible_collections.dwp.hypervisor.tests.unit.plugins.action.playing import CHECKOUT, run_playbook

MEASURES = len(list((CHECKOUT / "plugins" / "plugin_utils" / "measures").glob("*.yml")))
# An ssh that runs the command here. Asked for the host that drops, it takes the module and hangs up as ssh does.
SSH = """#!/bin/sh
for command; do :; done
case "$*" in
  *drops.example*) head -c 1000 >/dev/null; echo "Connection to drops.example closed by remote host." >&2; exit 255;;
esac
exec sh -c "$command"
"""
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
LOST = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9}  # nobody listens on discard


@pytest.fixture
def folder(tmp_path):
    ssh = tmp_path / "ssh"
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    faked = {**LOCAL, "ansible_connection": "ssh", "ansible_ssh_executable": str(ssh)}
    hosts = {
        "here": {**LOCAL, "hypervisor_platform": "kvm"},
        "drops": {**faked, "ansible_host": "drops.example", "hypervisor_platform": "kvm"},
        "refuses": {**LOCAL, "hypervisor_platform": "kvm", "gold_ssh_permit_root": ["yes"]},
        "lost1": {**LOST, "hypervisor_platform": "kvm"},
        "lost2": {**LOST, "hypervisor_platform": "kvm"},
        "router": {},
    }
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    return tmp_path


def audit(folder, *arguments, fail_on=("fail", "unknown", "manual"), playbook=CHECKOUT / "playbooks" / "audit.yml"):
    """Run the audit playbook, or another; returns (exit code, output, the run document)."""
    options = json.dumps({"hypervisor_report_dir": str(folder / "reports"), "hypervisor_fail_on": list(fail_on)})
    done = run_playbook(folder, str(playbook), "-e", options, *arguments, ANSIBLE_PIPELINING="true")
    results = folder / "reports" / "latest" / "results.json"
    assert results.exists(), done.stdout + done.stderr
    assert (results.parent / "report.html").stat().st_size > 10_000
    return done.returncode, done.stdout, json.loads(results.read_text())


def silent(document):
    """The subjects that could not be read, each with every measure unknown."""
    found = {subject["id"]: subject for subject in document["subjects"] if not subject["reachable"]}
    for subject in found:
        statuses = [entry["status"] for entry in document["measures"] if entry["subject"] == subject]
        assert statuses == ["unknown"] * MEASURES
    return {subject["name"]: subject["unreachable_reason"] for subject in found.values()}


def test_hosts_that_are_lost_on_the_way_stay_in_the_report(folder):
    code, output, document = audit(folder)
    assert code == 2
    reasons = silent(document)
    assert set(reasons) == {"drops", "refuses", "lost1", "lost2"}
    assert "closed by remote host" in reasons["drops"]
    assert reasons["lost1"].startswith("unreachable: ")
    assert reasons["refuses"] == "no result of this subject in this run"
    assert [subject["name"] for subject in document["subjects"] if subject["reachable"]] == ["here"]
    assert document["scope"]["out_of_scope"] == ["router"]
    assert document["summary"]["unreachable"] == 4
    assert "The gate fails:" in output
    assert re.search(r"^drops +not demonstrated", output, re.MULTILINE)


@pytest.mark.parametrize(("fail_on", "expected"), [(("fail", "unknown", "manual"), 2), ((), 0)])
def test_a_batch_of_which_no_host_answers_is_reported_and_decided(folder, fail_on, expected):
    code, _output, document = audit(folder, "--limit", "lost1,lost2,drops", fail_on=fail_on)
    assert code == expected
    assert set(silent(document)) == {"lost1", "lost2", "drops"}
    assert {subject["verdict"] for subject in document["subjects"]} == {"not demonstrated"}
    assert document["scope"]["out_of_scope"] == []


def test_a_host_that_was_there_yesterday_is_named_when_the_limit_leaves_it_out(folder):
    audit(folder, "--limit", "lost1,lost2", "-e", "hypervisor_run_id=yesterday")
    _code, _output, document = audit(folder, "--limit", "lost1", "-e", "hypervisor_run_id=today")
    assert list(silent(document)) == ["lost1"]
    assert document["scope"]["previous"]["run"] == "yesterday"
    assert [re.sub("-[0-9a-f]{8}$", "", slug) for slug in document["scope"]["previous"]["subjects"]] == ["lost2"]


def test_no_host_in_scope_is_no_success(folder):
    code, output, document = audit(folder, "--limit", "router")
    assert code == 2
    assert document["subjects"] == []
    assert "no subject was assessed" in output


BATCHES = """
- hosts: all
  gather_facts: false
  serial: 2
  roles:
    - role: dwp.hypervisor.gold
    - role: dwp.hypervisor.audit
"""


@pytest.mark.parametrize(("fail_on", "expected"), [(("fail", "unknown", "manual"), 2), ((), 0)])
def test_the_batches_of_a_play_are_one_run(folder, fail_on, expected):
    """With serial each batch adds to the report, hosts to come are not missing, and the gate waits for the last one."""
    (folder / "batches.yml").write_text(BATCHES)
    arguments = ("--limit", "lost1,drops,router,lost2,here")
    code, output, document = audit(folder, *arguments, fail_on=fail_on, playbook="batches.yml")
    assert code == expected, output
    assert [path.name for path in (folder / "reports").glob("2*")] == [document["run"]["id"]]
    assert {subject["name"] for subject in document["subjects"]} == {"lost1", "lost2", "drops", "here"}
    assert set(silent(document)) == {"lost1", "lost2", "drops"}
    assert "no result of this subject" not in str(silent(document))
    assert document["scope"]["out_of_scope"] == ["router"]
    assert re.findall(r"^SS-009 v2.0: (\d) subjects?", output, re.MULTILINE)[-1] == "4"
    assert output.count("The gate fails:") == (1 if expected else 0)


def test_a_second_play_with_batches_is_a_run_of_its_own_and_knows_the_first(folder):
    (folder / "twice.yml").write_text(BATCHES + BATCHES.replace("hosts: all", "hosts: lost1,drops"))
    _code, _output, document = audit(folder, "--limit", "lost1,drops,lost2", fail_on=(), playbook="twice.yml")
    assert len(list((folder / "reports").glob("2*"))) == 2
    assert set(silent(document)) == {"lost1", "drops"}
    assert [re.sub("-[0-9a-f]{8}$", "", slug) for slug in document["scope"]["previous"]["subjects"]] == ["lost2"]
