# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of an ESXi host: how one setting has to be. module_utils/vsphere/changes reads, compares and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import host_items
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.access import LOCKDOWN

EIGHT = (8,)


def _row(kind: str, name: str, value: Any, pending: str = "") -> Row:
    return {"kind": kind, "name": name, "value": value, "pending": pending}


def option(name: str, value: Any, *, pending: str = "") -> Row:
    """An advanced option. The server says of what type it is; a value of another is refused before it is sent."""
    return _row("option", name, value, pending)


def service_off(name: str) -> list[Row]:
    """A service that does not run and is not started: `automatic` would start it with its firewall ports."""
    return [_row("service_policy", name, "off"), _row("service", name, False)]


def services_off(facts: Mapping[str, Any], names: Iterable[str]) -> list[Row]:
    """Those of the named services off that the host has and that are not."""
    found = {service["id"]: service for service in facts["remote_access"]["services"]}
    rows: list[Row] = []
    for name in sorted(set(names) & set(found)):
        if found[name]["running"] or found[name]["policy"] != "off":
            rows += service_off(name)
    return rows


def service_on(name: str) -> list[Row]:
    """A service that runs, and starts and stops with the host."""
    return [_row("service_policy", name, "on"), _row("service", name, True)]


def esxcli(name: str, value: Any, *, pending: str = "") -> Row:
    """A setting that esxcli alone sets; names are those of module_utils/vsphere/changes/esxcli_settings.py."""
    return _row("esxcli", name, value, pending)


def time_servers(names: Iterable[str]) -> Row:
    """The servers of NTP, and no other."""
    return _row("time_servers", "", list(names))


def joined(domain: str) -> Row:
    """The host is a member of this domain."""
    return _row("directory", "", domain.lower())


def adapter_service_off(adapter: str, service: str) -> Row:
    """A service that a VMkernel adapter does not carry."""
    return _row("adapter_service", f"{adapter} {service}", False)


def portgroup_security(name: str, items: Iterable[str]) -> Row:
    """A port group of a standard switch on which nobody listens to others or passes for them. items: see plan.Row."""
    refused = {"promiscuous": False, "mac_changes": False, "forged_transmits": False}
    return {**_row("portgroup_security", name, refused), "items": list(items)}


def portgroup_adapters(name: str, active: Iterable[str], standby: Iterable[str], items: Iterable[str]) -> Row:
    """The physical adapters of a port group of a standard switch. items: see plan.Row."""
    return {**_row("portgroup_teaming", name, {"active": list(active), "standby": list(standby)}), "items": list(items)}


def portgroup_vlan(name: str, vlan: int, items: Iterable[str]) -> Row:
    """The VLAN of a port group of a standard switch. items: see plan.Row."""
    return {**_row("portgroup_vlan", name, vlan), "items": list(items)}


def ruleset(name: str, *, enabled: bool) -> Row:
    """A rule set of the firewall."""
    return _row("ruleset", name, enabled)


def ruleset_sources(name: str, networks: Iterable[str]) -> Row:
    """Who may use a rule set: networks in CIDR form, and nobody else."""
    return _row("ruleset_sources", name, sorted(networks))


def blocked(direction: str) -> Row:
    """What no rule set allows is blocked; direction: incoming or outgoing."""
    return _row("firewall_default", direction, True)


def acceptance(level: str) -> Row:
    """The acceptance level of the host's image, in the words of the API."""
    return _row("acceptance", "", level)


def no_access(principal: str) -> Row:
    """A principal (a group with a leading %) that has no access of its own to the host."""
    return _row("access", principal, "accessNone")


def lockdown(mode: str) -> Row:
    """Lockdown mode: lockdownNormal or lockdownStrict; a stricter one, of another area's maybe, stays."""
    return {**_row("lockdown", "", mode), "stays": list(LOCKDOWN[LOCKDOWN.index(mode) + 1 :])}


def console(users: Iterable[str]) -> Row:
    """Who may leave lockdown mode at the console (DCUI.Access), and nobody else."""
    return _row("console", "DCUI.Access", sorted(users))


def not_at_console(users: Iterable[str]) -> Row:
    """Accounts that may not leave lockdown mode at the console; who else may stays so."""
    return {"kind": "console", "name": "DCUI.Access", "remove": sorted(users), "pending": ""}


def not_exempt(users: Iterable[str]) -> Row:
    """Accounts that are not exempt from lockdown mode; who else is exempt stays so."""
    return {"kind": "lockdown_exceptions", "name": "", "remove": sorted(users), "pending": ""}


def release(facts: Mapping[str, Any]) -> tuple[int, ...]:
    """The host's version as numbers.

    :raises KeyError: it was not read.
    """
    try:
        return host_items.version(facts["host"]["version"])
    except MissingFact as error:
        raise KeyError(str(error)) from None
