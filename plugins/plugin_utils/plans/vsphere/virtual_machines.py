# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines of vSphere: which may be changed, and when a change is in force.

Nothing by default: a machine is changed only when its UUID is in hypervisor_allow_vm_changes. Those that vSphere makes
itself (vCLS, agents) are never changed. A machine of vSphere has one configuration, which it runs by: what is set while
it runs holds at once, waits for its next start, or is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation

# When a server takes a setting of a running machine: waiting for its next start, at once, or not at all.
NEXT_START, AT_ONCE, POWERED_OFF = "next start", "at once", "powered off"


def of_people(situation: Situation) -> list[Vm]:
    """Every machine of the host that vSphere does not make itself."""
    return [vm for vm in situation.facts["vms"] if not vm["system"]]


def change(
    situation: Situation, vm: Vm, rows: Sequence[Row], by_hand: str, *, taken: str = NEXT_START, live: bool = False
) -> list[Row]:
    """Rows of one machine, or what a person has to do. by_hand: what is wrong and what to do.

    taken: NEXT_START, AT_ONCE or POWERED_OFF. live: whether the operator allows what holds at once.
    """
    called = machines.called(vm)
    if vm.get("template"):
        return [plan.by_hand(f"{called} is a template: make it a machine first, then: {by_hand}")]
    if not machines.allowed(situation, vm):
        return [plan.by_hand(f"{called}: {by_hand}; to have it done, put its UUID into hypervisor_allow_vm_changes")]
    if vm["active"] and taken == POWERED_OFF:
        return [plan.by_hand(f"{called}: {by_hand}; it runs, and vSphere takes that only when it is off: shut it down")]
    if vm["active"] and taken == AT_ONCE and not live:
        how = "shut it down, or run with hypervisor_options: {live_vm_changes: true}"
        return [plan.by_hand(f"{called}: {by_hand}; it runs, and vSphere does that at once: {how}")]
    return list(rows)


def setting(vm: Vm, kind: str, value: Any, *, of: str = "") -> Row:
    """A row about one machine. of: the key of the advanced setting or device that is meant."""
    pending = "vm_power" if vm["active"] and kind in ("machine_option", "machine_consoles", "machine_autolock") else ""
    return {"kind": kind, "name": f"{vm['id']} {of}".strip(), "value": value, "pending": pending}


def option(vm: Vm, key: str, value: str | None) -> Row:
    """An advanced setting of a machine, in force with its next start; None takes it away."""
    return setting(vm, "machine_option", value, of=key)


def migration(vm: Vm, mode: str) -> Row:
    """How a machine migrates, from its next migration on."""
    return setting(vm, "machine_migration", mode)
