# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port groups of an ESXi host, and the machines of people that are connected to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import virtual_machines

Group = Mapping[str, Any]


def in_use(situation: Situation) -> Iterator[tuple[Group, list[Vm]]]:
    """Each port group with its machines, templates included; groups of NSX, which has policies of its own, left out."""
    users: dict[str, list[Vm]] = {}
    for vm in virtual_machines.of_people(situation):
        for name in dict.fromkeys(nic["portgroup"] for nic in vm["nics"]):
            users.setdefault(name, []).append(vm)
    for group in situation.facts["network"]["portgroups"]:
        if group["id"] in users and not group["nsx"]:
            yield group, users[group["id"]]


def standard(situation: Situation, group: Group) -> bool:
    """Whether a port group is this host's own; one of a distributed switch is the vCenter's, for all its hosts."""
    kinds = {switch["id"]: switch["kind"] for switch in situation.facts["network"]["switches"]}
    return kinds.get(group["switch"]) == "standard"


def called(group: Group) -> str:
    """How a message names a port group."""
    return f"port group {str(group.get('name') or group['id'])[:60]}"
