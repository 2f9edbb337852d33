# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ruleset leaves open: every protocol and port, with the peers that get through.

The packet evaluator (packet_filter.py) answers for one kind of packet; here it is asked for every kind that can make a
difference on this host: both families, the protocols and interfaces the rules tell apart, the host's own addresses,
multicast.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet, everything
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.packet_filter import (
    BEFORE,
    Budget,
    Filter,
    flags_of,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.packet_match import (
    MAX_PORT,
    PROTOCOLS,
    WITH_PORTS,
    Packet,
)

OTHER = "other"
MULTICAST = {4: "224.0.0.1", 6: "ff02::1"}
# What takes over the packets of its members. A VRF does not: rules see the member.
MASTERS = ("bridge", "bond", "team", "openvswitch")
# Interfaces packets come in on, interfaces they leave on, own addresses: each a group that no rule tells apart.
Groups = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
# Kinds of packets asked for at most; a host with more interfaces that rules name apart is answered "unknown".
MAX_KINDS = 600


@dataclass(frozen=True)
class Opening:
    """Ports `low` to `high` of a protocol (0 to 0 for one without ports) that some peers reach.

    sure: the peers that certainly get through; unclear: those nobody can tell. Input: they come in on one of
    `interfaces` for one of the host's own `addresses` (or a multicast group). Output: packets leave there, peers are
    destinations. Forward: `interfaces` is where they come in, `leaving` where they go out.
    """

    family: int
    protocol: str
    low: int
    high: int
    interfaces: tuple[str, ...]
    leaving: tuple[str, ...]
    addresses: tuple[str, ...]
    sure: AddressSet
    unclear: AddressSet

    @property
    def ports(self) -> str:
        """ "tcp/22", "udp/5000-5010", "icmp"."""
        if self.protocol not in WITH_PORTS:
            return self.protocol if self.protocol != OTHER else "any other protocol"
        return f"{self.protocol}/{self.low}" if self.low == self.high else f"{self.protocol}/{self.low}-{self.high}"

    @property
    def way(self) -> str:
        """Where the packets come in (and go out), for people."""
        ways = [
            "/".join(names[:3]) + ("..." if len(names) > 3 else "")
            for names in (self.interfaces, self.leaving)
            if names
        ]
        return " to ".join(ways)

    @property
    def width(self) -> int:
        return self.high - self.low + 1


def openings(hook: str, tables: Any, interfaces: Any) -> list[Opening]:
    """Everything the ruleset lets through on a hook (input, output, forward).

    tables: firewall.ruleset. interfaces: network.interfaces. IPv6 is left out where no interface but the loopback has
    an IPv6 address.

    :raises MissingFact: the ruleset or the interfaces hold something that was not read.
    """
    if not isinstance(tables, list) or not isinstance(interfaces, list):
        raise MissingFact("the ruleset or the interfaces are not lists")
    known = [_interface(entry) for entry in interfaces]
    return list(_openings(hook, json.dumps(tables, sort_keys=True), json.dumps(known, sort_keys=True)))


def _interface(entry: Any) -> dict[str, Any]:
    addresses = need(entry, "addresses", what="network.interfaces")
    return {
        "name": str(need(entry, "name", what="network.interfaces")),
        "kind": str(need(entry, "kind", what="network.interfaces")),
        "master": str(need(entry, "master", what="network.interfaces")),
        "addresses": sorted(str(need(address, "ip", what="network.interfaces")) for address in addresses),
    }


@lru_cache(maxsize=16)
def _openings(hook: str, tables_json: str, interfaces_json: str) -> tuple[Opening, ...]:
    """Several checks ask the same of one host; the texts are the key because facts are not hashable."""
    host = _Host(relevant(json.loads(tables_json), hook), json.loads(interfaces_json))
    kinds = [kind for family in host.families for kind in host.packets(hook, family)]
    if len(kinds) > MAX_KINDS:
        raise MissingFact(
            f"the rules tell {len(kinds)} kinds of packets apart, more than this test follows ({MAX_KINDS})"
        )
    budget = Budget()
    return tuple(each for packet, groups in kinds for each in _of(Filter(host.tables, packet, budget), packet, groups))


def _of(ruleset: Filter, packet: Packet, groups: Groups) -> Iterable[Opening]:
    """The openings for one kind of packet: neighbouring ports with the same peers are one."""
    peers = everything(packet.family)
    edges = sorted(ruleset.spans()) if packet.protocol in WITH_PORTS else [0]
    current: Opening | None = None
    for number, low in enumerate(edges):
        high = (edges[number + 1] - 1 if number + 1 < len(edges) else MAX_PORT) if packet.protocol in WITH_PORTS else 0
        flow = ruleset.through(peers, low)
        made = Opening(packet.family, str(packet.protocol), low, high, *groups, flow.sure, flow.unclear)
        if current is not None and (current.sure, current.unclear) == (made.sure, made.unclear):
            current = replace(current, high=high)
            continue
        if current is not None and (current.sure or current.unclear):
            yield current
        current = made
    if current is not None and (current.sure or current.unclear):
        yield current


def relevant(tables: list[Any], hook: str) -> list[Any]:
    """The tables cut down to the base chains a packet of this hook meets, and what these reach.

    :raises MissingFact: a table or chain holds something that was not read.
    """
    kept = []
    for table in tables:
        chains = need(table, "chains", what="firewall.ruleset")
        bases = [
            name
            for name, chain in chains.items()
            if "hook" in chain and need(chain, "hook", what="firewall.ruleset") in BEFORE[hook]
        ]
        seen: dict[str, Any] = {}
        while bases:
            name = bases.pop()
            if name in chains and name not in seen:
                seen[name] = chains[name]
                bases += [
                    word for word in _strings(need(chains[name], "rules", what="firewall.ruleset")) if word in chains
                ]
                bases += [word for each in _maps(chains[name], table) for word in _strings(each) if word in chains]
        kept.append({**table, "chains": {name: chain for name, chain in chains.items() if name in seen}})
    return kept


def _maps(chain: Any, table: Any) -> list[Any]:
    """The named sets and maps of a table that a chain looks into."""
    sets = need(table, "sets", what="firewall.ruleset")
    return [sets[word[1:]] for word in _strings(chain) if word.startswith("@") and word[1:] in sets]


class _Host:
    """The interfaces and addresses of a host, reduced to those its rules tell apart."""

    def __init__(self, tables: list[Any], interfaces: list[dict[str, Any]]):
        self.tables = tables
        words = set(_strings(tables))
        self._names = {word for word in words if not word.endswith("*")}
        self._patterns = sorted(word[:-1] for word in words if word.endswith("*"))
        self._by_address = bool(words & {"daddr", "pkttype", "fib"})
        self._protocols = sorted(words & set(PROTOCOLS))
        # A packet for a bridge port arrives at its bridge; the loopback is not reached from outside.
        masters = {entry["name"] for entry in interfaces if entry["kind"] in MASTERS}
        self._interfaces = [
            entry for entry in interfaces if entry["kind"] != "loopback" and entry["master"] not in masters
        ]
        self._doors = self._grouped()
        spans = sorted(_destinations(tables)) if self._by_address else []
        self._spans = {family: [(low, high) for version, low, high in spans if version == family] for family in (4, 6)}
        self._own = {4: self._addresses(4), 6: self._addresses(6)}
        self._flags = flags_of(tables, [str(_address(family, each)) for family in (4, 6) for each in self._own[family]])
        self.families = (4, 6) if self._own[6] else (4,)

    def _addresses(self, family: int) -> list[int]:
        found = [ipaddress.ip_address(text) for entry in self._interfaces for text in entry["addresses"]]
        return sorted({int(address) for address in found if address.version == family})

    def packets(self, hook: str, family: int) -> Iterable[tuple[Packet, Groups]]:
        for protocol in self._kinds(family):
            if hook == "forward":
                for one, other in ((one, other) for one in self._doors for other in self._doors):
                    if one != other or len(one) > 1:
                        yield (
                            Packet(hook, family, protocol, one[0], other[0], None, "unicast", **self._flags),
                            (one, other, ()),
                        )
                continue
            for door in self._doors:
                for group, cast in self._locals(hook, family, protocol):
                    iif, oif = (door[0], None) if hook == "input" else (None, door[0])
                    local = group[0] if group else None
                    texts = tuple(str(_address(family, each)) for each in group)
                    yield Packet(hook, family, protocol, iif, oif, local, cast, **self._flags), (door, (), texts)

    def _grouped(self) -> list[tuple[str, ...]]:
        """The interfaces in groups that no rule tells apart."""
        groups: dict[tuple[Any, ...], list[str]] = {}
        for entry in self._interfaces:
            name = entry["name"]
            key = (name if name in self._names else "", tuple(name.startswith(pattern) for pattern in self._patterns))
            groups.setdefault(key, []).append(name)
        return [tuple(names) for names in groups.values()] or [("any interface",)]

    def _kinds(self, family: int) -> list[str]:
        control = "icmp" if family == 4 else "icmpv6"
        numbers = {PROTOCOLS[name] for name in ("tcp", "udp", "icmp", "icmpv6")}
        named: dict[int, str] = {}
        for name in self._protocols:
            if PROTOCOLS[name] not in numbers:
                named.setdefault(PROTOCOLS[name], name)
        return ["tcp", "udp", control, *named.values(), OTHER]

    def _locals(self, hook: str, family: int, protocol: str) -> list[tuple[tuple[int, ...], str]]:
        """The host's addresses in groups that no rule tells apart, and the multicast groups rules may name."""
        groups: dict[tuple[bool, ...], list[int]] = {}
        for address in self._own[family]:
            groups.setdefault(tuple(low <= address <= high for low, high in self._spans[family]), []).append(address)
        found: list[tuple[tuple[int, ...], str]] = [(tuple(group), "unicast") for group in groups.values()]
        if hook == "input" and self._by_address and protocol != "tcp":
            names = {MULTICAST[family], *(name for name in self._names if _is_multicast(name, family))}
            found += [((int(ipaddress.ip_address(name)),), "multicast") for name in sorted(names)]
        return found or [((), "unicast")]


def _destinations(tables: list[Any]) -> set[tuple[int, int, int]]:
    """(family, low, high) of every address, prefix and range a rule compares a destination with."""
    found: set[tuple[int, int, int]] = set()
    for table in tables:
        for chain in table["chains"].values():
            for statement in (statement for rule in chain["rules"] if isinstance(rule, list) for statement in rule):
                body = statement.get("match", statement.get("vmap")) if isinstance(statement, dict) else None
                if isinstance(body, dict) and "daddr" in _strings(body.get("left", body.get("key"))):
                    values = body.get("right", body.get("data"))
                    named = [table["sets"].get(word[1:]) for word in _strings(values) if word.startswith("@")]
                    found.update(_constants([values, named]))
    return found


def _constants(value: Any) -> Iterable[tuple[int, int, int]]:
    if isinstance(value, (list, tuple)):
        for entry in value:
            yield from _constants(entry)
        return
    try:
        if isinstance(value, dict) and "prefix" in value:
            network = ipaddress.ip_network(f"{value['prefix']['addr']}/{value['prefix']['len']}", strict=False)
            yield network.version, int(network[0]), int(network[-1])
        elif isinstance(value, dict) and "range" in value:
            low, high = (ipaddress.ip_address(str(each)) for each in value["range"])
            yield low.version, int(low), int(high)
        elif isinstance(value, dict):
            yield from _constants(list(value.values()))
        elif isinstance(value, str):
            address = ipaddress.ip_address(value)
            yield address.version, int(address), int(address)
    except (ValueError, TypeError, KeyError):
        # A port range, an interface, a verdict: not an address.
        return


def _is_multicast(text: str, family: int) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.version == family and address.is_multicast


def _address(family: int, number: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.IPv4Address(number) if family == 4 else ipaddress.IPv6Address(number)


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield str(key)
            yield from _strings(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _strings(entry)
