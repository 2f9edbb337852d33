# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The management adapter of an ESXi host and the traffic beside it (11.4.12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import network as rules

Adapter = Mapping[str, Any]
BOARD = "Net.BMCNetworkEnable"
# What can be taken off an adapter while machines run, once another adapter carries it: storage, vSAN and Fault
# Tolerance would lose connections that are in use.
MOVABLE = ("vmotion", "vSphereProvisioning", "vSphereReplication", "vSphereReplicationNFC", "vSphereBackupNFC")


def dedicated(situation: Situation) -> list[Row]:
    """vsphere-11.4.12-dedicated: services go that another adapter has too; addresses and VLANs are a person's."""
    network = situation.facts["network"]
    rows: list[Row] = []
    for adapter in network["vmkernel"]:
        if "management" in adapter["services"]:
            rows += [
                _taken_off(situation, adapter, service) for service in adapter["services"] if service != "management"
            ]
    carrying = {row["name"].partition(" ")[0] for row in rows if row["kind"] != "by_hand"}
    facts = {**network, "vms": situation.facts["vms"], "visibility": situation.facts["visibility"]}
    for item in rules.management_dedicated(facts, dict(situation.gold)).items:
        # An adapter that loses its other services is judged again by the next run.
        if item.status == "fail" and item.id not in carrying and not _shared(network, item.id):
            what = f"{item.id}: {item.message}; change the network by hand, from the host's console"
            rows.append(plan.by_hand(what, [str(item.id)]))
    return rows


def _shared(network: Mapping[str, Any], name: str | None) -> bool:
    return any(adapter["id"] == name and len(adapter["services"]) > 1 for adapter in network["vmkernel"])


def separated(situation: Situation) -> list[Row]:
    """vsphere-11.4.12-traffic-separation."""
    network, rows = situation.facts["network"], []
    if host_rows.release(situation.facts) >= host_rows.EIGHT and situation.facts["advanced_options"][BOARD] != 0:
        rows.append(host_rows.option(BOARD, 0))
    for adapter in network["vmkernel"]:
        if _beside_management(situation, adapter):
            carried = [service for service in adapter["services"] if service in rules.OTHER_TRAFFIC]
            rows += [_taken_off(situation, adapter, service) for service in carried]
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
    return plan.by_hand(what, [adapter["id"]])
