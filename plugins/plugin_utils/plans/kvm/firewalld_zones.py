# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall where firewalld rules: the zones in use and policies of ours, as its own files (firewalld.zone(5),
firewalld.policy(5)).

A zone lets in what gold_firewall_services declares and drops the rest, and forwards nothing by itself. libvirt's zones
stay what they are, without ssh from guests to the host. What the host sends is a policy of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.packet_match import WITH_PORTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import Service
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import filter_sections
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Row, Situation

ZONES, POLICIES = "/etc/firewalld/zones", "/etc/firewalld/policies"
EGRESS = "dwp-egress"
GUESTS, ROUTED = "libvirt", "libvirt-routed"
# {zone of libvirt's: our policy}; firewalld takes names of at most 18 characters.
TO_GUESTS = {GUESTS: "dwp-guests", ROUTED: "dwp-guests-routed"}
# A check of all files, then one reload that is over when the command ends.
THEN = (plan.run("firewall-cmd", "--check-config"), plan.run("firewall-cmd", "--reload"))
NAMES = {"icmpv6": "ipv6-icmp"}
# What the dnsmasq of a network serves; as libvirt ships its zone, without ssh.
SERVED = "".join(
    f"  {line}\n"
    for line in (
        '<protocol value="icmp"/>',
        '<protocol value="ipv6-icmp"/>',
        '<service name="dhcp"/>',
        '<service name="dhcpv6"/>',
        '<service name="dns"/>',
        '<service name="tftp"/>',
    )
)


def rules(situation: Situation) -> bool:
    """Whether firewalld is what filters this host."""
    return bool(situation.facts["firewall"]["firewalld"]["running"])


def is_set(situation: Situation, section: str) -> bool:
    """Whether firewalld drops what no rule names already, so that nothing is left to observe."""
    if section == "output":
        chains = [name for table in situation.facts["firewall"]["ruleset"] for name in table["chains"]]
        return any(EGRESS in name for name in chains)
    return all(zone["target"] == "DROP" for zone in _zones(situation))


def rows(situation: Situation, sections: Sequence[str]) -> list[Row]:
    """The files for these sections (input, forward, output)."""
    found: dict[str, str] = {}
    if {"input", "forward"} & set(sections):
        for zone in _zones(situation):
            found[f"{ZONES}/{zone['name']}.xml"] = _zone(zone, filter_sections.opened(situation)[0])
        if _has(situation, GUESTS):
            found[f"{ZONES}/{GUESTS}.xml"] = _document(
                "zone", {"target": "ACCEPT"}, GUESTS, f'  <rule priority="32767"><reject/></rule>\n{SERVED}'
            )
        if _has(situation, ROUTED):
            found[f"{POLICIES}/libvirt-to-host.xml"] = _document(
                "policy", {"target": "REJECT"}, "libvirt-to-host", _ends(ROUTED, "HOST") + SERVED
            )
    if "output" in sections:
        found[f"{POLICIES}/{EGRESS}.xml"] = _document(
            "policy",
            {"target": "DROP", "priority": "-10"},
            EGRESS,
            _ends("HOST", "ANY") + _rich(filter_sections.egress(situation), "destination"),
        )
        for guests, name in TO_GUESTS.items():
            if _has(situation, guests):
                found[f"{POLICIES}/{name}.xml"] = _document(
                    "policy",
                    {"target": "CONTINUE", "priority": "-20"},
                    name,
                    _ends("HOST", guests) + '  <port port="68" protocol="udp"/>\n  <port port="546" protocol="udp"/>\n',
                )
    return [plan.file(path, text, then=THEN) for path, text in sorted(found.items())]


def _zones(situation: Situation) -> list[Mapping[str, Any]]:
    """The zones in use that are not libvirt's."""
    zones = [zone for zone in situation.facts["firewall"]["firewalld"]["zones"] if zone["name"] not in (GUESTS, ROUTED)]
    if not zones:
        raise Refusal("firewall.firewalld: firewalld runs and names no zone in use; set its zones by hand")
    return zones


def _has(situation: Situation, name: str) -> bool:
    return any(zone["name"] == name for zone in situation.facts["firewall"]["firewalld"]["zones"])


def _zone(zone: Mapping[str, Any], opened: Sequence[Service]) -> str:
    # Interfaces of the default zone need not be named: whatever is in no other zone is in it.
    bound = (
        [] if zone["default"] else [f"  <interface name={quoteattr(name)}/>\n" for name in sorted(zone["interfaces"])]
    )
    bound += [f"  <source address={quoteattr(source)}/>\n" for source in zone["sources"]]
    return _document("zone", {"target": "DROP"}, zone["name"], "".join(bound) + _rich(opened, "source"))


def _rich(found: Iterable[Service], end: str) -> str:
    lines = []
    for service in found:
        what = (
            f"<port port={quoteattr(_span(service))} protocol={quoteattr(service.protocol)}/>"
            if service.protocol in WITH_PORTS
            else f"<protocol value={quoteattr(NAMES.get(service.protocol, service.protocol))}/>"
        )
        if all(not peers.complement() for peers in service.peers.values()):
            lines.append(f"  {what}\n")
            continue
        lines += [
            f'  <rule family="ipv{family}"><{end} address={quoteattr(prefix)}/>{what}<accept/></rule>\n'
            for family in (4, 6)
            for prefix in service.peers[family].text(limit=1000)
        ]
    return "".join(lines)


def _span(service: Service) -> str:
    return str(service.low) if service.low == service.high else f"{service.low}-{service.high}"


def _ends(ingress: str, egress: str) -> str:
    return f'  <ingress-zone name="{ingress}"/>\n  <egress-zone name="{egress}"/>\n'


def _document(kind: str, attributes: Mapping[str, str], name: str, body: str) -> str:
    words = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<{kind}{words}>\n  <short>{name}</short>\n'
        f"  <description>Written by dwp.hypervisor: by hand nothing stays here.</description>\n{body}</{kind}>\n"
    )
