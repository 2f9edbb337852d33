# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong while a vCenter itself is changed: nothing is left half done, and the account keeps what it holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import controller, tasks
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.controller import CONTROLLER
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import controller_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.config_drift import ALARM
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.host_changes import Done, Hosts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import Journal
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.hardening import administrator
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client, done
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

EVENTS = controller_rows.option("event.maxAge", 90)
MAIL = controller_rows.alarm(ALARM, mail="soc@example.test")
GRANT = controller_rows.permission("LAB\\bob", "vm", "ReadOnly")


class Changing:
    """The vCenter of a target, changed with a proof that takes a second at most."""

    def __init__(self, target: Target, session: Any, folder: Path) -> None:
        self.journal = Journal(folder, target.name)
        self.hosts = Hosts(session, lambda: logged_in(target.endpoint()), self.journal, 1)

    def change(self, *rows: dict[str, Any], guarded: bool = False) -> Done:
        asked = [{**row, "checks": ["vsphere-11.3.7-events"]} for row in rows]
        return self.hosts.change("config_drift", "run", {CONTROLLER: asked}, [CONTROLLER] if guarded else [])

    def fault(self, *rows: dict[str, Any], guarded: bool = False) -> str:
        return self.change(*rows, guarded=guarded).faults[CONTROLLER]

    def differing(self, *rows: dict[str, Any]) -> list[str]:
        found = self.hosts.differing({CONTROLLER: [{**row, "checks": []} for row in rows]})
        assert not found.faults, found.faults
        return [change.setting for change in found.changes.get(CONTROLLER, [])]

    def revert(self) -> list[str]:
        return self.hosts.revert(self.journal.listed()[-1], force=False, check_mode=False)[CONTROLLER]

    @property
    def state(self) -> str:
        return self.journal.listed()[-1]["hosts"][0]["state"]


@pytest.fixture
def changing(vsphere: Target, tmp_path: Path) -> Iterator[Changing]:
    with logged_in(vsphere.endpoint()) as session:
        yield Changing(vsphere, session, tmp_path)


@pytest.fixture
def admin(vsphere: Target) -> Iterator[Client]:
    with administrator(vsphere) as session:
        yield session


def test_every_kind_of_setting_is_set_once_and_taken_back(changing: Changing) -> None:
    rows = [EVENTS, MAIL, GRANT, controller_rows.log_forwarding(["TLS log.example.test:6514"]),
            controller_rows.role_without("VM operator", "VirtualMachine.Interact.Reset")]  # fmt: skip
    assert set(changing.change(*rows).changes) == {CONTROLLER}
    assert changing.differing(*rows) == []
    assert changing.change(*rows).changes == {}
    assert changing.revert() == []
    assert len(changing.differing(*rows)) == len(rows)


def test_what_the_server_refuses_takes_what_was_written_before_it_back(changing: Changing) -> None:
    nobody = controller_rows.permission("LAB\\nobody", "vm", "ReadOnly")
    fault = changing.fault(EVENTS, MAIL, nobody)
    assert "permission of LAB\\nobody on vm was refused: UserNotFound" in fault
    assert "what was written before it was put back" in fault
    assert changing.state == "rolled back"
    assert len(changing.differing(EVENTS, MAIL)) == 2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (controller_rows.option("event.maxAge", "90"), "the server's type of it is int"),
        (controller_rows.option("event.maxAge", 0), "InvalidArgument"),
        (controller_rows.option("no.such", 1), "InvalidName"),
        (controller_rows.alarm("a" * 81, mail="soc@example.test"), "InvalidName"),
        (controller_rows.admission_control("no such", "domain-c0"), "there is no cluster no such (domain-c0) any more"),
        (controller_rows.distributed_rejects("gone", "dvportgroup-0"), "there is no distributed port group gone"),
        (
            controller_rows.permission("LAB\\bob", "no such", "ReadOnly"),
            "0 objects of the inventory are called no such",
        ),
        (controller_rows.permission("LAB\\bob", "vm", "no such"), "no role no such"),
        (controller_rows.role_without("NoCryptoAdmin", "Global.Settings"), "comes with the product"),
        (controller_rows.log_forwarding(["PIGEON log:1"]), "refused with HTTP 400: INVALID_ARGUMENT"),
        (controller_rows.log_forwarding([f"TLS log{n}:1" for n in range(4)]), "UNABLE_TO_ALLOCATE_RESOURCE"),
    ],
)
def test_a_refusal_names_what_was_found(changing: Changing, row: dict[str, Any], said: str) -> None:
    assert said in changing.fault(row)


def test_a_call_whose_answer_was_lost_is_not_made_twice(vsphere: Target, changing: Changing) -> None:
    for method in ("CreateAlarm", "UpdateOptions"):
        vsphere.control("POST", "faults", {"kind": "cut_connection", "method": method, "count": 1})
    try:
        assert not changing.change(EVENTS, MAIL).faults
    finally:
        vsphere.control("DELETE", "faults")
    with vsphere.fault(kind="cut_connection", method="RemoveAlarm", count=1):
        assert changing.revert() == []


def test_somebody_who_changes_a_port_group_meanwhile_is_not_overwritten(
    vsphere: Target, changing: Changing, admin: Client
) -> None:
    group = next(one for one in admin.all(vim.dvs.DistributedVirtualPortgroup) if one.name == "dvpg-dmz")
    row = controller_rows.distributed_rejects(group.name, group.key)
    with vsphere.fault(kind="fault", fault="ConcurrentAccess", method="ReconfigureDVPortgroup_Task", count=1):
        assert "ConcurrentAccess" in changing.fault(row)
    assert len(changing.differing(row)) == 1


def test_what_became_of_a_task_that_nobody_knows_is_put_back(
    changing: Changing, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [tasks.Fault("", "it takes longer than 120 s")]
    run = tasks.run

    def ended_too_late(session: Any, starts: dict[str, Any]) -> dict[str, Any]:
        return run(session, starts) or dict.fromkeys(starts, faults.pop()) if faults else run(session, starts)

    monkeypatch.setattr(tasks, "run", ended_too_late)
    group = next(one for one in admin.all(vim.dvs.DistributedVirtualPortgroup) if one.name == "dvpg-dmz")
    row = controller_rows.distributed_rejects(group.name, group.key)
    assert "it takes longer than 120 s; what was written before it was put back" in changing.fault(row)
    assert len(changing.differing(row)) == 1


def test_an_account_that_loses_what_it_held_gets_it_back(vsphere: Target, changing: Changing) -> None:
    # As after a change of one's own rights: a new login holds less than the one before.
    changing.hosts._log_in = lambda: logged_in(vsphere.auditor.endpoint())
    fault = changing.fault(GRANT, guarded=True)
    assert "the account has lost" in fault and "Authorization.ModifyPermissions" in fault
    assert "its old values were put back" in fault
    assert changing.differing(GRANT) == ["permission of LAB\\bob on vm"]


def test_what_the_account_holds_below_the_root_folder_only_is_proved_too(vsphere: Target, admin: Client) -> None:
    manager = admin.content.authorizationManager
    roles = {role.name: role.roleId for role in manager.roleList}
    (datacenter,) = admin.all(vim.Datacenter)
    name = vsphere.auditor.variables["ansible_user"]
    grant = vim.AuthorizationManager.Permission(principal=name, group=False, roleId=roles["Admin"], propagate=True)
    with logged_in(vsphere.auditor.endpoint()) as session:
        manager.SetEntityPermissions(entity=datacenter, permission=[grant])
        try:
            held = controller.rights(session)
            assert controller.lost(session, held) == ""
        finally:
            manager.RemoveEntityPermission(entity=datacenter, user=name, isGroup=False)
        assert held[session.content["rootFolder"]] == ("the root folder", frozenset({"System.Read"}))
        hosts = {host.name for host in admin.all(vim.HostSystem)}
        assert {place for place, found in held.values() if "Host.Config.Settings" in found} >= {
            "lab",
            "cluster01",
            *hosts,
        }
        fault = controller.lost(session, held)
    assert fault.startswith("the account has lost Alarm.Create, ") and fault.endswith(" on lab")


def test_where_no_new_login_succeeds_the_old_firewall_comes_back(changing: Changing) -> None:
    def refused() -> Any:
        raise Lost("unreachable: no answer")

    changing.hosts._log_in = refused
    row = controller_rows.appliance_firewall(["0.0.0.0/0"])
    fault = changing.fault(row, guarded=True)
    assert fault == "unreachable: no answer; its old values were put back"
    assert changing.differing(row) == ["firewall of the appliance"]


def test_a_firewall_that_keeps_hosts_out_is_not_written(changing: Changing) -> None:
    row = controller_rows.appliance_firewall(["203.0.113.0/24"])
    fault = changing.fault(row, guarded=True)
    assert fault.startswith("the hosts esx01.lab.example, esx02.lab.example, esx03.lab.example would not reach")
    assert changing.differing(row) == ["firewall of the appliance"]


def test_who_may_only_read_changes_nothing_and_is_told_the_privilege(vsphere: Target, tmp_path: Path) -> None:
    with logged_in(vsphere.auditor.endpoint()) as session:
        mine = Changing(vsphere.auditor, session, tmp_path)
        for row, privilege in ((EVENTS, "Global.Settings"), (MAIL, "Alarm.Create"),
                               (GRANT, "Authorization.ModifyPermissions")):  # fmt: skip
            assert f"the account lacks the privilege {privilege}" in mine.fault(row)
        assert "may not set /api/appliance/logging" in mine.fault(controller_rows.log_forwarding(["TLS log:6514"]))


def test_what_somebody_has_changed_since_is_left(changing: Changing, admin: Client) -> None:
    assert not changing.change(EVENTS).faults
    admin.content.setting.UpdateOptions(changedValue=[vim.option.OptionValue(key="event.maxAge", value=60)])
    assert "somebody changed it since" in changing.revert()[0]
    admin.content.setting.UpdateOptions(changedValue=[vim.option.OptionValue(key="event.maxAge", value=30)])


def alarm_of(admin: Client) -> vim.alarm.Alarm:
    """The alarm of our name."""
    manager = admin.content.alarmManager
    return next(one for one in manager.GetAlarm(admin.content.rootFolder) if one.info.name == ALARM)


def run_a_script(alarm: vim.alarm.Alarm) -> vim.alarm.AlarmSpec:
    """Have an alarm do one thing more, as somebody might; returns its new specification."""
    info = alarm.info
    spec = vim.alarm.AlarmSpec(name=info.name, description="mine", enabled=info.enabled, expression=info.expression,
                               action=info.action, actionFrequency=300)  # fmt: skip
    script = vim.action.RunScriptAction(script="/usr/local/bin/page --token s3cret")
    spec.action.action.append(vim.alarm.AlarmTriggeringAction(action=script, green2yellow=False, yellow2red=True,
                                                              red2yellow=False, yellow2green=False))  # fmt: skip
    alarm.ReconfigureAlarm(spec)
    return spec


def test_an_alarm_that_somebody_gave_more_comes_back_whole(changing: Changing, admin: Client) -> None:
    assert not changing.change(MAIL).faults
    alarm = alarm_of(admin)
    spec = run_a_script(alarm)
    # Somebody's addition is not taken away with the alarm.
    (left,) = changing.revert()
    assert "somebody changed it since" in left and "s3cret" not in left
    spec.enabled = False
    alarm.ReconfigureAlarm(spec)
    (change,) = changing.hosts.differing({CONTROLLER: [{**MAIL, "checks": []}]}).changes[CONTROLLER]
    assert "s3cret" not in str(change.shown) and change.shown[0]["enabled"] is False
    assert not changing.change(MAIL).faults
    assert len(alarm_of(admin).info.action.action) == 1
    assert changing.revert() == []
    info = alarm_of(admin).info
    assert (info.enabled, info.description, info.actionFrequency) == (False, "mine", 300)
    mail, script = (one.action for one in info.action.action)
    assert (mail.toList, script.script) == ("soc@example.test", "/usr/local/bin/page --token s3cret")
    alarm_of(admin).RemoveAlarm()
    assert changing.differing(MAIL) == [f"alarm {ALARM}"]


class Twins:
    """A vCenter with two datacenters, in which clusters and folders have the same names."""

    def __init__(self, target: Target, admin: Client) -> None:
        self.target = target
        self._admin = admin
        self.annex = admin.content.rootFolder.CreateDatacenter("annex")
        self.cluster = self.annex.hostFolder.CreateClusterEx("cluster01", vim.cluster.ConfigSpecEx())
        reserve = vim.cluster.DasConfigInfo(enabled=True, admissionControlEnabled=False)
        spec = vim.cluster.ConfigSpecEx(dasConfig=reserve)
        done(self.cluster.ReconfigureComputeResource_Task(spec=spec, modify=True))

    def reserved(self) -> dict[str, bool]:
        """{name of the datacenter: whether its cluster keeps capacity}."""
        return {
            cluster.parent.parent.name: cluster.configurationEx.dasConfig.admissionControlEnabled
            for cluster in self._admin.all(vim.ClusterComputeResource)
        }

    def granted(self) -> list[str]:
        """Who holds something on the folder vm of the second datacenter."""
        manager = self._admin.content.authorizationManager
        found = manager.RetrieveEntityPermissions(entity=self.annex.vmFolder, inherited=False)
        return [permission.principal for permission in found]


@pytest.fixture(scope="module")
def twins(target_ready: None) -> Iterator[Twins]:
    # A target of its own: the simulator removes no cluster.
    target = Target.up(f"twins-{os.getpid()}")
    try:
        with administrator(target) as admin:
            yield Twins(target, admin)
    finally:
        target.down()


def test_of_two_clusters_of_one_name_the_one_that_is_meant_is_set(twins: Twins, tmp_path: Path) -> None:
    key = twins.cluster._moId
    meant = controller_rows.admission_control("cluster01", key)
    with logged_in(twins.target.endpoint()) as session:
        mine = Changing(twins.target, session, tmp_path)
        assert mine.differing(meant) == [f"admission control of cluster cluster01 ({key})"]
        assert not mine.change(meant).faults
        assert twins.reserved() == {"lab": True, "annex": True}
        assert mine.revert() == []
    assert twins.reserved() == {"lab": True, "annex": False}


def test_of_two_folders_of_one_name_the_path_says_which_is_meant(twins: Twins, tmp_path: Path) -> None:
    meant = controller_rows.permission("LAB\\bob", "/annex/vm", "ReadOnly")
    with logged_in(twins.target.endpoint()) as session:
        mine = Changing(twins.target, session, tmp_path)
        said = "2 objects of the inventory are called vm, expected one: name it by its path, /annex/vm or /lab/vm"
        assert said in mine.fault(GRANT)
        assert not mine.change(meant).faults
        assert twins.granted() == ["LAB\\bob"]
        facts = next(collector.collect(session)).facts
        told = {(entry["principal"], entry["entity"]) for entry in facts["rbac"]["permissions"]}
        assert {("LAB\\bob", "/annex/vm"), ("LAB\\vm-admins", "/lab/vm"), ("LAB\\image-admins", "lab")} <= told
        assert mine.revert() == []
    assert twins.granted() == []
