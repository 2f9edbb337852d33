# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's other objects as facts: networks, pools, volumes, filters, secrets. Pure: text in, data out."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_devices import bandwidth
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_xml import (
    attribute,
    number,
    parse,
    text_of,
    yes,
)

MAX_RULES = 2000


def network(record):
    """A network of the snapshot (https://libvirt.org/formatnetwork.html). `forward` is "" for an isolated network."""
    root = parse(record["xml"], "network")
    return {
        "id": record["uuid"],
        "name": record["name"],
        "active": record["active"],
        "autostart": record["autostart"],
        "persistent": record["persistent"],
        "forward": (attribute(root, "forward", "mode") or "nat") if root.find("forward") is not None else "",
        "forward_dev": attribute(root, "forward", "dev"),
        "bridge": attribute(root, "bridge", "name"),
        "virtualport": attribute(root, "virtualport", "type"),
        "isolated_ports": yes(root, "port", "isolated"),
        "trusts_guest_mac": yes(root, "", "trustGuestRxFilters"),
        "vlan": [number(tag.get("id"), -1) for tag in root.findall("vlan/tag")[:50]],
        "addresses": [_network_address(entry) for entry in root.findall("ip")[:50]],
        "in": bandwidth(root.find("bandwidth/inbound")),
        "out": bandwidth(root.find("bandwidth/outbound")),
        "portgroups": [_portgroup(entry) for entry in root.findall("portgroup")[:200]],
    }


def _network_address(entry):
    return {
        "address": attribute(entry, "", "address"),
        "netmask": attribute(entry, "", "netmask"),
        "prefix": number(attribute(entry, "", "prefix"), 0),
        "family": attribute(entry, "", "family") or "ipv4",
        "dhcp": entry.find("dhcp") is not None,
    }


def _portgroup(entry):
    return {
        "name": attribute(entry, "", "name"),
        "default": yes(entry, "", "default"),
        "virtualport": attribute(entry, "virtualport", "type"),
        "vlan": [number(tag.get("id"), -1) for tag in entry.findall("vlan/tag")[:50]],
        "in": bandwidth(entry.find("bandwidth/inbound")),
        "out": bandwidth(entry.find("bandwidth/outbound")),
    }


def pool(record):
    """A storage pool (https://libvirt.org/formatstorage.html). volumes: their number, None when not read."""
    root = parse(record["xml"], "pool")
    permissions = root.find("target/permissions")
    return {
        "id": record["uuid"],
        "name": record["name"],
        "active": record["active"],
        "autostart": record["autostart"],
        "persistent": record["persistent"],
        "type": attribute(root, "", "type"),
        "path": text_of(root, "target/path"),
        "source": text_of(root, "source/name")
        or attribute(root, "source/dir", "path")
        or attribute(root, "source/device", "path"),
        "source_format": attribute(root, "source/format", "type"),
        "hosts": [
            {"name": attribute(entry, "", "name"), "port": attribute(entry, "", "port")}
            for entry in root.findall("source/host")[:50]
        ],
        "protocol_version": attribute(root, "source/protocol", "ver"),
        "auth": attribute(root, "source/auth", "type"),
        "mount_options": [
            attribute(entry, "", "name") for entry in root.iter("{http://libvirt.org/schemas/storagepool/fs/1.0}option")
        ][:50],
        "mode": text_of(root, "target/permissions/mode") if permissions is not None else "",
        "owner": text_of(root, "target/permissions/owner") if permissions is not None else "",
        "group": text_of(root, "target/permissions/group") if permissions is not None else "",
        "volumes": None if record["volumes"] is None else len(record["volumes"]),
    }


def volume(pool_name, record):
    """A storage volume. encrypted: the format of its encryption as libvirt reads it from the volume, "" for none."""
    root = parse(record["xml"], "volume")
    encryption = root.find("target/encryption")
    return {
        "id": text_of(root, "key") or "%s/%s" % (pool_name, record["name"]),
        "name": record["name"],
        "pool": pool_name,
        "type": attribute(root, "", "type"),
        "path": text_of(root, "target/path"),
        "format": attribute(root, "target/format", "type"),
        "encrypted": "" if encryption is None else encryption.get("format", "unnamed")[:40],
        "capacity_b": number(root.findtext("capacity"), 0),
        "backing": text_of(root, "backingStore/path"),
        "mode": text_of(root, "target/permissions/mode"),
        "owner": text_of(root, "target/permissions/owner"),
        "group": text_of(root, "target/permissions/group"),
        "label": text_of(root, "target/permissions/label"),
    }


def nwfilter(record):
    """A network filter: which others it includes, and how many of its own rules drop or reject."""
    root = parse(record["xml"], "filter")
    rules = root.findall("rule")[:MAX_RULES]
    return {
        "id": record["uuid"],
        "name": record["name"],
        "chain": attribute(root, "", "chain") or "root",
        "includes": [attribute(entry, "", "filter") for entry in root.findall("filterref")[:200]],
        "rules": len(rules),
        "drops": sum(1 for rule in rules if rule.get("action") in ("drop", "reject")),
    }


def secret(record):
    """What a secret is for and whether it may leave the host. Never its value: that call is not made."""
    root = parse(record["xml"], "secret")
    return {
        "id": record["uuid"],
        "private": yes(root, "", "private"),
        "ephemeral": yes(root, "", "ephemeral"),
        "usage": attribute(root, "usage", "type"),
        "usage_id": text_of(root, "usage/volume") or text_of(root, "usage/name") or text_of(root, "usage/target"),
    }
