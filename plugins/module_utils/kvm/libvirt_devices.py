# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of a domain's XML as facts: network interfaces, disks, assigned devices, consoles. Pure."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_xml import attribute, number, text_of, yes

MAX_DEVICES = 500
MAX_CHAIN = 50


def interfaces(root):
    """Network interfaces. `in` and `out` are the guest's own limits in KiB/s, 0 where there is none."""
    return [_interface(entry, index) for index, entry in enumerate(root.findall("devices/interface")[:MAX_DEVICES])]


def _interface(entry, index):
    source = entry.find("source")
    given = {} if source is None else source.attrib
    mac = attribute(entry, "mac", "address").lower()
    return {
        "id": mac or "#%d" % index,
        "mac": mac,
        "type": attribute(entry, "", "type"),
        "net": given.get("network", "")[:200],
        "portgroup": given.get("portgroup", "")[:200],
        # A running interface of a libvirt network shows the bridge it was plugged into beside the network's name.
        "bridge": "" if given.get("network") else given.get("bridge", "")[:200],
        "dev": given.get("dev", "")[:200],
        "mode": given.get("mode", "")[:40],
        "target": attribute(entry, "target", "dev"),
        "model": attribute(entry, "model", "type"),
        "driver": attribute(entry, "driver", "name"),
        "virtualport": attribute(entry, "virtualport", "type"),
        "filter": attribute(entry, "filterref", "filter"),
        "filter_parameters": {
            str(parameter.get("name"))[:60]: str(parameter.get("value"))[:100]
            for parameter in entry.findall("filterref/parameter")[:50]
        },
        "isolated": yes(entry, "port", "isolated"),
        "trusts_guest_mac": yes(entry, "", "trustGuestRxFilters"),
        "vlan": [number(tag.get("id"), -1) for tag in entry.findall("vlan/tag")[:50]],
        "link": attribute(entry, "link", "state") or "up",
        "in": bandwidth(entry.find("bandwidth/inbound")),
        "out": bandwidth(entry.find("bandwidth/outbound")),
    }


def bandwidth(found):
    """{average, peak (KiB/s), burst (KiB), floor (KiB/s)} of an inbound or outbound element; zeros without one."""
    return {
        name: number(found.get(name, 0)) if found is not None else 0 for name in ("average", "peak", "burst", "floor")
    }


def disks(root):
    """Disks with source, encryption, limits and, where libvirt tells it, the chain of backing images."""
    groups = {
        text_of(entry, "group_name"): entry for entry in root.findall("throttlegroups/throttlegroup")[:MAX_DEVICES]
    }
    found = root.findall("devices/disk")[:MAX_DEVICES]
    return [_disk(entry, index, groups) for index, entry in enumerate(found)]


def _disk(entry, index, groups):
    tunes = [entry.find("iotune")] + [
        groups.get(attribute(name, "", "group")) for name in entry.findall("throttlefilters/throttlefilter")
    ]
    tunes = [tune for tune in tunes if tune is not None]
    facts = {
        "id": attribute(entry, "target", "dev") or "#%d" % index,
        "device": attribute(entry, "", "device") or "disk",
        "bus": attribute(entry, "target", "bus"),
        "readonly": entry.find("readonly") is not None,
        "shared": entry.find("shareable") is not None,
        "transient": entry.find("transient") is not None,
        "bps_limit": max([_rate(tune, "bytes") for tune in tunes] or [0]),
        "iops_limit": max([_rate(tune, "iops") for tune in tunes] or [0]),
    }
    facts.update(_source(entry))
    facts["backing"], facts["backing_known"] = _chain(entry)
    return facts


def _rate(tune, unit):
    """The limit in one unit: the total, or the sum of both directions when both are limited; else 0."""
    total, read, write = (number(text_of(tune, "%s_%s_sec" % (way, unit), "0")) for way in ("total", "read", "write"))
    return total if total > 0 else read + write if read > 0 and write > 0 else 0


def _source(entry):
    """Where the bytes of a disk or of one link of its chain are, and how they are encrypted."""
    source = entry.find("source")
    kind = attribute(entry, "", "type")
    given = {} if source is None else source.attrib
    path = given.get("file") or given.get("dev") or given.get("dir") or given.get("path") or given.get("name") or ""
    if kind == "nvme" and source is not None:
        path = pci_address(source.find("address"))
    encryption = entry.find("source/encryption")
    encryption = entry.find("encryption") if encryption is None else encryption
    return {
        "type": kind,
        "path": path[:1000],
        "proto": given.get("protocol", "")[:40],
        "hosts": [] if source is None else [_storage_host(host) for host in source.findall("host")[:50]],
        "tls": given.get("tls", "")[:10],
        "pool": given.get("pool", "")[:200],
        "volume": given.get("volume", "")[:200],
        "format": attribute(entry, "driver", "type") or attribute(entry, "format", "type"),
        "encrypted": "" if encryption is None else (encryption.get("format") or "unnamed")[:40],
        "encryption_engine": "" if encryption is None else (encryption.get("engine") or "")[:40],
        "secrets": []
        if encryption is None
        else [str(secret.get("uuid") or secret.get("usage"))[:200] for secret in encryption.findall("secret")[:20]],
        "authenticated": entry.find("source/auth") is not None or entry.find("auth") is not None,
    }


def _storage_host(host):
    return {name: (host.get(name) or "")[:200] for name in ("name", "port", "transport", "socket")}


def _chain(entry):
    """The backing images below a disk, nearest first, and whether the chain is known to its end.

    A running domain shows the whole chain and closes it with an empty element; a definition usually shows nothing.
    """
    chain, link = [], entry.find("backingStore")
    while link is not None and link.find("source") is not None and len(chain) < MAX_CHAIN:
        chain.append(_source(link))
        link = link.find("backingStore")
    return chain, link is not None and link.find("source") is None


def devices(root):
    """Everything of the host that is handed to the guest beside disks and emulated network interfaces.

    kind: hostdev, interface, nvme, input, tpm, character, filesystem, shmem, render, redirdev, nvdimm. address: a PCI
    address as 0000:03:00.0, usb:<vendor>:<product> or usb:<bus>-<device>, a path or a name.
    """
    found = []
    parent = root.find("devices")
    for entry in [] if parent is None else list(parent)[: 4 * MAX_DEVICES]:
        reader = _READERS.get(entry.tag)
        address = reader[1](entry) if reader else None
        if address:
            kind = reader[0]
            found.append(
                {
                    "kind": kind,
                    "type": attribute(entry, "", "type"),
                    "mode": attribute(entry, "", "mode"),
                    "address": address[:300],
                    "managed": yes(entry, "", "managed"),
                    "readonly": entry.find("readonly") is not None,
                }
            )
    return found


def pci_address(element):
    """0000:03:00.0 from the four attributes of an address element; "" where it is not one."""
    if element is None:
        return ""
    try:
        parts = [int(element.get(name) or "0", 0) for name in ("domain", "bus", "slot", "function")]
    except ValueError:
        return "unreadable PCI address"
    return "%04x:%02x:%02x.%x" % tuple(parts)


def _hostdev(entry):
    kind, source = attribute(entry, "", "type"), entry.find("source")
    if source is None:
        return kind or "unknown device"
    address = source.find("address")
    if kind == "pci":
        return pci_address(address)
    if kind == "usb":
        if source.find("vendor") is not None:
            return "usb:%s:%s" % tuple(
                attribute(source, name, "id").lower().replace("0x", "") for name in ("vendor", "product")
            )
        return "usb:%s-%s" % (attribute(source, "address", "bus"), attribute(source, "address", "device"))
    if kind == "mdev":
        return "mdev:%s" % attribute(source, "address", "uuid")
    named = (
        source.get("name")
        or source.get("wwpn")
        or text_of(source, "block")
        or text_of(source, "char")
        or text_of(source, "interface")
    )
    numbers = (
        ":".join(attribute(source, "address", name) for name in ("bus", "target", "unit"))
        if address is not None
        else ""
    )
    return ":".join(part for part in (kind, named or attribute(source, "adapter", "name"), numbers) if part)


def _character(entry):
    """A host device behind a serial, parallel or console port."""
    return attribute(entry, "source", "path") if attribute(entry, "", "type") == "dev" else None


# What kind of thing each element hands to the guest and where its address stands; None or "" means nothing is handed.
_READERS = {
    "hostdev": ("hostdev", _hostdev),
    "interface": (
        "interface",
        lambda entry: pci_address(entry.find("source/address")) if attribute(entry, "", "type") == "hostdev" else "",
    ),
    "disk": (
        "nvme",
        lambda entry: pci_address(entry.find("source/address")) if attribute(entry, "", "type") == "nvme" else "",
    ),
    "input": ("input", lambda entry: attribute(entry, "source", "dev") or attribute(entry, "source", "evdev")),
    "tpm": (
        "tpm",
        lambda entry: (
            attribute(entry, "backend/device", "path") if attribute(entry, "backend", "type") == "passthrough" else ""
        ),
    ),
    "serial": ("character", _character),
    "parallel": ("character", _character),
    "console": ("character", _character),
    "smartcard": ("smartcard", lambda entry: "host smartcard" if attribute(entry, "", "mode") == "host" else ""),
    "filesystem": (
        "filesystem",
        lambda entry: (
            attribute(entry, "source", "dir")
            or attribute(entry, "source", "file")
            or attribute(entry, "source", "socket")
            or "unnamed share"
        ),
    ),
    "shmem": ("shmem", lambda entry: attribute(entry, "", "name") or "unnamed shared memory"),
    "graphics": ("render", lambda entry: attribute(entry, "gl", "rendernode")),
    "memory": ("nvdimm", lambda entry: text_of(entry, "source/path")),
    "redirdev": ("redirdev", lambda entry: "redirected %s" % (attribute(entry, "", "bus") or "device")),
}


def consoles(root):
    """Graphics consoles, and character devices that listen for a connection.

    listen: addresses, [""] where qemu.conf decides. sockets: paths of UNIX sockets. tls: yes, no, or "" where qemu.conf
    decides. Whether a password is set is not in the description; a running QEMU tells it (qemu_processes).
    """
    found = [_graphics(entry) for entry in root.findall("devices/graphics")[:MAX_DEVICES]]
    parent = root.find("devices")
    for entry in [] if parent is None else list(parent):
        source = entry.find("source")
        if entry.tag in ("serial", "console", "parallel", "channel") and source is not None:
            listener = _listener(entry)
            # The first serial port is printed a second time as a console.
            if listener and not any(_same_place(listener, other) for other in found):
                found.append(listener)
    return found[:MAX_DEVICES]


def _same_place(one, other):
    return other["type"] not in ("vnc", "spice") and (one["listen"], one["port"]) == (other["listen"], other["port"])


def _graphics(entry):
    listens = entry.findall("listen")
    addresses = [listen.get("address") or "" for listen in listens if listen.get("type") in ("address", "network")]
    if not listens:
        addresses = [attribute(entry, "", "listen")]
    socket = attribute(entry, "", "socket")
    return {
        "type": attribute(entry, "", "type"),
        "listen": [address[:100] for address in addresses],
        "listen_given": any(addresses),
        "sockets": [
            path[:300]
            for path in [socket] + [listen.get("socket") or "" for listen in listens if listen.get("type") == "socket"]
            if path
        ],
        "networks": [(listen.get("network") or "")[:200] for listen in listens if listen.get("type") == "network"],
        "port": number(attribute(entry, "", "port"), -1),
        "tls_port": number(attribute(entry, "", "tlsPort"), -1),
        "websocket": number(attribute(entry, "", "websocket"), 0),
        "autoport": yes(entry, "", "autoport"),
        "default_mode": attribute(entry, "", "defaultMode"),
        "tls": "",
    }


def _listener(entry):
    kind = attribute(entry, "", "type")
    bind = next((found for found in entry.findall("source") if found.get("mode") == "bind"), None)
    if kind not in ("tcp", "udp") or bind is None:
        return None
    return {
        "type": "%s %s" % (entry.tag, attribute(entry, "protocol", "type") or kind),
        "listen": [(bind.get("host") or "")[:100]],
        "listen_given": bool(bind.get("host")),
        "sockets": [],
        "networks": [],
        "port": number(bind.get("service"), -1),
        "tls_port": -1,
        "websocket": 0,
        "autoport": False,
        "default_mode": "",
        "tls": (bind.get("tls") or "")[:10],
    }
