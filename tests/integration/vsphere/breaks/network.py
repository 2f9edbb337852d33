# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and firewalls (11.3.5, 11.3.10, 11.4.2, 11.4.9, 11.4.12, 11.4.13)."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks.steps import (
    Break,
    Place,
    Step,
    deny,
    deny_path,
    esxcli,
    options,
    refuse,
    state,
)

INBOUND = "/api/appliance/networking/firewall/inbound"
DECLARED = hardening.SITE["gold_vsphere_rulesets"]
ADMIN = ("192.0.2.0", 25)  # in gold_admin_cidrs


def _default_policy(*, blocked: bool) -> Step:
    policy = vim.host.FirewallInfo.DefaultPolicy(incomingBlocked=blocked, outgoingBlocked=True)
    return lambda place: place.host.configManager.firewallSystem.UpdateDefaultPolicy(defaultPolicy=policy)


def _only_declared(place: Place) -> None:
    """Rule sets that nobody has declared are off, as far as they can be."""
    for ruleset in place.host.config.firewall.ruleset:
        if ruleset.enabled and ruleset.key not in DECLARED and not ruleset.required and ruleset.userControllable:
            place.host.configManager.firewallSystem.DisableRuleset(id=ruleset.key)


def _limited(place: Place) -> None:
    """Every rule set admits administrators only, as far as its list can be set."""
    network = vim.host.Ruleset.IpNetwork(network=ADMIN[0], prefixLength=ADMIN[1])
    spec = vim.host.Ruleset.RulesetSpec(allowedHosts=vim.host.Ruleset.IpList(ipNetwork=[network], allIp=False))
    for ruleset in place.host.config.firewall.ruleset:
        if ruleset.enabled and ruleset.ipListUserConfigurable:
            place.host.configManager.firewallSystem.UpdateRuleset(id=ruleset.key, spec=spec)


def _appliance(*rules: tuple[str, int, str]) -> Step:
    """Rules of the appliance's firewall, in the order in which they are asked."""
    wanted = {"rules": [{"address": address, "prefix": prefix, "policy": policy} for address, prefix, policy in rules]}

    def step(place: Place) -> None:
        assert place.admin.rest("PUT", INBOUND, wanted)[0] == 204

    return step


def _guests(*, accepted: bool) -> Step:
    """What the machine's port group accepts of its guests."""

    def step(place: Place) -> None:
        group = next(
            one for one in place.admin.all(vim.dvs.DistributedVirtualPortgroup) if one.name == "dvpg-production"
        )
        policy = vim.BoolPolicy(inherited=False, value=accepted)
        security = vim.dvs.VmwareDistributedVirtualSwitch.SecurityPolicy(
            inherited=False, allowPromiscuous=policy, macChanges=policy, forgedTransmits=policy
        )
        hardening.set_ports(group, securityPolicy=security)

    return step


def _network_control(*, on: bool) -> Step:
    def step(place: Place) -> None:
        for switch in place.admin.all(vim.DistributedVirtualSwitch):
            switch.EnableNetworkResourceManagement(enable=on)

    return step


def _vlan(group: str, vlan: int) -> Step:
    """The VLAN of a port group of the host's own switch."""

    def step(place: Place) -> None:
        spec = next(found.spec for found in place.host.config.network.portgroup if found.spec.name == group)
        spec.vlanId = vlan
        place.host.configManager.networkSystem.UpdatePortGroup(pgName=group, portgrp=spec)

    return step


def _on_vmk0(kind: str, *, on: bool) -> Step:
    def step(place: Place) -> None:
        manager = place.host.configManager.virtualNicManager
        (manager.SelectVnicForNicType if on else manager.DeselectVnicForNicType)(nicType=kind, device="vmk0")

    return step


def _adapters(*without_link: str) -> Step:
    """The host's physical adapters, some without a cable."""
    adapters: list[dict[str, Any]] = []
    for number in range(4):
        name = f"vmnic{number}"
        adapter = {"key": f"key-vim.host.PhysicalNic-{name}", "device": name, "pci": f"0000:3{number}:00.0", "mac": ""}
        link = {} if name in without_link else {"linkSpeed": {"speedMb": 10000, "duplex": True}}
        adapters.append({**adapter, "driver": "i40en", "spec": {}, **link})
    return state("config.network.pnic", adapters)


BREAKS = [
    Break(
        "vsphere-11.3.5-nsx-prepared",
        {
            "fail": [_guests(accepted=True)],
            "pass": [_guests(accepted=False)],
            "unknown": [deny("config.defaultPortConfig", "DistributedVirtualPortgroup")],
        },
        "may listen to the whole segment",
    ),
    Break(
        "vsphere-11.3.10-network",
        {
            "fail": [_network_control(on=False)],
            "pass": [_network_control(on=True)],
            "unknown": [deny("config.networkResourceManagementEnabled", "")],
        },
        "network I/O control is off",
    ),
    Break(
        "vsphere-11.4.2-allowed-ips",
        {"fail": [], "pass": [_limited], "unknown": [deny("config.firewall.ruleset")]},
        "is open to every address",
    ),
    Break(
        "vsphere-11.4.2-vcenter-fw",
        {
            "fail": [_appliance(("192.0.2.0", 25, "ACCEPT"), ("0.0.0.0", 0, "ACCEPT"), ("::", 0, "REJECT"))],
            "pass": [_appliance(("192.0.2.0", 25, "ACCEPT"), ("0.0.0.0", 0, "REJECT"), ("::", 0, "REJECT"))],
            "unknown": [deny_path(INBOUND)],
        },
        "the appliance lets in",
    ),
    Break(
        "vsphere-11.4.9-default-block",
        {
            "fail": [_default_policy(blocked=False)],
            "pass": [_default_policy(blocked=True)],
            "unknown": [deny("config.firewall.defaultPolicy")],
        },
        "incoming traffic is let through",
    ),
    Break(
        "vsphere-11.4.9-default-block",
        {
            "fail": [esxcli("network.firewall.set", enabled="false")],
            "pass": [esxcli("network.firewall.set", enabled="true")],
            "unknown": [refuse("ExecuteSoap")],
        },
        "the firewall is off",
    ),
    Break(
        "vsphere-11.4.9-rulesets",
        {"fail": [], "pass": [_only_declared], "unknown": [deny("config.firewall.ruleset")]},
        "not in gold_vsphere_rulesets",
    ),
    Break(
        "vsphere-11.4.12-dedicated",
        {
            "fail": [_on_vmk0("vmotion", on=True)],
            "pass": [_on_vmk0("vmotion", on=False)],
            "unknown": [deny("config.network.vnic")],
        },
        "it also carries vmotion",
    ),
    # The machine is on VLAN 100 of the distributed switch.
    Break(
        "vsphere-11.4.12-dedicated",
        {
            "fail": [_vlan("Management Network", 100)],
            "pass": [_vlan("Management Network", 10)],
            "unknown": [deny("config.defaultPortConfig", "DistributedVirtualPortgroup")],
        },
        "is on the management segment",
    ),
    Break(
        "vsphere-11.4.12-dedicated",
        {"pass": [], "unknown": [deny("config.network.proxySwitch")]},
    ),
    Break(
        "vsphere-11.4.12-source-limits",
        {"fail": [], "pass": [_limited], "unknown": [deny("config.firewall.ruleset")]},
        "is open to every address",
    ),
    # The vCenter's own address is admitted, and has to be known for that.
    Break(
        "vsphere-11.4.12-source-limits",
        {"fail": [], "pass": [_limited], "unknown": [deny("summary.managementServerIp")]},
        "is open to every address",
    ),
    Break(
        "vsphere-11.4.12-traffic-separation",
        {
            "fail": [options(Net__BMCNetworkEnable=0), _vlan("vMotion", 10)],
            "pass": [_vlan("vMotion", 20)],
            "unknown": [deny("config.network.portgroup")],
        },
        "vmotion shares the segment of management",
    ),
    Break(
        "vsphere-11.4.12-traffic-separation",
        {"fail": [], "pass": [options(Net__BMCNetworkEnable=0)], "unknown": [deny("config.option")]},
        "Net.BMCNetworkEnable",
    ),
    Break(
        "vsphere-11.4.13-uplinks",
        {
            "fail": [_adapters("vmnic3")],
            "pass": [_adapters()],
            "unknown": [deny("config.network.pnic")],
        },
        "1 adapters with a link",
    ),
]
