# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our own nftables tables, written once: as text for nft(8) and in the model of the packet evaluator.

Each area that filters has a table (family inet) of its own, so that it can be taken back without the other. A table is
made of sections, each a base chain of its own with a chain `<name>_refused` below it. A drop
in any base chain is final and an accept only ends its own chain (nft(8)), so sections never depend on each other: each
may come, go or only observe by itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.packet_match import PROTOCOLS, WITH_PORTS

# {area: table}, as module_utils/kvm/own_table.py reads them.
TABLES = {"firewall": "dwp_hypervisor", "admin_network": "dwp_hypervisor_admin"}
# After the chains of libvirt, iptables and firewalld (filter, 0): what they drop need not be recorded as ours.
PRIORITY = 10
REFUSED = "_refused"
# What would be, or was, dropped is kept as elements of sets; the oldest go first.
KEPT = "size 1000; timeout 7d"
LOG_RATE = "limit rate 30/minute burst 30 packets"
ACCEPT, REFUSE = "accept", "refuse"
# Names that nft knows without /etc/protocols, which a minimal host may lack.
_NAMED = ("tcp", "udp", "icmp", "icmpv6")
# A condition: what nft reads, and the statement of the evaluator's model.
Condition = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Rule:
    """Conditions that must all hold, and what happens then: ACCEPT, or REFUSE (dropped once the section enforces)."""

    conditions: tuple[Condition, ...]
    verdict: str = ACCEPT


@dataclass(frozen=True)
class Section:
    """One base chain. hook: input, forward or output. closed: what no rule names is refused as well."""

    name: str
    hook: str
    rules: tuple[Rule, ...]
    closed: bool

    def text(self, enforcing: bool) -> str:
        """The section as part of a table block. Observing, it counts and logs what it would drop, and drops nothing."""
        policy = "drop" if enforcing and self.closed else "accept"
        lines = [f"type filter hook {self.hook} priority {PRIORITY}; policy {policy};"]
        for rule in [*self.rules, *_last(self)]:
            verdict = "accept" if rule.verdict == ACCEPT else f"jump {self.name}{REFUSED}"
            lines.append(" ".join([*(text for text, _model in rule.conditions), verdict]))
        refused = [*self._records(), f'{LOG_RATE} log prefix "dwp-hypervisor {self._says(enforcing)}: "']
        refused.append("counter drop" if enforcing else "counter")
        blocks = [*self._sets(), _block(f"chain {self.name}", lines), _block(f"chain {self.name}{REFUSED}", refused)]
        return "".join(blocks)

    def chains(self, enforcing: bool) -> dict[str, Any]:
        """The section in the model of module_utils/kvm/nft.py."""
        policy = "drop" if enforcing and self.closed else "accept"
        rules = [
            [*(model for _text, model in rule.conditions), "accept" if rule.verdict == ACCEPT else self._jump]
            for rule in [*self.rules, *_last(self)]
        ]
        base = {"hook": self.hook, "type": "filter", "policy": policy, "rules": rules}
        return {self.name: base, self.name + REFUSED: {"rules": [["drop"]] if enforcing else []}}

    @property
    def _jump(self) -> dict[str, str]:
        return {"jump": self.name + REFUSED}

    def _says(self, enforcing: bool) -> str:
        return f"{self.name} {'drop' if enforcing else 'would drop'}"

    def _keys(self) -> Iterable[tuple[str, str, str, str]]:
        """(set, its types, the packets it keeps, their key): who, by which protocol, to which port."""
        ways = {"input": ["iifname"], "forward": ["iifname", "oifname"], "output": ["oifname"]}[self.hook]
        field = "daddr" if self.hook == "output" else "saddr"
        ports = f"meta l4proto {_set([str(PROTOCOLS[name]) for name in WITH_PORTS])}"
        for family, header, kind in (("ipv4", "ip", "ipv4_addr"), ("ipv6", "ip6", "ipv6_addr")):
            types = [*(["ifname"] * len(ways)), kind, "inet_proto"]
            key = [*ways, f"{header} {field}", "meta l4proto"]
            named = f"{self.name}_{header}"
            yield (
                f"{named}_ports",
                " . ".join([*types, "inet_service"]),
                f"meta nfproto {family} {ports}",
                " . ".join([*key, "th dport"]),
            )
            others = f"meta nfproto {family} {ports.replace('l4proto', 'l4proto !=')}"
            yield f"{named}_others", " . ".join(types), others, " . ".join(key)

    def _sets(self) -> list[str]:
        return [
            _block(f"set {name}", [f"type {types}; flags dynamic,timeout; {KEPT};"])
            for name, types, _where, _key in self._keys()
        ]

    def _records(self) -> list[str]:
        return [f"{where} update @{name} {{ {key} counter }}" for name, _types, where, key in self._keys()]


def _last(section: Section) -> list[Rule]:
    return [Rule((), REFUSE)] if section.closed else []


def _block(head: str, lines: Iterable[str]) -> str:
    return "".join([f"  {head} {{\n", *(f"    {line}\n" for line in lines), "  }\n"])


def table(sections: Iterable[tuple[Section, bool]]) -> dict[str, Any]:
    """Sections as one table in the evaluator's model. sections: (section, whether it enforces)."""
    chains: dict[str, Any] = {}
    for section, enforcing in sections:
        chains.update(section.chains(enforcing))
    return {"family": "inet", "name": "proposed", "source": "nft", "chains": chains, "sets": {}, "dnat": []}


def is_ours(found: Any) -> bool:
    """Whether a table of firewall.ruleset is one of ours."""
    return isinstance(found, dict) and found.get("family") == "inet" and found.get("name") in TABLES.values()


# Conditions


def established() -> Condition:
    """Packets of a connection that was let through, and what belongs to one (errors, path MTU)."""
    return "ct state established,related", _match({"ct": {"key": "state"}}, ["established", "related"], "in")


def comes_in(interface: str) -> Condition:
    """Packets that came in on an interface; a name that ends with * is every name that begins so."""
    return f'iifname "{interface}"', _match({"meta": {"key": "iifname"}}, interface)


def goes_out(interface: str) -> Condition:
    """Packets that leave on an interface."""
    return f'oifname "{interface}"', _match({"meta": {"key": "oifname"}}, interface)


def protocol(name: str) -> Condition:
    """Packets of an IP protocol."""
    text = name if name in _NAMED else str(PROTOCOLS[name])
    return f"meta l4proto {text}", _match({"meta": {"key": "l4proto"}}, name)


def ports(name: str, spans: Sequence[tuple[int, int]]) -> Condition:
    """Packets to ports of tcp, udp and the like."""
    texts = [str(low) if low == high else f"{low}-{high}" for low, high in spans]
    models: list[Any] = [low if low == high else {"range": [low, high]} for low, high in spans]
    return f"{name} dport {_set(texts)}", _match({"payload": {"protocol": name, "field": "dport"}}, _one(models))


def addresses(field: str, wanted: AddressSet) -> Condition:
    """Packets from (field saddr) or to (daddr) addresses of one family."""
    header = "ip" if wanted.family == 4 else "ip6"
    networks = [ipaddress.ip_network(text) for text in _prefixes(wanted)]
    texts = [str(each) if each.num_addresses > 1 else str(each.network_address) for each in networks]
    models: list[Any] = [
        {"prefix": {"addr": str(each.network_address), "len": each.prefixlen}}
        if each.num_addresses > 1
        else str(each.network_address)
        for each in networks
    ]
    return f"{header} {field} {_set(texts)}", _match({"payload": {"protocol": header, "field": field}}, _one(models))


def _prefixes(wanted: AddressSet) -> list[str]:
    kind = ipaddress.IPv4Address if wanted.family == 4 else ipaddress.IPv6Address
    return [
        str(network)
        for low, high in wanted.spans
        for network in ipaddress.summarize_address_range(kind(low), kind(high))
    ]


def _set(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else "{ " + ", ".join(texts) + " }"


def _one(models: list[Any]) -> Any:
    return models[0] if len(models) == 1 else {"set": models}


def _match(left: dict[str, Any], right: Any, operator: str = "==") -> dict[str, Any]:
    return {"match": {"op": operator, "left": left, "right": right}}
