# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The management adapter of an ESXi host and the traffic beside it (11.4.12)."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.network import MOVABLE
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import (
    host_rows,
    port_group_vlans,
    port_groups,
    virtual_machines,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.port_groups import Group
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import network as rules

Adapter = Mapping[str, Any]
BOARD = "Net.BMCNetworkEnable"


def dedicated(situation: Situation) -> list[Row]:
    """vsphere-11.4.12-dedicated: services go that another adapter has too, port groups of machines get another VLAN;
    addresses, and the VLAN of management itself, are a person's."""
    network = situation.facts["network"]
    rows: list[Row] = []
    for adapter in network["vmkernel"]:
        if "management" in adapter["services"]:
            rows += [
                _taken_off(situation, adapter, service) for service in adapter["services"] if service != "management"
            ]
    carrying = {row["name"].partition(" ")[0] for row in rows if row["kind"] != "by_hand"}
    facts = {**network, "vms": situation.facts["vms"], "visibility": situation.facts["visibility"]}
    machines = {vm["id"] for vm in facts["vms"]}
    found = [one for one in rules.management_dedicated(facts, dict(situation.gold)).items if one.status == "fail"]
    for item in found:
        # An adapter that loses its other services is judged again by the next run.
        if item.id not in {*machines, *carrying} and not _shared(network, item.id):
            what = f"{item.id}: {item.message}; change the network by hand, from the host's console"
            rows.append(plan.by_hand(what + _console(situation, item.id), [str(item.id)]))
    return rows + _neighbours(situation, machines & {str(item.id) for item in found})


def _neighbours(situation: Situation, failing: Collection[str]) -> list[Row]:
    """What becomes of the port groups by which machines are on the segment of management. failing: the machines."""
    own = port_group_vlans.of_management(situation)
    rows = []
    for group in situation.facts["network"]["portgroups"]:
        on_it = [
            vm["id"]
            for vm in situation.facts["vms"]
            if vm["id"] in failing and any(nic.get("portgroup") == group["id"] for nic in vm["nics"])
        ]
        if on_it and port_group_vlans.meets(own, group):
            rows += (
                [_leave(vm, group) for vm in situation.facts["vms"] if vm["id"] in on_it]
                if group in own
                else port_group_vlans.given(situation, port_group_vlans.DEDICATED, group, own, on_it)
            )
    return rows


def _leave(vm: Vm, group: Group) -> Row:
    what = f" is on {port_groups.called(group)} with the management adapter: connect it to another one"
    return virtual_machines.by_hand(vm, what)


def _console(situation: Situation, name: str | None) -> str:
    """The command that gives the management adapter's port group one VLAN, where that is what is wrong."""
    network = situation.facts["network"]
    trunks = {group["id"]: group for group in port_group_vlans.of_management(situation) if group.get("trunk")}
    for adapter in network["vmkernel"]:
        group = trunks.get(adapter["portgroup"])
        if adapter["id"] == name and group is not None and port_groups.standard(situation, group):
            return f": esxcli network vswitch standard portgroup set -p {shlex.quote(group['id'])} -v <VLAN>"
    return ""


def _shared(network: Mapping[str, Any], name: str | None) -> bool:
    return any(adapter["id"] == name and len(adapter["services"]) > 1 for adapter in network["vmkernel"])


def separated(situation: Situation) -> list[Row]:
    """vsphere-11.4.12-traffic-separation."""
    network, rows = situation.facts["network"], []
    if host_rows.release(situation.facts) >= host_rows.EIGHT and situation.facts["advanced_options"][BOARD] != 0:
        rows.append(host_rows.option(BOARD, 0))
    own = port_group_vlans.of_management(situation)
    declared = [
        group
        for group in network["portgroups"]
        if group not in own and port_group_vlans.names(situation, group) and port_group_vlans.meets(own, group)
    ]
    for adapter in network["vmkernel"]:
        carried = [service for service in adapter["services"] if service in rules.OTHER_TRAFFIC]
        if not carried or not _beside_management(situation, adapter):
            continue
        group = next((one for one in declared if one["id"] == adapter["portgroup"]), None)
        rows += (
            [_taken_off(situation, adapter, service) for service in carried]
            if group is None
            else port_group_vlans.given(situation, port_group_vlans.SEPARATED, group, own, [adapter["id"]])
        )
    return rows


def _beside_management(situation: Situation, adapter: Adapter) -> bool:
    groups = {group["id"]: group for group in situation.facts["network"]["portgroups"]}
    adapters = situation.facts["network"]["vmkernel"]
    try:
        own = [groups[other["portgroup"]] for other in adapters if "management" in other["services"]]
        return any(rules.meet(group, groups[adapter["portgroup"]]) for group in own)
    except (KeyError, MissingFact):
        return True  # a segment that was not read may be the same


def _taken_off(situation: Situation, adapter: Adapter, service: str) -> Row:
    others = [
        other["id"]
        for other in situation.facts["network"]["vmkernel"]
        if service in other["services"] and not _beside_management(situation, other)
    ]
    if service in MOVABLE and others:
        return host_rows.adapter_service_off(adapter["id"], service)
    why = "and it is in use" if others else "an adapter on a VLAN of its own does not carry it yet"
    what = f"{adapter['id']} carries {service} beside management, {why}: move it by hand"
    own = port_group_vlans.of_management(situation)
    for group in situation.facts["network"]["portgroups"]:
        if group["id"] == adapter["portgroup"] and group not in own and port_group_vlans.meets(own, group):
            what += f", or {port_group_vlans.without(situation, group)}"
    return plan.by_hand(what, [adapter["id"]])
