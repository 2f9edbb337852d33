# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about networks of libvirt: whether one runs and whether it starts with the host."""

from __future__ import annotations

VIRSH = ["virsh", "-q", "-c", "qemu:///system"]


def libvirt_network(row, world):
    """A network; returns {network: what: [before, after]}.

    :raises ValueError: it should stop, and a running domain is plugged into it.
    """
    name = row["name"]
    if name not in world.succeed(VIRSH + ["net-list", "--all", "--name"]).split("\n"):
        return {}
    told = dict(line.split(":", 1) for line in world.succeed(VIRSH + ["net-info", name]).splitlines() if ":" in line)
    found = {key.strip(): value.strip() == "yes" for key, value in told.items()}
    changed = {}
    if row["autostart"] is not None and row["autostart"] != found["Autostart"]:
        words = [["net-autostart", name], ["net-autostart", name, "--disable"]]
        _step(world, words if row["autostart"] else words[::-1])
        changed["libvirt network %s: at boot" % name] = _states(row["autostart"], "starts", "does not start")
    if row["active"] is not None and row["active"] != found["Active"]:
        if not row["active"]:
            _refuse_in_use(world, name)
        words = [["net-start", name], ["net-destroy", name]]
        _step(world, words if row["active"] else words[::-1])
        changed["libvirt network %s: now" % name] = _states(row["active"], "running", "stopped")
    return changed


def _refuse_in_use(world, name):
    ports = [line for line in world.succeed(VIRSH + ["net-port-list", name, "--uuid"]).splitlines() if line.strip()]
    if ports:
        raise ValueError(
            "libvirt network %s: %d interface(s) of running domains are plugged into it; it is not stopped under them"
            % (name, len(ports))
        )


def _step(world, pair):
    do, undo = pair
    world.step([{"op": "run", "argv": VIRSH + undo, "stdin": None}], lambda: world.succeed(VIRSH + do))


def _states(wanted, on, off):
    return [off, on] if wanted else [on, off]


KINDS = {"libvirt_network": libvirt_network}
