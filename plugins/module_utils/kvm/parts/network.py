# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""network: interfaces, switches and the adapters behind them, default routes, forwarding."""

from __future__ import annotations

import json

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import links
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

FORWARDING = {"ipv4": "/proc/sys/net/ipv4/ip_forward", "ipv6": "/proc/sys/net/ipv6/conf/all/forwarding"}
MAX_ROUTES = 100


def collect(host, note):
    """Return {"network": {interfaces, nics, switches, routes, forwarding, bridge_vlans, migration_address}}."""
    found = attempt(note, "network.interfaces", lambda: links.interfaces(host))
    switches = None
    if found is None:
        note("network.switches", "the interfaces were not read")
        note("network.nics", "the interfaces were not read")
    else:
        switches = attempt(note, "network.switches", lambda: links.switches(found, _virtual(host, found)))
    return {
        "network": {
            "interfaces": found,
            "nics": None if found is None else [_nic(entry) for entry in found if entry["physical"]],
            "switches": switches,
            "routes": attempt(note, "network.routes", lambda: default_routes(host)),
            "forwarding": attempt(note, "network.forwarding", lambda: forwarding(host)),
            "bridge_vlans": attempt(note, "network.bridge_vlans", lambda: bridge_vlans(host)),
            "migration_address": attempt(note, "network.migration_address", lambda: migration_address(host)),
        }
    }


def _nic(entry):
    return {key: entry[key] for key in ("name", "up", "speed", "pci", "pf")}


def _virtual(host, found):
    """Open vSwitch bridges; a team's mode is asked of teamd, which alone knows it."""
    for entry in found:
        if entry["kind"] == "team":
            try:
                state = json.loads(host.succeed(["teamdctl", entry["name"], "state", "dump"]))
                entry["mode"] = str(state["setup"]["runner_name"])
            except (ValueError, KeyError, TypeError) as error:
                raise Unreadable("teamdctl %s: unexpected output (%s)" % (entry["name"], type(error).__name__))
    return links.open_vswitch(host, found)


def default_routes(host):
    """[{family, dev, gateway}] of the default routes, multipath ones taken apart."""
    found = []
    for family, option in ((4, "-4"), (6, "-6")):
        try:
            routes = json.loads(host.succeed(["ip", "-j", option, "route", "show", "default"]))
            for route in routes[:MAX_ROUTES]:
                # unreachable, blackhole and the like are default routes to nowhere.
                for hop in route.get("nexthops", [route]) if route.get("type", "unicast") == "unicast" else []:
                    found.append({"family": family, "dev": hop["dev"], "gateway": hop.get("gateway", "")})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable("ip route show default: unexpected output (%s)" % type(error).__name__)
    return found


def forwarding(host):
    """{ipv4, ipv6}: whether the kernel forwards; without the file there is no such protocol to forward."""
    return {family: _switched_on(host, path) for family, path in FORWARDING.items()}


def _switched_on(host, path):
    try:
        return host.read(path).strip() not in ("0", "")
    except Absent:
        return False


def bridge_vlans(host):
    """{port: [[first id, last id]]} of bridges that filter VLANs (bridge(8))."""
    out = host.succeed(["bridge", "-j", "vlan", "show"])
    try:
        return {
            entry["ifname"]: [[int(vlan["vlan"]), int(vlan.get("vlanEnd", vlan["vlan"]))] for vlan in entry["vlans"]]
            for entry in json.loads(out)
        }
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable("bridge -j vlan show: unexpected output (%s)" % type(error).__name__)


def migration_address(host):
    """The address libvirt listens on for an incoming migration (qemu.conf); "" is its default, every address."""
    try:
        text = host.read("/etc/libvirt/qemu.conf")
    except Absent:
        return ""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == "migration_address":
            return value.strip().strip('"')
    return ""


PART = Part(
    "network",
    [
        "network.interfaces",
        "network.nics",
        "network.switches",
        "network.routes",
        "network.forwarding",
        "network.bridge_vlans",
        "network.migration_address",
    ],
    collect,
)
