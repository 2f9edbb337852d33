# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on the firewall, administration networks and uplinks (11.4.2, 11.4.9, 11.4.12, 11.4.13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.reachability import OTHER, Opening, openings
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import (
    ADMINISTRATION,
    CONTROL,
    MOST_PORTS,
    GoldFault,
    Service,
    networks,
    ports,
    services,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import segments

# What libvirt's own rules open on the bridge of a network it runs: DNS, DHCP, TFTP for its guests (virFirewall).
OF_LIBVIRT = {"tcp": (53, 67, 68), "udp": (53, 67, 68, 69, 546, 547)}

Judge = Callable[[Any], Outcome]


def strict(
    test: Callable[[dict[str, Any], dict[str, Any]], Outcome],
) -> Callable[[dict[str, Any], dict[str, Any]], Outcome]:
    """A gold setting that cannot be right fails the check, whatever the host does."""

    def judged(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
        try:
            return test(facts, gold)
        except GoldFault as fault:
            return o.failed(None, None, str(fault))

    return judged


def _lasting(found: Outcome, saved: Mapping[str, Any], judge: Judge) -> Outcome:
    """What holds now has to hold after the next start as well."""
    if found.status != o.PASS:
        return found
    kind = need(saved, "kind", what="firewall.saved")
    detail = str(saved.get("detail") or "")
    manager = str(need(saved, "manager", what="firewall.saved"))
    if kind == "same":
        found.persistent = True
        return found
    if kind == "ruleset":
        later = judge(need(saved, "ruleset", what="firewall.saved"))
        if later.status == o.PASS:
            found.persistent = True
            return found
        if later.status == o.UNKNOWN:
            return o.unknown(
                f"in force now, but what {manager} loads at start is unclear: {later.message}",
                found.actual,
                found.expected,
            )
        detail = f"{manager} would load: {later.message}"
    elif kind not in ("none", "differs"):
        raise MissingFact(f"firewall.saved: kind is {str(kind)[:40]!r}")
    return o.failed(found.actual, found.expected, f"in force now, but not after a restart: {detail}", persistent=False)


def _peers(opening: Opening, limit: int = 6) -> str:
    return ", ".join(opening.sure.text(limit) if opening.sure else opening.unclear.text(limit))


def _beyond(opening: Opening, allowed: AddressSet, what: str) -> Outcome:
    """Judge one opening against the peers that may use it."""
    extra = opening.sure - allowed
    actual = {"open to": _peers(opening), "through": opening.way}
    if extra:
        who = opening.sure if not opening.sure.complement() else extra
        return o.failed(actual, None, f"{what} open to {', '.join(who.text(3))} through {opening.way}")
    if opening.unclear - allowed:
        return o.unknown(f"{what}: rules that this test does not understand may open it through {opening.way}", actual)
    return o.passed(actual)


def _worst_of(entries: Iterable[tuple[str, Outcome]], expected: Any, empty: Outcome) -> Outcome:
    """One item for each name, its worst outcome; actual says for every item who reaches it."""
    kept: dict[str, Outcome] = {}
    for name, found in entries:
        known = kept.get(name)
        if known is None or o.WORST_FIRST.index(found.status) < o.WORST_FIRST.index(known.status):
            kept[name] = o.item(name, found)
    combined = o.combine(list(kept.values()), empty=empty, expected=expected)
    if combined.status == o.PASS and kept:
        combined.actual = {name: found.actual for name, found in list(kept.items())[:50]}
    return combined


@strict
def firewall_default_deny(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """What no rule names is stopped, coming in and passing through, for IPv4 and IPv6, now and after a restart.

    facts: ruleset, interfaces, forwarding {ipv4, ipv6}, networks, saved. gold: gold_admin_cidrs,
    gold_firewall_forward. A range of more than MOST_PORTS ports, or every other IP protocol, open to anybody but the
    administration networks is an open default, not a rule for a service.
    """
    admin = networks("gold_admin_cidrs", gold["gold_admin_cidrs"])

    def judge(tables: Any) -> Outcome:
        found = list(_defaults("input", tables, facts["interfaces"], admin, set()))
        free = _libvirt_bridges(facts["networks"]) | {str(name) for name in gold["gold_firewall_forward"]}
        for family, name in ((4, "ipv4"), (6, "ipv6")):
            if need(facts["forwarding"], name, what="network.forwarding") is not False:
                found += _defaults(
                    "forward", tables, facts["interfaces"], {4: AddressSet(4), 6: AddressSet(6)}, free, family
                )
        return _worst_of(found, "what no rule names is dropped", o.passed("everything that no rule names is dropped"))

    return _lasting(judge(facts["ruleset"]), facts["saved"], judge)


def _defaults(
    hook: str, tables: Any, interfaces: Any, allowed: Mapping[int, AddressSet], free: set[str], only: int = 0
) -> Iterable[tuple[str, Outcome]]:
    for opening in openings(hook, tables, interfaces):
        by_default = opening.protocol == OTHER or (opening.protocol in ("tcp", "udp") and opening.width > MOST_PORTS)
        declared = bool(free) and (set(opening.interfaces) <= free or set(opening.leaving) <= free)
        if by_default and not declared and only in (0, opening.family):
            yield f"{hook} IPv{opening.family}", _beyond(opening, allowed[opening.family], opening.ports)


def _libvirt_bridges(found: Any) -> set[str]:
    """The bridges of active networks that libvirt runs itself (isolated, NAT, routed)."""
    if not isinstance(found, list):
        raise MissingFact("networks is not a list")
    return {
        str(need(entry, "bridge", what="networks"))
        for entry in found
        if need(entry, "active", what="networks")
        and need(entry, "forward", what="networks") in ("", "nat", "route", "open")
    } - {""}


def _is_libvirts(opening: Opening, bridges: set[str], ends: tuple[str, ...]) -> bool:
    known = OF_LIBVIRT.get(opening.protocol, ())
    return (
        bool(ends)
        and set(ends) <= bridges
        and set(range(opening.low, min(opening.high, opening.low + 10) + 1)) <= set(known)
    )


@strict
def firewall_allow_list(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every port the firewall opens belongs to a declared service, to that service's sources, and somebody listens.

    facts: ruleset, interfaces, listeners, networks, saved. gold: gold_firewall_services, gold_admin_cidrs.
    """
    admin = networks("gold_admin_cidrs", gold["gold_admin_cidrs"])
    declared = services("gold_firewall_services", gold["gold_firewall_services"], "sources", admin)
    listening = _listening(facts["listeners"])

    return _only_declared("input", facts, declared, listening, "nothing is open")


def _only_declared(
    hook: str,
    facts: Mapping[str, Any],
    declared: list[Service],
    listening: list[tuple[str, int]] | None,
    nothing: str,
) -> Outcome:
    """Judge every opening of a hook against the declared services, libvirt's own aside; now and after a restart."""

    def judge(tables: Any) -> Outcome:
        bridges = _libvirt_bridges(facts["networks"])
        entries = [
            (opening.ports, _as_declared(opening, declared, listening))
            for opening in _cut(openings(hook, tables, facts["interfaces"]), declared)
            if not _is_libvirts(opening, bridges, opening.interfaces)
        ]
        expected = [f"{service.name}: {service.ports}" for service in declared]
        return _worst_of(entries, expected, o.passed(nothing, expected))

    return _lasting(judge(facts["ruleset"]), facts["saved"], judge)


def _cut(found: Iterable[Opening], declared: list[Service]) -> Iterable[Opening]:
    """Cut openings where a declared service begins or ends, so that neighbouring services are judged apart."""
    for opening in found:
        same = [service for service in declared if service.protocol == opening.protocol]
        edges = sorted(
            {edge for service in same for edge in (service.low, service.high + 1) if opening.low < edge <= opening.high}
        )
        for low, following in zip([opening.low, *edges], [*edges, opening.high + 1]):
            yield replace(opening, low=low, high=following - 1)


def _as_declared(opening: Opening, declared: list[Service], listening: list[tuple[str, int]] | None) -> Outcome:
    covering = [service for service in declared if service.covers(opening.protocol, opening.low, opening.high)]
    if not covering:
        return _beyond(opening, AddressSet(opening.family), "undeclared,")
    peers = AddressSet(opening.family)
    for service in covering:
        peers |= service.peers[opening.family]
    found = _beyond(opening, peers, f"{covering[0].name}:")
    if found.status != o.PASS or listening is None or any(service.on_demand for service in covering):
        return found
    if covering[0].protocol not in ("tcp", "udp"):
        return found
    if any(
        proto == opening.protocol and service.low <= port <= service.high
        for proto, port in listening
        for service in covering
    ):
        return found
    return o.failed(found.actual, None, f"{covering[0].name}: open, but nothing listens on {opening.ports}")


def _listening(found: Any) -> list[tuple[str, int]]:
    """(protocol, port) of the sockets that are reached from outside."""
    if not isinstance(found, list):
        raise MissingFact("firewall.listeners is not a list")
    return [
        (str(need(entry, "proto", what="firewall.listeners")), int(need(entry, "port", what="firewall.listeners")))
        for entry in found
        if not str(need(entry, "addr", what="firewall.listeners")).startswith(("127.", "::1"))
    ]


@strict
def firewall_egress(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """What the host itself may send is declared, by protocol, port and destination.

    facts: ruleset, interfaces, networks, saved. gold: gold_firewall_egress.
    """
    declared = services("gold_firewall_egress", gold["gold_firewall_egress"], "destinations", None)

    return _only_declared("output", facts, declared, None, "nothing may be sent")


@strict
def management_sources(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Management ports, declared or with a management daemon on them, are open to the administration networks only.

    facts: ruleset, interfaces, listeners, saved. gold: gold_admin_cidrs, gold_mgmt_ports.
    """
    admin = networks("gold_admin_cidrs", gold["gold_admin_cidrs"])
    wanted = management_ports(facts["listeners"], gold["gold_mgmt_ports"])

    def judge(tables: Any) -> Outcome:
        entries = []
        found = openings("input", tables, facts["interfaces"])
        for protocol, low, high in wanted:
            name = f"{protocol}/{low}" if low == high else f"{protocol}/{low}-{high}"
            hits = [each for each in found if each.protocol == protocol and each.low <= high and low <= each.high]
            entries += [(name, _beyond(each, admin[each.family], name)) for each in hits] or [
                (name, o.passed({"open to": "nobody"}))
            ]
        return _worst_of(entries, sorted(gold["gold_admin_cidrs"]), o.failed(message="gold_mgmt_ports is empty"))

    return _lasting(judge(facts["ruleset"]), facts["saved"], judge)


def management_ports(listeners: Any, declared: Any) -> list[tuple[str, int, int]]:
    """The declared ports, and those outside them on which a management daemon is reached."""
    wanted = [ports(text) for text in declared]
    if not isinstance(listeners, list):
        raise MissingFact("firewall.listeners is not a list")
    for entry in listeners:
        process = str(need(entry, "process", what="firewall.listeners"))
        address = str(need(entry, "addr", what="firewall.listeners"))
        protocol, port = (
            str(need(entry, "proto", what="firewall.listeners")),
            int(need(entry, "port", what="firewall.listeners")),
        )
        known = any(protocol == each and low <= port <= high for each, low, high in wanted)
        if ADMINISTRATION.match(process) and not address.startswith(("127.", "::1")) and not known:
            wanted.append((protocol, port, port))
    return wanted


@strict
def management_traffic(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Whatever reaches a management address comes from the administration networks or a declared service's sources.

    facts: ruleset, interfaces, networks, saved. gold: gold_admin_cidrs, gold_mgmt_cidrs, gold_firewall_services.
    """
    admin = networks("gold_admin_cidrs", gold["gold_admin_cidrs"])
    segment = networks("gold_mgmt_cidrs", gold["gold_mgmt_cidrs"])
    declared = services("gold_firewall_services", gold["gold_firewall_services"], "sources", admin)
    own = segments.management_addresses(facts["interfaces"], segment)
    expected = sorted(gold["gold_admin_cidrs"])
    if not own:
        return o.failed([], expected, "no address of this host lies in gold_mgmt_cidrs")

    def judge(tables: Any) -> Outcome:
        entries, bridges = [], _libvirt_bridges(facts["networks"])
        for opening in _cut(openings("input", tables, facts["interfaces"]), declared):
            if (
                opening.protocol in CONTROL
                or not set(opening.addresses) & set(own)
                or _is_libvirts(opening, bridges, opening.interfaces)
            ):
                continue
            peers = admin[opening.family]
            for service in declared:
                if service.covers(opening.protocol, opening.low, opening.high):
                    peers |= service.peers[opening.family]
            entries.append((opening.ports, _beyond(opening, peers, "the management address is")))
        return _worst_of(entries, expected, o.passed(dict.fromkeys(own, "reached by nobody"), expected))

    return _lasting(judge(facts["ruleset"]), facts["saved"], judge)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "firewall_default_deny": firewall_default_deny,
    "firewall_allow_list": firewall_allow_list,
    "firewall_egress": firewall_egress,
    "management_sources": management_sources,
    "management_traffic": management_traffic,
    **{name: strict(test) for name, test in segments.PREDICATES.items()},
}
