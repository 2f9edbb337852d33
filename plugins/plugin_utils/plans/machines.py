# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every change of a virtual machine shares: which may be changed, and when the change is in force.

Nothing by default: a machine is changed only when its UUID is in hypervisor_allow_vm_changes, in its stored definition
only, so that it takes effect at its next start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import both

Vm = Mapping[str, Any]


def machines(situation: Situation) -> list[Vm]:
    """Every virtual machine of the facts."""
    return list(situation.facts["vms"])


def failing(situation: Situation, judge: Callable[[Vm], Outcome]) -> list[Vm]:
    """The machines a check fails, as they run or as they are defined; what was not read is never changed."""
    found = []
    for vm in machines(situation):
        try:
            if both(vm, judge).status == o.FAIL:
                found.append(vm)
        except MissingFact:
            continue
    return found


def defined(vm: Vm) -> Vm:
    """A machine as it is stored, that is, as its next start makes it."""
    return {**vm, **(vm.get("configured") or {})}


def called(vm: Vm) -> str:
    """How a message names a machine."""
    return f"{str(vm.get('name') or 'unnamed')[:80]} ({vm['id']})"


def allowed(situation: Situation, vm: Vm) -> bool:
    """Whether the operator allowed this machine's definition to be changed."""
    return vm["id"].lower() in {uuid.lower() for uuid in situation.allow_vm_changes}


def uri(situation: Situation) -> str:
    """Where libvirt answers for these machines."""
    return str((situation.facts.get("libvirt") or {}).get("uri") or "qemu:///system")


def change(situation: Situation, vm: Vm, edits: Sequence[Row], by_hand: str) -> list[Row]:
    """The rows that make edits of one machine's definition, or that ask a person for what by_hand says.

    by_hand: what to do, with the command. Nothing where the definition is right already: then what runs only needs the
    power-cycle that the row before it was reported with.
    """
    if not vm.get("persistent"):
        return [plan.by_hand(f"{called(vm)} has no stored definition: {by_hand}")]
    if not allowed(situation, vm):
        return [
            plan.by_hand(
                f"{called(vm)}: {by_hand}; to have it done, put the UUID {vm['id']} into hypervisor_allow_vm_changes"
            )
        ]
    if not edits:
        return []
    return [plan.domain(vm["id"], edits, uri=uri(situation), pending="vm_power" if vm.get("active") else "")]


def power_cycle(vm: Vm, why: str) -> Row:
    """What only the next start of a machine brings, and nobody may start over unasked."""
    return plan.by_hand(
        f"{called(vm)}: {why}; shut it down and start it again (a reboot inside the guest is not enough)"
    )
