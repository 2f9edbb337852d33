# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vsphere_info in a playbook of one's own, hostile names, and evidence that is judged again."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.integration.kvm.playbook_run import audit_playbook
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import CHECKOUT, Target

HOSTILE = """=cmd|'/C calc'!A1 <img src=x onerror=alert(1)> {{ lookup('pipe', 'id') }} "]]> ../../x"""


def ask(target: Target, folder: Path, **options: Any) -> dict[str, Any]:
    """The result of one vsphere_info task."""
    given = {"port": target.variables["hypervisor_port"], "ca_file": target.variables["hypervisor_ca_file"], **options}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible"), "--inventory", str(target.inventory), "all",
         "--module-name", "dwp.hypervisor.vsphere_info", "--args", json.dumps(given)],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_HOME": str(folder / "home"),
             "ANSIBLE_NOCOLOR": "1", "ANSIBLE_STDOUT_CALLBACK": "minimal", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return json.loads(re.sub(r"\A.*?=>\s*", "", done.stdout, flags=re.DOTALL) or json.dumps({"msg": done.stderr}))


def test_facts_go_to_files_and_not_into_the_result(vsphere: Target, tmp_path: Path) -> None:
    result = ask(vsphere, tmp_path, dest=str(tmp_path / "facts"))
    assert result["changed"] is False
    assert [subject["kind"] for subject in result["subjects"]] == ["controller", "host", "host", "host"]
    assert all(subject["reachable"] and "facts" not in subject for subject in result["subjects"])
    for subject in result["subjects"]:
        path = Path(subject["path"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text())["schema_version"] == 1


def test_facts_are_returned_where_somebody_asks_for_them(vsphere: Target, tmp_path: Path) -> None:
    result = ask(vsphere, tmp_path, return_facts=True)
    host = next(subject for subject in result["subjects"] if subject["name"] == "esx02.lab.example")
    assert host["facts"]["remote_access"]["lockdown"]["mode"] == "lockdownDisabled"
    assert host["path"] is None


def test_effective_rights_of_those_who_are_denied(vsphere: Target, tmp_path: Path) -> None:
    found = ask(vsphere, tmp_path, return_facts=True)
    machines = {vm["name"]: vm["id"] for subject in found["subjects"] for vm in subject["facts"].get("vms", [])}
    denied = [{"principal": "LAB\\carol", "vm": machines["db01"]}, {"principal": "LAB\\alice", "vm": machines["web01"]}]
    result = ask(vsphere, tmp_path, return_facts=True, denied=denied)
    effective = {
        entry["principal"]: entry["privileges"] for entry in result["subjects"][0]["facts"]["rbac"]["effective"]
    }
    assert effective["LAB\\alice"]
    assert set(effective) == {"LAB\\carol", "LAB\\alice"}


def test_a_vcenter_that_cannot_be_read_is_a_failed_task(vsphere: Target, tmp_path: Path) -> None:
    result = ask(vsphere, tmp_path, port=1)
    assert "Connection refused" in result["msg"]
    assert vsphere.name in result["msg"]


def test_a_machine_may_call_itself_anything(vsphere: Target, tmp_path: Path) -> None:
    vsphere.control("POST", "state", {"object": "web01", "property": "name", "value": HOSTILE})
    try:
        run = audit_playbook(tmp_path, [vsphere])
    finally:
        vsphere.control("POST", "state", {"object": HOSTILE, "property": "name", "value": "web01"})
    names = [vm["name"] for vm in run.vms("esx01.lab.example")]
    assert HOSTILE in names
    for page in run.directory.rglob("*.html"):
        assert "<img src=x" not in page.read_text()
    assert "uid=" not in (run.directory / "results.json").read_text()
    assert all(line[:1] not in "=+-@" for line in (run.directory / "results.csv").read_text().splitlines())


def test_evidence_that_is_judged_again_says_the_same(vsphere: Target, tmp_path: Path) -> None:
    run = audit_playbook(tmp_path, [vsphere])
    for subject in run.document["subjects"]:
        again = evidence.reassess(run.directory / "evidence" / f"{subject['slug']}.json", load_standard())
        before = [result for result in run.document["results"] if result["subject"] == subject["id"]]
        differ = [
            (one["check"], one["message"], other["message"])
            for one, other in zip(before, again["results"], strict=True)
            if (one["check"], one["status"], one["message"]) != (other["check"], other["status"], other["message"])
        ]
        assert differ == [], subject["name"]
