# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one match of a firewall rule means for one kind of packet.

Everything but the peer's address and the destination port of a packet is fixed (Packet), so a match is true, false, a
set of peers, a set of ports, FREE (the peer can meet or avoid it as he likes: source port, pace) or UNKNOWN (not
understood). Statements: libnftables-json(5), in the model of module_utils/kvm/nft.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet, of_span

FREE = "free"
UNKNOWN = "unknown"
MAX_PORT = 65535
PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "ipencap": 4, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51,
    "icmpv6": 58, "ipv6-icmp": 58, "eigrp": 88, "ospf": 89, "ospfigp": 89, "pim": 103, "comp": 108, "ipcomp": 108,
    "vrrp": 112, "sctp": 132, "udplite": 136, "mobility-header": 135, "mh": 135,
}  # fmt: skip
WITH_PORTS = ("tcp", "udp", "sctp", "dccp", "udplite")
FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
# Header fields and meta data the sender of a packet chooses.
_SENDER_FIELDS = frozenset(
    "sport ttl hoplimit length dscp ecn id frag-off hdrlength flowlabel priority sequence ackseq window checksum "
    "urgptr code type reserved doff".split()
)
_SENDER_META = frozenset("length priority random hour time day skuid skgid cgroup cpu".split())
# What a match can come to; AddressSet: the peer has to be in it; tuple: the port has to be in one of the spans.
Test = Union[bool, str, AddressSet, tuple]


@dataclass(frozen=True)
class Packet:
    """One kind of packet: the first of a new connection.

    hook: input, output or forward. family: 4 or 6. protocol: a name of PROTOCOLS, a number, or "other".
    iif, oif: interface names, None where the hook has none. local: the host's own address, None when anybody's
    (forward). cast: unicast, multicast or broadcast, by the destination. Flags of the whole ruleset: marks and
    untracked say that some rule sets a mark or bypasses connection tracking, dnat that some rule rewrites destinations
    to this host.
    """

    hook: str
    family: int
    protocol: str | int
    iif: str | None = None
    oif: str | None = None
    local: int | None = None
    cast: str = "unicast"
    marks: bool = False
    untracked: bool = False
    dnat: bool = False


def match(statement: Mapping[str, Any], packet: Packet, sets: Mapping[str, Any]) -> tuple[list[list[Test]], bool]:
    """Return (alternatives, negated): the packet matches when all tests of one alternative hold, negated turns it."""
    operator, left, right = statement["op"], statement["left"], statement["right"]
    if not isinstance(operator, str):
        return [[UNKNOWN]], False
    if isinstance(left, dict) and "concat" in left:
        if any(field(part, packet)[0] == "absent" for part in left["concat"]):
            return [[False]], False
        return alternatives(left, right, packet, sets), operator == "!="
    test = compare(left, operator, right, packet, sets)
    if test is None:
        # nft leaves a rule when the packet has no such field, whatever the operator says.
        return [[False]], False
    return [[test]], operator == "!="


def alternatives(key: Any, right: Any, packet: Packet, sets: Mapping[str, Any]) -> list[list[Test]]:
    """The conjunctions under which a key (also a concatenation) equals one of the elements on the right."""
    parts = key["concat"] if isinstance(key, dict) and "concat" in key else [key]
    found: list[list[Test]] = []
    for atom in atoms(right, sets):
        values = atom["concat"] if isinstance(atom, dict) and "concat" in atom else [atom]
        if len(parts) != len(values) or atom in (FREE, UNKNOWN):
            found.append([atom if atom in (FREE, UNKNOWN) else UNKNOWN])
            continue
        tests = [compare(part, "==", value, packet, sets) for part, value in zip(parts, values)]
        found.append([False if test is None else test for test in tests])
    return found


def atoms(right: Any, sets: Mapping[str, Any]) -> list[Any]:
    """The single values on the right of a match; FREE for a set that packets change, UNKNOWN for one not read."""
    if isinstance(right, str) and right.startswith("@"):
        found = sets.get(right[1:])
        if (
            not isinstance(found, dict)
            or found.get("unread", UNKNOWN) != ""
            or not isinstance(found.get("elements"), list)
        ):
            return [UNKNOWN]
        if found.get("changes") is not False:
            return [FREE if found.get("changes") is True else UNKNOWN]
        return [atom for entry in found["elements"] for atom in atoms(entry, sets)]
    if isinstance(right, dict) and "set" in right:
        return [atom for entry in right["set"] for atom in atoms(entry, sets)]
    return list(right) if isinstance(right, list) else [right]


def compare(left: Any, operator: str, right: Any, packet: Packet, sets: Mapping[str, Any]) -> Test | None:
    """One field against its values. For "!=" the answer is that of "==" (the caller turns it); None: no such field."""
    kind, value = field(left, packet)
    if kind == "absent":
        return None
    if kind in (FREE, UNKNOWN):
        return kind
    if kind == "bits":
        return _bits(value, operator, right)
    values = atoms(right, sets)
    if FREE in values:
        return FREE
    spans = [_span(atom, operator, packet.family if kind in ("peer", "address") else 0) for atom in values]
    if kind in ("peer", "port", "address", "number"):
        if any(span is None for span in spans):
            return UNKNOWN
        return _within(kind, value, [span for span in spans if span is not None], packet)
    if any(not isinstance(atom, (str, int)) or isinstance(atom, bool) for atom in values) or UNKNOWN in values:
        return UNKNOWN
    return any(_equal(kind, value, atom) for atom in values)


def _within(kind: str, value: Any, spans: list[tuple[int, int]], packet: Packet) -> Test:
    if kind == "peer":
        found = AddressSet(packet.family)
        for low, high in spans:
            found |= of_span(packet.family, low, high)
        return found if found.complement() else True
    if kind == "port":
        return tuple(spans)
    return any(low <= value <= high for low, high in spans)


def _equal(kind: str, value: Any, atom: Any) -> bool:
    if kind == "interface":
        return value == atom or (isinstance(atom, str) and atom.endswith("*") and value.startswith(atom[:-1]))
    if kind == "protocol":
        return _protocol(value) == _protocol(atom)
    return value == atom


def _protocol(name: str | int) -> str | int:
    return PROTOCOLS.get(name, name) if isinstance(name, str) else name


def field(left: Any, packet: Packet) -> tuple[str, Any]:
    """Say what a field of this packet is: (peer | port | address | interface | protocol | number | word | bits, value),
    or ("free", None), ("unknown", None), ("absent", None)."""
    if not isinstance(left, dict) or len(left) != 1:
        return UNKNOWN, None
    kind, body = next(iter(left.items()))
    if kind == "payload" and isinstance(body, dict):
        return _payload(str(body.get("protocol")), str(body.get("field")), packet)
    if kind == "meta" and isinstance(body, dict):
        return _meta(str(body.get("key")), packet)
    if kind == "ct" and isinstance(body, dict):
        return _conntrack(str(body.get("key")), packet)
    if kind == "fib" and isinstance(body, dict):
        return _fib(body, packet)
    if kind == "&" and isinstance(body, list) and len(body) == 2:
        return _masked(body[0], body[1], packet)
    if kind in ("exthdr", "ip option", "tcp option", "numgen", "jhash", "symhash"):
        return FREE, None
    return UNKNOWN, None


def _payload(header: str, name: str, packet: Packet) -> tuple[str, Any]:
    versions = {"ip": 4, "ip6": 6}
    if header in versions:
        if versions[header] != packet.family:
            return "absent", None
        if name in ("protocol", "nexthdr"):
            return "protocol", packet.protocol
        peer = "daddr" if packet.hook == "output" else "saddr"
        if name == peer:
            return "peer", None
        if name in ("saddr", "daddr"):
            # The sender of a forwarded packet chooses where it goes.
            own = packet.local is None
            return (FREE if packet.hook == "forward" else UNKNOWN, None) if own else ("address", packet.local)
    elif header == "th" or header in WITH_PORTS:
        if packet.protocol not in WITH_PORTS or header not in ("th", packet.protocol):
            return "absent", None
        if name == "dport":
            return "port", None
        if name == "flags" and header == "tcp":
            return "bits", FLAGS["syn"]
    elif header in PROTOCOLS:
        if PROTOCOLS[header] != _protocol(packet.protocol):
            return "absent", None
    else:
        return UNKNOWN, None
    return (FREE, None) if name in _SENDER_FIELDS else (UNKNOWN, None)


def _meta(key: str, packet: Packet) -> tuple[str, Any]:
    if key in ("iif", "iifname", "oif", "oifname"):
        name = packet.iif if key.startswith("i") else packet.oif
        return ("absent", None) if name is None else ("interface", name)
    if key in ("l4proto", "protocol", "nfproto", "pkttype"):
        words = {"protocol": "ip" if packet.family == 4 else "ip6", "nfproto": f"ipv{packet.family}"}
        words["pkttype"] = "host" if packet.cast == "unicast" else packet.cast
        return ("protocol", packet.protocol) if key == "l4proto" else ("word", words[key])
    if key == "mark":
        return (UNKNOWN, None) if packet.marks else ("bits", 0)
    return (FREE, None) if key in _SENDER_META else (UNKNOWN, None)


def _conntrack(key: str, packet: Packet) -> tuple[str, Any]:
    if key == "state":
        return (UNKNOWN, None) if packet.untracked else ("word", "new")
    if key == "direction":
        return "word", "original"
    if key == "status":
        return (UNKNOWN, None) if packet.dnat else ("word", "none")
    if key == "mark":
        return (UNKNOWN, None) if packet.marks else ("bits", 0)
    return UNKNOWN, None


def _fib(body: Mapping[str, Any], packet: Packet) -> tuple[str, Any]:
    flags = body.get("flags")
    if not isinstance(flags, (list, str)):
        return UNKNOWN, None
    if body.get("result") == "type" and "daddr" in flags and packet.hook != "forward":
        if packet.hook == "output":
            return "word", "unicast"
        return "word", "local" if packet.cast == "unicast" else packet.cast
    if body.get("result") == "type" and "saddr" in flags:
        return "word", "unicast"
    # Reverse-path tests: a sender whose route is in order passes them.
    return (FREE, None) if "saddr" in flags else (UNKNOWN, None)


def _masked(inner: Any, mask: Any, packet: Packet) -> tuple[str, Any]:
    kind, value = field(inner, packet)
    bits = _number(mask)
    if kind == "bits" and bits is not None:
        return "bits", value & bits
    return (kind, None) if kind in (FREE, "absent") else (UNKNOWN, None)


def _bits(value: int, operator: str, right: Any) -> Test:
    wanted = _number(right)
    if wanted is None:
        return UNKNOWN
    if operator == "in":
        return bool(value & wanted)
    return value == wanted if operator in ("==", "!=") else UNKNOWN


def _number(value: Any) -> int | None:
    """A number, a flag, or several flags ("syn", ["syn", "ack"], {"|": [...]}) as one number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        return FLAGS.get(value)
    parts = value.get("|") if isinstance(value, dict) else value
    if not isinstance(parts, list):
        return None
    total = 0
    for part in parts:
        number = _number(part)
        if number is None:
            return None
        total |= number
    return total


def _span(atom: Any, operator: str, family: int) -> tuple[int, int] | None:
    """An element as (low, high); family 0: ports and other numbers. None: not understood."""
    try:
        if isinstance(atom, dict) and "range" in atom:
            low, high = (_point(value, family) for value in atom["range"])
        elif isinstance(atom, dict) and "prefix" in atom and family:
            network = ipaddress.ip_network(f"{atom['prefix']['addr']}/{atom['prefix']['len']}", strict=False)
            if (network.version == 4) != (family == 4):
                return None
            low, high = int(network[0]), int(network[-1])
        else:
            low = high = _point(atom, family)
    except (ValueError, TypeError, KeyError):
        return None
    top = (1 << (32 if family == 4 else 128)) - 1 if family else MAX_PORT
    beyond = {"<": (0, low - 1), "<=": (0, low), ">": (low + 1, top), ">=": (low, top)}
    return beyond.get(operator, (low, high))


def _point(value: Any, family: int) -> int:
    if family:
        address = ipaddress.ip_address(value)
        if (address.version == 4) != (family == 4) or isinstance(value, bool):
            raise ValueError("another family")
        return int(address)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("not a number")
    return value
