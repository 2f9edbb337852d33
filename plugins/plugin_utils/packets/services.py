# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared services and networks of the gold configuration, read strictly: what is malformed or too wide is a fault."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet, everything, of_cidrs
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.packet_match import PROTOCOLS, WITH_PORTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest

# "Defined endpoint networks and devices, such as specific laptops or desktops" (11.4.2): a network wider than this
# names no endpoints any more. Our reading; the standard gives no number.
SHORTEST_PREFIX = {4: 16, 6: 48}
# A service needs a port or a range (migration 64, consoles 100); beyond this it is no longer a service that is named.
MOST_PORTS = 1000
# Control traffic that has no endpoints to name: errors, path MTU, neighbour discovery.
CONTROL = ("icmp", "icmpv6")
# Who offers administration: a port one of them listens on is a management port, declared or not.
ADMINISTRATION = re.compile(r"^(sshd|libvirtd|virt[a-z]+d$|cockpit|qemu|spice|dropbear|xrdp|Xvnc|in\.telnetd)")
KEYS = ("name", "protocol", "ports", "sources", "destinations", "on_demand")


class GoldFault(ValueError):
    """A setting says something that cannot be right; the message names it."""


@dataclass(frozen=True)
class Service:
    """A declared service. peers: {family: AddressSet} of who may use it (or, outgoing, where it may go)."""

    name: str
    protocol: str
    low: int
    high: int
    on_demand: bool
    peers: Mapping[int, AddressSet]

    def covers(self, protocol: str, low: int, high: int) -> bool:
        return PROTOCOLS.get(protocol) == PROTOCOLS[self.protocol] and self.low <= low and high <= self.high

    @property
    def ports(self) -> str:
        if self.protocol not in WITH_PORTS:
            return self.protocol
        return f"{self.protocol}/{self.low}" if self.low == self.high else f"{self.protocol}/{self.low}-{self.high}"


def networks(setting: str, cidrs: Any) -> dict[int, AddressSet]:
    """{4: addresses, 6: addresses} of a list of prefixes.

    :raises GoldFault: the list is empty, an entry is no prefix, or it is wider than SHORTEST_PREFIX.
    """
    if not isinstance(cidrs, list) or not cidrs:
        raise GoldFault(f"{setting} is empty: no network is authorised (it never means any)")
    for cidr in cidrs:
        _check_width(setting, cidr)
    return {family: of_cidrs(family, cidrs) for family in (4, 6)}


def _check_width(setting: str, cidr: Any) -> None:
    try:
        network = ipaddress.ip_network(str(cidr).strip(), strict=False)
    except ValueError:
        raise GoldFault(
            f"{setting}: {str(cidr)[:60]!r} is not a network, expected a prefix such as 192.0.2.0/24"
        ) from None
    if network.version == 6 and network.network_address.is_link_local:
        return
    if network.prefixlen < SHORTEST_PREFIX[network.version]:
        raise GoldFault(f"{setting}: {cidr} is wider than /{SHORTEST_PREFIX[network.version]}, it names no endpoints")


def ports(text: Any) -> tuple[str, int, int]:
    """ "tcp/22" or "tcp/5900-5999" as (protocol, low, high).

    :raises GoldFault: anything else.
    """
    protocol, _slash, span = str(text).partition("/")
    if protocol not in WITH_PORTS:
        hint = nearest(protocol, WITH_PORTS)
        raise GoldFault(
            f"{str(text)[:60]!r}: expected protocol/port, for example tcp/22"
            + (f"; did you mean {hint}?" if hint else "")
        )
    low, high = _span(text, span)
    return protocol, low, high


def services(setting: str, entries: Any, key: str, default: Mapping[int, AddressSet] | None) -> list[Service]:
    """The declared services. key: sources or destinations, the name of their peers; default: the peers of an entry that
    names none, None where it has to name them.

    :raises GoldFault: naming the entry and the key.
    """
    if not isinstance(entries, list):
        raise GoldFault(f"{setting} is not a list")
    return [_service(f"{setting}[{number}]", entry, key, default) for number, entry in enumerate(entries)]


def _service(label: str, entry: Any, key: str, default: Mapping[int, AddressSet] | None) -> Service:
    if not isinstance(entry, Mapping) or "name" not in entry or "protocol" not in entry:
        raise GoldFault(f"{label}: expected a mapping with name and protocol")
    for name in entry:
        if name not in KEYS:
            raise GoldFault(
                f"{label}: unknown key {str(name)[:40]!r}, nearest is {nearest(str(name), KEYS) or ', '.join(KEYS)}"
            )
    protocol = str(entry["protocol"])
    if protocol not in PROTOCOLS:
        raise GoldFault(f"{label}: unknown protocol {protocol[:40]!r}, nearest is {nearest(protocol, PROTOCOLS)}")
    low, high = (0, 0) if protocol not in WITH_PORTS else _span(label, str(entry.get("ports", "")))
    peers = _peers(label, entry, key, protocol, default)
    return Service(str(entry["name"]), protocol, low, high, entry.get("on_demand") is True, peers)


def _peers(
    label: str, entry: Mapping[str, Any], key: str, protocol: str, default: Mapping[int, AddressSet] | None
) -> Mapping[int, AddressSet]:
    if key in entry:
        return networks(f"{label}.{key}", entry[key])
    if protocol in CONTROL:
        return {4: everything(4), 6: everything(6)}
    if default is None:
        raise GoldFault(f"{label}: lacks {key}")
    return default


def _span(label: Any, text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    if not low.isdigit() or (dash and not high.isdigit()):
        raise GoldFault(f"{str(label)[:80]}: ports are a number or a range such as 5900-5999, found {text[:40]!r}")
    first, last = int(low), int(high or low)
    if not 0 < first <= last <= 65535 or last - first >= MOST_PORTS:
        raise GoldFault(f"{str(label)[:80]}: {text[:40]} is no range of at most {MOST_PORTS} ports")
    return first, last


def inside(addresses: Mapping[int, AddressSet], text: str) -> bool:
    """Whether an address (text) lies in the networks."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return int(address) in addresses[address.version]
