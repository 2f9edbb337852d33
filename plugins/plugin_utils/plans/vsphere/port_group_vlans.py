# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which VLAN a port group gets that is on the segment of management (11.4.12): the one gold names, if it may have one.

Everything on a port group moves with it at once: machines, and adapters of every host that has it. A distributed one
is the vCenter's, and machines move between those of one name that hosts of a cluster have on their own switches: hosts
that pass have a say too (Claims).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.network import MOVABLE
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import WHOLE, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import (
    controller_rows,
    host_rows,
    port_groups,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.port_groups import Group
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import named
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.network import NSX, meet
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest

SETTING = "gold_vsphere_port_group_vlans"
LOWEST, HIGHEST = 1, 4094
# Checks whose items are on a port group: machines, and adapters.
DEDICATED, SEPARATED = "vsphere-11.4.12-dedicated", "vsphere-11.4.12-traffic-separation"


def declared(gold: Mapping[str, Any]) -> dict[str, int]:
    """{name of a port group: the VLAN that it is to have}.

    :raises Refusal: an entry that names none.
    """
    for name, vlan in gold[SETTING].items():
        if not isinstance(name, str):
            raise Refusal(f"{SETTING} has the port group {name!r}, expected its name as text: put it into quotes")
        if isinstance(vlan, bool) or not isinstance(vlan, int) or not LOWEST <= vlan <= HIGHEST:
            raise Refusal(
                f"{SETTING}: {name} is {vlan!r}, expected the number of one VLAN, {LOWEST} to {HIGHEST} "
                "(0 is none, and 4095 every one)"
            )
    return dict(gold[SETTING])


def of_management(situation: Situation) -> list[Group]:
    """The port groups of the management adapters, as far as they were read."""
    network = situation.facts["network"]
    own = {adapter["portgroup"] for adapter in network["vmkernel"] if "management" in adapter["services"]}
    return [group for group in network["portgroups"] if group["id"] in own]


def meets(management: Iterable[Group], group: Group) -> bool:
    """Whether a port group is known to share the segment of one of the management adapters'."""
    for own in management:
        try:
            if meet(own, group):
                return True
        except MissingFact:
            continue
    return False


def given(
    situation: Situation, check: str, group: Group, management: Sequence[Group], failing: Collection[str]
) -> list[Row]:
    """The row that takes a port group off the segment of management, or what a person has to do.

    management: the port groups of the management adapters. failing: ids of the check's items that are on it.

    :raises Refusal: gold puts it on that segment.
    """
    if not names(situation, group):
        what = (
            f"{port_groups.called(group)} is on {on(group)}, the segment of management, with "
            f"{_some(situation, failing)}: connect what is on it to another one, or {without(situation, group)}"
        )
        return _by_hand(situation, check, what, failing)
    row, reason = _moved(situation, group, management)
    if not reason:
        return [row]
    what = f"{port_groups.called(group)}: it stays on {on(group)}, and not {row['value']} of {SETTING}, as {reason}"
    left = _by_hand(situation, check, what, failing)
    return [{**entry, "instead_of": [row["kind"], row["name"]]} for entry in left]


def _moved(situation: Situation, group: Group, management: Sequence[Group]) -> tuple[Row, str]:
    """The row that gives a port group the VLAN that gold names, and why it may not have it, or nothing.

    :raises Refusal: that is the one of management.
    """
    name = _name(situation, group)
    vlan = declared(situation.gold)[name]
    for own in management:
        if vlan == own.get("vlan") and not own.get("trunk"):
            raise Refusal(
                f"{SETTING} puts port group {name} on VLAN {vlan}, on which port group {_name(situation, own)} with "
                "the management adapter is: the gold configuration contradicts itself"
            )
    on_it = [user["id"] for user in (*_machines(situation, group), *_adapters(situation, group))]
    row = (
        host_rows.portgroup_vlan(group["id"], vlan, on_it)
        if port_groups.standard(situation, group)
        else controller_rows.distributed_vlan(str(group["name"]), group["id"], vlan, items=on_it)
    )
    if unread := _unread(situation, management):
        return row, f"the VLAN of the management adapter {unread} was not read"
    if any(low <= vlan <= high for own in management for low, high in own["trunk"]):
        return row, "the management adapter is on a trunk that carries that VLAN too: give it one of its own first"
    return row, _held(situation, group)


def _unread(situation: Situation, management: Sequence[Group]) -> str:
    """A management adapter of whose VLAN nothing is known, or nothing."""
    read = {own["id"] for own in management if None not in (own.get("vlan"), own.get("trunk"))}
    adapters = situation.facts["network"]["vmkernel"]
    unread = (one["id"] for one in adapters if "management" in one["services"] and one["portgroup"] not in read)
    return next(unread, "")


def _by_hand(situation: Situation, check: str, what: str, failing: Collection[str]) -> list[Row]:
    """What a person has to do about items of a check, apart from those that an exception covers."""
    spared = situation.excepted.get(check, frozenset())
    parts = ([one for one in failing if one not in spared], [one for one in failing if one in spared])
    return [plan.by_hand(what, part) for part in parts if part]


def _some(situation: Situation, failing: Collection[str]) -> str:
    first = next(vm for vm in situation.facts["vms"] if vm["id"] in failing)
    return machines.called(first) + (f" and {len(failing) - 1} more" if len(failing) > 1 else "")


def without(situation: Situation, group: Group) -> str:
    """How to have a port group moved that gold does not name, and what gold may have meant by another name."""
    known = {_name(situation, one) for one in situation.facts["network"]["portgroups"]}
    absent = [name for name in declared(situation.gold) if name not in known]
    meant = nearest(_name(situation, group), absent)
    hint = f"; it names {meant or ', '.join(absent[:3])}, which this host does not have" if absent else ""
    return f"name another VLAN for {port_groups.called(group)} in {SETTING}{hint}"


def names(situation: Situation, group: Group) -> bool:
    """Whether gold has a VLAN for a port group."""
    return _name(situation, group) in declared(situation.gold)


def on(group: Group) -> str:
    """The VLANs of a port group for people."""
    ranges = [f"{low}-{high}" if low != high else str(low) for low, high in group["trunk"]]
    return f"the VLANs {', '.join(ranges)}" if ranges else f"VLAN {group['vlan']}" if group["vlan"] else "no VLAN"


@dataclass(frozen=True)
class Claims:
    """What a host has to say of the VLANs of port groups, whether its own checks pass or not.

    held: {name of a row of a distributed one: why it may not be changed}; joined: rows of those that the host has;
    management: ranges of the VLANs of its management adapters. cluster: its id and how many hosts it has, None for
    none; follows, keeps: those of its standard switches that are on the segment of management, {name: the row that
    moves it} or {name: why it stays}. unread: nobody knows what it has.
    """

    held: Mapping[str, str] = field(default_factory=dict)
    joined: frozenset[str] = frozenset()
    management: tuple[tuple[int, int], ...] = ()
    cluster: tuple[str, int] | None = None
    follows: Mapping[str, Row] = field(default_factory=dict)
    keeps: Mapping[str, str] = field(default_factory=dict)
    unread: bool = False

    def against(self, row: Row) -> str:
        """Why a row of a distributed port group may not be set, or nothing."""
        if row["kind"] != "distributed_vlan":
            return ""
        if self.unread:
            return "what is on its port groups was not read"
        if row["name"] in self.joined and any(low <= row["value"] <= high for low, high in self.management):
            return f"VLAN {row['value']} is the one of its management adapter"
        return self.held.get(row["name"], "")


def claims(situation: Situation, of: Collection[str]) -> Claims:
    """Those of one host. of: the names that any host's gold has; of the others nobody can ask anything.

    :raises KeyError: what is on its port groups, or in which cluster it is, was not read.
    """
    network = situation.facts["network"]
    used = {nic["portgroup"] for vm in situation.facts["vms"] for nic in vm["nics"]}
    used |= {adapter["portgroup"] for adapter in network["vmkernel"]}
    for name in used - {group["id"] for group in network["portgroups"]} - {""}:
        if not name.startswith(NSX):
            raise KeyError(f"port group {name} was not read")
    management = of_management(situation)
    held: dict[str, str] = {}
    joined: list[str] = []
    follows: dict[str, Row] = {}
    keeps: dict[str, str] = {}
    for group in network["portgroups"]:
        name = _name(situation, group)
        if name not in of:
            continue
        if not port_groups.standard(situation, group):
            row = controller_rows.keyed(str(group["name"]), group["id"])
            joined.append(row)
            if reason := _held(situation, group):
                held[row] = reason
        elif meets(management, group):
            row_of, reason = _own_move(situation, group, management)
            if row_of is None:
                keeps[name] = reason
            else:
                follows[name] = row_of
    ranges = [(low, high) for one in management for low, high in one["trunk"] or [(one["vlan"], one["vlan"])]]
    found = situation.facts["cluster"]
    cluster = (found["id"], found["hosts"]) if found["id"] else None
    return Claims(held, frozenset(joined), tuple(ranges), cluster, follows, keeps)


def _own_move(situation: Situation, group: Group, management: Sequence[Group]) -> tuple[Row | None, str]:
    """The row that would move a port group of a standard switch, or why it stays."""
    try:
        if not names(situation, group):
            return None, f"{SETTING} does not name it for that host"
        row, reason = _moved(situation, group, management)
    except Refusal as refusal:
        return None, str(refusal)
    return (None, reason) if reason else (row, "")


def _name(situation: Situation, group: Group) -> str:
    """The name that a vCenter shows; its API has / and % and \\ of the names of its objects as %2f, %25 and %5c."""
    name = str(group.get("name") or group["id"])
    return name if port_groups.standard(situation, group) else unquote(name)


def _machines(situation: Situation, group: Group) -> list[Vm]:
    """All that are known to be on it, vSphere's own included."""
    return [
        vm for vm in situation.facts["vms"] if any(nic.get("portgroup") == group["id"] for nic in vm.get("nics") or ())
    ]


def _adapters(situation: Situation, group: Group) -> list[Mapping[str, Any]]:
    return [one for one in situation.facts["network"]["vmkernel"] if one["portgroup"] == group["id"]]


def _held(situation: Situation, group: Group) -> str:
    """Why a port group keeps the VLAN that it has, or nothing."""
    if group.get("pvlan"):
        return "it has a private VLAN, which is changed at its switch"
    return next(_reasons(situation, group), "")


def _reasons(situation: Situation, group: Group) -> Iterator[str]:
    spared = {check: situation.excepted.get(check, frozenset()) for check in (DEDICATED, SEPARATED)}
    for adapter in _adapters(situation, group):
        if not adapter["services"]:
            yield f"{adapter['id']} is on it without a service, and may carry storage"
        for service in adapter["services"]:
            if service not in MOVABLE:
                yield f"{adapter['id']} is on it, and {service} is in use"
        if spared[SEPARATED] & {WHOLE, adapter["id"]}:
            yield f"{adapter['id']} has an exception"
    for vm in situation.facts["vms"]:
        if "nics" not in vm or any("portgroup" not in nic for nic in vm["nics"]):
            yield f"the network adapters of {machines.called(vm)} were not read"
    users = _machines(situation, group)
    for vm in users:
        called = machines.called(vm)
        if what := situation.own_machines.get(vm["id"].lower()):
            yield f"{called} is {what}: move that to another port group first"
        if vm["system"]:
            yield f"{called} is vSphere's own"
        if named(vm, situation.gold["gold_mgmt_vms"]):
            yield f"{called} of gold_mgmt_vms belongs on the segment of management: give it another port group first"
        if spared[DEDICATED] & {WHOLE, vm["id"]}:
            yield f"{called} has an exception"
    if missing := [vm for vm in users if not vm["template"] and not machines.allowed(situation, vm)]:
        yield (
            "all machines on it move with it at once: put their UUIDs into hypervisor_allow_vm_changes "
            f"({len(missing)} missing, as {machines.called(missing[0])})"
        )
    seen = situation.facts["visibility"]
    if not seen["complete"]:
        yield f"which machines are on it is not known: {'; '.join(seen['gaps'])[:200]}"
