# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose Python is a liar: whatever they send as the collector's answer, they stay in the report."""

from __future__ import annotations

import json

import pytest
import yaml

from ansible_collections.dwp.hypervisor.tests.unit.plugins.action.playing import CHECKOUT, run_playbook

# name of the host: what its "Python" prints instead of running the module.
ANSWERS = {
    "nothing": "",
    "words": "Zugriff verweigert\n",
    "half": '{"changed": false, "facts": {"vms": [{"na',
    "list": "[1, 2]",
    "nofacts": '{"changed": false}',
    "textfacts": '{"changed": false, "facts": "all is well"}',
    "surrogate": '{"changed": false, "facts": {"host": {"product": "\\ud83d"}}}',
    "deep": '{"changed": false, "facts": {"a": ' + "[" * 20000 + "]" * 20000 + "}}",
    "digits": '{"changed": false, "facts": {"a": ' + "9" * 6000 + "}}",
    "deepish": '{"changed": false, "facts": {"a": ' + "[" * 600 + "]" * 600 + "}}",
    "empty": '{"changed": false, "facts": {}}',
    "refuses": '{"failed": true, "msg": "<script>alert(1)</script>\\u001b[2J{{ 7 * 7 }}"}',
    "skips": '{"skipped": true}',
    "wrongshapes": json.dumps(
        {"changed": False, "facts": {"vms": 7, "host": [], "sudo": "x", "boot": {"secure_boot": {"a": 1}}, "nics": {}}}
    ),
    "nan": '{"changed": false, "facts": {"cpu": {"nested_guests": NaN}, "host": {"product": Infinity}}}',
}
# Those whose facts can be judged, however odd they are.
ASSESSED = {"wrongshapes", "nan", "empty", "deepish"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    hosts = {}
    for name, answer in ANSWERS.items():
        (folder / f"{name}.answer").write_text(answer)
        python = folder / f"{name}.python"
        python.write_text(f"#!/bin/sh\ncat > /dev/null\nexec cat '{folder}/{name}.answer'\n")
        python.chmod(0o755)
        hosts[name] = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
    inventory = {"all": {"hosts": hosts, "vars": {"hypervisor_platform": "kvm"}}}
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    options = json.dumps({"hypervisor_report_dir": str(folder / "reports"), "hypervisor_fail_on": []})
    playbook = str(CHECKOUT / "playbooks" / "audit.yml")
    done = run_playbook(folder, playbook, "-e", options, ANSIBLE_PIPELINING="true")
    results = folder / "reports" / "latest" / "results.json"
    assert results.exists(), done.stdout + done.stderr
    return json.loads(results.read_text()), done.stdout


def passes(document, name):
    """The checks a host passes."""
    subject = next(found["id"] for found in document["subjects"] if found["name"] == name)
    found = [entry for entry in document["results"] if entry["subject"] == subject]
    assert found
    return {entry["check"] for entry in found if entry["status"] == "pass"}


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_whatever_the_host_answers_it_is_reported_and_nothing_passes(run, name):
    document, _output = run
    subject = next(found for found in document["subjects"] if found["name"] == name)
    measures = [entry["status"] for entry in document["measures"] if entry["subject"] == subject["id"]]
    assert len(measures) == 36
    assert subject["verdict"] in ("not demonstrated", "non-compliant")
    if name in ASSESSED:
        # What passes without any fact is about the gold configuration, not about the host.
        assert passes(document, name) == passes(document, "empty")
        return
    assert subject["reachable"] is False
    assert set(measures) == {"unknown"}
    assert subject["unreachable_reason"].startswith("the collector"), "the reason has to name the collector"


def test_a_reason_can_neither_draw_on_the_terminal_nor_be_a_template(run):
    document, output = run
    subject = next(found for found in document["subjects"] if found["name"] == "refuses")
    assert "{{ 7 * 7 }}" in subject["unreachable_reason"]
    assert "\x1b" not in output
