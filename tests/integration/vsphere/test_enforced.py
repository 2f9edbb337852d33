# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enforcement on the hosts of a vCenter, by the test law: nothing in check mode, everything, nothing again, and back to
what was."""

from __future__ import annotations

import datetime
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.tests.integration.kvm import seen
from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening, machines
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.hardening import Played, play
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import restart
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

# Nine playbooks run before the first of them.
pytestmark = pytest.mark.timeout(600)
CHECKS = sorted(planners("vsphere"))
RELEASES = {"esx01.lab.example": "7.0.3", "esx02.lab.example": "8.0.3", "esx03.lab.example": "9.0.0"}
# Switched off, ssh has no login of root left to judge; vpxuser's shell is a person's to decide about.
RIGHT = {"vsphere-11.4.6-ssh-root": "not_applicable", "vsphere-11.2.4-service-shell": "fail"}
WAITING = ("vsphere-11.1.2-iommu", "vsphere-11.2.1-exec-boot", "vsphere-11.2.10-tls-server")
# What a release does not have, and what is right on a host from the start.
NOT_THERE = {
    "esx01.lab.example": (
        "vsphere-11.1.3-sb-enforced",
        "vsphere-11.2.1-exec-runtime",
        "vsphere-11.2.10-tls-server",
        "vsphere-11.2.4-service-shell",
        "vsphere-11.4.6-ssh-root",
    ),
    "esx02.lab.example": ("vsphere-11.4.13-uplinks",),
    # A template and a network filter are for a person; so is a second adapter.
    "esx03.lab.example": ("vsphere-11.2.10-vmotion", "vsphere-11.2.7-device-edit", "vsphere-11.4.13-uplinks"),
}


@pytest.fixture(scope="module")
def spoiled(target_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Path, list[str]]]:
    # The pid keeps two test runs on one machine apart.
    found = Target.up(f"enforced-{os.getpid()}", "--vms", "6")
    with hardening.administrator(found) as admin:
        for release in RELEASES.values():
            hardening.spoil(admin, admin.host(release))
            restart(admin.host(release))
        allowed = machines.spoil(admin)
        hardening.spoil_controller(admin)
    yield found, tmp_path_factory.mktemp("law"), allowed
    found.down()


class Law:
    """The playbooks of the test law, one after the other on one target."""

    def __init__(self, vsphere: Target, folder: Path, uuids: list[str]) -> None:
        self.folder = folder
        allowed = {"hypervisor_allow_vm_changes": uuids}
        self.previewed = play(folder, vsphere, "harden", "--check", "--diff", **allowed)
        self.applied = play(folder, vsphere, "harden", **allowed)
        self.previewed_again = play(folder, vsphere, "harden", "--check", **allowed)
        self.applied_again = play(folder, vsphere, "harden", **allowed)
        self._restart(vsphere)
        self.restarted = play(folder, vsphere, "audit")
        self.records = sorted((folder / "state").rglob("*.json"))
        self.would_revert = play(folder, vsphere, "revert", "--check", hypervisor_revert_run="all")
        self.reverted = play(folder, vsphere, "revert", hypervisor_revert_run="all")
        self.reverted_again = play(folder, vsphere, "revert", hypervisor_revert_run="all")
        self._restart(vsphere)
        self.audited = play(folder, vsphere, "audit")

    @staticmethod
    def _restart(vsphere: Target) -> None:
        with hardening.administrator(vsphere) as admin:
            for release in RELEASES.values():
                restart(admin.host(release))


@pytest.fixture(scope="module")
def law(spoiled: tuple[Target, Path, list[str]]) -> Law:
    found = Law(*spoiled)
    assert found.applied.code == 0, found.applied.output[-4000:]
    return found


def statuses(run: Played, stage: str) -> dict[tuple[str, str], str]:
    return {key: entry["status"] for key, entry in run.results(stage).items()}


def said(run: Played, stage: str = "") -> dict[tuple[str, str], str]:
    """Verdict and value of every check of a host."""
    found = run.results(stage)
    return {
        key: json.dumps([entry["status"], entry["actual"]], sort_keys=True)
        for key, entry in found.items()
        if key[1].startswith("vsphere-")
    }


# The others have a template, a machine that runs, and a network filter, which are for a person.
PAIRS = [
    (host, check)
    for host in RELEASES
    for check in CHECKS
    if check not in NOT_THERE[host] and (host == "esx02.lab.example" or check not in machines.CHECKS)
]


@pytest.mark.parametrize(("host", "check"), PAIRS)
def test_what_fails_is_put_right(law: Law, host: str, check: str) -> None:
    assert statuses(law.applied, "before")[host, check] == "fail"
    after = law.applied.results("after")[host, check]
    if check in WAITING and after["status"] == "fail":
        assert "waits for a restart" in after["message"]
    else:
        assert after["status"] == RIGHT.get(check, "pass")
    assert statuses(law.restarted, "")[host, check] == RIGHT.get(check, "pass")
    assert law.applied_again.changes == {}
    assert statuses(law.audited, "")[host, check] == "fail"
    if RIGHT.get(check) != "fail":
        waits = ", waits for a restart" if check in WAITING else ""
        how = f"test_enforced.py, ESXi {RELEASES[host]}{waits}"
        seen.ENFORCED_VSPHERE.status(check, seen.ENFORCED_VSPHERE.where, how)


def test_each_way_of_writing_was_taken(law: Law) -> None:
    """What several settings put right is not seen from the verdict alone."""
    done = law.applied.changes
    for name, old, new in (
        ("esx02.lab.example esxcli system ssh server config.permitrootlogin", "yes", "no"),
        ("esx03.lab.example esxcli system account.dcui", True, False),
        ("esx01.lab.example esxcli system auditrecords.size", 4, 100),
        ("esx01.lab.example esxcli system syslog config logfilter.enabled", True, False),
        ("esx01.lab.example esxcli network firewall.loaded", False, True),
        ("esx02.lab.example service vmk0 vmotion", True, False),
        ("esx03.lab.example start of snmpd", "on", "off"),
        ("esx01.lab.example time servers", [], ["ntp1.example.test", "ntp2.example.test"]),
        ("esx01.lab.example adapters of port group VM Network", {"active": ["vmnic0"], "standby": []},
         {"active": ["vmnic0"], "standby": ["vmnic1"]}),
        ("esx01.lab.example security policy of port group VM Network", {"promiscuous": True},
         {"promiscuous": False, "mac_changes": False, "forged_transmits": False}),
        ("esx01.lab.example VLAN of port group VM Network", 4095, 40),
        ("the vCenter VLAN of port group dvpg-production (dvportgroup-43)", 10, 100),
        ("the vCenter VLAN of port group dvpg-dmz (dvportgroup-44)", "0-9,10", 200),
    ):  # fmt: skip
        assert (done[name]["old"], done[name]["new"]) == (old, new)


def test_check_mode_says_what_would_change_and_changes_nothing(law: Law) -> None:
    assert law.previewed.code == 0, law.previewed.output[-3000:]
    would, did = law.previewed.changes, law.applied.changes
    assert "+lockdown mode" in law.previewed.output
    # Lockdown mode is asked for by several areas: each would set it, and the first does.
    twice = {name for name in would if name.endswith(("lockdown mode", "lockdown exceptions"))}
    assert {name: (entry["old"], entry["new"]) for name, entry in would.items() if name not in twice} == {
        name: (entry["old"], entry["new"]) for name, entry in did.items() if name not in twice
    }
    assert said(law.previewed, "before") == said(law.applied, "before")


def test_the_second_run_changes_nothing(law: Law) -> None:
    for run in (law.previewed_again, law.applied_again):
        assert run.code == 0, run.output[-3000:]
        assert run.changes == {}


def test_old_values_are_kept_for_the_owner_only(law: Law) -> None:
    assert law.records
    for path in law.records:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        record = json.loads(path.read_text())
        assert {host["state"] for host in record["hosts"]} == {"reverted"}
    assert stat.S_IMODE(law.records[0].parent.stat().st_mode) == 0o700


def test_revert_brings_back_what_was(law: Law) -> None:
    for run in (law.would_revert, law.reverted):
        assert run.code == 0, run.output[-3000:]
        assert f"{len(law.records)} changes taken back" in run.output
    assert "0 changes taken back" in law.reverted_again.output
    assert said(law.audited) == said(law.applied, "before")


def test_nothing_of_the_login_is_anywhere(law: Law, spoiled: tuple[Target, Path, list[str]]) -> None:
    password = str(spoiled[0].variables["ansible_password"])
    for path in law.folder.rglob("*"):
        if path.is_file():
            assert password.encode() not in path.read_bytes(), path
    runs: list[Any] = [law.previewed, law.applied, law.reverted]
    assert not any(password in run.output for run in runs)


def test_a_fault_in_one_area_keeps_what_was_done_and_leaves_the_areas_after_it(vsphere: Target, tmp_path: Path) -> None:
    spoilt = "esx02.lab.example"
    with vsphere.fault(kind="fault", fault="HostConfigFault", method="UpdateServicePolicy", host=spoilt):
        areas = {"hypervisor_areas": ["logging", "remote_access", "firewall"]}
        # Time servers would have a service started in the first of them.
        run = play(tmp_path, vsphere, "harden", **areas, gold_time_servers=[])
    assert run.code != 0
    assert "Traceback" not in run.output
    assert f"remote_access on {spoilt}: start of " in run.host["failed"]
    done = set(run.host["changes"]["remote_access"])
    # Hosts go one after the other there, for somebody could be locked out.
    assert done == {"esx01.lab.example"}
    assert set(run.host["changes"]["logging"]) >= {spoilt, *done}
    assert run.host["deferred"] == {"firewall": "not attempted, as remote_access failed before it"}
    assert statuses(run, "after")[spoilt, "vsphere-11.4.6-timeouts"] == "fail"
    assert play(tmp_path, vsphere, "revert").code == 0


def test_areas_whose_settings_meet_do_not_take_turns(vsphere: Target, tmp_path: Path) -> None:
    """Logging enables rule sets that gold does not declare, and the firewall leaves them to a person."""
    settings = {
        "hypervisor_areas": ["logging", "firewall"],
        "gold_vsphere_rulesets": ["vSphereClient", "vpxHeartbeats"],
    }
    try:
        first, second = (play(tmp_path, vsphere, "harden", **settings) for _run in range(2))
    finally:
        reverted = play(tmp_path, vsphere, "revert", hypervisor_revert_run="all")
    enabled = [name for name, entry in first.changes.items() if entry["new"] is True]
    for ruleset in ("syslog", "ntpClient"):
        assert any(f"rule set {ruleset} is enabled" in str(name) for name in enabled), enabled
    assert second.changes == {} and reverted.code == 0
    left = " ".join(entry["what"] for entry in second.host["by_hand"])
    assert "syslog stays enabled" in left and "ntpClient stays enabled" in left


def test_who_may_only_read_is_told_what_is_lacking_and_nothing_changes(vsphere: Target, tmp_path: Path) -> None:
    run = play(tmp_path, vsphere.auditor, "harden", hypervisor_areas=["remote_access"])
    assert run.code != 0
    assert "the account lacks the privilege Host.Config" in run.host["failed"]
    assert run.changes == {}


def test_a_role_used_alone(vsphere: Target, tmp_path: Path) -> None:
    role = {"role": "dwp.hypervisor.remote_access", "vars": {"remote_access_checks": ["vsphere-11.4.6-timeouts"]}}
    book = tmp_path / "alone.yml"
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": [role]}]))
    first, second = play(tmp_path, vsphere, str(book)), play(tmp_path, vsphere, str(book))
    assert first.code == 0 and second.code == 0, first.output + second.output
    assert "UserVars.ESXiShellTimeOut: 0 -> 600" in first.output and "services" not in first.output
    assert "changed=1" in first.output and "changed=0" in second.output
    assert "1 changes taken back" in play(tmp_path, vsphere, "revert").output


def test_what_hosts_share_is_left_where_one_that_is_not_there_is_excepted_from_it(
    vsphere: Target, tmp_path: Path
) -> None:
    """Its exception cannot say whether it is about the cluster, as nobody can read it."""
    silent, check = "esx03.lab.example", "vsphere-11.3.1-pressure"
    today = datetime.date.today()
    accepted = {
        "id": "EX-1",
        "checks": [check],
        "subjects": [silent],
        "risk_ref": "RR-1",
        "justification": "the cluster is emptied for its replacement",
        "residual_risk": "machines are not started again",
        "compensating_controls": ["none"],
        "requested_by": "Al Operator",
        "approved_by": "Bo Owner",
        "approved_by_role": "risk owner",
        "approved_on": today.isoformat(),
        "expires_on": (today + datetime.timedelta(days=30)).isoformat(),
    }
    (tmp_path / "exceptions.yml").write_text(json.dumps([accepted]))
    settings = {"hypervisor_measures": ["11.3.1"], "hypervisor_exceptions_file": str(tmp_path / "exceptions.yml")}
    with hardening.administrator(vsphere) as admin:
        hardening.reserve(admin, False)
        try:
            with vsphere.fault(kind="host_state", host=silent, when="notResponding"):
                run = play(tmp_path, vsphere, "harden", "--check", **settings)
                bare = play(tmp_path, vsphere, "harden", "--check", hypervisor_measures=["11.3.1"])
        finally:
            hardening.reserve(admin, True)
    assert run.changes == {}
    (left,) = run.host["by_hand"]
    assert left["what"].startswith("the vCenter: admission control of cluster cluster01 (domain-c")
    assert left["what"].endswith(
        f"left alone, as {silent} could not be judged, and has an exception for it if it shares it"
    )
    assert [entry["checks"] for entry in bare.changes.values()] == [[check]]
