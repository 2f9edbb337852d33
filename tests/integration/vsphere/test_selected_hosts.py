# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host of three is hardened first, by the test law; the others, the vCenter and what they share stay as is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening, machines
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.hardening import Played, play
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.restarts import ALLOWED, IOMMU, host
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import restart
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

# Nine playbooks run before the first of them.
pytestmark = pytest.mark.timeout(600)
ONE, MINE, THREE = host(1), host(2), host(3)
SELECTED = {"hypervisor_esxi_hosts": ["ESX02.*"]}


@pytest.fixture(scope="module")
def spoiled(target_ready: None) -> Iterator[tuple[Target, list[str]]]:
    """Everything fails; ONE has what it needs written already, and waits for its restart."""
    # The pid keeps two test runs on one machine apart.
    found = Target.up(f"selected-{os.getpid()}", "--vms", "6")
    with hardening.administrator(found) as admin:
        for release in ("7.0.3", "8.0.3", "9.0.0"):
            hardening.spoil(admin, admin.host(release))
            restart(admin.host(release))
        allowed = machines.spoil(admin)
        hardening.spoil_controller(admin)
        hardening.set_options(admin.host("7.0.3"), {"VMkernel.Boot.noIOMMU": False})
    yield found, allowed
    found.down()


class Law:
    """The playbooks of the test law, and what each has written where."""

    def __init__(self, vsphere: Target, folder: Path, uuids: list[str]) -> None:
        self._vsphere, self._folder = vsphere, folder
        self.writes: dict[str, list[dict[str, str]]] = {}
        given = {**SELECTED, "hypervisor_allow_vm_changes": uuids}
        # A name that is not quite one, beside a pattern that is.
        wrong = {**given, "hypervisor_esxi_hosts": ["esx02.*", "esx04.lab.example"]}
        self.refused = self._play("refused", "harden", **wrong)
        self.refused_in_check_mode = self._play("refused in check mode", "harden", "--check", **wrong)
        self.audited = self._play("audited", "audit")
        self.previewed = self._play("previewed", "harden", "--check", "--diff", **given)
        self.applied = self._play("applied", "harden", **given)
        self.previewed_again = self._play("previewed again", "harden", "--check", **given)
        self.applied_again = self._play("applied again", "harden", **given)
        restarts = {**given, "hypervisor_options": ALLOWED}
        self.would_restart = self._play("would restart", "harden", "--check", **restarts)
        self.records = [json.loads(path.read_text()) for path in sorted((folder / "state").rglob("*.json"))]
        self.reverted = self._play("reverted", "revert", hypervisor_revert_run="all")
        self.audited_again = self._play("audited again", "audit")

    def _play(self, name: str, *arguments: str, **variables: Any) -> Played:
        self._vsphere.control("DELETE", "calls")
        found = play(self._folder, self._vsphere, *arguments, **variables)
        self.writes[name] = self._vsphere.control("GET", "writes")
        return found


@pytest.fixture(scope="module")
def law(spoiled: tuple[Target, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Law:
    vsphere, uuids = spoiled
    return Law(vsphere, tmp_path_factory.mktemp("law"), uuids)


def said(run: Played, stage: str = "", of: str = "") -> dict[tuple[str, str], str]:
    """Verdict and value of every check, or of those of one subject."""
    return {
        key: json.dumps([entry["status"], entry["actual"]], sort_keys=True)
        for key, entry in run.results(stage).items()
        if key[1].startswith("vsphere-") and of in ("", key[0])
    }


def statuses(run: Played, stage: str, of: str) -> dict[str, str]:
    return {key[1]: entry["status"] for key, entry in run.results(stage).items() if key[0] == of}


def test_a_pattern_that_matches_nobody_stops_the_run_before_anything_is_changed(law: Law, spoiled: Any) -> None:
    for name, run in (("refused", law.refused), ("refused in check mode", law.refused_in_check_mode)):
        assert run.code != 0 and "Traceback" not in run.output
        assert law.writes[name] == [] and run.changes == {}
        (told,) = {run.host["failed"]}
        assert f"hypervisor_esxi_hosts: 'esx04.lab.example' matches no ESXi host of {spoiled[0].name}; " in told
        assert "did you mean esx0" in told and f"Hosts there: {ONE}, {MINE}, {THREE}." in told


def test_check_mode_says_what_would_change_and_changes_nothing(law: Law) -> None:
    assert law.previewed.code == 0, law.previewed.output[-3000:]
    assert law.writes["previewed"] == []
    assert {name.split()[0] for name in law.previewed.changes} == {MINE}
    assert f"1 of 3 ESXi hosts are selected: {MINE}" in law.previewed.output


def test_the_selected_host_is_put_right(law: Law) -> None:
    assert law.applied.code == 0, law.applied.output[-4000:]
    assert {name.split()[0] for name in law.applied.changes} == {MINE}
    before, after = (statuses(law.applied, stage, MINE) for stage in ("before", "after"))
    assert before["vsphere-11.4.6-timeouts"] == "fail" and after["vsphere-11.4.6-timeouts"] == "pass"
    fixed = {check for check in before if before[check] == "fail" and after[check] == "pass"}
    assert len(fixed) > 20 and fixed & machines.CHECKS
    assert len(law.applied.host["fixed"]) == len(fixed)
    assert {entry["name"] for record in law.records for entry in record["hosts"]} == {MINE}


def test_nothing_else_is_written_anywhere(law: Law, spoiled: tuple[Target, list[str]]) -> None:
    """Machines of the others are allowed to be changed, and are not."""
    written = law.writes["applied"]
    assert {call["host"] for call in written} == {MINE, ""}, written
    # The target does not say whose machine was changed: the audit does, below.
    assert {call["method"] for call in written if not call["host"]} == {"ReconfigVM_Task"}
    names = {key[0] for key in law.audited.results()} - {MINE}
    assert names == {spoiled[0].name, ONE, THREE}
    for name in names:
        assert said(law.applied, "after", name) == said(law.audited, "", name)


def test_what_was_left_is_told_and_is_not_called_still_failing(law: Law, spoiled: tuple[Target, list[str]]) -> None:
    found = law.applied.host
    assert found["selected"] == [MINE] and found["esxi_hosts"] == 3
    assert all(entry.endswith(f" on {MINE}") for entry in found["still_failing"])
    others = {entry.rsplit(" on ", 1)[1] for entry in found["not_selected"]}
    # It takes over what fails on its vCenter.
    assert others == {spoiled[0].name, ONE, THREE, MINE}
    assert f"vsphere-11.3.7-alarm on {MINE}" in found["not_selected"]
    assert not any(entry.startswith("vsphere-11.3.7-") for entry in found["still_failing"])
    count = f"{len(found['not_selected']):,} failing checks on the others and the vCenter were left"
    assert f"selected: 1 of 3 ESXi hosts ({count}): {MINE}" in law.applied.output
    shared = [entry for entry in found["by_hand"] if entry["hosts"] == ["the vCenter"]]
    assert shared and all(entry["what"].startswith("the vCenter: left to a run of all hosts: ") for entry in shared), (
        shared
    )
    whole = " ".join(entry["what"] for entry in shared)
    for setting in ("admission control of cluster cluster01", "network I/O control of switch dvs01",
                    "security policy of port group dvpg-production", "event.maxAge", "log servers",
                    "firewall of the appliance", "alarm ", "role everything"):  # fmt: skip
        assert setting in whole, whole


def test_the_second_run_changes_nothing(law: Law) -> None:
    for name, run in (("previewed again", law.previewed_again), ("applied again", law.applied_again)):
        assert run.code == 0, run.output[-3000:]
        assert law.writes[name] == [] and run.changes == {}


def test_only_the_selected_host_would_be_restarted_and_the_other_that_waits_is_told(law: Law) -> None:
    found = law.would_restart.host["restarts"]
    assert law.would_restart.code == 0 and law.writes["would restart"] == []
    assert {*found["restarted"], *found["left"]} == {ONE, MINE}
    assert found["left"][ONE] == "it is not selected (hypervisor_esxi_hosts)"
    assert statuses(law.applied, "after", ONE)[IOMMU] == "fail"
    assert f"not restarted: {ONE}: it is not selected" in law.would_restart.output


def test_revert_brings_back_what_was_without_being_told_whom(law: Law) -> None:
    assert law.reverted.code == 0, law.reverted.output[-3000:]
    assert {call["host"] for call in law.writes["reverted"]} == {MINE, ""}
    assert said(law.audited_again) == said(law.audited)


def test_a_role_used_alone_and_an_action_take_it_too(spoiled: tuple[Target, list[str]], tmp_path: Path) -> None:
    role = {"role": "dwp.hypervisor.remote_access", "vars": {"remote_access_checks": ["vsphere-11.4.6-timeouts"]}}
    book = tmp_path / "alone.yml"
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": [role]}]))
    first = play(tmp_path, spoiled[0], str(book), **SELECTED)
    assert first.code == 0, first.output[-3000:]
    assert f"{MINE} UserVars.ESXiShellTimeOut: 0 -> 600" in first.output and f"{ONE} UserVars" not in first.output
    assert f"1 of 3 ESXi hosts are selected: {MINE}" in first.output
    task = {
        "dwp.hypervisor.enforce": {
            "platform": "vsphere", "areas": ["remote_access"], "state": "planned", "esxi_hosts": ["esx2*"],
        }
    }  # fmt: skip
    (tmp_path / "planned.yml").write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "roles": ["dwp.hypervisor.gold"], "tasks": [task]}])
    )
    planned = play(tmp_path, spoiled[0], str(tmp_path / "planned.yml"))
    assert planned.code != 0 and "'esx2*' matches no ESXi host of" in planned.output
    assert "1 changes taken back" in play(tmp_path, spoiled[0], "revert").output


def test_a_host_without_a_vcenter_is_selected_by_either_name(esxi: Target, tmp_path: Path) -> None:
    given = {"hypervisor_areas": ["remote_access"], "hypervisor_measures": ["11.4.6"]}
    for pattern in (esxi.name, "esx01.*"):
        run = play(tmp_path, esxi, "harden", "--check", **given, hypervisor_esxi_hosts=[pattern])
        assert run.code == 0, run.output[-3000:]
        assert {name.split()[0] for name in run.changes} == {ONE}
        assert run.host["not_selected"] == [] and "selected: 1 of 1 ESXi hosts" in run.output
    other = play(tmp_path, esxi, "harden", "--check", **given, hypervisor_esxi_hosts=["esx02*"])
    assert other.code != 0 and f"'esx02*' matches no ESXi host of {esxi.name}" in other.host["failed"]
