# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""clock: which clocks the host follows. Logs of unsynchronised hosts cannot be put in order."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

# unit: (program, its configuration files; the families differ in paths only).
PROGRAMS = {
    "chrony.service": ("chrony", ("/etc/chrony/chrony.conf", "/etc/chrony.conf")),
    "chronyd.service": ("chrony", ("/etc/chrony.conf", "/etc/chrony/chrony.conf")),
    "systemd-timesyncd.service": ("systemd-timesyncd", ("/etc/systemd/timesyncd.conf",)),
    "ntpsec.service": ("ntp", ("/etc/ntpsec/ntp.conf",)),
    "ntpd.service": ("ntp", ("/etc/ntp.conf",)),
    "ntp.service": ("ntp", ("/etc/ntp.conf",)),
}
SOURCE_DIRECTORIES = ("/etc/chrony/sources.d", "/etc/chrony.d", "/etc/chrony/conf.d")


def collect(host, note):
    """Return {"logging": {"time_sync": {program, active, enabled, sources}}}."""
    units = attempt(note, "logging.time_sync.program", lambda: systemd.show(host, PROGRAMS))
    found = chosen(units)
    return {
        "logging": {
            "time_sync": {
                "program": found[0],
                "active": found[1],
                "enabled": found[2],
                "sources": attempt(note, "logging.time_sync.sources", lambda: sources(host, found[0])),
            }
        }
    }


def chosen(units):
    """(program, active, enabled) of the one that runs, else of one that is installed; ("", False, False) for none."""
    if units is None:
        return None, None, None
    ranked = sorted(units.items(), key=lambda entry: entry[1]["ActiveState"] != "active")
    if not ranked:
        return "", False, False
    unit, values = ranked[0]
    return PROGRAMS[unit][0], values["ActiveState"] == "active", values["UnitFileState"] in ("enabled", "alias")


def sources(host, program):
    """The configured servers and pools, by name."""
    if program is None:
        raise Unreadable("systemd did not say which time service runs")
    texts = []
    for path in sorted({path for name, paths in PROGRAMS.values() if name == program for path in paths}):
        try:
            texts.append(host.read(path))
        except Absent:
            continue
    if program == "chrony":
        texts += drop_ins(host)
    found = []
    for text in texts:
        found += re.findall(r"^\s*(?:server|pool|peer|refclock)\s+(\S+)", text, re.MULTILINE)
        for line in re.findall(r"^\s*(?:Fallback)?NTP=(.*)$", text, re.MULTILINE):
            found += line.split()
    return sorted(set(found))[:50]


def drop_ins(host):
    texts = []
    for directory in SOURCE_DIRECTORIES:
        try:
            names = host.list(directory)
        except Absent:
            continue
        texts += [host.read("%s/%s" % (directory, name)) for name in names if name.endswith((".conf", ".sources"))]
    return texts


PART = Part("clock", ["logging.time_sync"], collect, PROGRAMS)
