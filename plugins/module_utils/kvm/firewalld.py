# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What firewalld says of itself (firewall-cmd(1)). What it does is in the ruleset, like everybody else's rules."""

from __future__ import annotations

MAX_ZONES = 100
LISTS = ("interfaces", "sources", "services", "ports", "protocols", "forward-ports", "source-ports")
SWITCHES = ("icmp-block-inversion", "forward", "masquerade")


def zones(text):
    """Parse `firewall-cmd --list-all-zones`: [{name, active, default, target, <lists>, <switches>, rich_rules}]."""
    found = []
    for line in text.splitlines():
        if line and not line[0].isspace():
            found.append(_zone(line))
        elif found and ":" in line:
            name, _colon, value = line.strip().partition(":")
            _put(found[-1], name, value.strip())
        elif found and line.strip():
            found[-1]["rich_rules"].append(line.strip()[:300])
    return found[:MAX_ZONES]


def _zone(line):
    name, _space, rest = line.partition(" ")
    zone = {"name": name, "active": "active" in rest, "default": "default" in rest, "target": "", "rich_rules": []}
    zone.update({key.replace("-", "_"): [] for key in LISTS})
    zone.update({key.replace("-", "_"): False for key in SWITCHES})
    return zone


def _put(zone, name, value):
    if name == "target":
        zone["target"] = value
    elif name in LISTS:
        zone[name.replace("-", "_")] = value.split()
    elif name in SWITCHES:
        zone[name.replace("-", "_")] = value == "yes"
    elif name.startswith("rule "):
        # A rich rule may hold a colon of its own (an IPv6 address).
        zone["rich_rules"].append((name + ":" + value)[:300])


def difference(running, permanent):
    """Say where the zones in use differ from what the next start would load; "" when nowhere.

    Interfaces are left out: NetworkManager assigns them at run time.
    """
    saved = {zone["name"]: zone for zone in permanent}
    for zone in running:
        if not zone["active"]:
            continue
        if zone["name"] not in saved:
            return "zone %s is not saved" % zone["name"]
        for key in ("target", "services", "ports", "protocols", "sources", "forward_ports", "masquerade", "rich_rules"):
            if _plain(zone[key]) != _plain(saved[zone["name"]][key]):
                return "zone %s: %s now %s, saved %s" % (zone["name"], key, zone[key], saved[zone["name"]][key])
    return ""


def _plain(value):
    return sorted(value) if isinstance(value, list) else value
