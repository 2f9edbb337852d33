# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a vCenter: how one setting of it has to be. A host's planner may ask for them too, of what hosts share."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation, by_hand
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.network import POLICY
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.platform import ESXI_LINES


def _row(kind: str, name: str, value: Any) -> Row:
    return {"kind": kind, "name": name, "value": value, "pending": ""}


def at_vcenter(planner: Planner) -> Planner:
    """A planner of what a vCenter holds; on a host that has none, a person decides."""

    @functools.wraps(planner)
    def planned(situation: Situation) -> list[Row]:
        if situation.facts["host"]["product_line"] in ESXI_LINES:
            return [
                by_hand(
                    "this host has no vCenter, and its own roles, permissions and alarms are not set: add it to one"
                )
            ]
        return planner(situation)

    return planned


def option(name: str, value: Any) -> Row:
    """An option of the vCenter. The server says of what type it is."""
    return _row("controller_option", name, value)


def alarm(name: str, *, mail: str = "", trap: bool = False) -> Row:
    """An enabled alarm at the root folder on every reconfiguration of a machine. mail: addresses with commas."""
    return _row("alarm", name, {"enabled": True, "mail": mail, "trap": trap})


def log_forwarding(targets: Iterable[str]) -> Row:
    """Where the appliance sends its logs, and nowhere else: "TLS log1.example.org:6514"."""
    return _row("log_forwarding", "", list(targets))


def appliance_firewall(networks: Iterable[str]) -> Row:
    """What comes in to the appliance comes from these networks in CIDR form, and from nowhere else."""
    rules = [*(f"ACCEPT {network}" for network in networks), "REJECT 0.0.0.0/0", "REJECT ::/0"]
    return _row("appliance_firewall", "", "; ".join(rules))


def library_policy(library: str, policy: str, *, items: Sequence[str] = ()) -> Row:
    """A content library asks for the certificates of its templates. library: its kind, id and name.

    items, here and below: the items of the check that the row puts right.
    """
    return {**_row("library_policy", library, policy), "items": list(items)}


def keyed(name: str, key: str) -> str:
    """An object of which there may be another of the same name in another datacenter."""
    return f"{name} ({key})"


def admission_control(cluster: str, key: str) -> Row:
    """A cluster keeps capacity for a host that is lost. key: its id."""
    return _row("admission_control", keyed(cluster, key), True)


def network_control(switch: str, key: str, *, items: Sequence[str] = ()) -> Row:
    """A distributed switch shares out its bandwidth, so that limits of adapters are in force. key: its UUID."""
    return {**_row("network_control", keyed(switch, key), True), "items": list(items)}


def distributed_rejects(name: str, key: str, *, items: Sequence[str] = ()) -> Row:
    """A distributed port group on which guests neither listen to others nor pass for them."""
    wanted = dict.fromkeys(POLICY, False)
    return {**_row("distributed_security", keyed(name, key), wanted), "items": list(items)}


def distributed_vlan(name: str, key: str, vlan: int, *, items: Sequence[str] = ()) -> Row:
    """The VLAN of a distributed port group."""
    return {**_row("distributed_vlan", keyed(name, key), vlan), "items": list(items)}


def permission(principal: str, entity: str, role: str, *, propagate: bool = True, items: Sequence[str] = ()) -> Row:
    """A principal (a group with a leading %) holds a role on an object: an instance UUID, a name or a path."""
    found = _row("permission", f"{principal} on {entity}", {"role": role, "propagate": propagate})
    return {**found, "items": list(items)}


def no_permission(principal: str, entity: str, *, items: Sequence[str] = ()) -> Row:
    """A principal that has no permission of its own on an object."""
    return {**_row("permission", f"{principal} on {entity}", None), "items": list(items)}


def role_without(name: str, privilege: str, *, items: Sequence[str] = ()) -> Row:
    """A role of the site's own that does not grant a privilege; what else it grants stays."""
    return {**_row("role", f"{name} grants {privilege}", False), "items": list(items)}
