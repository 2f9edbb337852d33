# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs under which account, from /proc alone: uid, control group and start time of processes."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

# Units in whose control group people's own sessions run where no user slice is made for them (no pam_systemd).
SESSION_UNITS = re.compile(
    r"^(sshd?(@.*)?|cron|crond|atd|anacron|getty@.*|serial-getty@.*|console-getty|cockpit.*)\.(service|socket)$"
)
# Kernel threads count too: a host with hundreds of processors has thousands of them.
MAX_PROCESSES = 65536
CLOCK_TICKS = 100  # USER_HZ, fixed in the kernel's interface to user space.


def owners(host, uids):
    """Return {uid: {"services": [units], "session": bool}} for the uids asked for.

    services: units of the init system that run processes under the uid; session: a login session does.
    """
    found = {uid: {"services": set(), "session": False} for uid in uids}
    for name in host.list("/proc", MAX_PROCESSES):
        if not name.isdigit():
            continue
        try:
            uid = host.stat("/proc/" + name)["uid"]
            if uid in found:
                _place(found[uid], _unit(host.read("/proc/%s/cgroup" % name)))
        except Absent:
            continue
    return {
        uid: {"services": sorted(entry["services"])[:10], "session": entry["session"]} for uid, entry in found.items()
    }


def _place(entry, unit):
    if unit is None or SESSION_UNITS.match(unit):
        entry["session"] = True
    else:
        entry["services"].add(unit)


def _unit(text):
    """The unit a process belongs to, None inside a user's slice."""
    for line in text.splitlines():
        number, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if number == "0" and path != "/" or controllers == "name=systemd":
            if "/user.slice/" in path or "/user-" in path:
                return None
            units = [part for part in path.split("/") if part.endswith((".service", ".scope"))]
            if units and not units[-1].startswith("session-"):
                return units[-1]
            if controllers == "name=systemd" or units:
                return None
    return None


def started(host, pid):
    """The moment a process started, in seconds since the epoch (proc(5): field 22 of stat, ticks since boot)."""
    stat = host.read("/proc/%d/stat" % pid)
    fields = stat.rpartition(")")[2].split()
    uptime = host.read("/proc/uptime").split()
    try:
        return round(host.now() - float(uptime[0]) + int(fields[19]) / CLOCK_TICKS, 2)
    except (IndexError, ValueError):
        raise Unreadable("/proc/%d/stat has an unexpected shape" % pid)
