# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sections of our table let through on this host: declared services, libvirt's networks, administration.

input, forward and output are the firewall's (11.4.9); admin_ports (11.4.2) and admin_address (11.4.12) the
administration network's. They read the same gold settings as the checks do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets import filter_table as nft
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet, joined_spans
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.filter_table import Rule, Section
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.packet_match import WITH_PORTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import (
    CONTROL,
    Service,
    networks,
    services,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.network import management_ports

# libvirt's own networks: isolated, NAT, routed, open (https://libvirt.org/formatnetwork.html).
OWN_NETWORKS = ("", "nat", "route", "open")
# The names libvirt gives its bridges by itself, so that a network made tomorrow works as well.
NAMED_BY_LIBVIRT = "virbr*"
# What guests ask of the dnsmasq of their network: DNS, DHCP, TFTP (netboot), DHCPv6; and what it sends them first.
ASKED = (("udp", ((53, 53), (67, 67), (69, 69), (547, 547))), ("tcp", ((53, 53),)))
SENT = (("udp", ((68, 68), (546, 546))),)
BEGIN = (Rule((nft.established(),)), Rule((nft.comes_in("lo"),)))


def build(name: str, situation: Situation) -> Section:
    """One section of our table.

    :raises GoldFault: a gold setting that cannot be right.
    """
    return _SECTIONS[name](situation)


def _input(situation: Situation) -> Section:
    rules = [*BEGIN]
    for bridge in libvirt_bridges(situation.facts):
        rules += [Rule((nft.comes_in(bridge), nft.ports(protocol, spans))) for protocol, spans in ASKED]
    rules += [rule for service in opened(situation)[0] for rule in _service(service, "saddr")]
    return Section("input", "input", tuple(rules), closed=True)


def _forward(situation: Situation) -> Section:
    """Frames that the kernel hands from port to port of a bridge pass here where bridge-nf-call-iptables is on: they
    come in and go out on the bridge itself."""
    rules = [BEGIN[0]]
    for name in [*libvirt_bridges(situation.facts), *sorted(map(str, situation.gold["gold_firewall_forward"]))]:
        rules += [Rule((nft.comes_in(name),)), Rule((nft.goes_out(name),))]
    rules += [Rule((nft.comes_in(name), nft.goes_out(name))) for name in _bridges(situation.facts)]
    return Section("forward", "forward", tuple(rules), closed=True)


def _output(situation: Situation) -> Section:
    rules = [BEGIN[0], Rule((nft.goes_out("lo"),))]
    for bridge in libvirt_bridges(situation.facts):
        rules += [Rule((nft.goes_out(bridge), nft.ports(protocol, spans))) for protocol, spans in SENT]
    rules += [rule for service in egress(situation) for rule in _service(service, "daddr")]
    return Section("output", "output", tuple(rules), closed=True)


def _admin_ports(situation: Situation) -> Section:
    rules = [*BEGIN, *_from(admin(situation))]
    spans: dict[str, list[tuple[int, int]]] = {}
    for protocol, low, high in management_ports(
        situation.facts["firewall"]["listeners"], situation.gold["gold_mgmt_ports"]
    ):
        spans.setdefault(protocol, []).append((low, high))
    rules += [
        Rule((nft.ports(protocol, joined_spans(found)),), nft.REFUSE) for protocol, found in sorted(spans.items())
    ]
    return Section("admin_ports", "input", tuple(rules), closed=False)


def _admin_address(situation: Situation) -> Section:
    rules = [*BEGIN, *(Rule((nft.protocol(name),)) for name in CONTROL), *_from(admin(situation))]
    rules += [
        rule
        for service in opened(situation)[0]
        if service.protocol not in CONTROL
        for rule in _service(service, "saddr")
    ]
    segment = networks("gold_mgmt_cidrs", situation.gold["gold_mgmt_cidrs"])
    rules += [Rule((nft.addresses("daddr", segment[family]),), nft.REFUSE) for family in (4, 6) if segment[family]]
    return Section("admin_address", "input", tuple(rules), closed=False)


_SECTIONS = {
    "input": _input,
    "forward": _forward,
    "output": _output,
    "admin_ports": _admin_ports,
    "admin_address": _admin_address,
}


# The settings, and what facts say to them


def admin(situation: Situation) -> dict[int, AddressSet]:
    """The administration networks."""
    return networks("gold_admin_cidrs", situation.gold["gold_admin_cidrs"])


def declared(situation: Situation) -> list[Service]:
    """The declared services."""
    return services("gold_firewall_services", situation.gold["gold_firewall_services"], "sources", admin(situation))


def egress(situation: Situation) -> list[Service]:
    """Where the host may send."""
    return services("gold_firewall_egress", situation.gold["gold_firewall_egress"], "destinations", None)


def opened(situation: Situation) -> tuple[list[Service], list[Service]]:
    """The declared services that are opened, and those that are not: open ports on which nothing listens would fail."""
    listening = {
        (entry["proto"], entry["port"])
        for entry in situation.facts["firewall"]["listeners"]
        if not entry["addr"].startswith(("127.", "::1"))
    }
    used: list[Service] = []
    idle: list[Service] = []
    for service in declared(situation):
        serves = service.on_demand or service.protocol not in ("tcp", "udp")
        serves = serves or any(
            protocol == service.protocol and service.low <= port <= service.high for protocol, port in listening
        )
        (used if serves else idle).append(service)
    return used, idle


def libvirt_bridges(facts: Mapping[str, Any]) -> list[str]:
    """The bridges of networks that libvirt runs itself, whether they run now or not."""
    names = {
        str(entry["bridge"]) for entry in facts["networks"] if entry["forward"] in OWN_NETWORKS and entry["bridge"]
    }
    return [NAMED_BY_LIBVIRT, *sorted(name for name in names if not name.startswith(NAMED_BY_LIBVIRT[:-1]))]


def _bridges(facts: Mapping[str, Any]) -> list[str]:
    own = libvirt_bridges(facts)
    return sorted(
        entry["name"]
        for entry in facts["network"]["interfaces"]
        if entry["kind"] == "bridge"
        and entry["name"] not in own
        and not entry["name"].startswith(NAMED_BY_LIBVIRT[:-1])
    )


def _service(service: Service, field: str) -> Iterable[Rule]:
    what = (
        nft.ports(service.protocol, [(service.low, service.high)])
        if service.protocol in WITH_PORTS
        else nft.protocol(service.protocol)
    )
    if all(not peers.complement() for peers in service.peers.values()):
        return [Rule((what,))]
    return [
        Rule((nft.addresses(field, service.peers[family]), what)) for family in (4, 6) if service.peers[family].spans
    ]


def _from(peers: Mapping[int, AddressSet]) -> list[Rule]:
    return [Rule((nft.addresses("saddr", peers[family]),)) for family in (4, 6) if peers[family].spans]
