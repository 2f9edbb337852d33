# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with two adapters, a NAT network of libvirt's and a bridge of guests, as the planners see it."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets import filter_table
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import filter_sections
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold

SERVICES = [
    {"name": "ssh", "protocol": "tcp", "ports": "22"},
    {"name": "icmp", "protocol": "icmp"},
    {"name": "icmpv6", "protocol": "icmpv6"},
]
GOLD: dict[str, Any] = {
    "gold_admin_cidrs": ["192.0.2.0/24", "2001:db8:1::/64"],
    "gold_mgmt_cidrs": ["192.0.2.0/24"],
    "gold_firewall_mode": "enforce",
}


def listener(proto: str, addr: str, port: int, process: str, interface: str = "") -> dict[str, Any]:
    return {
        "proto": proto, "addr": addr, "interface": interface, "port": port, "process": process, "pid": 1, "uid": 0,
        "unit": process + ".service",
    }  # fmt: skip


def interface(name: str, kind: str, *addresses: str, master: str = "", up: bool = True) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "up": up, "master": master, "parent": "", "vlan": 0, "vlan_filtering": False,
        "addresses": [{"ip": address, "prefix": 64 if ":" in address else 24} for address in addresses],
    }  # fmt: skip


FACTS: dict[str, Any] = {
    "host": {"family": "debian", "collected_at": "2026-06-02T12:00:00Z"},
    "collector": {"errors": []},
    "firewall": {
        "ruleset": [],
        "own": {"since": {}, "seen": []},
        "firewalld": {"running": False, "zones": [], "unsaved": ""},
        "listeners": [
            listener("tcp", "0.0.0.0", 22, "sshd"),
            listener("tcp", "::", 22, "sshd"),
            listener("udp", "127.0.0.1", 323, "chronyd"),
            listener("udp", "192.168.122.1", 53, "dnsmasq"),
            listener("tcp", "192.168.122.1", 53, "dnsmasq"),
            listener("udp", "0.0.0.0", 67, "dnsmasq", "virbr0"),
        ],
    },
    "network": {
        "interfaces": [
            interface("lo", "loopback", "127.0.0.1", "::1"),
            interface("eth0", "adapter", "192.0.2.10", "fe80::10"),
            interface("br0", "bridge"),
            interface("eth1", "adapter", master="br0"),
            interface("vnet1", "tun", master="br0"),
            interface("virbr0", "bridge", "192.168.122.1"),
        ],
        "forwarding": {"ipv4": True, "ipv6": False},
        "bridge_vlans": {},
        "migration_address": "",
        "routes": [],
    },
    "networks": [
        {"name": "default", "active": True, "autostart": True, "forward": "nat", "forward_dev": "", "bridge": "virbr0",
         "addresses": [{"address": "192.168.122.1"}]},
        {"name": "lab", "active": False, "autostart": False, "forward": "", "forward_dev": "", "bridge": "isolated0",
         "addresses": [{"address": "10.9.9.1"}]},
    ],
    "vms": [],
    "libvirt_daemons": {"mode": "monolithic", "daemons": [{"name": "libvirtd", "sockets": []}]},
    "remote_access": {
        "protocols": [
            {"name": "ssh", "units": {"ssh.service": "enabled, active"}, "listen": ["0.0.0.0:22", "[::]:22"]},
            {"name": "libvirt_tcp", "units": {}, "listen": []},
        ],
        "ssh": {
            "servers": [{"id": "sshd", "config": "/etc/ssh/sshd_config", "config_files": ["/etc/ssh/sshd_config"]}],
            "contexts": [], "effective": {},
        },
    },
}  # fmt: skip


def facts(**changes: Any) -> dict[str, Any]:
    """A copy of FACTS; changes replace branches: firewall={"listeners": []} replaces that key only."""
    found = copy.deepcopy(FACTS)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key].update(value)
        else:
            found[key] = value
    return found


def situation(given: dict[str, Any] | None = None, values: dict[str, Any] | None = None, **more: Any) -> Situation:
    return Situation(
        facts=given or facts(),
        gold={**gold.defaults(), **GOLD, **(values or {})},
        checks=frozenset(planners("kvm")),
        account="ansible",
        **{"source": "192.0.2.99", "controller_port": 22, **more},
    )


def rows_of(check: str, asked: Situation) -> list[Row]:
    return planners("kvm")[check](asked)


def sections_of(rows: list[Row]) -> dict[str, str | None]:
    """{section: text} of the nft_table rows."""
    return {name: text for row in rows if row["kind"] == "nft_table" for name, text in row["sections"].items()}


def told(rows: list[Row]) -> str:
    return " ".join(row["what"] for row in rows if row["kind"] == "by_hand")


def loaded(asked: Situation, enforcing: bool, *names: str) -> list[dict[str, Any]]:
    """firewall.ruleset with these sections of ours in it."""
    table = filter_table.table((filter_sections.build(name, asked), enforcing) for name in names)
    return [{**table, "name": "dwp_hypervisor"}]
