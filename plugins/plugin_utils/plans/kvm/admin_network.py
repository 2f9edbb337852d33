# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The administration network of a KVM host (11.4.2, 11.4.12): who reaches management, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import GoldFault, networks
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import filter_rows, listen_addresses
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import segments


def source_limits(situation: Situation) -> list[Row]:
    """kvm-11.4.2-source-limits: management ports answer the administration networks."""
    return filter_rows.rows(situation, "admin_network", ["admin_ports"])


def address_limits(situation: Situation) -> list[Row]:
    """kvm-11.4.12-source-limits: management addresses answer these and the sources of declared services."""
    return filter_rows.rows(situation, "admin_network", ["admin_address"])


def dedicated(situation: Situation) -> list[Row]:
    """kvm-11.4.12-dedicated: libvirt's own networks do not share the host with management.

    A network is stopped only when no running machine is plugged into it, and goes on starting with the host while a
    machine that starts with the host needs it. Addresses and adapters are moved by hand, from the console.
    """
    facts = situation.facts
    try:
        segment = networks("gold_mgmt_cidrs", situation.gold["gold_mgmt_cidrs"])
        interfaces = {entry["name"]: entry for entry in facts["network"]["interfaces"]}
        defined = {entry["name"]: entry for entry in facts["networks"]}
        used = segments.used_switches(facts["vms"], defined, interfaces)
        own = segments.management_addresses(facts["network"]["interfaces"], segment)
        wrong = [
            segments.apart(interface, interfaces, used, facts["network"]["bridge_vlans"]) for interface in own.values()
        ]
        wrong += [segments.carries_none(name, interfaces) for name in sorted(used)]
    except GoldFault as fault:
        raise Refusal(str(fault)) from None
    except MissingFact as reason:
        raise Refusal(f"where management and guests are plugged in cannot be told: {reason}") from None
    rows = [row for entry in facts["networks"] if segments.has_address(entry) for row in _stop(entry, facts["vms"])]
    if not own:
        rows.append(
            plan.by_hand(
                f"no address of this host lies in gold_mgmt_cidrs ({', '.join(situation.gold['gold_mgmt_cidrs'])}): "
                "give management an adapter or VLAN of its own, from the console, or correct the setting"
            )
        )
    faults = [found.message for found in wrong if found.status == outcome.FAIL]
    if faults:
        rows.append(
            plan.by_hand(
                f"{'; '.join(faults)}: give management an adapter or VLAN that no guest uses and move the host's "
                "address there, from the console"
            )
        )
    return rows


def _stop(network: Mapping[str, Any], vms: Any) -> list[Row]:
    name = str(network["name"])
    plugged = [vm for vm in vms if any(nic["type"] == "network" and nic["net"] == name for nic in _nics(vm))]
    needing = sorted(str(vm["name"]) for vm in plugged if vm["autostart"])
    running = sorted(str(vm["name"]) for vm in plugged if vm["power"] != "shutoff")
    if needing:
        return [
            plan.by_hand(
                f"libvirt network {name} shares the host with management, and {', '.join(needing)} start with the "
                "host and need it: plug them into a bridge without an address of the host, then run again"
            )
        ]
    rows = [plan.libvirt_network(name, autostart=False, active=None if running else False)]
    if running and network["active"]:
        rows.append(
            plan.by_hand(
                f"libvirt network {name} is not stopped under {', '.join(running)}, which use it now: plug them into a "
                "bridge without an address of the host, then run again"
            )
        )
    return rows


def _nics(vm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The interfaces as the machine runs, and those of its next start."""
    found: list[Mapping[str, Any]] = [*vm["nics"], *((vm.get("configured") or {}).get("nics") or [])]
    return found


PLANS: dict[str, Planner] = {
    "kvm-11.4.2-source-limits": source_limits,
    "kvm-11.4.12-dedicated": dedicated,
    "kvm-11.4.12-source-limits": address_limits,
    "kvm-11.4.12-services-bound": listen_addresses.rows,
}
