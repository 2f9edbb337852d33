# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML and JSON that attack their parser: each is refused with a reason or read, quickly, and nothing is made up."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import domain_xml, nft
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_xml import MAX_XML, BadXml, parse

DOMAIN = (
    "<domain type='kvm'><name>a</name><memory unit='KiB'>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os>"
    "<devices><graphics type='vnc' listen='0.0.0.0'/></devices></domain>"
)
BOMB = (
    "<!DOCTYPE domain [<!ENTITY a 'aaaaaaaaaa'>" +
    "".join(f"<!ENTITY {chr(98 + n)} '{('&' + chr(97 + n) + ';') * 10}'>" for n in range(9)) +
    "]><domain><name>&j;</name></domain>"
)  # fmt: skip
EXTERNAL = "<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/shadow'>]><domain><name>&x;</name></domain>"


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        EXTERNAL,
        "<?xml version='1.0'?>\n<!-- c --><?pi x?>" + BOMB,
        "\ufeff " + EXTERNAL,
        "<!-- <domain> -->" + BOMB,
        "<!doctype domain><domain/>",
        "<domain>&undefined;</domain>",
        "<?xml version='1.0' encoding='utf-16'?><domain",
        "<domain>\x00</domain>",
        "<domain a='1' a='2'/>",
        "<network/>",
        "<x:domain xmlns:x='urn:x'/>",
        "",
        "   ",
        None,
        b"<domain/>",
        "<domain>" + "a" * MAX_XML + "</domain>",
        "<domain>" + "<a>" * 1000,
    ],
)
def test_what_is_no_description_is_refused_with_a_reason(text):
    started = time.process_time()
    with pytest.raises(BadXml, match="domain"):
        parse(text, "domain")
    assert time.process_time() - started < 2


@pytest.mark.parametrize("length", range(0, len(DOMAIN) - 1, 7))
def test_a_description_cut_anywhere_is_refused(length):
    with pytest.raises(BadXml):
        domain_xml.domain(DOMAIN[:length], None)
    with pytest.raises(BadXml):
        domain_xml.domain(DOMAIN, DOMAIN[:length] or "<")


def test_the_whole_description_is_read():
    assert domain_xml.domain(DOMAIN, None)["consoles"][0]["listen"] == ["0.0.0.0"]


# libvirt's own parser gives up at 256 levels (libxml2, xmlParserMaxDepth), but virsh may be anything.
@pytest.mark.parametrize("depth", [250, 3000])
def test_deep_nesting_is_read_in_time(depth):
    nested = "<m>" * depth + "</m>" * depth
    started = time.process_time()
    found = domain_xml.domain(DOMAIN.replace("<devices>", f"<metadata>{nested}</metadata><devices>"), None)
    assert found["consoles"][0]["type"] == "vnc"
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "old, new",
    [
        ("<vcpu>1<", "<vcpu>" + "9" * 5000 + "<"),
        ("<vcpu>1<", "<vcpu>one<"),
        ("<vcpu>1<", "<vcpu>&#x661;<"),
        ("<memory unit='KiB'>1024<", "<memory unit='parsec'>1024<"),
        ("<memory unit='KiB'>1024<", "<memory>1e999<"),
        ("<graphics type='vnc' listen='0.0.0.0'/>", "<graphics/>"),
        ("<graphics type='vnc' listen='0.0.0.0'/>", "<graphics port='x'><listen/><listen type='?'/></graphics>"),
        ("<graphics type='vnc' listen='0.0.0.0'/>", "<disk/><interface/><hostdev/><channel/><tpm/><memballoon/><rng/>"),
        ("<devices>", "<cputune><vcpupin/></cputune><memtune/><blkiotune/><seclabel/><devices>"),
        ("<os>", "<os><loader/><nvram/><firmware/>"),
    ],
)  # fmt: skip
def test_values_that_are_no_values_break_nothing(old, new):
    assert old in DOMAIN
    text = DOMAIN.replace(old, new)
    json.dumps(domain_xml.domain(text, text))


RULESET = {
    "nftables": [
        {"metainfo": {"json_schema_version": 1}},
        {"table": {"family": "inet", "name": "t", "handle": 1}},
        {"set": {"family": "inet", "table": "t", "name": "s", "elem": [{"range": ["10.0.0.1", "10.0.0.9"]}]}},
        {"chain": {"family": "inet", "table": "t", "name": "in", "type": "filter", "hook": "input", "policy": "drop"}},
        {"rule": {"family": "inet", "table": "t", "chain": "in", "expr": [
            {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [
                22, {"range": [80, 90]},
            ]}}},
            {"accept": None},
        ]}},
        {"rule": {"family": "inet", "table": "t", "chain": "in", "expr": [
            {"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [
                ["lo", {"accept": None}], ["eth0", {"jump": {"target": "x"}}],
            ]}}},
        ]}},
        {"rule": {"family": "inet", "table": "t", "chain": "in", "expr": [{"dnat": {"addr": "10.0.0.1", "port": 80}}]}},
        {"rule": {"family": "inet", "table": "t", "chain": "in", "expr": [{"xt": {"type": "target", "name": "LOG"}}]}},
    ]
}  # fmt: skip
WRONG = (None, True, 7, -1.5, "", "<script>", [], {}, [[]], {"a": None}, [None], ["x", 1])


def mutations(value, rebuild):
    """Every document that has one node of value replaced by something of another type."""
    for wrong in WRONG:
        yield rebuild(wrong)
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from mutations(inner, lambda new, key=key: rebuild({**value, key: new}))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from mutations(
                inner, lambda new, number=number: rebuild([*value[:number], new, *value[number + 1 :]])
            )


def test_a_ruleset_with_one_value_of_another_type_is_refused_or_read():
    assert nft.parse(json.dumps(RULESET))[0]
    refused = 0
    for document in mutations(RULESET, lambda new: new):
        try:
            tables, foreign = nft.parse(json.dumps(document))
            json.dumps([tables, sorted(foreign, key=str)])
        except Unreadable:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"nftables": 1}', '{"nftables": [1]}', "[" * 100_000, '{"nftables": [{"rule"']
)
def test_what_is_no_ruleset_is_refused(text):
    with pytest.raises(Unreadable, match="unexpected output"):
        nft.parse(text)
