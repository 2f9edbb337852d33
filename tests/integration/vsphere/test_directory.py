# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ESXi hosts joined to a directory by the test law, what stops it, and that its password is nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.host_changes import Hosts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import Journal
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.hardening import (
    Played,
    administrator,
    play,
    set_options,
)
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client, done
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

CHECK = "vsphere-11.4.1-host-or-vcenter"
HOSTS = ("esx01.lab.example", "esx02.lab.example", "esx03.lab.example")
PASSWORD = "lab-join-password"
GOLD = {"gold_vsphere_directory_mode": "ad", "gold_directory_domain": "lab.example", "hypervisor_areas": ["identity"]}
ADMINS = "Config.HostAgent.plugins.hostsvc.esxAdminsGroup"
JOIN = {**host_rows.joined("lab.example"), "checks": [CHECK]}
SAFE = {**host_rows.option(f"{ADMINS}AutoAdd", False), "checks": [CHECK]}


@pytest.fixture(scope="module")
def target(target_ready: None) -> Iterator[Target]:
    found = Target.up(f"directory-{os.getpid()}")
    yield found
    found.down()


def options(account: str = "joiner@lab.example", password: str = PASSWORD) -> dict[str, Any]:
    return {**GOLD, "hypervisor_options": {"directory_account": account, "directory_password": password}}


def statuses(run: Played, stage: str = "") -> set[str]:
    return {
        entry["measured"] for (_host, check), entry in run.results(stage).items() if check == CHECK and _host in HOSTS
    }


def test_hosts_are_joined_once_and_leave_again(target: Target, tmp_path: Path) -> None:
    """With -vvvv Ansible itself prints what stands on its command line."""
    previewed = play(tmp_path, target, "harden", "--check", "--diff", "-vvv", **options())
    applied = play(tmp_path, target, "harden", "--diff", "-vvv", **options())
    again = play(tmp_path, target, "harden", "-vvv", **options())
    runs = [previewed, applied, again]
    assert [run.code for run in runs] == [0, 0, 0], applied.output[-3000:]
    assert statuses(previewed, "before") == statuses(applied, "before") == {"fail"}
    assert statuses(applied, "after") == {"pass"}
    joined = {"old": "", "new": "lab.example", "checks": [CHECK], "measures": ["11.4.1"]}
    for run in (previewed, applied):
        settings = run.host["changes"]["identity"]
        assert {settings[name]["domain of the directory"] == joined for name in HOSTS} == {True}
    assert again.changes == {}
    with administrator(target) as admin:
        entries = [
            entry.principal
            for release in ("7.0.3", "8.0.3", "9.0.0")
            for entry in admin.host(release).configManager.hostAccessManager.RetrieveHostAccessControlEntries()
        ]
    # CVE-2024-37085: nobody administers a host because of a group's name.
    assert not any("ESX Admins" in entry for entry in entries)
    runs.append(play(tmp_path, target, "revert", "-vvv", hypervisor_revert_run="all"))
    assert runs[-1].code == 0, runs[-1].output[-3000:]
    runs.append(play(tmp_path, target, "audit", "-vvv", **options()))
    assert statuses(runs[-1]) == {"fail"}
    assert not any(PASSWORD in run.output for run in runs)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not [path for path in files if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (options(password="wr0ng-p4ssword"), "InvalidLogin; wrong account or password"),
        (options(account="visitor@lab.example"), "NoPermissionOnAD; the account may not add hosts to the domain"),
        ({**options(), "gold_directory_domain": "nowhere.example"}, "DomainNotFound; no domain controller"),
    ],
)
def test_a_refusal_says_what_to_do_and_changes_nothing(
    target: Target, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    run = play(tmp_path, target, "harden", "-vvv", **given)
    assert run.code != 0 and said in run.host["failed"], run.host["failed"]
    assert run.changes == {}
    password = given["hypervisor_options"]["directory_password"]
    assert password not in run.output
    assert not any(password.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_without_an_account_it_is_for_a_person(target: Target, tmp_path: Path) -> None:
    run = play(tmp_path, target, "harden", **GOLD)
    assert run.code == 0 and run.changes == {}
    (hand,) = (entry["what"] for entry in run.host["by_hand"] if CHECK in entry["checks"])
    assert "join the host to lab.example" in hand


class Joining:
    """Hosts of a target that are joined to its directory."""

    def __init__(self, target: Target, session: Any, folder: Path) -> None:
        self.journal = Journal(folder, target.name)
        self.hosts = Hosts(session, lambda: logged_in(target.endpoint()), self.journal, 1)

    def fault(self, *rows: dict[str, Any]) -> str:
        return self.hosts.change("identity", "run", {HOSTS[0]: list(rows)}, ()).faults.get(HOSTS[0], "")

    def revert(self) -> list[str]:
        return self.hosts.revert(self.journal.listed()[-1], force=False, check_mode=False)[HOSTS[0]]


@pytest.fixture
def joining(target: Target, tmp_path: Path) -> Iterator[Joining]:
    with logged_in(target.endpoint(joins_as=("joiner@lab.example", PASSWORD))) as session:
        yield Joining(target, session, tmp_path)


@pytest.fixture
def admin(target: Target) -> Iterator[Client]:
    with administrator(target) as session:
        yield session


def test_a_group_that_somebody_gave_rights_since_the_plan_stops_it(joining: Joining, admin: Client) -> None:
    set_options(admin.host("7.0.3"), {f"{ADMINS}AutoAdd": True})
    assert "AutoAdd has to be false before a host is joined (CVE-2024-37085)" in joining.fault(JOIN)
    assert not admin.host("7.0.3").config.authenticationManagerInfo.authConfig[1].enabled


@pytest.mark.parametrize(
    ("name", "said"),
    [("ClockSkew", "time servers first"), ("BlockedByFirewall", "activeDirectoryAll"), ("InvalidHostName", "own name")],
)
def test_what_a_host_lacks_is_told(target: Target, joining: Joining, name: str, said: str) -> None:
    with target.fault(kind="fault", fault=name, method="JoinDomain_Task", count=1):
        fault = joining.fault(SAFE, JOIN)
    assert f"domain of the directory was refused: {name}" in fault and said in fault
    assert "what was written before it was put back" in fault


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_cut_while_a_host_joins_or_leaves(target: Target, joining: Joining, when: str) -> None:
    with target.fault(kind="cut_connection", method="JoinDomain_Task", when=when, count=1):
        assert joining.fault(SAFE, JOIN) == ""
    with target.fault(kind="cut_connection", method="LeaveCurrentDomain_Task", when=when, count=1):
        assert joining.revert() == []


def test_a_host_where_the_domains_accounts_have_rights_stays_joined(joining: Joining, admin: Client) -> None:
    assert joining.fault(SAFE, JOIN) == ""
    access = admin.host("7.0.3").configManager.hostAccessManager
    access.ChangeAccessMode(principal=r"LAB\bob", isGroup=False, accessMode="accessReadOnly")
    (left,) = joining.revert()
    assert "InvalidState; accounts of the domain may have permissions on the host" in left
    access.ChangeAccessMode(principal=r"LAB\bob", isGroup=False, accessMode="accessNone")
    assert joining.revert() == []
    store = admin.host("7.0.3").configManager.authenticationManager.supportedStore[0]
    assert not store.info.enabled


def test_a_host_that_somebody_has_joined_elsewhere_is_left(joining: Joining, admin: Client) -> None:
    """Leaving is for who has joined: here somebody did it by hand between the plan and the change."""
    store = admin.host("7.0.3").configManager.authenticationManager.supportedStore[0]
    done(store.JoinDomain_Task(domainName="lab.example", userName="joiner", password=PASSWORD))
    access = admin.host("7.0.3").configManager.hostAccessManager
    other = {**host_rows.joined("other.example"), "checks": [CHECK]}
    assert "InvalidState" in joining.fault(SAFE, other)
    assert store.info.joinedDomain == "LAB.EXAMPLE"
    for entry in access.RetrieveHostAccessControlEntries():
        if entry.principal.startswith("LAB"):
            access.ChangeAccessMode(principal=entry.principal, isGroup=entry.group, accessMode="accessNone")
    done(store.LeaveCurrentDomain_Task(force=False))
