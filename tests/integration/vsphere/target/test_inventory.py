# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks, virtual machines, roles and settings of the target: what is taken and what is refused."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim, vmodl

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target import client


def _portgroup(host: vim.HostSystem, name: str) -> vim.host.PortGroup:
    return next(group for group in host.config.network.portgroup if group.spec.name == name)


def _role(session: client.Client, name: str) -> vim.AuthorizationManager.Role:
    return next(role for role in session.content.authorizationManager.roleList if role.name == name)


def _reconfigure(machine: vim.VirtualMachine, **spec: Any) -> None:
    client.done(machine.ReconfigVM_Task(spec=vim.vm.ConfigSpec(**spec)))


def test_standard_switch_and_port_groups(admin: client.Client) -> None:
    """A port group inherits what its policy leaves out; a switch without a bridge loses its uplinks."""
    host = admin.host("7.0.3")
    network = host.configManager.networkSystem
    spec = network.networkInfo.vswitch[0].spec
    assert (spec.policy.security.forgedTransmits, spec.policy.security.macChanges) == (True, True)
    spec.policy.security.forgedTransmits = False
    network.UpdateVirtualSwitch(vswitchName="vSwitch0", spec=spec)
    assert host.config.network.vswitch[0].spec.policy.security.forgedTransmits is False
    assert list(host.config.network.vswitch[0].pnic) == [
        "key-vim.host.PhysicalNic-vmnic0",
        "key-vim.host.PhysicalNic-vmnic1",
    ]
    assert _portgroup(host, "VM Network").computedPolicy.security.forgedTransmits is False
    group = _portgroup(host, "VM Network").spec
    group.vlanId = 300
    group.policy = vim.host.NetworkPolicy(security=vim.host.NetworkPolicy.SecurityPolicy(macChanges=False))
    network.UpdatePortGroup(pgName="VM Network", portgrp=group)
    seen = _portgroup(host, "VM Network")
    assert (seen.spec.vlanId, seen.computedPolicy.security.macChanges) == (300, False)
    group.vlanId = 5000
    with client.refused(vmodl.fault.InvalidArgument):
        network.UpdatePortGroup(pgName="VM Network", portgrp=group)
    with client.refused(vim.fault.NotFound):
        network.UpdatePortGroup(pgName="No Network", portgrp=seen.spec)
    with client.refused(vim.fault.NotFound):
        network.UpdateVirtualSwitch(vswitchName="vSwitch9", spec=spec)
    added = vim.host.PortGroup.Specification(
        name="dmz", vlanId=400, vswitchName="vSwitch0", policy=vim.host.NetworkPolicy()
    )
    network.AddPortGroup(portgrp=added)
    assert _portgroup(host, "dmz").computedPolicy.security.forgedTransmits is False
    with client.refused(vim.fault.DuplicateName):
        network.AddPortGroup(portgrp=added)
    network.RemovePortGroup(pgName="dmz")
    with client.refused(vim.fault.NotFound):
        network.RemovePortGroup(pgName="dmz")
    with client.refused(vim.fault.ResourceInUse):
        network.RemovePortGroup(pgName="Management Network")
    spec.policy.nicTeaming.nicOrder.activeNic = ["vmnic7"]
    with client.refused(vmodl.fault.InvalidArgument):
        network.UpdateVirtualSwitch(vswitchName="vSwitch0", spec=spec)
    spec.policy.nicTeaming.nicOrder.activeNic = []
    spec.bridge = None
    network.UpdateVirtualSwitch(vswitchName="vSwitch0", spec=spec)
    assert list(host.config.network.vswitch[0].pnic) == []


def test_distributed_switch(admin: client.Client) -> None:
    """A port group keeps what a spec leaves out and wants the version that was read."""
    group = next(found for found in admin.all(vim.dvs.DistributedVirtualPortgroup) if found.name == "dvpg-dmz")
    assert group.config.defaultPortConfig.securityPolicy.allowPromiscuous.value is True
    policy = vim.dvs.VmwareDistributedVirtualSwitch.SecurityPolicy(allowPromiscuous=vim.BoolPolicy(value=False))
    change = vim.dvs.VmwareDistributedVirtualSwitch.VmwarePortConfigPolicy(securityPolicy=policy)
    spec = vim.dvs.DistributedVirtualPortgroup.ConfigSpec(
        configVersion=group.config.configVersion, defaultPortConfig=change
    )
    client.done(group.ReconfigureDVPortgroup_Task(spec=spec))
    seen = group.config.defaultPortConfig
    assert (seen.securityPolicy.allowPromiscuous.value, seen.securityPolicy.macChanges.value) == (False, True)
    assert (seen.vlan.vlanId, group.config.name) == (200, "dvpg-dmz")
    with client.refused(vim.fault.ConcurrentAccess):
        client.done(group.ReconfigureDVPortgroup_Task(spec=spec))
    change.vlan = vim.dvs.VmwareDistributedVirtualSwitch.VlanIdSpec(vlanId=4095)
    spec.configVersion = group.config.configVersion
    with client.refused(vmodl.fault.InvalidArgument):
        client.done(group.ReconfigureDVPortgroup_Task(spec=spec))
    switch = admin.all(vim.dvs.VmwareDistributedVirtualSwitch)[0]
    assert switch.config.networkResourceManagementEnabled
    switch.EnableNetworkResourceManagement(enable=False)
    assert not switch.config.networkResourceManagementEnabled
    assert len(switch.config.host) == len(admin.all(vim.HostSystem))
    assert [proxy.dvsUuid for proxy in admin.host("8.0.3").config.network.proxySwitch] == [switch.uuid]


def test_virtual_machines_are_of_several_kinds(admin: client.Client) -> None:
    """What the checks tell apart: encryption, TPM, secure boot, passthrough, an agent, a template."""
    seen = {machine.name: machine.config for machine in admin.all(vim.VirtualMachine)}
    assert len(seen) == 6
    devices = {name: {type(device) for device in config.hardware.device} for name, config in seen.items()}
    hardened, nested = seen["db01"], seen["lab-nested01"]
    assert (hardened.keyId.providerId.id, hardened.migrateEncryption) == ("lab-native", "required")
    assert hardened.bootOptions.efiSecureBootEnabled
    assert vim.vm.device.VirtualTPM in devices["db01"]
    assert vim.vm.device.VirtualPCIPassthrough in devices["lab-nested01"]
    assert (nested.nestedHVEnabled, nested.hardware.numCPU) == (True, 40)
    assert (seen["legacy01"].flags.virtualExecUsage, seen["web01"].flags.virtualMmuUsage) == ("hvOff", "automatic")
    assert seen["tpl-debian12"].template
    agents = [config for name, config in seen.items() if name.startswith("vCLS")]
    assert [(config.managedBy.extensionKey, config.managedBy.type) for config in agents] == [
        ("com.vmware.vim.eam", "cluster-agent")
    ]
    plain = admin.machine("web01")
    assert (plain.summary.runtime.powerState, plain.runtime.host.name) == ("poweredOn", "esx01.lab.example")


def test_datastores(admin: client.Client) -> None:
    """One local and one over NFS without Kerberos, on every host."""
    stores = {store.name: store for store in admin.all(vim.Datastore)}
    assert set(stores) == {"datastore1", "nfs-images"}
    nas = stores["nfs-images"].info.nas
    assert (nas.remoteHost, nas.securityType, nas.type) == ("nfs.lab.example", "AUTH_SYS", "NFS41")
    assert all(len(store.host) == 3 for store in stores.values())


def test_virtual_machines_are_reconfigured(admin: client.Client) -> None:
    """A partial spec changes only what it names; what needs a power cycle is refused while running."""
    machine = admin.machine("web01")
    reservation = vim.ResourceAllocationInfo(reservation=1024)
    _reconfigure(machine, memoryAllocation=reservation, migrateEncryption="required")
    allocation = machine.config.memoryAllocation
    assert (allocation.reservation, allocation.limit, allocation.shares.level) == (1024, -1, "normal")
    assert machine.config.migrateEncryption == "required"
    key = "isolation.tools.copy.disable"
    _reconfigure(machine, extraConfig=[vim.option.OptionValue(key=key, value="TRUE")])
    assert {option.key: option.value for option in machine.config.extraConfig}[key] == "TRUE"
    _reconfigure(machine, extraConfig=[vim.option.OptionValue(key=key, value="")])
    assert key not in {option.key for option in machine.config.extraConfig}
    for spec, fault in (
        ({"memoryAllocation": vim.ResourceAllocationInfo(reservation=2048, limit=1024)}, vmodl.fault.InvalidArgument),
        ({"migrateEncryption": "always"}, vmodl.fault.InvalidArgument),
        ({"nestedHVEnabled": True}, vim.fault.InvalidPowerState),
        ({"firmware": "efi"}, vim.fault.InvalidPowerState),
        ({"changeVersion": "yesterday"}, vim.fault.ConcurrentAccess),
        ({"numCPUs": 1}, vim.fault.InvalidPowerState),
        ({"flags": vim.vm.FlagInfo(virtualMmuUsage="off")}, vim.fault.InvalidPowerState),
        ({"memoryAllocation": vim.ResourceAllocationInfo(reservation=8192)}, vmodl.fault.InvalidArgument),
        ({"maxMksConnections": 41}, vmodl.fault.InvalidArgument),
    ):
        with client.refused(fault):
            _reconfigure(machine, **spec)
    client.done(machine.PowerOffVM_Task())
    _reconfigure(machine, nestedHVEnabled=True)
    assert machine.config.nestedHVEnabled
    with client.refused(vmodl.fault.InvalidArgument):
        _reconfigure(machine, numCPUs=5, numCoresPerSocket=2)
    _reconfigure(machine, numCPUs=6, numCoresPerSocket=3)
    assert (machine.config.hardware.numCPU, machine.config.cpuAllocation.shares.shares) == (6, 6000)
    _reconfigure(machine, memoryAllocation=vim.ResourceAllocationInfo(reservation=0))
    assert machine.config.memoryAllocation.reservation == 0


def test_limits_of_devices(admin: client.Client) -> None:
    """A device is edited whole; a limit that is none, or below what is reserved, is refused."""
    machine = admin.machine("web01")

    def limited(limit: int) -> vim.vm.device.VirtualDeviceSpec:
        (card,) = [device for device in machine.config.hardware.device if device.key == 4000]
        card.resourceAllocation.limit, card.resourceAllocation.reservation = limit, 5
        return vim.vm.device.VirtualDeviceSpec(operation="edit", device=card)

    for limit in (0, -2, 4):
        with client.refused(vim.fault.InvalidDeviceSpec):
            _reconfigure(machine, deviceChange=[limited(limit)])
    _reconfigure(machine, deviceChange=[limited(100)])
    (card,) = [device for device in machine.config.hardware.device if device.key == 4000]
    assert (card.resourceAllocation.limit, card.resourceAllocation.reservation) == (100, 5)


def test_machines_are_found_by_uuid_once_esxcli_was_used(admin: client.Client) -> None:
    machine = admin.machine("db01")
    admin.esxcli(machine.runtime.host, "system.account.list")
    index = admin.content.searchIndex
    assert index.FindByUuid(None, machine.config.instanceUuid, True, True) == machine
    assert index.FindByUuid(None, machine.runtime.host.hardware.systemInfo.uuid, False) == machine.runtime.host


def test_roles_and_permissions(admin: client.Client) -> None:
    """Entries are added, not replaced; No Access on a child beats what comes from above."""
    manager = admin.content.authorizationManager
    with client.refused(vim.fault.AlreadyExists):
        manager.AddAuthorizationRole(name="VM operator", privIds=[])
    with client.refused(vmodl.fault.InvalidArgument):
        manager.AddAuthorizationRole(name="Wrong", privIds=["No.Such.Privilege"])
    role = manager.AddAuthorizationRole(name="Console", privIds=["VirtualMachine.Interact.ConsoleInteract"])
    manager.UpdateAuthorizationRole(roleId=role, newName="Console", privIds=["VirtualMachine.Interact.PowerOn"])
    assert "VirtualMachine.Interact.ConsoleInteract" not in _role(admin, "Console").privilege
    with client.refused(vmodl.fault.InvalidArgument):
        manager.UpdateAuthorizationRole(roleId=-1, newName="Admin", privIds=[])
    machine = admin.machine("db01")
    before = manager.FetchUserPrivilegeOnEntities(entities=[machine], userName=r"LAB\bob")[0].privileges
    assert "VirtualMachine.Interact.PowerOn" in before
    deny = vim.AuthorizationManager.Permission(
        principal=r"LAB\vm-operators", group=True, roleId=_role(admin, "NoAccess").roleId, propagate=True
    )
    manager.SetEntityPermissions(entity=machine, permission=[deny])
    after = manager.FetchUserPrivilegeOnEntities(entities=[machine], userName=r"LAB\bob")[0].privileges
    assert list(after) == []
    folder = machine.parent
    carol = manager.FetchUserPrivilegeOnEntities(entities=[machine], userName=r"LAB\carol")[0].privileges
    assert list(carol) == []
    groups = {entry.principal for entry in manager.RetrieveEntityPermissions(entity=folder, inherited=False)}
    assert groups == {r"LAB\vm-operators", r"LAB\vm-admins"}
    assert len(manager.RetrieveAllPermissions()) > len(groups)
    manager.RemoveEntityPermission(entity=machine, user=r"LAB\vm-operators", isGroup=True)
    with client.refused(vim.fault.NotFound):
        manager.RemoveEntityPermission(entity=machine, user=r"LAB\vm-operators", isGroup=True)
    deny.principal = r"LAB\nobody"
    with client.refused(vim.fault.UserNotFound):
        manager.SetEntityPermissions(entity=machine, permission=[deny])
    with client.refused(vim.fault.AuthMinimumAdminPermission):
        manager.ResetEntityPermissions(entity=admin.content.rootFolder, permission=[])
    with client.refused(vim.fault.RemoveFailed):
        manager.RemoveAuthorizationRole(roleId=_role(admin, "VM operator").roleId, failIfUsed=True)
    manager.RemoveAuthorizationRole(roleId=role, failIfUsed=True)


def test_vcenter_settings_alarms_and_keys(admin: client.Client) -> None:
    """vCenter's numbers are int; a new key is taken below config. only."""
    settings = admin.content.setting

    def update(key: str, value: Any) -> None:
        settings.UpdateOptions(changedValue=[vim.option.OptionValue(key=key, value=value)])

    update("event.maxAge", 90)
    assert [option.value for option in settings.QueryOptions(name="event.maxAge")] == [90]
    assert {option.key: option.value for option in settings.setting}["event.maxAge"] == 90
    update("config.vpxd.lab", "true")
    with client.refused(vim.fault.InvalidName):
        update("no.such.key", "true")
    with client.refused(vmodl.fault.InvalidArgument):
        update("event.maxAge", "90")
    alarms = admin.content.alarmManager
    root = admin.content.rootFolder
    before = len(alarms.GetAlarm(entity=root))
    expression = vim.alarm.EventAlarmExpression(eventType=vim.event.VmReconfiguredEvent, objectType=vim.VirtualMachine)
    spec = vim.alarm.AlarmSpec(
        name="VM reconfigured",
        description="",
        enabled=True,
        expression=vim.alarm.OrAlarmExpression(expression=[expression]),
        setting=vim.alarm.AlarmSetting(toleranceRange=0, reportingFrequency=0),
    )
    alarm = alarms.CreateAlarm(entity=root, spec=spec)
    assert len(alarms.GetAlarm(entity=root)) == before + 1
    alarm.RemoveAlarm()
    keys = admin.content.cryptoManager
    assert [(cluster.clusterId.id, cluster.useAsDefault) for cluster in keys.ListKmsClusters()] == [
        ("lab-native", True)
    ]
    assert keys.IsKmsClusterActive(cluster=vim.encryption.KeyProviderId(id="lab-native"))
    cluster = admin.all(vim.ClusterComputeResource)[0]
    assert cluster.configurationEx.dasConfig.admissionControlEnabled
    change = vim.cluster.ConfigSpecEx(dasConfig=vim.cluster.DasConfigInfo(admissionControlEnabled=False))
    client.done(cluster.ReconfigureComputeResource_Task(spec=change, modify=True))
    assert not cluster.configurationEx.dasConfig.admissionControlEnabled


def test_automation_api(admin: client.Client) -> None:
    """The documents of the appliance and of clusters, and the permissions that only this API tells."""
    forwarding = "/api/appliance/logging/forwarding"
    assert admin.rest("GET", forwarding) == (200, [])
    server = {"hostname": "log.lab.example", "port": 6514, "protocol": "TLS"}
    assert admin.rest("PUT", forwarding, {"cfg_list": [server]})[0] == 204
    assert admin.rest("GET", forwarding) == (200, [server])
    assert admin.rest("PUT", forwarding, {"cfg_list": [{**server, "protocol": "PIGEON"}]})[0] == 400
    assert admin.rest("PUT", forwarding, {"cfg_list": [server] * 4})[0] == 500
    assert admin.rest("GET", forwarding, token="wrong")[0] == 401
    status, found = admin.rest("POST", "/api/vcenter/authorization/permissions?action=list", {})
    assert (status, found["items"][0]["info"]["object"]["type"]) == (200, "GlobalAcl")
    local = admin.rest("GET", "/api/content/local-library")[1][0]
    assert admin.rest("GET", f"/api/content/local-library/{local}")[1]["publish_info"]["published"] is False
    items = admin.rest("GET", f"/api/content/library/item?library_id={local}")[1]
    assert [admin.rest("GET", f"/api/content/library/item/{item}")[1]["type"] for item in items] == ["ovf", "iso"]
    cluster = admin.all(vim.ClusterComputeResource)[0]._moId
    path = f"/api/esx/settings/clusters/{cluster}/software/compliance"
    assert admin.rest("GET", path)[1]["status"] == "COMPLIANT"
    admin.control("POST", "/documents", {"path": path, "value": None})
    assert admin.rest("GET", path)[0] == 404
