# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""integrity: tools on the host that compare it with a known state."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

# tool: (files one of which proves a reference state or a result, units one of which runs it).
TOOLS = {
    "aide": (
        ("/var/lib/aide/aide.db", "/var/lib/aide/aide.db.gz", "/var/lib/aide/dwp-hypervisor.db"),
        ("dailyaidecheck.timer", "aidecheck.timer", "aide-check.timer", "dwp-hypervisor-aide.timer"),
    ),
    "openscap": (("/var/lib/openscap/results.xml", "/var/log/openscap/results.xml"), ("oscap.timer", "openscap.timer")),
}
PROGRAMS = {"aide": ("/usr/bin/aide", "/usr/sbin/aide"), "openscap": ("/usr/bin/oscap",)}
TIMERS = tuple(timer for _files, timers in TOOLS.values() for timer in timers)
CRON_FILES = {"aide": ("/etc/cron.daily/aide", "/etc/cron.daily/dailyaidecheck", "/etc/cron.d/aide")}


def collect(host, note):
    """Return {"drift": {"tools": [{id, program, reference, reference_time, scheduled}]}}."""
    return {"drift": {"tools": attempt(note, "drift.tools", lambda: tools(host))}}


def tools(host):
    units = systemd.show(host, TIMERS)
    return [describe(host, name, files, timers, units) for name, (files, timers) in sorted(TOOLS.items())]


def describe(host, name, files, timers, units):
    reference, changed = "", 0
    for path in files:
        try:
            changed, reference = host.stat(path)["mtime"], path
            break
        except Absent:
            continue
    running = any(units.get(timer, {}).get("ActiveState") == "active" for timer in timers)
    cron = any(host.exists(path) for path in CRON_FILES.get(name, ()))
    program = next((path for path in PROGRAMS[name] if host.exists(path)), "")
    return {
        "id": name,
        "program": program,
        "reference": reference,
        "reference_time": changed,
        "scheduled": running or cron,
    }


PART = Part("integrity", ["drift.tools"], collect, TIMERS)
