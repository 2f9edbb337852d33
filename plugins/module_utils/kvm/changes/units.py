# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about systemd units, and about values the kernel keeps in files."""

from __future__ import annotations

# systemctl(1), is-enabled: states in which a unit starts with the host, itself or as an alias of one that does.
AT_BOOT = ("enabled", "enabled-runtime", "alias")
# systemd starts no socket while its service runs; libvirt's guests outlive a restart of the service.
START_SOCKET = [
    "/bin/sh",
    "-c",
    'systemctl --quiet start "$1" 2> /dev/null || { service=$(systemctl show --property Triggers --value "$1") && '
    'systemctl stop $service && systemctl start "$1" && systemctl start $service; }',
    "sh",
]
RUNNING = ("active", "activating", "reloading")


def unit(row, world):
    """Whether a unit starts at boot, runs, is masked; returns {unit: what: [before, after]}."""
    name = row["name"]
    found = world.show(name)
    if found["LoadState"] == "not-found":
        if row["enabled"] or row["active"]:
            raise ValueError("there is no unit %s on this host" % name)
        if not row["masked"]:
            return {}
    changed = {}
    is_masked = found["UnitFileState"].startswith("masked") or found["LoadState"] == "masked"
    if row["masked"] is False and is_masked:
        _step(world, name, "masked", ["unmask"], ["mask"], changed, "masked", "not masked")
    _enable(row, world, name, found, changed)
    _activate(row, world, name, found, changed)
    if row["masked"] and not is_masked:
        _step(world, name, "masked", ["mask"], ["unmask"], changed, "not masked", "masked")
    return changed


def _enable(row, world, name, found, changed):
    at_boot = found["UnitFileState"] in AT_BOOT
    if row["enabled"] is None or row["enabled"] == at_boot or found["UnitFileState"] in ("static", "masked", ""):
        return
    if row["enabled"]:
        _step(world, name, "at boot", ["enable"], ["disable"], changed, "disabled", "enabled")
    else:
        _step(world, name, "at boot", ["disable"], ["enable"], changed, "enabled", "disabled")


def _activate(row, world, name, found, changed):
    runs = found["ActiveState"] in RUNNING
    if row["active"] is None or row["active"] == runs:
        return
    if row["active"]:
        _step(world, name, "now", ["start"], ["stop"], changed, "stopped", "running")
    elif name.endswith(".socket"):
        _step(world, name, "now", ["stop"], None, changed, "running", "stopped", START_SOCKET + [name])
    else:
        _step(world, name, "now", ["stop"], ["start"], changed, "running", "stopped")


def _step(world, name, what, do, undo, changed, before, after, undo_argv=None):
    changed["%s: %s" % (name, what)] = [before, after]
    argv = undo_argv or ["systemctl", "--quiet"] + undo + [name]
    world.step(
        [{"op": "run", "argv": argv, "stdin": None}], lambda: world.succeed(["systemctl", "--quiet"] + do + [name])
    )


def value(row, world):
    """A value in /proc or /sys, now; returns {path: [before, after]}."""
    path, wanted = row["path"], row["text"]
    before = world.read_value(path)
    if before == wanted:
        return {}
    undo = ["/bin/sh", "-c", 'printf %s "$1" > "$2"', "sh", before, path]
    world.step([{"op": "run", "argv": undo, "stdin": None}], lambda: world.write_value(path, wanted))
    return {path: [before, wanted]}


KINDS = {"unit": unit, "value": value}
