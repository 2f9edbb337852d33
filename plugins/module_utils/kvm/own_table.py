# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables tables that enforcement loads (docs/firewall.md): since when, what they refused, what a start loads.

Nothing is asked of a host on which none of them runs.
"""

from __future__ import annotations

import json
import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

# {table: (the file that holds it, the unit that loads it, the file this unit touches whenever it does)}.
TABLES = {
    "dwp_hypervisor": (
        "/etc/dwp-hypervisor/firewall.nft", "dwp-hypervisor-firewall.service", "/run/dwp-hypervisor-firewall"
    ),
    "dwp_hypervisor_admin": (
        "/etc/dwp-hypervisor/admin_network.nft", "dwp-hypervisor-admin_network.service",
        "/run/dwp-hypervisor-admin_network",
    ),
}  # fmt: skip
# What `systemctl enable` makes of the unit's [Install] section.
AT_BOOT = "/etc/systemd/system/sysinit.target.wants/"
MAX_SEEN = 200


def running(tables):
    """The names of our tables in the ruleset."""
    return sorted(table["name"] for table in tables if table["family"] == "inet" and table["name"] in TABLES)


def state(host, tables):
    """{since, seen}: when each of our tables was loaded ({table: ISO 8601}), and what they have refused since.

    A table that was loaded by hand, so that nobody knows when, has "". seen: [{section, in, out, peer, protocol, port,
    packets}], most packets first, at most MAX_SEEN; kept for 7 days after the last packet. A section that only observes
    has let these through.
    """
    since, found = {}, []
    for name in running(tables):
        try:
            moment = host.stat(TABLES[name][2])["mtime"]
            since[name] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
        except Absent:
            since[name] = ""
        found += seen(host.succeed(["nft", "-j", "list", "table", "inet", name]))
    found.sort(key=lambda each: (-each["packets"], sorted(map(str, each.values()))))
    return {"since": since, "seen": found[:MAX_SEEN]}


def seen(text):
    """What the sets of a table hold.

    :raises Unreadable: not the answer of nft.
    """
    try:
        found = []
        for entry in json.loads(text)["nftables"]:
            for element in entry.get("set", {}).get("elem", []):
                found.append(_packet(entry["set"]["name"], element["elem"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable("nft -j list table: unexpected output (%s)" % type(error).__name__)
    return found


def _packet(name, element):
    """An element of <section>_<ip|ip6>_<ports|others> (plugin_utils/packets/filter_table.py)."""
    section, _family, kind = name.rsplit("_", 2)
    words = list(element["val"]["concat"])
    port = words.pop() if kind == "ports" else 0
    protocol, peer, interfaces = str(words.pop()), str(words.pop()), [str(word) for word in words]
    return {
        "section": section,
        "in": "" if section == "output" else interfaces[0],
        "out": interfaces[-1] if section in ("output", "forward") else "",
        "peer": peer,
        "protocol": protocol,
        "port": int(port),
        "packets": element["counter"]["packets"],
    }


def with_saved(host, saved, tables, load):
    """What the next start loads, our tables included: `saved` of the part firewall with what our units add.

    load: callable(path) -> tables of a file, loaded apart.
    """
    loaders, more = [], []
    for name in running(tables):
        path, unit, _stamp = TABLES[name]
        if host.exists(AT_BOOT + unit) and host.exists(path):
            loaders.append(unit.rpartition(".")[0])
            more += load(path) if saved["kind"] not in ("same", "differs") else []
        elif saved["kind"] == "same":
            return dict(saved, kind="differs", detail="%s is not enabled at start" % unit)
    # firewalld and ufw keep their own form of the rules, which is compared and not loaded: ours come on top.
    if not loaders or saved["kind"] in ("same", "differs"):
        return saved
    manager = ", ".join(each for each in [saved["manager"]] + loaders if each)
    return dict(saved, manager=manager, kind="ruleset", ruleset=saved["ruleset"] + more, detail="")
