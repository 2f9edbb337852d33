# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The packet evaluator on rulesets as nft, firewalld and ufw really write them.

rulesets/small.yml: ruleset texts and packets; small.json and small-1.1.json: what nft 1.0.6 and 1.1.3 say of them.
tests/integration/kvm/test_packets.py sends the same packets through a real kernel.
"""

from __future__ import annotations

import copy
import ipaddress
import json
import pathlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import iptables_save, nft
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet, everything, of_cidrs
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.packet_filter import Budget, Filter, flags_of
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.packet_match import Packet
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.reachability import openings

RULESETS = pathlib.Path(__file__).parent / "rulesets"
SMALL = yaml.safe_load((RULESETS / "small.yml").read_text(encoding="utf-8"))
CAPTURES = {
    version: json.loads((RULESETS / name).read_text(encoding="utf-8"))
    for version, name in (("1.0.6", "small.json"), ("1.1.3", "small-1.1.json"))
}
CAPTURED = CAPTURES["1.0.6"]
OWN = {4: "192.0.2.2", 6: "2001:db8:ffff::2"}


def tables_of(name, version="1.0.6"):
    """The model of a captured ruleset."""
    return nft.parse(json.dumps(CAPTURES[version][name]))[0]


def judge(tables, what, source):
    """accept, drop or unknown for the first packet of a connection."""
    address, _at, interface = source.partition("@")
    peer = ipaddress.ip_address(address)
    protocol, _slash, port = what.partition("/")
    local = int(ipaddress.ip_address(OWN[peer.version]))
    flags = flags_of(tables, OWN.values())
    packet = Packet("input", peer.version, protocol, interface or "eth0", None, local, **flags)
    flow = Filter(tables, packet).through(everything(peer.version), int(port or 0))
    assert not flow.sure & flow.unclear
    if int(peer) in flow.sure:
        return "accept"
    return "unknown" if int(peer) in flow.unclear else "drop"


CASES = [(name, *packet) for name, entry in SMALL.items() for packet in entry["packets"]]


@pytest.mark.parametrize("version", sorted(CAPTURES))
@pytest.mark.parametrize(("name", "what", "source", "verdict"), CASES, ids=[f"{c[0]}: {c[1]} {c[2]}" for c in CASES])
def test_verdict(name, what, source, verdict, version):
    assert judge(tables_of(name, version), what, str(source)) == verdict


def test_every_small_ruleset_was_captured():
    assert all(set(SMALL) == set(captured) for captured in CAPTURES.values())


def _interfaces(*names):
    own = [{"ip": "192.0.2.2"}, {"ip": "fe80::1"}]
    return [{"name": name, "kind": "adapter", "master": "", "addresses": own} for name in names]


def reached(found):
    """{ports: first peers} of openings."""
    return {opening.ports: (opening.sure or opening.unclear).text(2) for opening in found}


def test_firewalld_public_zone():
    """Captured from firewalld 1.3: eth0 in public with ssh for one network, virbr0 in libvirt's own zone."""
    tables = nft.parse((RULESETS / "firewalld-public.json").read_text(encoding="utf-8"))[0]
    found = openings("input", tables, _interfaces("eth0", "virbr0"))
    outside = reached(opening for opening in found if opening.interfaces == ("eth0",) and opening.family == 4)
    assert outside == {"tcp/22": ["10.213.0.0/16"], "icmp": ["any IPv4 address"]}
    guests = reached(opening for opening in found if opening.interfaces == ("virbr0",) and opening.family == 4)
    assert guests["tcp/22"] == ["any IPv4 address"], "libvirt's zone lets guests reach the host's ssh"
    assert {"udp/53", "udp/67", "tcp/53"} <= set(guests)
    assert not any(opening.unclear for opening in found)


def test_firewalld_trusted_zone_is_caught():
    tables = nft.parse((RULESETS / "firewalld-trusted.json").read_text(encoding="utf-8"))[0]
    found = [each for each in openings("input", tables, _interfaces("eth0", "virbr0")) if each.interfaces == ("eth0",)]
    assert reached(found)["tcp/0-65535"] == ["any IPv4 address"] or reached(found)["tcp/0-65535"] == [
        "any IPv6 address"
    ]
    assert {opening.family for opening in found if opening.ports == "tcp/0-65535"} == {4, 6}


def test_ufw_through_iptables_save():
    """Captured from ufw 0.36 on iptables-nft: nft's JSON says only "xt" where iptables-save says what is matched."""
    tables, foreign = nft.parse((RULESETS / "ufw.json").read_text(encoding="utf-8"))
    assert {("ip", "filter"), ("ip6", "filter")} <= foreign
    unread = openings("input", tables, _interfaces("eth0"))
    assert any(opening.unclear for opening in unread), "without iptables-save most of it is unclear"
    tables = iptables_save.parse((RULESETS / "ufw.iptables-save").read_text(encoding="utf-8"), "ip", "iptables-nft")
    tables += iptables_save.parse((RULESETS / "ufw.ip6tables-save").read_text(encoding="utf-8"), "ip6", "iptables-nft")
    found = openings("input", tables, _interfaces("eth0"))
    assert not any(opening.unclear for opening in found)
    four = reached(opening for opening in found if opening.family == 4)
    assert four["tcp/22"] == ["10.213.0.0/16"]
    # What ufw opens by itself: the DHCP client, mDNS and UPnP to their groups.
    assert {"udp/68", "udp/5353", "udp/1900"} <= set(four)
    assert "tcp/0-65535" not in four and not any(name.startswith("tcp/") and name != "tcp/22" for name in four)


SAVED = """\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ADMIN - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -m conntrack --ctstate INVALID -j DROP
-A INPUT -p tcp -m tcp --dport 22 -m comment --comment "admins \\"only\\"" -j ADMIN
-A INPUT -s 10.3.0.0/255.255.0.0 -p tcp -m multiport --dports 80,443,8000:8010 -j ACCEPT
-A INPUT ! -s 10.0.0.0/8 -p udp -m udp --dport 123 -j DROP
-A INPUT -p udp -m udp --dport 123 -j ACCEPT
-A INPUT -m iprange --src-range 10.4.0.5-10.4.0.9 -p udp -m udp --dport 500:501 -j ACCEPT
-A INPUT -p udp -m set --match-set trusted src -m udp --dport 600 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 25 --tcp-flags FIN,SYN,RST,ACK SYN -m limit --limit 3/min -j ACCEPT
-A INPUT -p tcp -m tcp --dport 26 ! --syn -j ACCEPT
-A INPUT -i br+ -p udp -m udp --dport 53 -j ACCEPT
-A INPUT -m recent --update --seconds 60 --name KNOCK --rsource -p tcp -m tcp --dport 2222 -j ACCEPT
-A ADMIN -s 10.1.0.0/16 -j ACCEPT
-A ADMIN -s 10.2.0.0/16 -g ADMIN2
-A ADMIN2 -j LOG --log-prefix "[x] "
COMMIT
"""


@pytest.mark.parametrize(
    ("what", "source", "verdict"),
    [
        ("tcp/22", "10.1.0.1", "accept"),
        ("tcp/22", "10.9.0.1", "drop"),
        ("tcp/443", "10.3.200.1", "accept"),
        ("tcp/8005", "10.3.200.1", "accept"),
        ("tcp/8011", "10.3.200.1", "drop"),
        ("tcp/443", "10.4.0.1", "drop"),
        ("udp/123", "10.0.0.1", "accept"),
        ("udp/123", "192.0.2.9", "drop"),
        ("udp/501", "10.4.0.9", "accept"),
        ("udp/501", "10.4.0.10", "drop"),
        ("udp/600", "10.4.0.10", "unknown"),
        ("tcp/25", "192.0.2.9", "accept"),
        ("tcp/26", "192.0.2.9", "drop"),
        ("udp/53", "192.0.2.9@br0", "accept"),
        ("udp/53", "192.0.2.9", "drop"),
        ("tcp/2222", "192.0.2.9", "accept"),
        ("tcp/9", "192.0.2.9@lo", "accept"),
    ],
)
def test_iptables_save(what, source, verdict):
    assert judge(iptables_save.parse(SAVED, "ip", "iptables-legacy"), what, source) == verdict


def test_a_rule_nobody_can_read_is_never_a_pass():
    broken = SAVED.replace('"admins \\"only\\""', '"unbalanced')
    assert judge(iptables_save.parse(broken, "ip", "iptables-legacy"), "tcp/9", "192.0.2.9") == "unknown"


OPTIONS = st.sampled_from(
    "! -s -d -i -o -p -m -j -g -f --dport --dports --sport --ctstate --src-range --set --tcp-flags --syn tcp "
    "--match-set udp all multiport conntrack recent mark 10.0.0.0/8 10.0.0.0/255.0.255.0 22 1:2: 1,2 a-b ACCEPT DROP "
    "LOG CT NOWHERE eth+ \" ' \\".split(" ")
)


@settings(max_examples=300, deadline=None)
@given(st.lists(OPTIONS, max_size=12))
def test_words_of_iptables_in_any_order_never_crash(words):
    text = SAVED.replace("-A INPUT -i lo -j ACCEPT", "-A INPUT " + " ".join(words))
    tables = iptables_save.parse(text, "ip", "iptables-legacy")
    assert judge(tables, "tcp/22", "10.1.0.1") in ("accept", "drop", "unknown")


def _table(rules, policy="drop", **more):
    chains = {"input": {"hook": "input", "type": "filter", "policy": policy, "rules": rules}, **more}
    return [{"family": "inet", "name": "host", "source": "nft", "sets": {}, "dnat": [], "chains": chains}]


VAGUE = {"match": {"op": "==", "left": {"xt": "set"}, "right": True}}
SSH = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ([[VAGUE, SSH, "drop"], ["accept"]], "accept"),
        ([[VAGUE, "accept"], ["accept"]], "accept"),
        ([[VAGUE, "drop"], ["accept"]], "unknown"),
        ([[VAGUE, "accept"]], "unknown"),
        ([[VAGUE, "drop"]], "drop"),
        ([["drop"], [VAGUE, "accept"]], "drop"),
        ([[VAGUE, {"jump": "admin"}], ["accept"]], "unknown"),
        ([[VAGUE], ["accept"]], "accept"),
    ],
)
def test_a_vague_condition_costs_no_more_than_it_must(rules, verdict):
    """Port 23 from anybody: certain wherever both answers to the condition lead to the same end."""
    assert judge(_table(rules, admin={"rules": [["drop"]]}), "tcp/23", "10.0.0.1") == verdict


def test_endless_jumps_end_in_unknown():
    circle = {"again": {"rules": [[{"jump": "again"}], [{"jump": "again"}]]}}
    tables = _table([[{"jump": "again"}]], **circle)
    flow = Filter(tables, Packet("input", 4, "tcp", "eth0"), Budget(500)).through(everything(4), 22)
    assert not flow.sure and flow.unclear == everything(4)


def test_a_missing_chain_is_unknown():
    assert judge(_table([[{"jump": "elsewhere"}]]), "tcp/22", "10.0.0.1") == "unknown"


def test_an_unread_policy_is_unknown():
    assert judge(_table([], policy=None), "tcp/22", "10.0.0.1") == "unknown"


@pytest.mark.parametrize(
    "statement", [None, 5, [], {"queue": {"num": 1}}, {"tproxy": {}}, {"accept": None, "drop": None}]
)
def test_a_strange_statement_is_unknown(statement):
    assert judge(_table([[statement]]), "tcp/22", "10.0.0.1") == "unknown"


def test_an_unread_hook_or_family_is_missing():
    for key, holder in (
        ("hook", lambda t: t[0]["chains"]["input"]),
        ("family", lambda t: t[0]),
        ("rules", lambda t: t[0]["chains"]["input"]),
    ):
        tables = _table([["accept"]])
        holder(tables)[key] = None
        with pytest.raises(MissingFact):
            judge(tables, "tcp/22", "10.0.0.1")


def test_marks_and_rewritten_destinations_are_unknown():
    mark = {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 1}}
    assert judge(_table([[mark, "accept"]]), "tcp/22", "10.0.0.1") == "drop", "no rule sets a mark, so there is none"
    assert judge(_table([["mark"], [mark, "accept"]]), "tcp/22", "10.0.0.1") == "unknown"
    dnat = {"match": {"op": "in", "left": {"ct": {"key": "status"}}, "right": "dnat"}}
    tables = _table([[dnat, "accept"]])
    assert judge(tables, "tcp/22", "10.0.0.1") == "drop"
    tables[0]["dnat"] = ["10.88.0.5:80"]
    assert judge(tables, "tcp/22", "10.0.0.1") == "drop", "a container's address is not this host"
    tables[0]["dnat"] = ["redirect"]
    assert judge(tables, "tcp/22", "10.0.0.1") == "unknown"


def _field(header, name, value):
    return {"match": {"op": "==", "left": {"payload": {"protocol": header, "field": name}}, "right": value}}


def test_output_and_forward():
    out = [_field("ip", "daddr", "192.0.2.53"), _field("udp", "dport", 53), "accept"]
    through = [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "virbr0"}}, "accept"]
    chains = {
        "output": {"hook": "output", "type": "filter", "policy": "drop", "rules": [out]},
        "forward": {"hook": "forward", "type": "filter", "policy": "drop", "rules": [through]},
    }
    tables = [{"family": "inet", "name": "host", "source": "nft", "sets": {}, "dnat": [], "chains": chains}]
    assert reached(openings("output", tables, _interfaces("eth0"))) == {"udp/53": ["192.0.2.53"]}
    ways = {opening.way for opening in openings("forward", tables, _interfaces("eth0", "virbr0"))}
    assert ways == {"virbr0 to eth0"}


def test_ipv6_counts_only_where_the_host_has_an_address():
    tables = tables_of("ipv4 only")
    both = openings("input", tables, _interfaces("eth0"))
    assert {opening.family for opening in both} == {4, 6}
    alone = [{"name": "eth0", "kind": "adapter", "master": "", "addresses": [{"ip": "192.0.2.2"}]}]
    assert {opening.family for opening in openings("input", tables, alone)} == {4}


SPANS = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**20)), max_size=6)


def _set(spans):
    found = AddressSet(4)
    for low, size in spans:
        found |= AddressSet(4, ((low, min(low + size, 2**32 - 1)),))
    return found


@given(SPANS, SPANS, st.integers(0, 2**32 - 1))
def test_address_sets_are_sets(first, second, number):
    one, two = _set(first), _set(second)
    for probe in {number, *(low for low, _size in first + second)}:
        assert (probe in one | two) == (probe in one or probe in two)
        assert (probe in one & two) == (probe in one and probe in two)
        assert (probe in one - two) == (probe in one and probe not in two)
    assert one.complement().complement() == one
    assert of_cidrs(4, [text for text in one.text(10_000) if "any" not in text]) == one or not one.complement()


WORDS = (
    "match left right op payload protocol field vmap key data set concat range prefix jump goto meta ct & fib elements "
    "rules "
    "accept drop return @pairs eth0 10.0.0.0 tcp input == != in <"
).split()
LEAF = st.one_of(st.none(), st.booleans(), st.integers(-1, 70000), st.text(max_size=8), st.sampled_from(WORDS))
JUNK = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS[:22]), inner, max_size=3)
    ),
    max_leaves=12,
)


def _places(value, path=()):
    yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from _places(entry, (*path, key))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_junk_anywhere_never_crashes(data):
    """Any part of a ruleset replaced by anything: an answer, or MissingFact where there is no model left."""
    name = data.draw(st.sampled_from(sorted(CAPTURED)))
    tables = copy.deepcopy(tables_of(name))
    places = [path for path in _places(tables) if len(path) > 4]
    if places:
        path = data.draw(st.sampled_from(places))
        holder = tables
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = data.draw(JUNK)
    try:
        for what, source in (("tcp/22", "10.0.0.1"), ("udp/53", "2001:db8::1"), ("other", "10.0.0.1")):
            assert judge(tables, what, source) in ("accept", "drop", "unknown")
    except MissingFact:
        pass


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"nftables": 5}', '{"nftables": [{"rule": {}}]}', '{"nftables": [{"table": 1}]}', "{" * 5000],
)
def test_what_nft_does_not_say_is_unreadable(text):
    with pytest.raises(Unreadable):
        nft.parse(text)
