# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every change of a virtual machine shares: which may be changed, and when the change is in force.

Nothing by default: a machine is changed only when its UUID is in hypervisor_allow_vm_changes, in its stored definition
only, so that it takes effect at its next start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation

Vm = Mapping[str, Any]


def machines(situation: Situation) -> list[Vm]:
    """Every virtual machine of the facts."""
    return list(situation.facts["vms"])


def defined(vm: Vm) -> Vm:
    """A machine as it is stored, that is, as its next start makes it."""
    return {**vm, **(vm.get("configured") or {})}


def versions(vm: Vm) -> tuple[Vm, Vm]:
    """A machine as it is now and as it is stored.

    What either gets wrong is edited, so that a machine that waits for its power-cycle is reported as pending again.
    """
    return vm, defined(vm)


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

    edits: of the stored definition. by_hand: what is wrong and what to do.
    """
    if not vm.get("persistent"):
        return [plan.by_hand(f"{called(vm)} has no stored definition: {by_hand}")]
    if not allowed(situation, vm):
        return [
            plan.by_hand(
                f"{called(vm)}: {by_hand}; to have it done, put the UUID {vm['id']} into hypervisor_allow_vm_changes"
            )
        ]
    return [plan.domain(vm["id"], edits, uri=uri(situation), pending="vm_power" if vm.get("active") else "")]


def strangers(situation: Situation) -> list[Row]:
    """What a person has to do about guests that run outside libvirt: nothing of libvirt's holds for them."""
    found = situation.facts["libvirt"]["visibility"]["unmatched"]
    return [
        plan.by_hand(f"process {entry['pid']} ({str(entry['name'])[:80]}) runs a guest libvirt did not start: stop it")
        for entry in found
    ]


def with_strangers(plans: Mapping[str, Planner]) -> dict[str, Planner]:
    """Planners of checks that judge every guest, each with strangers() after its own rows."""

    def extended(planner: Planner) -> Planner:
        return lambda situation: planner(situation) + strangers(situation)

    return {check: extended(planner) for check, planner in plans.items()}
