# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be changed of the target's vCenter itself, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import vim, vmodl

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target import client

Alarm = vim.alarm


def specification(name: str = "reconfigured", mail: str = "soc@example.test", **more: Any) -> vim.alarm.AlarmSpec:
    """An alarm that writes a mail."""
    sent = vim.action.SendEmailAction(toList=mail, ccList="", subject="", body="")
    triggering = Alarm.AlarmTriggeringAction(
        action=sent, green2yellow=False, yellow2red=False, red2yellow=False, yellow2green=False
    )
    event = Alarm.EventAlarmExpression(eventType=vim.event.VmReconfiguredEvent, objectType=vim.VirtualMachine)
    given = {"name": name, "description": "", "enabled": True, "expression": event, "action": triggering, **more}
    return Alarm.AlarmSpec(**given)


def test_alarms_are_made_changed_and_refused(admin: client.Client) -> None:
    manager, root = admin.content.alarmManager, admin.content.rootFolder
    for wrong, fault in (
        (specification(""), vim.fault.InvalidName),
        (specification("a" * 81), vim.fault.InvalidName),
        (specification(mail=""), vmodl.fault.InvalidArgument),
    ):
        with client.refused(fault):
            manager.CreateAlarm(entity=root, spec=wrong)
    first = manager.CreateAlarm(entity=root, spec=specification())
    with client.refused(vim.fault.DuplicateName):
        manager.CreateAlarm(entity=root, spec=specification())
    second = manager.CreateAlarm(entity=root, spec=specification("another"))
    with client.refused(vim.fault.DuplicateName):
        second.ReconfigureAlarm(spec=specification())
    second.ReconfigureAlarm(spec=specification("another", enabled=False))
    assert {first, second} <= set(manager.GetAlarm(entity=root))
    for alarm in (first, second):
        alarm.RemoveAlarm()


def test_both_forms_of_a_port_groups_policy_are_one(admin: client.Client) -> None:
    group = next(one for one in admin.all(vim.dvs.DistributedVirtualPortgroup) if one.name == "dvpg-production")
    before = group.config.defaultPortConfig.securityPolicy
    policy = vim.dvs.VmwareDistributedVirtualSwitch.SecurityPolicy(
        inherited=False,
        **{
            name: vim.BoolPolicy(inherited=False, value=True)
            for name in ("allowPromiscuous", "macChanges", "forgedTransmits")
        },
    )
    for wanted in (policy, before):
        setting = vim.dvs.VmwareDistributedVirtualSwitch.VmwarePortConfigPolicy(securityPolicy=wanted)
        spec = vim.dvs.DistributedVirtualPortgroup.ConfigSpec(
            configVersion=group.config.configVersion, defaultPortConfig=setting
        )
        client.done(group.ReconfigureDVPortgroup_Task(spec=spec))
        with client.refused(vim.fault.ConcurrentAccess):
            client.done(group.ReconfigureDVPortgroup_Task(spec=spec))
        found = group.config.defaultPortConfig
        assert found.securityPolicy.macChanges.value is found.macManagementPolicy.macChanges is wanted.macChanges.value


def test_the_vlan_of_a_port_group_is_one_whole(admin: client.Client) -> None:
    """None, several, or the switch's own; what is none is refused, and the rest of the ports' settings stays."""
    kinds = vim.dvs.VmwareDistributedVirtualSwitch
    group = next(one for one in admin.all(vim.dvs.DistributedVirtualPortgroup) if one.name == "dvpg-production")
    policy = str(group.config.defaultPortConfig.securityPolicy)

    def put(vlan: kinds.VlanSpec) -> None:
        ports = kinds.VmwarePortConfigPolicy(vlan=vlan)
        version = group.config.configVersion
        spec = vim.dvs.DistributedVirtualPortgroup.ConfigSpec(configVersion=version, defaultPortConfig=ports)
        client.done(group.ReconfigureDVPortgroup_Task(spec=spec))

    pairs = [vim.NumericRange(start=5, end=5), vim.NumericRange(start=7, end=4094)]
    for wanted in (kinds.TrunkVlanSpec(inherited=False, vlanId=pairs), kinds.VlanIdSpec(inherited=False, vlanId=0)):
        put(wanted)
        assert str(group.config.defaultPortConfig.vlan) == str(wanted)
    put(kinds.VlanIdSpec(inherited=True, vlanId=77))
    assert str(group.config.defaultPortConfig.vlan) == str(kinds.VlanIdSpec(inherited=True, vlanId=0))
    for wrong in (
        kinds.VlanIdSpec(inherited=False, vlanId=4095),
        kinds.TrunkVlanSpec(inherited=False, vlanId=[vim.NumericRange(start=9, end=5)]),
        kinds.TrunkVlanSpec(inherited=False, vlanId=[vim.NumericRange(start=0, end=4095)]),
        kinds.PvlanSpec(inherited=False, pvlanId=200),
    ):
        with client.refused(vmodl.fault.InvalidArgument):
            put(wrong)
    put(kinds.VlanIdSpec(inherited=False, vlanId=100))
    assert str(group.config.defaultPortConfig.securityPolicy) == policy


@pytest.mark.parametrize("change", [{"security_policy_id": "none of its"}, {"name": "images"}])
def test_libraries_take_a_policy_that_there_is(admin: client.Client, change: dict[str, str]) -> None:
    (known,) = admin.rest("GET", "/api/content/security-policies")[1]
    path = f"/api/content/local-library/{admin.rest('GET', '/api/content/local-library')[1][0]}"
    assert admin.rest("PATCH", path, change)[0] == 400
    assert admin.rest("PATCH", path, {"unset_security_policy_id": True})[0] == 204
    assert "security_policy_id" not in admin.rest("GET", path)[1]
    assert admin.rest("PATCH", path, {"security_policy_id": known["policy"]})[0] == 204
    assert admin.rest("GET", path)[1]["security_policy_id"] == known["policy"]
    assert admin.rest("PATCH", f"{path}0", {"unset_security_policy_id": True})[0] == 404


def test_roles_of_the_product_and_unknown_privileges_are_refused(admin: client.Client) -> None:
    manager = admin.content.authorizationManager
    roles = {role.name: role for role in manager.roleList}
    for role, privileges, fault in (
        (roles["NoCryptoAdmin"].roleId, [], vmodl.fault.InvalidArgument),
        (roles["VM operator"].roleId, ["No.Such"], vmodl.fault.InvalidArgument),
        (4711, [], vim.fault.NotFound),
    ):
        with client.refused(fault):
            manager.UpdateAuthorizationRole(roleId=role, newName="x", privIds=privileges)
