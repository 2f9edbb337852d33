# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributed switches: checks of hosts ask for them, and the vCenter sets them once for all of its hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import controller_rows, virtual_machines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.network import NSX, POLICY

DISTRIBUTED = "distributed"


def adapters(situation: Situation) -> Iterator[tuple[Vm, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """(machine, adapter, port group, switch) of every adapter that is connected, but to no NSX segment."""
    network = situation.facts["network"]
    groups = {group["id"]: group for group in network["portgroups"]}
    switches = {switch["id"]: switch for switch in network["switches"]}
    for vm in virtual_machines.of_people(situation):
        for nic in vm["nics"]:
            name = nic["portgroup"]
            if name and not name.startswith(NSX) and not groups[name]["nsx"]:
                yield vm, nic, groups[name], switches[groups[name]["switch"]]


def rejecting(situation: Situation) -> list[Row]:
    """Distributed port groups of machines, on which guests could listen to others or pass for them."""
    found: dict[str, Mapping[str, Any]] = {}
    items: dict[str, list[str]] = {}
    for vm, _nic, group, switch in adapters(situation):
        if switch["kind"] == DISTRIBUTED and any(group[key] for key in POLICY):
            found[group["id"]] = group
            items.setdefault(group["id"], []).append(str(vm["id"]))
    return [
        controller_rows.portgroup_rejects(str(group["name"]), key, items=items[key]) for key, group in found.items()
    ]


def controlling(situation: Situation) -> list[Row]:
    """Distributed switches without network I/O control, behind adapters whose limit is not in force without it."""
    names: dict[str, list[str]] = {}
    for vm, nic, group, switch in adapters(situation):
        shaped = group["shaping_in"] and group["shaping_out"]
        if switch["kind"] == DISTRIBUTED and not switch["nioc"] and nic["limit_mbps"] > 0 and not shaped:
            names.setdefault(str(switch["id"]), []).append(str(vm["id"]))
    return [controller_rows.network_control(name, items=items) for name, items in names.items()]
