# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables table that enforcement loads (docs/firewall.md): since when it runs, what it refused, what a start loads.

Nothing is asked of a host on which the table does not run.
"""

from __future__ import annotations

import json
import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

TABLE = "dwp_hypervisor"
FILE = "/etc/dwp-hypervisor/firewall.nft"
UNIT = "dwp-hypervisor-firewall.service"
# What `systemctl enable` makes of the unit's [Install] section.
AT_BOOT = "/etc/systemd/system/sysinit.target.wants/" + UNIT
# The unit touches it whenever it loads the table.
STAMP = "/run/dwp-hypervisor-firewall"
MAX_SEEN = 200
_LISTING = ["nft", "-j", "list", "table", "inet", TABLE]


def is_running(tables):
    """Whether the table is in the ruleset."""
    return any(table["family"] == "inet" and table["name"] == TABLE for table in tables)


def state(host, tables):
    """{since, seen}: when the table was loaded (ISO 8601, "" when it is not) and what it has refused since.

    seen: [{section, in, out, peer, protocol, port, packets}], most packets first, at most MAX_SEEN; kept for 7 days after
    the last packet. A section that only observes has let these through.
    """
    if not is_running(tables):
        return {"since": "", "seen": []}
    try:
        loaded = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(host.stat(STAMP)["mtime"]))
    except Absent:
        # Loaded by hand: nobody knows when.
        loaded = ""
    return {"since": loaded, "seen": seen(host.succeed(_LISTING))}


def seen(text):
    """What the sets of the table hold.

    :raises Unreadable: not the answer of nft.
    """
    try:
        found = []
        for entry in json.loads(text)["nftables"]:
            for element in entry.get("set", {}).get("elem", []):
                found.append(_packet(entry["set"]["name"], element["elem"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable("nft -j list table: unexpected output (%s)" % type(error).__name__)
    return sorted(found, key=lambda each: (-each["packets"], sorted(map(str, each.values()))))[:MAX_SEEN]


def _packet(name, element):
    """An element of <section>_<ip|ip6>_<ports|others> (plugin_utils/filter_table.py)."""
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
    """What the next start loads, our table included: `saved` of the part firewall with what our unit adds.

    load: callable(path) -> tables of a file, loaded apart.
    """
    if not is_running(tables):
        return saved
    if not (host.exists(AT_BOOT) and host.exists(FILE)):
        if saved["kind"] in ("same", "none"):
            return dict(saved, kind="differs", detail="%s is not enabled at start" % UNIT)
        return saved
    if saved["kind"] in ("same", "differs"):
        return saved
    manager = ", ".join(each for each in (saved["manager"], UNIT.rpartition(".")[0]) if each)
    return dict(saved, manager=manager, kind="ruleset", ruleset=saved["ruleset"] + load(FILE), detail="")
