# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that wait for a restart are restarted when that is allowed, by the test law: one at a time in a cluster."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.hardening import Played, play
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.restarts import (
    ALLOWED,
    BOOT,
    IOMMU,
    STEPS,
    host,
    steps,
)
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import done, restart
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

# Ten playbooks run before the first of them.
pytestmark = pytest.mark.timeout(600)
AREAS = {"hypervisor_areas": ["driver_signing", "platform_assurance"], "hypervisor_measures": ["11.1.2", "11.2.1"]}
CLUSTERS = [[host(number) for number in (1, 2, 3)], [host(number) for number in (4, 5, 6)]]
RESTARTED = [name for cluster in CLUSTERS for name in cluster]
# The only one of its cluster, on which a machine runs.
ALONE = host(7)


@pytest.fixture(scope="module")
def fleet(target_ready: None) -> Iterator[Target]:
    """Two clusters of three hosts and one of a single one; no machine has a device of its host while it runs."""
    # The pid keeps two test runs on one machine apart.
    found = Target.up(f"restarted-{os.getpid()}", "--hosts", "7", "--per-cluster", "3", "--vms", "7")
    with hardening.administrator(found) as admin:
        done(admin.machine("lab-nested01").PowerOffVM_Task())
        for one in admin.all(vim.HostSystem):
            hardening.set_options(one, {"VMkernel.Boot.noIOMMU": True})
            restart(one)
    yield found
    found.down()


class Law:
    """The playbooks of the test law, and of each that may restart hosts the calls it made for it."""

    def __init__(self, vsphere: Target, folder: Path) -> None:
        self._vsphere, self._folder = vsphere, folder
        self.machines = running(vsphere)
        self.calls: dict[str, list[tuple[str, str]]] = {}
        signing = {**AREAS, "hypervisor_areas": ["driver_signing"]}
        self.audited = play(folder, vsphere, "audit")
        self.waiting = self._play("waiting", "harden", **signing)
        allowed = {**AREAS, "hypervisor_options": ALLOWED}
        self.previewed = self._play("previewed", "harden", "--check", **allowed)
        self.applied = self._play("applied", "harden", **allowed)
        self.machines_then = running(vsphere)
        self.previewed_again = self._play("previewed again", "harden", "--check", **allowed)
        self.applied_again = self._play("applied again", "harden", **allowed)
        self.records = [json.loads(path.read_text()) for path in sorted((folder / "state").rglob("*restart.json"))]
        back = {"hypervisor_revert_run": "all", "hypervisor_options": ALLOWED}
        self.would_revert = self._play("would revert", "revert", "--check", **back)
        self.reverted = self._play("reverted", "revert", **back)
        self.audited_again = play(folder, vsphere, "audit")

    def _play(self, name: str, *arguments: str, **variables: Any) -> Played:
        self._vsphere.control("DELETE", "calls")
        found = play(self._folder, self._vsphere, *arguments, **variables)
        self.calls[name] = steps(self._vsphere, [*RESTARTED, ALONE])
        return found


def running(vsphere: Target) -> dict[str, str]:
    """{machine that runs: its host}."""
    with hardening.administrator(vsphere) as admin:
        return {
            machine.name: machine.runtime.host.name
            for machine in admin.all(vim.VirtualMachine)
            if machine.runtime.powerState == "poweredOn"
        }


@pytest.fixture(scope="module")
def law(fleet: Target, tmp_path_factory: pytest.TempPathFactory) -> Law:
    return Law(fleet, tmp_path_factory.mktemp("restarts"))


def verdicts(run: Played, stage: str = "") -> dict[tuple[str, str], str]:
    return {
        key: entry["status"]
        for key, entry in run.results(stage).items()
        if key[1] in (BOOT, IOMMU) and entry["status"] != "not_applicable"
    }


def one_after_the_other(calls: list[tuple[str, str]]) -> bool:
    """Whether each cluster's hosts went through all steps, one host after the other."""
    return len(calls) == len(STEPS) * len(RESTARTED) and all(
        [call for call in calls if call[1] in cluster] == [(step, name) for name in cluster for step in STEPS]
        for cluster in CLUSTERS
    )


def test_nothing_is_restarted_unless_it_is_allowed(law: Law) -> None:
    assert law.waiting.code == 0, law.waiting.output[-3000:]
    assert law.calls["waiting"] == []
    assert {entry["waits_for"] for entry in law.waiting.host["pending"]} == {"reboot"}
    assert set(verdicts(law.waiting, "after").values()) == {"fail"}
    assert law.waiting.host["restarts"]["restarted"] == {}


def test_check_mode_says_who_would_be_restarted_and_restarts_nobody(law: Law) -> None:
    assert law.previewed.code == 0, law.previewed.output[-3000:]
    assert law.calls["previewed"] == []
    found = law.previewed.host["restarts"]
    assert sorted(found["restarted"]) == RESTARTED
    assert list(found["left"]) == [ALONE]
    assert f"would restart: {RESTARTED[0]}" in law.previewed.output


def test_one_host_at_a_time_in_a_cluster(law: Law) -> None:
    assert law.applied.code == 0, law.applied.output[-3000:]
    assert one_after_the_other(law.calls["applied"]), law.calls["applied"]


def test_machines_move_and_go_on(law: Law) -> None:
    assert law.machines_then.keys() == law.machines.keys()
    assert law.machines_then != law.machines


def test_what_waited_is_in_force(law: Law) -> None:
    """What this run has set (the IOMMU), and what a run before had (the option of the first area)."""
    after = verdicts(law.applied, "after")
    assert {after[name, check] for name in RESTARTED for check in (BOOT, IOMMU)} == {"pass"}
    assert {after[ALONE, check] for check in (BOOT, IOMMU)} == {"fail"}
    assert law.applied.host["restarts"]["restarted"][RESTARTED[0]]["checks"] == [BOOT, IOMMU]
    # Nobody has to restart these by hand any more.
    by_hand = [entry for entry in law.applied.host["by_hand"] if "restart the host" in entry["what"]]
    assert [entry["hosts"] for entry in by_hand] == [[ALONE]]
    assert f"restarted: {RESTARTED[0]} in " in law.applied.output


def test_who_cannot_go_is_named_with_the_next_step(law: Law) -> None:
    (why,) = law.applied.host["restarts"]["left"].values()
    assert why == "vm00007 runs on it and its cluster has no other host: shut them down, then run this again"
    assert f"not restarted: {ALONE}: vm00007 runs on it" in law.applied.output
    assert [entry["check"] for entry in law.applied.host["pending"]] == [f"{IOMMU} on {ALONE}"]


def test_the_second_run_restarts_nobody(law: Law) -> None:
    for name, run in (("previewed again", law.previewed_again), ("applied again", law.applied_again)):
        assert run.code == 0, run.output[-3000:]
        assert law.calls[name] == [] and run.changes == {}
        assert run.host["restarts"]["restarted"] == {}


def test_the_journal_had_each_before_it_went(law: Law) -> None:
    assert sorted(record["hosts"][0]["name"] for record in law.records) == RESTARTED
    assert {record["hosts"][0]["state"] for record in law.records} == {"reverted"}
    assert {record["hosts"][0]["settings"][0]["kind"] for record in law.records} == {"maintenance"}


def test_revert_restarts_them_again_where_that_is_allowed(law: Law) -> None:
    for run in (law.would_revert, law.reverted):
        assert run.code == 0, run.output[-3000:]
    assert law.calls["would revert"] == []
    assert one_after_the_other(law.calls["reverted"]), law.calls["reverted"]
    assert f"{ALONE}: what was put back is in force after its next start; vm00007 runs on it" in law.reverted.output
    before, after = verdicts(law.audited), verdicts(law.audited_again)
    assert after == before


def test_without_a_vcenter_only_where_nothing_runs(target_ready: None, tmp_path: Path) -> None:
    single = Target.up(f"restarted-single-{os.getpid()}", "--standalone", "8.0.3", "--vms", "2")
    try:
        given = {**AREAS, "hypervisor_options": ALLOWED}
        running = play(tmp_path, single, "harden", **given)
        assert running.code == 0, running.output[-3000:]
        (why,) = running.host["restarts"]["left"].values()
        assert why.startswith("db01, web01 run on it and nobody moves machines of a host outside of a cluster")
        with hardening.administrator(single) as admin:
            for machine in admin.all(vim.VirtualMachine):
                done(machine.PowerOffVM_Task())
        stopped = play(tmp_path, single, "harden", **given)
        assert stopped.code == 0, stopped.output[-3000:]
        assert list(stopped.host["restarts"]["restarted"]) == [host(1)]
        assert set(verdicts(stopped, "after").values()) == {"pass"}
        assert steps(single, [host(1)]) == [(step, host(1)) for step in STEPS]
    finally:
        single.down()
