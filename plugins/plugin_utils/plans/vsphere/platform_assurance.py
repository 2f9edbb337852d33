# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an ESXi host starts, and what its machines are given of the processor (11.1)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows, virtual_machines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.virtual_machines import POWERED_OFF, setting
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import named

IOMMU_OFF = "VMkernel.Boot.noIOMMU"


def iommu(situation: Situation) -> list[Row]:
    """vsphere-11.1.2-iommu: the option; firmware that has it off is a person's."""
    if situation.facts["advanced_options"][IOMMU_OFF] is not False:
        return [host_rows.option(IOMMU_OFF, False, pending="reboot")]
    if situation.facts["boot"]["options"]["noIOMMU"] is not False:
        return [plan.waiting("restart the host: noIOMMU is switched off, and in force from its next start on")]
    if situation.facts["cpu"]["iommu"]:
        return []
    return [plan.by_hand("enable the IOMMU (VT-d, AMD-Vi) in the firmware setup: ESXi's own option leaves it on")]


def vm_monitor(situation: Situation) -> list[Row]:
    """vsphere-11.1.2-vm-monitor: the host chooses, by guest and processor."""
    if situation.facts["cpu"]["slat"] is not True:
        return [plan.by_hand("the processor cannot virtualise memory (EPT, RVI): replace the host")]
    rows: list[Row] = []
    for vm in virtual_machines.of_people(situation):
        edits = []
        if vm["flags"]["exec_usage"] == "hvOff":
            edits.append(setting(vm, "machine_exec", "hvAuto"))
        if vm["flags"]["mmu_usage"] == "off":
            edits.append(setting(vm, "machine_mmu", "automatic"))
        if edits:
            by_hand = "let the host choose how it virtualises (hvAuto, automatic)"
            rows += virtual_machines.change(situation, vm, edits, by_hand, taken=POWERED_OFF)
    return rows


def nested_off(situation: Situation) -> list[Row]:
    """vsphere-11.1.2-nested-off: a guest whose own security needs it (VBS) is a person's."""
    rows: list[Row] = []
    for vm in virtual_machines.of_people(situation):
        if vm["nested_hv"] is not True or named(vm, situation.gold["gold_nested_vms"]):
            continue
        what = "take hardware virtualisation from it, or declare it in gold_nested_vms"
        if vm["flags"].get("vbs"):
            vbs = "virtualization-based security of its guest needs it: declare it in gold_nested_vms"
            rows.append(plan.by_hand(f"{machines.called(vm)}: {vbs}"))
        else:
            edits = [setting(vm, "machine_nested", False)]
            rows += virtual_machines.change(situation, vm, edits, what, taken=POWERED_OFF)
    return rows


def secure_boot_enforced(situation: Situation) -> list[Row]:
    """vsphere-11.1.3-sb-enforced.

    A host that is told to require what its firmware does not do never starts again, and one whose TPM or board is
    changed starts with its recovery key alone (pitfall P4).
    """
    boot = situation.facts["boot"]
    if boot["encryption"]["mode"] != "tpm":
        return [
            plan.by_hand(
                "seal the configuration to the TPM first (esxcli system settings encryption set --mode=TPM, which "
                "cannot be taken back), restart the host, and store its recovery key off the host (esxcli system "
                "settings encryption recovery list)"
            )
        ]
    if boot.get("secure_boot") is not True:
        return [
            plan.by_hand(
                "the host does not say that it has started with secure boot (it does from 8.0.3 on): make sure that it "
                "has, then run esxcli system settings encryption set --require-secure-boot=true and restart it"
            )
        ]
    if not situation.options.get("recovery_keys_stored"):
        return [
            plan.by_hand(
                "store the recovery key of the host off the host (esxcli system settings encryption recovery list), "
                "then allow it by hypervisor_options: {recovery_keys_stored: true}"
            )
        ]
    return [host_rows.esxcli("system settings encryption.require-secure-boot", True, pending="reboot")]


PLANS: dict[str, Planner] = {
    "vsphere-11.1.2-vm-monitor": vm_monitor,
    "vsphere-11.1.2-iommu": iommu,
    "vsphere-11.1.2-nested-off": nested_off,
    "vsphere-11.1.3-sb-enforced": secure_boot_enforced,
}
