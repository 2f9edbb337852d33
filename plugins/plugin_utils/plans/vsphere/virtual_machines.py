# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines of vSphere: which may be changed, and when a change is in force.

Nothing by default: a machine is changed only when its UUID is in hypervisor_allow_vm_changes. Those that vSphere makes
itself (vCLS, agents) are never changed.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation


def of_people(situation: Situation) -> list[Vm]:
    """Every machine of the host that vSphere does not make itself."""
    return [vm for vm in situation.facts["vms"] if not vm["system"]]


def change(situation: Situation, vm: Vm, rows: Sequence[Row], by_hand: str) -> list[Row]:
    """Rows of one machine, or what a person has to do. by_hand: what is wrong and what to do."""
    called = machines.called(vm)
    if vm.get("template"):
        return [plan.by_hand(f"{called} is a template: make it a machine first, then: {by_hand}")]
    if machines.allowed(situation, vm):
        return list(rows)
    return [plan.by_hand(f"{called}: {by_hand}; to have it done, put its UUID into hypervisor_allow_vm_changes")]


def option(vm: Vm, key: str, value: str) -> Row:
    """An advanced setting of a machine, in force with its next start."""
    pending = "vm_power" if vm["active"] else ""
    return {"kind": "machine_option", "name": f"{vm['id']} {key}", "value": value, "pending": pending}


def migration(vm: Vm, mode: str) -> Row:
    """How a machine migrates, from its next migration on."""
    return {"kind": "machine_migration", "name": str(vm["id"]), "value": mode, "pending": ""}
