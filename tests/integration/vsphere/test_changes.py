# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong while ESXi hosts are changed: one host's fault stays its own, and nobody is locked out."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import host_changes
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.host_changes import Done, Hosts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import Journal
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.hardening import administrator, set_options
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

FIRST, SECOND, THIRD = (f"esx0{number}.lab.example" for number in (1, 2, 3))
ALL = (FIRST, SECOND, THIRD)
RELEASES = ("7.0.3", "8.0.3", "9.0.0")
LOCKDOWN = [host_rows.lockdown("lockdownNormal")]
TIMEOUT = [host_rows.option("UserVars.DcuiTimeOut", 300)]
SNMP_OFF = host_rows.service_off("snmpd")


def asked(rows: list[dict[str, Any]], names: tuple[str, ...] = ALL) -> dict[str, list[dict[str, Any]]]:
    """The same rows for several hosts, as checks ask for them."""
    return {name: [{**row, "checks": ["vsphere-11.4.6-timeouts"]} for row in rows] for name in names}


class Changing:
    """Hosts of a target that are changed with a proof that takes a second at most."""

    def __init__(self, target: Target, session: Any, folder: Path) -> None:
        self.target = target
        self.journal = Journal(folder, target.name)
        self.hosts = Hosts(session, lambda: logged_in(target.endpoint()), self.journal, 1)

    def change(self, rows: dict[str, list[dict[str, Any]]], guarded: tuple[str, ...] = ()) -> Done:
        return self.hosts.change("remote_access", "run", rows, guarded)

    def differing(self, rows: dict[str, list[dict[str, Any]]]) -> set[str]:
        """Hosts that are not as the rows want them."""
        with logged_in(self.target.endpoint()) as session:
            return set(Hosts(session, lambda: None, self.journal, 1).differing(rows).changes)  # type: ignore[arg-type,return-value]

    def states(self) -> dict[str, str]:
        return {host["name"]: host["state"] for host in self.journal.listed()[-1]["hosts"]}


@pytest.fixture
def changing(vsphere: Target, tmp_path: Path) -> Iterator[Changing]:
    """The target's hosts, put back afterwards."""
    with logged_in(vsphere.endpoint()) as session:
        found = Changing(vsphere, session, tmp_path)
        yield found
        vsphere.control("DELETE", "faults")
        for record in found.journal.selected([], "all"):
            found.hosts.revert(record, force=True, check_mode=False)


def test_a_host_that_is_lost_gets_its_old_values_back_and_the_others_are_left_alone(
    vsphere: Target, changing: Changing
) -> None:
    with vsphere.fault(kind="fault", fault="HostNotReachable", method="RefreshServices", host=FIRST):
        done = changing.change(asked(LOCKDOWN), ALL)
    assert "HostNotReachable" in done.faults[FIRST] and "its old values were put back" in done.faults[FIRST]
    assert done.faults[SECOND] == done.faults[THIRD] == f"not attempted, as {FIRST} failed before it"
    assert done.changes == {}
    assert changing.differing(asked(LOCKDOWN)) == set(ALL)
    assert set(changing.states().values()) == {"rolled back"}


def test_guarded_hosts_are_proved_over_a_new_login(vsphere: Target, changing: Changing) -> None:
    vsphere.control("DELETE", "calls")
    done = changing.change(asked(LOCKDOWN), ALL)
    assert done.faults == {} and set(done.changes) == set(ALL)
    calls = vsphere.control("GET", "calls")
    assert (calls["Logout"], calls["RefreshServices"]) == (1, 3), "one new login, and a call to each host"
    assert vsphere.control("GET", "sessions").count(vsphere.variables["ansible_user"]) == 1


def test_nobody_is_locked_out_by_what_a_hand_changed_since_the_plan(vsphere: Target, changing: Changing) -> None:
    with administrator(vsphere) as admin:
        set_options(admin.host("7.0.3"), {"DCUI.Access": ""})
        done = changing.change(asked(LOCKDOWN, (FIRST,)), (FIRST,))
        set_options(admin.host("7.0.3"), {"DCUI.Access": "root"})
    assert "nobody is exempt from lockdown mode and DCUI.Access names nobody who logs in" in done.faults[FIRST]
    assert changing.differing(asked(LOCKDOWN, (FIRST,))) == {FIRST}


def test_who_is_exempt_last_stays_so_while_lockdown_mode_is_on(vsphere: Target, changing: Changing) -> None:
    with administrator(vsphere) as admin:
        access = admin.host("7.0.3").configManager.hostAccessManager
        access.UpdateLockdownExceptions(users=["dcui"])
        assert changing.change(asked(LOCKDOWN, (FIRST,)), (FIRST,)).faults == {}
        set_options(admin.host("7.0.3"), {"DCUI.Access": ""})
        done = changing.change(asked([host_rows.not_exempt(["dcui"])], (FIRST,)), (FIRST,))
        assert "nobody is exempt from lockdown mode and DCUI.Access names nobody who logs in" in done.faults[FIRST]
        assert list(access.QueryLockdownExceptions()) == ["dcui"]
        set_options(admin.host("7.0.3"), {"DCUI.Access": "root"})
        access.UpdateLockdownExceptions(users=[])


def test_a_stricter_lockdown_mode_that_another_area_has_set_stays(changing: Changing) -> None:
    strict = [host_rows.lockdown("lockdownStrict")]
    assert changing.change(asked(strict, (FIRST,)), (FIRST,)).faults == {}
    # Planned when lockdown mode was still off.
    assert changing.change(asked(LOCKDOWN, (FIRST,)), (FIRST,)) == Done()
    assert changing.change(asked([*strict, *LOCKDOWN], (FIRST,)), (FIRST,)) == Done()


def test_one_hosts_fault_is_its_own_and_leaves_nothing_half_done(vsphere: Target, changing: Changing) -> None:
    rows = asked([*TIMEOUT, *SNMP_OFF])
    with vsphere.fault(kind="fault", fault="HostConfigFault", method="UpdateServicePolicy", host=SECOND, count=1):
        done = changing.change(rows)
    assert set(done.changes) == {FIRST, THIRD}
    assert "start of snmpd was refused" in done.faults[SECOND]
    assert "what was written before it was put back" in done.faults[SECOND]
    assert changing.differing(rows) == {SECOND}
    assert changing.differing(asked(TIMEOUT, (SECOND,))) == {SECOND}
    assert changing.states() == {FIRST: "confirmed", SECOND: "rolled back", THIRD: "confirmed"}


def test_hosts_are_changed_side_by_side_where_nobody_can_be_locked_out(vsphere: Target, changing: Changing) -> None:
    with vsphere.fault(kind="latency", milliseconds=700, method="UpdateOptions"):
        started = time.monotonic()
        assert changing.change(asked(TIMEOUT)).faults == {}
        together = time.monotonic() - started
    assert together < 1.4
    assert set(changing.states().values()) == {"confirmed"}


def test_a_guarded_host_that_fails_leaves_all_others_alone(vsphere: Target, changing: Changing) -> None:
    with vsphere.fault(kind="fault", fault="HostConfigFault", method="UpdateOptions", host=SECOND):
        done = changing.change(asked(TIMEOUT), (SECOND,))
    assert done.changes == {}
    assert done.faults[FIRST] == done.faults[THIRD] == f"not attempted, as {SECOND} failed before it"
    assert changing.differing(asked(TIMEOUT)) == set(ALL)


def test_an_option_that_is_refused_takes_the_others_of_its_host_with_it(vsphere: Target, changing: Changing) -> None:
    rows = asked([*TIMEOUT, host_rows.option("UserVars.HostClientSessionTimeout", 60)])
    with vsphere.fault(kind="refuse_option", key="UserVars.HostClientSessionTimeout", host=FIRST):
        done = changing.change(rows)
    assert "InvalidArgument" in done.faults[FIRST]
    assert changing.differing(asked(TIMEOUT)) == {FIRST}


def running(admin: Client, name: str) -> dict[str, bool]:
    """{release: whether the service runs}."""
    found = {release: admin.host(release).config.service.service for release in RELEASES}
    return {release: next(one.running for one in services if one.key == name) for release, services in found.items()}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["UpdateOptions", "StopService"])
def test_a_connection_cut_in_the_middle_of_a_write(vsphere: Target, changing: Changing, method: str, when: str) -> None:
    rows = asked([*TIMEOUT, *host_rows.service_off("TSM")])
    with administrator(vsphere) as admin:
        for release in RELEASES:
            admin.host(release).configManager.serviceSystem.StartService(id="TSM")
        with vsphere.fault(kind="cut_connection", method=method, when=when, count=1):
            done = changing.change(rows)
        assert done.faults == {}
        assert changing.differing(rows) == set()
        assert set(running(admin, "TSM").values()) == {False}
        changing.hosts.revert(changing.journal.listed()[-1], force=False, check_mode=False)
        assert set(running(admin, "TSM").values()) == {True}
        for release in RELEASES:
            admin.host(release).configManager.serviceSystem.StopService(id="TSM")


def test_old_values_go_back_over_the_open_session_where_no_new_login_succeeds(
    changing: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> Any:
        raise Lost("unreachable: no answer")

    monkeypatch.setattr(host_changes, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(host_changes, "RETURN_SECONDS", 5)
    changing.hosts._log_in = refused
    done = changing.change(asked(TIMEOUT, (FIRST,)), (FIRST,))
    assert done.faults == {FIRST: "unreachable: no answer; its old values were put back"}
    assert changing.differing(asked(TIMEOUT, (FIRST,))) == {FIRST}


def test_what_is_refused_once_is_put_back_all_the_same(
    vsphere: Target, changing: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_arguments: Any) -> str:
        vsphere.control("POST", "faults", {**fault, "count": 1})
        return "the host is notResponding"

    fault = {"kind": "fault", "fault": "HostNotConnected", "method": "UpdateOptions", "host": FIRST}
    monkeypatch.setattr(host_changes, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(host_changes.engine, "prove", lost)
    done = changing.change(asked(TIMEOUT, (FIRST,)), (FIRST,))
    assert done.faults == {FIRST: "the host is notResponding; its old values were put back"}
    assert changing.states() == {FIRST: "rolled back"}


def test_a_session_that_expires_is_renewed(vsphere: Target, changing: Changing) -> None:
    vsphere.control("POST", "faults", {"kind": "expire_sessions"})
    assert changing.change(asked(TIMEOUT)).faults == {}
    assert changing.differing(asked(TIMEOUT)) == set()


def test_a_host_that_does_not_respond_is_named_and_the_others_are_done(vsphere: Target, changing: Changing) -> None:
    with vsphere.fault(kind="host_state", host=THIRD, when="notResponding"):
        done = changing.change(asked(TIMEOUT))
    assert done.faults == {THIRD: "the host is notResponding"}
    assert set(done.changes) == {FIRST, SECOND}


def test_a_value_of_another_type_is_not_sent(vsphere: Target, changing: Changing) -> None:
    vsphere.control("DELETE", "calls")
    done = changing.change(asked([host_rows.option("UserVars.DcuiTimeOut", "600")], (FIRST,)))
    assert "UserVars.DcuiTimeOut is '600', and the server's type of it is long" in done.faults[FIRST]
    assert "UpdateOptions" not in vsphere.control("GET", "calls")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (host_rows.option("UserVars.NoSuchThing", 1), "the host has no advanced option UserVars.NoSuchThing"),
        (host_rows.service_off("nosuchd")[1], "the host has no service nosuchd"),
        (host_rows.ruleset("nosuch", enabled=False), "the host has no rule set nosuch"),
    ],
)
def test_what_a_host_does_not_have(changing: Changing, row: dict[str, Any], said: str) -> None:
    assert changing.change(asked([row], (FIRST,))).faults == {FIRST: said}


def test_what_somebody_changed_since_stays_unless_it_is_forced(vsphere: Target, changing: Changing) -> None:
    changing.change(asked([*TIMEOUT, *SNMP_OFF], (FIRST,)))
    (record,) = changing.journal.selected([], "last")
    with administrator(vsphere) as admin:
        set_options(admin.host("7.0.3"), {"UserVars.DcuiTimeOut": 200})
        left = changing.hosts.revert(record, force=False, check_mode=False)
        assert left == {
            FIRST: ["UserVars.DcuiTimeOut is 200, neither what it was nor what was set: somebody changed it since"]
        }
        assert admin.options(admin.host("7.0.3"))["UserVars.DcuiTimeOut"] == 200
        assert changing.differing(asked(SNMP_OFF, (FIRST,))) == {FIRST}
        assert changing.hosts.revert(record, force=True, check_mode=False) == {FIRST: []}
        assert admin.options(admin.host("7.0.3"))["UserVars.DcuiTimeOut"] == 600
    assert changing.states() == {FIRST: "reverted"}


def test_a_controller_that_died_in_between_leaves_what_takes_it_back(changing: Changing) -> None:
    changing.change(asked([*TIMEOUT, *SNMP_OFF]))
    (path,) = changing.journal.directory.glob("*.json")
    record = json.loads(path.read_text())
    for host in record["hosts"]:
        host["state"] = "started"
    changing.journal.keep(record)
    (found,) = changing.journal.selected([], "last")
    assert changing.hosts.revert(found, force=False, check_mode=False) == {name: [] for name in ALL}
    assert changing.differing(asked([*TIMEOUT, *SNMP_OFF])) == set(ALL)


def test_a_second_run_at_the_same_time_changes_nothing(vsphere: Target, changing: Changing) -> None:
    with (
        changing.journal.locked(),
        logged_in(vsphere.endpoint()) as session,
        pytest.raises(ValueError, match="another run changes hosts of"),
    ):
        kept = Journal(changing.journal.directory.parent, vsphere.name)
        Hosts(session, lambda: None, kept, 1).change("remote_access", "run", asked(TIMEOUT), ())  # type: ignore[arg-type,return-value]
    assert changing.differing(asked(TIMEOUT)) == set(ALL)


def test_what_another_run_has_set_meanwhile_is_the_old_value(
    vsphere: Target, changing: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = changing.journal.locked

    @contextlib.contextmanager
    def after_another_run() -> Iterator[None]:
        with locked(), administrator(vsphere) as admin:
            set_options(admin.host("7.0.3"), {"UserVars.DcuiTimeOut": 200})
            yield

    with monkeypatch.context() as patched:
        patched.setattr(changing.journal, "locked", after_another_run)
        assert changing.change(asked(TIMEOUT, (FIRST,))).faults == {}
    (record,) = changing.journal.listed()
    assert record["hosts"][0]["settings"][0]["old"] == 200
    assert changing.hosts.revert(record, force=False, check_mode=False) == {FIRST: []}
    with administrator(vsphere) as admin:
        set_options(admin.host("7.0.3"), {"UserVars.DcuiTimeOut": 600})


def test_a_host_without_a_vcenter_is_never_put_into_lockdown_mode(esxi: Target, tmp_path: Path) -> None:
    with logged_in(esxi.endpoint()) as session:
        changing = Changing(esxi, session, tmp_path)
        name = "esx01.lab.example"
        done = changing.change(asked(LOCKDOWN, (name,)), (name,))
        assert done.faults == {name: "a host without a vCenter is never put into lockdown mode"}
        assert changing.change(asked(TIMEOUT, (name,))).faults == {}
        for record in changing.journal.selected([], "all"):
            assert changing.hosts.revert(record, force=False, check_mode=False) == {name: []}


def vm_network(admin: Client) -> Any:
    """The port group VM Network of the first host, as it is set."""
    groups = admin.host("7.0.3").config.network.portgroup
    return next(found.spec for found in groups if found.spec.name == "VM Network")


def test_a_port_group_keeps_what_is_not_changed_and_inherits_again(vsphere: Target, changing: Changing) -> None:
    rows = [
        host_rows.portgroup_security("VM Network", ()),
        host_rows.portgroup_adapters("VM Network", ["vmnic0"], ["vmnic1"], ()),
    ]
    with administrator(vsphere) as admin:
        network = admin.host("7.0.3").configManager.networkSystem
        before = vm_network(admin)
        before.vlanId = 30
        before.policy.shapingPolicy = vim.host.NetworkPolicy.TrafficShapingPolicy(
            enabled=True, averageBandwidth=10**8, peakBandwidth=10**8, burstSize=10**7
        )
        before.policy.nicTeaming = vim.host.NetworkPolicy.NicTeamingPolicy(
            policy="failover_explicit", notifySwitches=False,
            failureCriteria=vim.host.NetworkPolicy.NicFailureCriteria(checkBeacon=True),
        )  # fmt: skip
        network.UpdatePortGroup(pgName="VM Network", portgrp=before)
        assert changing.change(asked(rows, (FIRST,))).faults == {}
        now = vm_network(admin)
        assert (now.vlanId, now.policy.shapingPolicy.burstSize) == (30, 10**7)
        assert (now.policy.nicTeaming.policy, now.policy.nicTeaming.failureCriteria.checkBeacon) == (
            "failover_explicit", True,
        )  # fmt: skip
        assert list(now.policy.nicTeaming.nicOrder.standbyNic) == ["vmnic1"]
        assert now.policy.security.allowPromiscuous is False
        changing.hosts.revert(changing.journal.listed()[-1], force=False, check_mode=False)
        again = vm_network(admin)
        assert again.policy.security is None and again.policy.nicTeaming.nicOrder is None
        assert again.policy.nicTeaming.notifySwitches is False
        again.vlanId, again.policy = 0, vim.host.NetworkPolicy()
        network.UpdatePortGroup(pgName="VM Network", portgrp=again)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", ["DeselectVnicForNicType", "ExecuteSoap"])
def test_a_connection_cut_while_an_adapter_or_esxcli_is_written(
    vsphere: Target, changing: Changing, method: str, when: str
) -> None:
    rows = asked(
        [host_rows.adapter_service_off("vmk0", "vmotion"),
         host_rows.esxcli("system secpolicy domain.regularVMDom", "warning")], (FIRST,),
    )  # fmt: skip
    with administrator(vsphere) as admin:
        nics = admin.host("7.0.3").configManager.virtualNicManager
        nics.SelectVnicForNicType(nicType="vmotion", device="vmk0")
        with vsphere.fault(kind="cut_connection", method=method, when=when, count=1):
            done = changing.change(rows)
        assert done.faults == {} and len(done.changes[FIRST]) == 2
        assert changing.differing(rows) == set()
        changing.hosts.revert(changing.journal.listed()[-1], force=False, check_mode=False)
        assert changing.differing(rows) == {FIRST}
        nics.DeselectVnicForNicType(nicType="vmotion", device="vmk0")


def test_what_a_release_does_not_know_is_named_and_the_other_hosts_are_done(changing: Changing) -> None:
    done = changing.change(asked([host_rows.esxcli("system account.dcui", False), *TIMEOUT]))
    assert set(done.changes) == {SECOND, THIRD}
    assert "esxcli system account list does not tell it" in done.faults[FIRST]
    assert changing.differing(asked(TIMEOUT)) == {FIRST}


def test_the_shell_of_vpxuser_stays_away_and_that_is_said(tmp_path: Path) -> None:
    target = Target.up(f"vpxuser-{tmp_path.parent.name}", "--hosts", "2")
    try:
        with logged_in(target.endpoint()) as session:
            changing = Changing(target, session, tmp_path)
            shells = [host_rows.esxcli(f"system account.{name}", False) for name in ("dcui", "vpxuser")]
            assert changing.change(asked(shells, (SECOND,)), (SECOND,)).faults == {}
            left = changing.hosts.revert(changing.journal.listed()[-1], force=False, check_mode=False)
        assert [text.split(":")[0] for text in left[SECOND]] == [
            "esxcli system account.vpxuser", "esxcli system account.dcui",
        ]  # fmt: skip
        assert "Permission to perform this operation was denied" in left[SECOND][0]
        assert changing.states() == {SECOND: "confirmed"}
    finally:
        target.down()
