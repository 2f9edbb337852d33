# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of virtual machines on ESXi, and what confines their processes (11.2.1, 11.2.7)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows, virtual_machines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.vms import (
    DEVICE_EDIT,
    FILTER,
    switched_off,
)


def device_edit(situation: Situation) -> list[Row]:
    """vsphere-11.2.7-device-edit: a filter nobody declared is a product's, which a person has to know."""
    return virtual_machines.each(situation, _edit_off)


def _edit_off(situation: Situation, vm: Vm) -> list[Row]:
    extra, rows = vm["extra_config"], []
    wanted = [virtual_machines.option(vm, key, "TRUE") for key in switched_off(extra, DEVICE_EDIT)]
    if wanted:
        rows += virtual_machines.change(situation, vm, wanted, f"set {DEVICE_EDIT} to TRUE")
    filters = {str(value) for key, value in extra.items() if FILTER.fullmatch(key)}
    strange = sorted(filters - set(situation.gold["gold_dvfilters"]))
    if strange:
        what = f"remove the network filter {strange[0][:60]}, or declare it in gold_dvfilters"
        rows.append(virtual_machines.by_hand(vm, f": {what}"))
    return rows


def vmx_domain(_situation: Situation) -> list[Row]:
    """vsphere-11.2.1-vmx-domain."""
    return [host_rows.esxcli("system secpolicy domain.regularVMDom", "enforcing")]


PLANS: dict[str, Planner] = {
    "vsphere-11.2.7-device-edit": device_edit,
    "vsphere-11.2.1-vmx-domain": vmx_domain,
}
