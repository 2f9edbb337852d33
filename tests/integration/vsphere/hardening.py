# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the target's hosts that make checks fail, and the playbooks that put them right and take that back."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyVmomi import vim

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.updated import each_setting
from ansible_collections.dwp.hypervisor.tests.integration.vsphere import machines
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client, done
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import CHECKOUT, Target
from ansible_collections.dwp.hypervisor.tests.lab.vsphere import target as lab_target

# A role that grants what only others may have, with one privilege of each kind.
TOO_MUCH = "everything"
GRANTS = ["VirtualMachine.Interact.PowerOn", "ContentLibrary.AddLibraryItem", "Global.Settings", "Cryptographer.Access",
          "VirtualMachine.GuestOperations.Execute"]  # fmt: skip
# The instance UUID of db01, made from its name.
DENIED = "a7137af8-721c-5f92-9c39-5f124e47b418"
SITE: dict[str, Any] = {
    "gold_remote_admins": ["alice"],
    "gold_log_servers": ["log.example.test"],
    "gold_admin_cidrs": ["127.0.0.0/16", "192.0.2.0/25"],
    "gold_mgmt_cidrs": ["192.0.2.0/24", "198.51.100.0/24"],
    "gold_notify": {"target": "soc@example.test"},
    "gold_vsphere_permissions": [
        {"principal": "auditor@vsphere.local", "role": "ReadOnly", "objects": ["Datacenters"]},
        {"principal": "%LAB\\vm-operators", "role": "VM operator", "objects": ["vm"]},
        {"principal": "%LAB\\vm-admins", "role": "NoCryptoAdmin", "objects": ["vm"]},
        {"principal": "%LAB\\image-admins", "role": "Image administrator", "objects": ["lab"]},
        {"principal": "LAB\\bob", "role": TOO_MUCH, "objects": ["vm"]},
        {"principal": "LAB\\alice", "role": "VM operator", "objects": ["vm"]},
    ],
    "gold_image_admins": ["%LAB\\image-admins", "%LAB\\vm-admins"],
    "gold_log_admins": ["%LAB\\vm-admins"],
    "gold_crypto_admins": ["%LAB\\vm-admins"],
    "gold_guest_access_principals": ["%LAB\\vm-operators", "%LAB\\vm-admins", "%LAB\\image-admins", "LAB\\alice"],
    "gold_deny_map": [{"principal": "LAB\\carol", "domain_uuid": DENIED}],
    "gold_sensitive_vms": [DENIED],
    "gold_image_manifest": [
        {"name": name, "signature_verified_on": "2026-11-01"} for name in ("rescue", "tpl-debian12")
    ],
    "gold_vsphere_port_group_vlans": {"VM Network": 40, "vMotion": 50, "dvpg-production": 100, "dvpg-dmz": 200},
    **machines.GOLD,
    "gold_vsphere_rulesets": [
        "dns", "ntpClient", "syslog", "updateManager", "vSphereClient", "webAccess", "vpxHeartbeats", "vMotion", "NFC",
        "fdm", "nfs41Client",
    ],
    "gold_time_servers": ["ntp1.example.test", "ntp2.example.test"],
    "hypervisor_options": {
        "log_authority_present": True,
        "recovery_keys_stored": True,
        "standby_uplinks": True,
        "appliance_console_confirmed": True,
    },
    "hypervisor_fail_on": [],
    "hypervisor_rollback_seconds": 20,
}  # fmt: skip
# Options that fail, each with the value that a hand could have given it.
OPTIONS = {
    "DCUI.Access": "root,dcui",
    "Mem.ShareForceSalting": 0,
    "Security.AccountLockFailures": 0,
    "Security.AccountUnlockTime": 60,
    "Syslog.global.certificate.checkSSLCerts": False,
    "User.execInstalledOnly": 0,
    "UserVars.DcuiTimeOut": 0,
    "UserVars.SuppressShellWarning": 1,
    "VMkernel.Boot.noIOMMU": True,
    "Config.HostAgent.log.level": "error",
    "Syslog.global.logFiltersEnable": True,
    "UserVars.ESXiVPsDisabledProtocols": "sslv3",
}
# Their addresses, or that they are off, is for a person to say: here that has been done.
BY_HAND = ("dhcp", "DHCPv6", "faultTolerance", "HBR", "iofiltervp", "CIMSLP", "DVSSync", "rabbitmqproxy")
LIMITED = ("NFC", "vMotion", "dns", "fdm")


@contextlib.contextmanager
def administrator(vsphere: Target) -> Iterator[Client]:
    """A session of a person who works beside the collection."""
    session = Client(lab_target.running(vsphere.name))
    try:
        yield session
    finally:
        session.close()


def set_options(host: vim.HostSystem, values: Mapping[str, Any]) -> None:
    """Set advanced options to values of the type they have."""
    now = {option.key: option.value for option in host.config.option}
    changes = [
        vim.option.OptionValue(key=key, value=type(now[key])(value)) for key, value in values.items() if key in now
    ]
    host.configManager.advancedOption.UpdateOptions(changedValue=changes)


def spoil(admin: Client, host: vim.HostSystem) -> None:
    """Have every check fail that is enforced, and do by hand what is left to people."""
    manager = host.configManager
    secret = {"password": "N0t-guessable", "passwordconfirmation": "N0t-guessable"}
    admin.esxcli(host, "system.account.add", id="mallory", **secret)
    admin.esxcli(host, "network.firewall.set", enabled="false")
    admin.esxcli(host, "network.firewall.unload")
    admin.esxcli(host, "system.secpolicy.domain.set", name="regularVMDom", level="warning")
    if host.config.product.version.startswith("7"):
        admin.esxcli(host, "system.syslog.config.logfilter.set", logfilteringenabled="true")
    manager.hostAccessManager.ChangeAccessMode(principal="mallory", isGroup=False, accessMode="accessAdmin")
    set_options(host, OPTIONS)
    manager.serviceSystem.StartService(id="TSM-SSH")
    manager.serviceSystem.UpdateServicePolicy(id="TSM", policy="automatic")
    manager.imageConfigManager.UpdateHostImageAcceptanceLevel(newAcceptanceLevel="community")
    manager.hostAccessManager.UpdateLockdownExceptions(users=["dcui"])
    manager.firewallSystem.UpdateDefaultPolicy(defaultPolicy=vim.host.FirewallInfo.DefaultPolicy(incomingBlocked=False))
    known = {ruleset.key: ruleset for ruleset in host.config.firewall.ruleset}
    manager.firewallSystem.EnableRuleset(id="nfs41Client")
    for name in BY_HAND:
        if name in known and known[name].enabled and known[name].userControllable is not False:
            manager.firewallSystem.DisableRuleset(id=name)
    network = vim.host.Ruleset.IpNetwork(network="192.0.2.0", prefixLength=24)
    spec = vim.host.Ruleset.RulesetSpec(allowedHosts=vim.host.Ruleset.IpList(ipNetwork=[network], allIp=False))
    for name in set(LIMITED) & set(known):
        if known[name].ipListUserConfigurable is False:
            continue
        manager.firewallSystem.UpdateRuleset(id=name, spec=spec)
    spoil_network(host)


def spoil_network(host: vim.HostSystem) -> None:
    """Have management carry what another adapter carries too, and guests hang on one adapter and do as they please."""
    network = host.configManager.networkSystem
    host.configManager.virtualNicManager.SelectVnicForNicType(nicType="vmotion", device="vmk0")
    group = next(found.spec for found in host.config.network.portgroup if found.spec.name == "VM Network")
    group.policy.security = vim.host.NetworkPolicy.SecurityPolicy(allowPromiscuous=True)
    order = vim.host.NetworkPolicy.NicOrderPolicy(activeNic=["vmnic0"])
    group.policy.nicTeaming = vim.host.NetworkPolicy.NicTeamingPolicy(policy="loadbalance_srcid", nicOrder=order)
    # The VLAN of management, 10, or every one. On ESXi 8 a machine is on it that vSphere makes itself, and that stays.
    group.vlanId = {"7": 4095, "8": 0}.get(host.config.product.version[0], 10)
    network.UpdatePortGroup(pgName="VM Network", portgrp=group)


def set_ports(group: vim.dvs.DistributedVirtualPortgroup, **setting: Any) -> None:
    """What all ports of a distributed port group are set to."""
    ports = vim.dvs.VmwareDistributedVirtualSwitch.VmwarePortConfigPolicy(**setting)
    version = group.config.configVersion
    spec = vim.dvs.DistributedVirtualPortgroup.ConfigSpec(configVersion=version, defaultPortConfig=ports)
    done(group.ReconfigureDVPortgroup_Task(spec=spec))


def one_vlan(number: int, *, inherited: bool = False) -> vim.dvs.VmwareDistributedVirtualSwitch.VlanIdSpec:
    """The VLAN of distributed ports."""
    return vim.dvs.VmwareDistributedVirtualSwitch.VlanIdSpec(inherited=inherited, vlanId=number)


def trunk(*ranges: tuple[int, int]) -> vim.dvs.VmwareDistributedVirtualSwitch.TrunkVlanSpec:
    """Several VLANs of distributed ports."""
    pairs = [vim.NumericRange(start=low, end=high) for low, high in ranges]
    return vim.dvs.VmwareDistributedVirtualSwitch.TrunkVlanSpec(inherited=False, vlanId=pairs)


def reserve(admin: Client, kept: bool) -> None:
    """Have clusters keep capacity for a lost host, or not."""
    spec = vim.cluster.ConfigSpecEx(dasConfig=vim.cluster.DasConfigInfo(admissionControlEnabled=kept))
    for cluster in admin.all(vim.ClusterComputeResource):
        done(cluster.ReconfigureComputeResource_Task(spec=spec, modify=True))


def spoil_controller(admin: Client) -> None:
    """Have every check of the vCenter itself fail that is enforced, and of what its hosts share."""
    settings = admin.content.setting
    values = {"event.maxAge": 7, "task.maxAge": 7, "vpxd.event.syslog.enabled": False}
    settings.UpdateOptions(changedValue=[vim.option.OptionValue(key=key, value=value) for key, value in values.items()])
    reserve(admin, False)
    for switch in admin.all(vim.DistributedVirtualSwitch):
        switch.EnableNetworkResourceManagement(enable=False)
    accepted = vim.dvs.VmwareDistributedVirtualSwitch.SecurityPolicy(
        inherited=False,
        **{name: vim.BoolPolicy(inherited=False, value=True) for name in ("allowPromiscuous", "macChanges")},
        forgedTransmits=vim.BoolPolicy(inherited=False, value=False),
    )
    for group in admin.all(vim.dvs.DistributedVirtualPortgroup):
        # Machines of one host are on each of them.
        if group.name == "dvpg-production":
            set_ports(group, securityPolicy=accepted, vlan=one_vlan(10))
        elif group.name == "dvpg-dmz":
            set_ports(group, vlan=trunk((0, 9), (10, 10)))
    for library in admin.rest("GET", "/api/content/local-library")[1]:
        path = f"/api/content/local-library/{library}"
        assert admin.rest("PATCH", path, {"unset_security_policy_id": True})[0] == 204
    for library in admin.rest("GET", "/api/content/subscribed-library")[1]:
        # What its publisher has signed is a person's to see to: here that has been done.
        for item in admin.rest("GET", f"/api/content/library/item?library_id={library}")[1]:
            path = f"/api/content/library/item/{item}"
            signed = {**admin.rest("GET", path)[1], "certificate_verification_info": {"status": "VERIFIED"}}
            admin.control("POST", "/documents", {"path": path, "value": signed})
    manager = admin.content.authorizationManager
    roles = {role.name: role.roleId for role in manager.roleList}
    roles[TOO_MUCH] = manager.AddAuthorizationRole(name=TOO_MUCH, privIds=GRANTS)
    (datacenter,) = admin.all(vim.Datacenter)
    for where, who, role in ((datacenter.vmFolder, "bob", TOO_MUCH), (datacenter, "carol", "ReadOnly")):
        permission = vim.AuthorizationManager.Permission(
            principal=f"LAB\\{who}", group=False, roleId=roles[role], propagate=True
        )
        manager.SetEntityPermissions(entity=where, permission=[permission])


class Played:
    """One finished playbook."""

    def __init__(self, directory: Path, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        self._directory = directory

    def results(self, stage: str = "") -> dict[tuple[str, str], dict[str, Any]]:
        """{(subject, check): result} of the run; stage: before or after, of a run that hardens."""
        document = json.loads((self._directory / stage / "results.json").read_text())
        names = {subject["id"]: subject["name"] for subject in document["subjects"]}
        return {(names[entry["subject"]], entry["check"]): entry for entry in document["results"]}

    @property
    def host(self) -> dict[str, Any]:
        """What a hardening run says of its only inventory host."""
        (found,) = json.loads((self._directory / "changes" / "changes.json").read_text())["hosts"]
        return found

    @property
    def changes(self) -> dict[str, Any]:
        """{host and setting: old and new value} over all areas."""
        return dict(each for updated in self.host["changes"].values() for each in each_setting(updated))


def play(folder: Path, vsphere: Target, playbook: str, *arguments: str, **variables: Any) -> Played:
    """Run harden, revert or audit, or a playbook by its path, against the target; `folder` is the working directory."""
    playbook = playbook if playbook.endswith(".yml") else f"{playbook}.yml"
    run_id = f"run{len(list((folder / 'reports').glob('run*'))):03d}"
    extra = {
        **SITE,
        "hypervisor_report_dir": str(folder / "reports"),
        "hypervisor_state_dir": str(folder / "state"),
        "hypervisor_run_id": run_id,
        **variables,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    program = str(Path(sys.executable).parent / "ansible-playbook")
    done = subprocess.run(
        [program, "-i", str(vsphere.inventory), str(CHECKOUT / "playbooks" / playbook)]
        + ["-e", json.dumps(extra), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**kept, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_HOME": str(folder / "home"),
             "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return Played(folder / "reports" / run_id, done)
