# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask systemd about units: one call for the units of every part, as each call and each unit costs milliseconds."""

from __future__ import annotations

import fnmatch
import re
import threading

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

PROPERTIES = (
    "Id", "Names", "LoadState", "ActiveState", "UnitFileState", "MainPID", "ExecStart", "RefuseManualStop",
    "Listen", "Accept", "Triggers", "SocketMode", "SocketUser", "SocketGroup",
)  # fmt: skip
# Where the unit files of the system manager lie: systemd.unit(5), and what `systemd-analyze unit-paths` prints.
DIRECTORIES = (
    "/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient",
    "/run/systemd/generator.early", "/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system",
    "/run/systemd/system.attached", "/run/systemd/generator", "/usr/local/lib/systemd/system", "/lib/systemd/system",
    "/usr/lib/systemd/system", "/run/systemd/generator.late",
)  # fmt: skip
# One link, invocation:<unit>, for each unit that was started: also of those whose file has been deleted since.
STARTED = "/run/systemd/units"


def begin(host, units):
    """Ask for the units of all parts now; show waits for the answer when a part wants it."""
    host.expected_units = tuple(dict.fromkeys(units))
    if units:
        threading.Thread(target=_answered, args=(host,), daemon=True).start()


def _answered(host):
    try:
        return _of_all_parts(host)
    except Unreadable:
        # Kept, and raised again for whoever asks.
        return None


def _of_all_parts(host):
    return host.once("units", lambda: _ask(host, host.expected_units))


def show(host, units):
    """Return {unit: {property: text}} of those of the units that are installed or loaded. Do not change the answer.

    units may hold patterns (vncserver@*.service), which stand for loaded units. A unit asked for by an alias is
    answered under its own name. A property that systemd leaves out is "", one that it prints twice (Listen) holds the
    lines joined by newlines. Raises Unreadable, also where the machine was not booted with systemd.
    """
    if set(units) <= set(host.expected_units):
        answer = _of_all_parts(host)
    else:
        answer = _ask(host, units)
    return {
        unit: values
        for unit, values in answer.items()
        if any(fnmatch.fnmatchcase(name, asked) for name in [unit, *values["Names"].split()] for asked in units)
    }


def command(units):
    """The call that asks for these units."""
    return ["systemctl", "show", "--no-pager", "-p", ",".join(PROPERTIES), "--", *units]


def _ask(host, units):
    asked = _installed(host, units)
    out = host.succeed(command(asked))
    found, answered = {}, set()
    for block in out.split("\n\n"):
        values = {}
        for line in block.splitlines():
            name, equals, value = line.partition("=")
            if equals and name in PROPERTIES:
                values[name] = values[name] + "\n" + value if name in values else value
        unit = values.get("Id")
        if not unit:
            continue
        answered.update([unit, *values.get("Names", "").split()])
        if "LoadState" not in values:
            raise Unreadable("systemctl show answered without the state of %s" % unit)
        if values["LoadState"] != "not-found":
            found[unit] = {name: values.get(name, "") for name in PROPERTIES}
    # A unit that does not exist is answered too: one that is missing from a cut answer must not look uninstalled.
    missing = [unit for unit in asked if unit not in answered and "*" not in unit]
    if missing or not out.endswith("\n"):
        raise Unreadable("systemctl show did not answer for %s" % (missing[0] if missing else "all units"))
    return found


def _installed(host, units):
    """Those of the units that have a file or run, and the patterns; all of them where there is none.

    systemd takes longer to say that a unit does not exist than to look into its directories.
    """
    names = set()
    for directory in DIRECTORIES:
        try:
            names.update(host.list(directory))
        except Absent:
            continue
    try:
        names.update(name.partition(":")[2] for name in host.list(STARTED))
    except Absent:
        pass
    found = {unit for unit in units if unit in names or ("*" not in unit and re.sub("@[^.]*", "@", unit) in names)}
    return [unit for unit in units if unit in found or "*" in unit or not found]
