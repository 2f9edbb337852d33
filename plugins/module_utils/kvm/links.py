# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces from `ip -j -d addr`, and which physical adapters stand behind each of them."""

from __future__ import annotations

import json
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

MAX_INTERFACES = 4000
MAX_ADDRESSES = 64
# Kinds that sit on another interface of this host, their parent.
STACKED = ("vlan", "macvlan", "macvtap", "ipvlan", "ipvtap")
TEAMS = ("bond", "team")
# Interfaces a guest plugs into a switch: never a way out.
GUEST_KINDS = ("tun", "macvtap", "ipvtap")
_PCI = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")


def interfaces(host):
    """[{name, kind, up, master, parent, vlan, mode, vlan_filtering, role, addresses, physical, pci, pf, vfs,
    speed}].

    kind: what ip(8) calls it, loopback, or adapter for what has no kind. mode: of a bond. role: active or backup, of a
    member of a bond. pf: PCI address of the physical function behind a virtual one, vfs: the other way round.
    speed: Mbit/s, 0 when not told.
    """
    try:
        entries = [entry for entry in json.loads(host.succeed(["ip", "-j", "-d", "addr"])) if entry]
        if len(entries) > MAX_INTERFACES:
            raise Unreadable("more than %d network interfaces" % MAX_INTERFACES)
        return sorted((_interface(host, entry) for entry in entries), key=lambda entry: entry["name"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable("ip -j -d addr: unexpected output (%s)" % type(error).__name__)


def _interface(host, entry):
    info = entry.get("linkinfo", {})
    data = info.get("info_data", {})
    slave = info.get("info_slave_data", {})
    flags = entry.get("flags", [])
    kind = info.get("info_kind") or ("loopback" if "LOOPBACK" in flags else "adapter")
    found = {
        "name": entry["ifname"],
        "kind": kind,
        "up": "UP" in flags and "LOWER_UP" in flags and slave.get("mii_status", "UP") == "UP",
        "master": entry.get("master", ""),
        "parent": entry.get("link", "") if kind in STACKED else "",
        "vlan": data.get("id", 0) if kind == "vlan" else 0,
        "mode": str(data.get("mode", "")) if kind in TEAMS else "",
        "vlan_filtering": bool(data.get("vlan_filtering", 0)) if kind == "bridge" else False,
        "role": str(slave.get("state", "")).lower() if info.get("info_slave_kind") == "bond" else "",
        "addresses": [
            {"ip": address["local"], "prefix": address["prefixlen"]}
            for address in entry.get("addr_info", [])[:MAX_ADDRESSES]
            if "local" in address
        ],
    }
    found.update(_device(host, entry["ifname"]))
    return found


def _device(host, name):
    """What sysfs says of the adapter: a device behind it makes it physical (a virtual function, too, has one)."""
    base = "/sys/class/net/%s/" % name
    if "/" in name or not host.exists(base + "device"):
        return {"physical": False, "pci": "", "pf": "", "vfs": [], "speed": 0}
    device = host.real(base + "device")
    entries = host.list(device)
    return {
        "physical": True,
        "pci": _address(device),
        "pf": _address(host.real(device + "/physfn")) if "physfn" in entries else "",
        "vfs": [_address(host.real("%s/%s" % (device, entry))) for entry in entries if entry.startswith("virtfn")],
        "speed": _speed(host, base + "speed"),
    }


def _address(path):
    """The last PCI address on the path: virtio adapters hang below theirs."""
    found = _PCI.findall(path)
    return found[-1] if found else ""


def _speed(host, path):
    try:
        return max(int(host.read(path)), 0)
    except (Unreadable, ValueError):
        # An adapter without a link answers EINVAL or -1.
        return 0


def switches(found, virtual):
    """Every interface a guest can be plugged into, with the adapters behind it.

    found: interfaces(). virtual: Open vSwitch bridges {name: {ports: [{names, mode}]}}. Returns
    [{name, type: bridge|ovs|interface, uplinks: [{nic, up, role, physical, pci, pf, speed}], team_modes}].
    """
    by_name = {entry["name"]: entry for entry in found}
    made = []
    for entry in found:
        if entry["name"] in virtual or entry["kind"] in GUEST_KINDS or entry["kind"] == "loopback":
            continue
        if entry["kind"] == "bridge" or not entry["master"]:
            made.append(
                _switch(entry["name"], "bridge" if entry["kind"] == "bridge" else "interface", by_name, virtual)
            )
    return made + [_switch(name, "ovs", by_name, virtual) for name in sorted(virtual)]


def _switch(name, kind, by_name, virtual):
    leaves, modes = [], set()
    _follow(name, by_name, virtual, leaves, modes, set())
    return {
        "name": name,
        "type": kind,
        "uplinks": sorted(leaves, key=lambda leaf: leaf["nic"]),
        "team_modes": sorted(modes),
    }


def _follow(name, by_name, virtual, leaves, modes, seen):
    if name in seen:
        return
    seen.add(name)
    entry = by_name.get(name)
    if name in virtual:
        for port in virtual[name]["ports"]:
            modes.update([port["mode"]] if len(port["names"]) > 1 else [])
            for member in port["names"]:
                if member != name and by_name.get(member, {}).get("kind") not in GUEST_KINDS:
                    _follow(member, by_name, virtual, leaves, modes, seen)
    elif entry is None:
        return
    elif entry["kind"] == "bridge" or entry["kind"] in TEAMS:
        modes.update([entry["mode"]] if entry["kind"] in TEAMS else [])
        for member in by_name.values():
            if member["master"] == name and member["kind"] not in GUEST_KINDS:
                _follow(member["name"], by_name, virtual, leaves, modes, seen)
    elif entry["kind"] in STACKED:
        _follow(entry["parent"], by_name, virtual, leaves, modes, seen)
    else:
        kept = {key: entry[key] for key in ("up", "role", "physical", "pci", "pf", "speed")}
        leaves.append(dict(kept, nic=name))


def open_vswitch(host, found):
    """{bridge: {ports: [{names, mode, vlans}]}} from ovs-vsctl(8); empty without Open vSwitch."""
    try:
        rows = {table: _rows(host, table, columns) for table, columns in _OVS.items()}
    except Absent:
        if any(entry["kind"] == "openvswitch" for entry in found):
            raise Unreadable("there are Open vSwitch interfaces, but no ovs-vsctl to read them")
        return {}
    names = {row["_uuid"][0]: row["name"] for row in rows["Interface"]}
    ports = {
        row["_uuid"][0]: {
            "names": [names[each] for each in row["interfaces"] if each in names],
            "mode": row["bond_mode"] or "active-backup",
        }
        for row in rows["Port"]
    }
    return {row["name"]: {"ports": [ports[each] for each in row["ports"] if each in ports]} for row in rows["Bridge"]}


_OVS = {"Bridge": "_uuid,name,ports", "Port": "_uuid,name,interfaces,bond_mode", "Interface": "_uuid,name"}


def _rows(host, table, columns):
    out = host.succeed(["ovs-vsctl", "--timeout=5", "--format=json", "--columns=" + columns, "list", table])
    try:
        answer = json.loads(out)
        return [dict(zip(answer["headings"], map(_cell, row))) for row in answer["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable("ovs-vsctl list %s: unexpected output (%s)" % (table, type(error).__name__))


def _cell(value):
    """A cell of the OVSDB notation (RFC 7047 section 5.1): ["uuid", x], ["set", [...]] or a plain value."""
    if isinstance(value, list) and len(value) == 2 and value[0] == "uuid":
        return [value[1]]
    if isinstance(value, list) and len(value) == 2 and value[0] == "set":
        return [each[1] if isinstance(each, list) else each for each in value[1]]
    return value
