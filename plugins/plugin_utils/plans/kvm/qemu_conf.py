# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every change of libvirt's configuration shares: which daemon reads it, how it takes it up, what was set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Row, Situation

QEMU_CONF = "/etc/libvirt/qemu.conf"
# Which unit reads qemu.conf at its start (libvirt docs/daemons.rst). Its restart does not touch running machines.
READERS = {"monolithic": "libvirtd.service", "modular": "virtqemud.service"}
# The account and group each family builds libvirt with. Debian, Ubuntu; RHEL and what is built from it.
ACCOUNTS = {"debian": ("libvirt-qemu", "libvirt-qemu"), "rhel": ("qemu", "qemu")}
# Calls that a daemon answers only when its driver has started: one that refuses its configuration ends after it has
# told systemd that it is up.
PROOFS = {
    "libvirtd.service": "list",
    "virtinterfaced.service": "iface-list",
    "virtnetworkd.service": "net-list",
    "virtnodedevd.service": "nodedev-list",
    "virtnwfilterd.service": "nwfilter-list",
    "virtqemud.service": "list",
    "virtsecretd.service": "secret-list",
    "virtstoraged.service": "pool-list",
}
# What follows when the files are back. systemd gives up on a daemon that ended at once a few times, and on its sockets
# with it, so restarting it would do nothing. $1 unit, then the sockets that were open before.
PUT_BACK = """\
unit=$1; shift
case $(systemctl show --property ActiveState --value "$unit") in
  active) exec systemctl restart "$unit" ;;
  inactive) [ $# -eq 0 ] && exit 0 ;;
esac
systemctl stop "$unit"
systemctl reset-failed "$unit" "$@" 2> /dev/null
[ $# -eq 0 ] && exec systemctl start "$unit"
exec systemctl start "$@"
"""


def take_up(situation: Situation, unit: str = "") -> list[Row]:
    """Activation: restart a libvirt daemon that runs (by default the one that reads qemu.conf), and have it answer."""
    name = unit or _reader(situation)
    uri = str((situation.facts.get("libvirt") or {}).get("uri") or "qemu:///system")
    sockets = [
        socket["unit"]
        for daemon in situation.facts["libvirt_daemons"]["daemons"]
        if f"{daemon['name']}.service" == name
        for socket in daemon["sockets"]
        if socket["active"]
    ]
    then = [plan.run("systemctl", "try-restart", name, undo=["/bin/sh", "-c", PUT_BACK, "sh", name, *sockets])]
    if name in PROOFS:
        then.append(plan.run("virsh", "-q", "-c", uri, PROOFS[name]))
    return then


def _reader(situation: Situation) -> str:
    mode = situation.facts["libvirt_daemons"]["mode"]
    if mode not in READERS:
        raise Refusal(
            f"libvirt_daemons.mode is {mode!r}: no libvirt daemon answers here, so nothing proves a change of it"
        )
    return READERS[mode]


def settings(situation: Situation) -> Mapping[str, Any]:
    """What qemu.conf sets.

    :raises Refusal: it was not read.
    """
    conf = situation.facts["qemu"]["conf"]
    if conf is None:
        raise Refusal(f"{QEMU_CONF} could not be read, or libvirt itself would refuse it: mend it first")
    found: Mapping[str, Any] = conf["settings"]
    return found


def guests(situation: Situation) -> list[Mapping[str, Any]]:
    """The running machines' processes, as libvirt started them."""
    return [process for process in situation.facts["qemu"]["processes"] or [] if process["domain"]]


def configure(situation: Situation, values: Mapping[str, str | None], *, next_start: bool = True) -> list[Row]:
    """Rows for keys of qemu.conf, as the file writes them; None takes a key away, so that libvirt's own default holds.

    next_start: the keys bind machines that are started from now on, so that those that run wait for a power-cycle.
    """
    then = take_up(situation)
    rows: list[Row] = []
    if values:
        pending = "vm_power" if next_start and guests(situation) else ""
        rows.append(plan.keys(QEMU_CONF, values, syntax="libvirt", mode="0600", then=then, pending=pending))
    if situation.facts["qemu"]["daemon"]["in_force"] is False:
        rows.append(plan.activate(then))
    return rows


def power_cycles(
    situation: Situation, fault: Callable[[Mapping[str, Any]], str], *, suffices: bool = True
) -> list[Row]:
    """A by_hand row for each machine that was started before qemu.conf was right.

    fault: what is wrong with a process, or nothing. suffices: a power-cycle is all it needs, so that the check waits.
    """
    rows = []
    for process in guests(situation):
        wrong = fault(process)
        if wrong:
            name = f"{str(process.get('guest') or 'unnamed')[:80]} ({process['domain']})"
            row = plan.by_hand(f"{name} {wrong}: shut it down and start it again once the host is right")
            rows.append({**row, "pending": "vm_power"} if suffices else row)
    return rows


def quoted(entries: Sequence[str]) -> str:
    """A list as qemu.conf writes it."""
    return "[ " + ", ".join(f'"{entry}"' for entry in entries) + " ]"
