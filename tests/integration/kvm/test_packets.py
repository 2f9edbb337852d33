# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet evaluator against the kernel: the same rulesets, the same packets, the same verdicts."""

from __future__ import annotations

import random

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import nft
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets import filter_table
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import filter_sections
from ansible_collections.dwp.hypervisor.tests.integration.kvm import packets
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.packets.test_packet_filter import judge
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.filter_side import (
    facts,
    listener,
    situation,
)

ROUNDS = 40
SOURCES = [
    "10.0.0.1",
    "10.0.0.200",
    "10.1.2.3",
    "10.200.0.1",
    "11.0.0.1",
    "172.16.5.5",
    "198.51.100.9",
    "2001:db8:1::9",
    "fd00::1",
]
PORTS = [22, 53, 80, 5950, 49152]

pytestmark = pytest.mark.skipif(packets.why_not() is not None, reason=str(packets.why_not()))


@pytest.fixture(scope="module")
def wire():
    with packets.wire():
        yield


def compare(text, probes):
    """[(probe, evaluator, kernel)] where they differ."""
    tables = nft.parse(packets.load(text))[0]
    answers = packets.probe(probes)
    said = [(f"{protocol}/{port}", source) for protocol, port, source in probes]
    judged = [judge(tables, what, source) for what, source in said]
    doubtful = [number for number, mine in enumerate(judged) if mine != answers[number]]
    # An answer can come too late on a busy machine: what differs is asked again, alone.
    again = packets.probe([probes[number] for number in doubtful], wait=2.0) if doubtful else []
    return [(said[number], judged[number], real) for number, real in zip(doubtful, again) if judged[number] != real]


# The sender's choice and what nobody understands are not what a single probe shows.
ONE_SIDED = ("source ports are the sender's choice", "a set that packets change", "what nobody here understands")


@pytest.mark.parametrize("name", [name for name in packets.small() if name not in ONE_SIDED])
def test_small_rulesets(name, wire):
    entry = packets.small()[name]
    probes = []
    for what, source, _verdict in entry["packets"]:
        protocol, _slash, port = what.partition("/")
        if protocol in ("tcp", "udp") and "@" not in source and not source.startswith("192.0.2."):
            probes.append((protocol, int(port), source))
    assert compare(entry["nft"], probes) == []


class Author:
    """Writes rulesets nobody would write, from a seed."""

    def __init__(self, seed):
        self._dice = random.Random(seed)

    def _one(self, *choices):
        return self._dice.choice(choices)

    def _addresses(self, many):
        pool = [
            "10.0.0.0/24",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.200.0.1",
            "11.0.0.0-11.0.0.9",
            "172.16.0.0/12",
            "198.51.100.0/24",
        ]
        return "{ " + ", ".join(self._apart(pool, many)) + " }"

    def _apart(self, pool, many):
        # Elements of one set must not overlap.
        return self._dice.sample([entry for entry in pool if entry != "10.0.0.0/8"], many)

    def _condition(self, protocol, family):
        """One condition; nft refuses two protocols or two families in one rule."""
        port = str(self._one(*PORTS))
        v4 = [
            f"ip saddr {self._addresses(2)}",
            f"ip saddr != {self._addresses(3)}",
            f"ip saddr {self._one('10.0.0.0/8', '10.0.0.1', '10.0.0.0-10.1.255.255')}",
            "ip saddr @named",
            f"ip saddr . {protocol} dport {{ 10.0.0.1 . {port}, 10.1.2.3 . 22 }}",
            f"ip daddr {self._one('192.0.2.2', '192.0.2.3', '192.0.2.0/24')}",
        ]
        v6 = [f"ip6 saddr {self._one('2001:db8::/32', 'fd00::/8', '!= fd00::1')}"]
        return self._one(
            f"{protocol} dport {port}",
            f"{protocol} dport != {port}",
            f"{protocol} dport {{ {port}, 1000-2000 }}",
            f"{protocol} dport {self._one('<', '<=', '>', '>=')} {port}",
            f"{protocol} dport 20-{self._one('52', '53', '79', '80', '6000')}",
            *(v4 if family == 4 else v6),
            f"meta nfproto ipv{family}",
            "ct state new",
            "ct state established,related",
            f"iifname {self._one('eth0', '!= eth0', 'eth*', 'lo')}",
            "fib daddr type local",
            "tcp flags & (fin|syn|rst|ack) == syn" if protocol == "tcp" else "ct state new",
            "meta mark 0",
            "meta pkttype host",
        )

    def _verdict(self, below):
        names = [f"jump {name}" for name in below] + [f"goto {name}" for name in below]
        return self._one(
            "accept", "accept", "drop", "drop", "return", "reject with icmpx admin-prohibited", "counter", *names
        )

    def _rule(self, below):
        if self._dice.random() < 0.2:
            first, second = self._dice.sample(PORTS, 2)
            key = self._one("tcp dport", "udp dport", "meta l4proto { tcp, udp } th dport")
            return f"{key} vmap {{ {first} : {self._map(below)}, {second} : {self._map(below)} }}"
        protocol, family = self._one("tcp", "udp"), self._one(4, 6)
        conditions = [self._condition(protocol, family) for _number in range(self._one(0, 1, 1, 2, 2, 3))]
        return " ".join([*conditions, self._verdict(below)])

    def _map(self, below):
        return self._one("accept", "drop", "return", "continue", *(f"jump {name}" for name in below))

    def _chain(self, name, below, head=""):
        rules = "\n".join(f"    {self._rule(below)}" for _number in range(self._one(1, 2, 3, 5)))
        return f"  chain {name} {{\n{head}{rules}\n  }}\n"

    def ruleset(self):
        """One to three tables with a base chain each and up to three chains below it."""
        text = ""
        for number in range(self._one(1, 1, 2, 3)):
            below, chains = [], ""
            for name in ("one", "two", "three")[: self._one(0, 1, 2, 3)]:
                chains += self._chain(name, list(below))
                below.append(name)
            hook = self._one("input", "input", "prerouting")
            head = f"    type filter hook {hook} priority {number * 10}; policy {self._one('accept', 'drop')};\n"
            named = "  set named { type ipv4_addr; flags interval; elements = " + self._addresses(2) + "; }\n"
            text += f"table inet t{number} {{\n{named}{chains}{self._chain('base', below, head)}}}\n"
        return text


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_random_rulesets(seed, wire):
    text = Author(seed).ruleset()
    probes = [(protocol, port, source) for protocol in ("tcp", "udp") for port in PORTS for source in SOURCES]
    assert compare(text, probes) == [], text


def test_our_own_table(wire):
    """What enforcement loads: the model the controller plans by and the text the kernel runs give the same verdicts."""
    services = [
        {"name": "ssh", "protocol": "tcp", "ports": "22", "sources": ["10.0.0.0/24", "10.0.1.0/24", "fd00::/64"]},
        {"name": "web", "protocol": "tcp", "ports": "79-80", "sources": ["198.51.100.9/32", "2001:db8:1::/64"]},
        {"name": "names", "protocol": "udp", "ports": "53", "sources": ["172.16.0.0/16"], "on_demand": True},
        {"name": "icmpv6", "protocol": "icmpv6"},
    ]
    listeners = [listener("tcp", "0.0.0.0", port, "server") for port in (22, 80)]
    asked = situation(
        facts(firewall={"listeners": listeners}),
        {"gold_firewall_services": services, "gold_admin_cidrs": ["10.0.0.0/24"], "gold_mgmt_cidrs": ["192.0.2.2/32"]},
    )
    probes = [(protocol, port, source) for protocol in ("tcp", "udp") for port in PORTS for source in SOURCES]
    for names in (["input"], ["admin_ports"], ["admin_address"], ["input", "admin_ports", "admin_address"]):
        sections = [filter_sections.build(name, asked) for name in names]
        for enforcing in (True, False):
            text = "".join(section.text(enforcing) for section in sections)
            assert compare(f"table inet ours {{\n{text}}}\n", probes) == [], (names, enforcing)
            model = [filter_table.table((section, enforcing) for section in sections)]
            live = nft.parse(packets.load(f"table inet ours {{\n{text}}}\n"))[0]
            for protocol, port, source in probes:
                said = (f"{protocol}/{port}", source)
                assert judge(model, *said) == judge(live, *said), (said, names, enforcing)
