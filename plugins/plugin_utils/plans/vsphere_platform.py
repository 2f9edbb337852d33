# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an ESXi host starts, and what its machines share (11.1.2, 11.3.1)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan, vsphere_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation

IOMMU_OFF = "VMkernel.Boot.noIOMMU"
SALTING = "Mem.ShareForceSalting"


def iommu(situation: Situation) -> list[Row]:
    """vsphere-11.1.2-iommu: the option; firmware that has it off is a person's."""
    if situation.facts["advanced_options"][IOMMU_OFF] is not False:
        return [vsphere_rows.option(IOMMU_OFF, False, pending="reboot")]
    return [plan.by_hand("enable the IOMMU (VT-d, AMD-Vi) in the firmware setup: ESXi's own option leaves it on")]


def page_sharing(situation: Situation) -> list[Row]:
    """vsphere-11.3.1-pressure: salting; where machines lack memory, a person has to move or resize them."""
    if situation.facts["advanced_options"][SALTING] != 2:
        return [vsphere_rows.option(SALTING, 2)]
    return [plan.by_hand("move machines until none gives memory back, and enable admission control of the cluster")]


PLANS: dict[str, Planner] = {
    "vsphere-11.1.2-iommu": iommu,
    "vsphere-11.3.1-pressure": page_sharing,
}
