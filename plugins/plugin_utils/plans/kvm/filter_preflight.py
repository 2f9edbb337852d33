# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our table would cut that works now: the proposed rules are run through the packet evaluator before anything is
loaded.

Compared are the whole ruleset as it runs and our table alone as it is proposed: what is stopped already is not cut by
us, and what other tables do stays theirs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets import filter_table as nft
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.filter_table import Section
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.packet_match import PROTOCOLS, WITH_PORTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.reachability import OTHER, Opening, openings
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import CONTROL, ports
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm.filter_sections import OWN_NETWORKS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Situation

# IP protocols that tunnels of the kernel carry without a socket anybody could see, by the kind ip(8) gives them.
TUNNELS = {"gre": "gre", "gretap": "gre", "erspan": "gre", "ip6gre": "gre", "ip6gretap": "gre", "ipip": "ipip"}
# ip(7), ip_local_port_range: where the kernel takes ports from that nobody asked for.
EPHEMERAL = 32768
EVERYWHERE = ("*", "0.0.0.0", "::", "")
# Daemons that negotiate IPsec: what they set up arrives as ESP.
IPSEC = ("charon", "charon-systemd", "pluto", "iked")


def cuts(situation: Situation, proposed: Sequence[Section]) -> list[str]:
    """What somebody uses now and could not use any more, as sentences.

    :raises Refusal: the effect of the rules cannot be told.
    """
    facts = situation.facts
    try:
        before = _Reach(facts["firewall"]["ruleset"], facts["network"]["interfaces"])
        after = _Reach([nft.table((section, True) for section in proposed)], facts["network"]["interfaces"])
        hooks = {section.hook for section in proposed}
        found: list[str] = []
        if "input" in hooks:
            closed = _closed(situation)
            found += _controller(situation, after)
            found += _listeners(facts["firewall"]["listeners"], before, after, closed)
            found += _peers(situation, before, after, closed)
            found += _protocols(facts, before, after)
            found += _discovery(before, after, "input", "gold_firewall_services")
        if "forward" in hooks:
            found += _guests_routes(situation)
        if "output" in hooks:
            found += _outbound(situation, before, after)
            found += _discovery(before, after, "output", "gold_firewall_egress")
    except MissingFact as reason:
        raise Refusal(f"what the rules would cut cannot be told: {reason}") from None
    return list(dict.fromkeys(found))


class _Reach:
    """Who reaches what under a ruleset."""

    def __init__(self, tables: Any, interfaces: Any):
        self._tables, self.interfaces = tables, interfaces

    def openings(self, hook: str) -> list[Opening]:
        """Everything that gets through."""
        return openings(hook, self._tables, self.interfaces)

    def through(
        self, protocol: str, port: int, *, hook: str = "input", local: str = "", interface: str = "", peer: str = ""
    ) -> str:
        """yes, perhaps or no: whether anybody (or the peer) gets through to an own address (or to any).

        local: an own address, or 0.0.0.0, :: or * for every one.
        """
        best = "no"
        for opening in self.openings(hook):
            # A protocol that no rule names passes, or does not, as any other: our own rules let none of these in.
            if not (_same(opening.protocol, protocol) or _is_other(opening, protocol)):
                continue
            if not opening.low <= port <= opening.high or not _meets(opening, local, interface):
                continue
            if _holds(opening.sure, peer):
                return "yes"
            if _holds(opening.unclear, peer):
                best = "perhaps"
        return best

    @property
    def own(self) -> set[str]:
        """The host's own addresses."""
        return {str(each["ip"]) for entry in self.interfaces for each in entry["addresses"]}


def _same(one: str, other: str) -> bool:
    return one == other or (one in PROTOCOLS and PROTOCOLS[one] == PROTOCOLS.get(other))


def _is_other(opening: Opening, protocol: str) -> bool:
    return opening.protocol == OTHER and protocol not in (*WITH_PORTS[:2], *CONTROL)


def _holds(peers: Any, peer: str) -> bool:
    if not peer:
        return bool(peers)
    address = ipaddress.ip_address(peer)
    return address.version == peers.family and int(address) in peers


def _meets(opening: Opening, local: str, interface: str) -> bool:
    if interface and interface not in (*opening.interfaces, *opening.leaving):
        return False
    if local in ("", "*") or (local == "0.0.0.0" and opening.family == 4) or (local == "::" and opening.family == 6):
        return True
    if local in ("0.0.0.0", "::"):
        return False
    address = ipaddress.ip_address(local.partition("%")[0])
    if address.version != opening.family:
        return False
    # Own addresses on the loopback and groups somebody joined are not told apart by the evaluator.
    return str(address) in opening.addresses or address.is_multicast or not opening.addresses


def _plain(text: Any) -> str:
    """An address as it is compared: without zone, an IPv4 peer of an IPv6 socket as IPv4."""
    address = ipaddress.ip_address(str(text).strip("[]").partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _is_outside(text: str, own: set[str]) -> bool:
    return not ipaddress.ip_address(text).is_loopback and text not in own


def _closed(situation: Situation) -> list[tuple[str, int, int]]:
    return [ports(text) for text in situation.gold["gold_firewall_closed"]]


def _is_closed(closed: Sequence[tuple[str, int, int]], protocol: str, port: int) -> bool:
    return any(protocol == each and low <= port <= high for each, low, high in closed)


def _controller(situation: Situation, after: _Reach) -> Iterable[str]:
    if situation.source is None:
        return
    source, port = _plain(situation.source), situation.controller_port or 22
    if _is_outside(source, after.own) and after.through("tcp", port, peer=source) != "yes":
        yield (
            f"this run itself: it comes from {source} to tcp/{port}, which no service of gold_firewall_services "
            "opens to that address"
        )


def _listeners(
    listeners: Iterable[Mapping[str, Any]], before: _Reach, after: _Reach, closed: Sequence[tuple[str, int, int]]
) -> Iterable[str]:
    entries = list(listeners)
    # A daemon that serves a port of its own asks others from sockets that look the same (dnsmasq, its name servers).
    servers = {entry["process"] for entry in entries if entry["proto"] == "udp" and entry["port"] < EPHEMERAL}
    for entry in entries:
        protocol, port, address = entry["proto"], entry["port"], entry["addr"]
        if protocol == "udp" and port >= EPHEMERAL and address in EVERYWHERE and entry["process"] in servers - {""}:
            continue
        if protocol == "raw":
            protocol, port = _protocol_name(port), 0
        if not protocol or address.startswith(("127.", "::1")) or entry["interface"] == "lo":
            continue
        # Raw sockets of ICMP read what the kernel answers anyway.
        if protocol in ("icmp", "icmpv6") or _is_closed(closed, protocol, port):
            continue
        # A daemon that listens for both families may be meant for one: who uses the other is seen among the peers.
        local = "*" if address in EVERYWHERE else _local(address, after)
        where = {"local": local, "interface": _door(entry["interface"], after)}
        if before.through(protocol, port, **where) == "no" or after.through(protocol, port, **where) == "yes":
            continue
        name = f"{protocol}/{port}" if protocol in WITH_PORTS else f"IP protocol {protocol}"
        who = entry["process"] or "the kernel, or a process nobody sees,"
        yield f"{name}: {who} listens on {address or 'every address'}"


def _local(address: str, reach: _Reach) -> str:
    """An address that is on no interface from outside (a service address on the loopback) is any address."""
    return _plain(address) if _plain(address) in reach.own else "*"


def _door(interface: str, reach: _Reach) -> str:
    """The interface packets for a bridge port or a member of a bond come in on."""
    for entry in reach.interfaces:
        if entry["name"] == interface:
            return str(entry["master"] or interface)
    return ""


def _protocol_name(number: int) -> str:
    return next((name for name, known in PROTOCOLS.items() if known == number), "")


def _peers(
    situation: Situation, before: _Reach, after: _Reach, closed: Sequence[tuple[str, int, int]]
) -> Iterable[str]:
    for entry in situation.inbound:
        protocol, port = str(entry["protocol"]), int(entry["local_port"])
        peer, local = _plain(entry["peer"]), _plain(entry["local_address"])
        if not _is_outside(peer, after.own) or _is_closed(closed, protocol, port):
            continue
        where = {"local": _local(local, after), "peer": peer}
        if before.through(protocol, port, **where) != "no" and after.through(protocol, port, **where) != "yes":
            yield f"{protocol}/{port}: {peer} is connected to {local}"


def _protocols(facts: Mapping[str, Any], before: _Reach, after: _Reach) -> Iterable[str]:
    used = {
        TUNNELS[entry["kind"]]: f"the tunnel {entry['name']}"
        for entry in facts["network"]["interfaces"]
        if entry["kind"] in TUNNELS and entry["up"]
    }
    negotiators = [entry["process"] for entry in facts["firewall"]["listeners"] if entry["process"] in IPSEC]
    if negotiators:
        used["esp"] = negotiators[0]
    for protocol, user in sorted(used.items()):
        if before.through(protocol, 0) != "no" and after.through(protocol, 0) != "yes":
            yield f"IP protocol {protocol}: {user} uses it"


def _discovery(before: _Reach, after: _Reach, hook: str, setting: str) -> Iterable[str]:
    """Without neighbour discovery and router advertisements IPv6 stops within seconds."""
    if before.through("icmpv6", 0, hook=hook) != "no" and after.through("icmpv6", 0, hook=hook) != "yes":
        yield f"ICMPv6: this host has IPv6 addresses and {setting} does not name icmpv6 (neighbour discovery)"


def _guests_routes(situation: Situation) -> Iterable[str]:
    """Guests whose only way out is this host, on a bridge that nobody but the host and guests are plugged into."""
    facts, free = situation.facts, set(map(str, situation.gold["gold_firewall_forward"]))
    free |= {str(entry["bridge"]) for entry in facts["networks"] if entry["forward"] in OWN_NETWORKS}
    if not any(facts["network"]["forwarding"].values()):
        return
    for entry in facts["network"]["interfaces"]:
        members = [each for each in facts["network"]["interfaces"] if each["master"] == entry["name"]]
        routed = [each["ip"] for each in entry["addresses"] if not ipaddress.ip_address(each["ip"]).is_link_local]
        if entry["kind"] != "bridge" or entry["name"] in free or not members or not routed:
            continue
        if all(each["kind"] in ("tun", "veth") for each in members):
            yield (
                f"the guests on {entry['name']}: this host ({routed[0]}) is their only way out; name the bridge in "
                "gold_firewall_forward"
            )


def _outbound(situation: Situation, before: _Reach, after: _Reach) -> Iterable[str]:
    for entry in situation.outbound:
        protocol, port, peer = str(entry["protocol"]), int(entry["peer_port"]), _plain(entry["peer"])
        if not _is_outside(peer, after.own):
            continue
        if (
            before.through(protocol, port, hook="output", peer=peer) != "no"
            and after.through(protocol, port, hook="output", peer=peer) != "yes"
        ):
            yield f"{protocol}/{port} to {peer}: {entry.get('process') or 'a process'} of this host is connected there"
