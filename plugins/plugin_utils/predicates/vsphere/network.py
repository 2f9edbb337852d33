# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of an ESXi host: guests, limits, management segment, uplinks (11.3.5, 11.3.10, 11.4.12, 11.4.13)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import networks
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.network import strict
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.visibility import unseen
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    entries,
    flag,
    listed,
    text,
    whole,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import (
    each_vm,
    named,
    names_of,
    number,
    option,
    user_machines,
    version,
)

NSX = "nsx:"
SRIOV = "sriov"
NO_NIC = "it has no connected network adapter"
POLICY = {
    "promiscuous": "may listen to the whole segment (promiscuous mode)",
    "mac_changes": "may take another address (MAC address changes)",
    "forged_transmits": "may send under another address (forged transmits)",
}
# Services of a VMkernel adapter, besides management itself, that need a segment of their own.
OTHER_TRAFFIC = (
    "faultToleranceLogging",
    "nvmeRdma",
    "nvmeTcp",
    "vSphereBackupNFC",
    "vSphereProvisioning",
    "vSphereReplication",
    "vSphereReplicationNFC",
    "vmotion",
    "vsan",
    "vsanExternal",
)

Port = Mapping[str, Any]


def _each_nic(
    facts: Mapping[str, Any],
    judge: Callable[[Mapping[str, Any], Port], Outcome],
    nsx: Callable[[], Outcome],
    **more: Any,
) -> Outcome:
    """Judge every network adapter of every machine by the port group it is connected to."""
    groups = {text(group, "id"): group for group in entries(facts, "portgroups")}

    def one(vm: Mapping[str, Any]) -> Outcome:
        items = []
        for nic in entries(vm, "nics"):
            name = text(nic, "portgroup")
            if not name:
                continue
            if name.startswith(NSX) or (name in groups and flag(groups[name], "nsx")):
                found = nsx()
            elif name not in groups:
                found = o.unknown(f"the port group {name[:60]} was not read")
            else:
                found = judge(nic, groups[name])
            items.append(o.item(text(nic, "label"), found))
        return o.combine(items, empty=o.not_applicable(NO_NIC))

    return each_vm(facts, one, **more)


def _display(group: Port) -> str:
    return str(group.get("name") or group["id"])[:60]


def guest_policy(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Guests can neither listen to others nor pass for them. facts: vms, visibility, portgroups."""

    def judge(_nic: Mapping[str, Any], group: Port) -> Outcome:
        accepted = [why for key, why in POLICY.items() if flag(group, key)]
        actual = {key: group[key] for key in POLICY}
        if accepted:
            return o.failed(actual, "rejected", f"on {_display(group)} a guest {accepted[0]}")
        return o.passed(actual, "rejected")

    segment = "an NSX segment: show that its profile rejects forged addresses"
    return _each_nic(
        facts, judge, lambda: o.manual(segment), expected="promiscuous mode, MAC changes and forged transmits rejected"
    )


def network_limits(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Every adapter has a limit: its own under network I/O control, or shaping both ways.

    facts: vms, visibility, portgroups, switches.
    A standard switch shapes what goes out and nothing else, so a port group of it never has both. An SR-IOV
    adapter has neither.
    """
    switches = {text(switch, "id"): switch for switch in entries(facts, "switches")}

    def judge(nic: Mapping[str, Any], group: Port) -> Outcome:
        switch = switches.get(text(group, "switch"))
        if switch is None:
            raise MissingFact(f"the switch of {_display(group)} was not read")
        limit, controlled = number(nic, "limit_mbps"), flag(switch, "nioc")
        shaped = {"in": flag(group, "shaping_in"), "out": flag(group, "shaping_out")}
        actual = {"limit_mbps": limit, "network I/O control": controlled, "shaping": shaped}
        if text(nic, "type") == SRIOV:
            # vSphere Networking, SR-IOV and Virtual Functions: they implement no rate control.
            return o.failed(actual, "a limit", "an SR-IOV adapter goes past the switch, and with it past every limit")
        if (limit > 0 and controlled) or all(shaped.values()):
            return o.passed(actual, "a limit")
        why = "a limit is set, but network I/O control is off" if limit > 0 else "no bandwidth limit in both directions"
        return o.failed(actual, "a limit", why)

    return _each_nic(
        facts,
        judge,
        lambda: o.manual("an NSX segment: show its quality of service profile"),
        expected="a bandwidth limit for every adapter",
    )


def uplinks(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Behind every adapter stand enough physical ones with a link. facts: vms, visibility, portgroups, switches, nics.

    Counted after the port group's own teaming: an adapter it leaves unused does not help.
    """
    least = gold["gold_min_uplinks"]
    up = {text(nic, "id"): flag(nic, "up") for nic in entries(facts, "nics")}
    switches = {text(switch, "id"): switch for switch in entries(facts, "switches")}

    def judge(_nic: Mapping[str, Any], group: Port) -> Outcome:
        switch = switches.get(text(group, "switch"))
        if switch is None:
            raise MissingFact(f"the switch of {_display(group)} was not read")
        if not names_of(switch, "uplinks"):
            return o.not_applicable(f"{_display(group)} leads to no physical network: its switch has no uplink")
        teamed = [*names_of(group, "active"), *names_of(group, "standby")]
        if any(name not in up for name in teamed):
            raise MissingFact(f"an uplink of {_display(group)} was not read")
        working = sorted({name for name in teamed if up[name]})
        expected = f"at least {least} with a link"
        if len(working) >= least:
            return o.passed(working, expected)
        return o.failed(
            working, expected, f"behind {_display(group)} stand {len(working)} adapters with a link, {least} are wanted"
        )

    return _each_nic(
        facts,
        judge,
        lambda: o.unknown("uplinks of an NSX segment are not read"),
        expected=f"at least {least} adapters with a link",
    )


def management_dedicated(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The management adapter has a segment of its own. facts: vmkernel, portgroups, vms, visibility."""
    segment = networks("gold_mgmt_cidrs", gold["gold_mgmt_cidrs"])
    groups = {text(group, "id"): group for group in entries(facts, "portgroups")}
    items = unseen(facts["visibility"])
    for adapter in entries(facts, "vmkernel"):
        services = names_of(adapter, "services")
        if "management" in services:
            items.append(o.item(text(adapter, "id"), guarded(_management, adapter, services, groups, segment)))
            items += _neighbours(facts, groups, text(adapter, "portgroup"), gold["gold_mgmt_vms"])
    if not any("management" in names_of(adapter, "services") for adapter in entries(facts, "vmkernel")):
        items.append(o.item("management", o.unknown("no adapter with the management service was read")))
    return o.combine(
        items,
        empty=o.unknown("nothing was read"),
        expected="an adapter for management alone, with an address in gold_mgmt_cidrs, on a VLAN no guest is on",
    )


def _management(
    adapter: Mapping[str, Any], services: list[str], groups: Mapping[str, Port], segment: Mapping[int, AddressSet]
) -> Outcome:
    address, name = text(adapter, "address"), text(adapter, "portgroup")
    actual = {"address": address, "services": services}
    more = [service for service in services if service != "management"]
    if more:
        return o.failed(actual, ["management"], f"it also carries {', '.join(more)}")
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        raise MissingFact(f"{address[:40]!r} is no address") from None
    if int(found) not in segment[found.version]:
        return o.failed(
            actual, "an address in gold_mgmt_cidrs", f"its address {address} is in no network of gold_mgmt_cidrs"
        )
    if name not in groups:
        raise MissingFact(f"its port group {name[:60]} was not read")
    if listed(groups[name], "trunk"):
        return o.failed(actual, "one VLAN", f"its port group {_display(groups[name])} is a trunk of many VLANs")
    return o.passed(actual)


def _neighbours(facts: Mapping[str, Any], groups: Mapping[str, Port], own: str, allowed: list[Any]) -> list[Outcome]:
    """Machines on the management VLAN, or on a trunk that carries it."""
    if own not in groups:
        return []
    found = []
    for vm in user_machines(facts):
        for nic in entries(vm, "nics"):
            name = text(nic, "portgroup")
            if name and not name.startswith(NSX) and not named(vm, allowed):
                judged = guarded(_neighbour, vm, groups[own], name, groups.get(name))
                found += [o.item(vm["id"], judged)] if judged.status != o.PASS else []
    return found


def _neighbour(vm: Mapping[str, Any], own: Port, name: str, group: Port | None) -> Outcome:
    machine = str(vm.get("name"))[:60]
    if group is None:
        raise MissingFact(f"{machine}: the port group {name[:60]} was not read")
    if not meet(own, group):
        return o.passed(_display(group))
    message = f"{machine} is on the management segment, through {_display(group)}"
    return o.failed(_display(group), "another VLAN", message)


def meet(own: Port, other: Port) -> bool:
    """Whether two port groups share a segment. VLAN 0 is the untagged one of each switch; others are the network's."""
    vlan, same_switch = whole(own, "vlan"), text(own, "switch") == text(other, "switch")
    trunks = listed(other, "trunk")
    if trunks:
        if any(not isinstance(pair, list) or len(pair) != 2 for pair in trunks):
            raise MissingFact("a trunk was not read")
        return (same_switch or vlan != 0) and any(low <= vlan <= high for low, high in trunks)
    return whole(other, "vlan") == vlan and (same_switch or vlan != 0)


def traffic_separated(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """vMotion, vSAN and the like have VLANs of their own; the board's management network is off.

    facts: vmkernel, portgroups, options, version (ESXi 7 has no such network).
    """
    groups = {text(group, "id"): group for group in entries(facts, "portgroups")}
    adapters = [(adapter, names_of(adapter, "services")) for adapter in entries(facts, "vmkernel")]
    management = [groups.get(text(adapter, "portgroup")) for adapter, services in adapters if "management" in services]
    if not management or None in management:
        raise MissingFact("the port group of the management adapter was not read")
    items = []
    if version(facts["version"]) >= (8, 0):
        bmc = option(facts["options"], "Net.BMCNetworkEnable")
        on = "the virtual adapter of the board's management controller is on (Net.BMCNetworkEnable)"
        items.append(o.item("Net.BMCNetworkEnable", o.passed(bmc, 0) if bmc == 0 else o.failed(bmc, 0, on)))
    for adapter, services in adapters:
        carried = [service for service in services if service in OTHER_TRAFFIC]
        if carried:
            group = groups.get(text(adapter, "portgroup"))
            if group is None:
                raise MissingFact("the port group of a VMkernel adapter was not read")
            shared = any(meet(own, group) for own in management if own is not None)
            why = f"{', '.join(carried)} shares the segment of management"
            items.append(
                o.item(
                    text(adapter, "id"),
                    o.failed(_display(group), "a VLAN of its own", why) if shared else o.passed(_display(group)),
                )
            )
    expected = "VLANs of their own, no network of the board's controller"
    return o.combine(items, empty=o.passed([], expected, "no adapter carries such traffic"), expected=expected)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vsphere_guest_policy": guest_policy,
    "vsphere_network_limits": network_limits,
    "vsphere_uplinks": uplinks,
    "vsphere_management_dedicated": strict(management_dedicated),
    "vsphere_traffic_separated": traffic_separated,
}
