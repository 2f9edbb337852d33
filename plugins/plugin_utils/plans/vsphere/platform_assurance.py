# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an ESXi host starts (11.1)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows

IOMMU_OFF = "VMkernel.Boot.noIOMMU"


def iommu(situation: Situation) -> list[Row]:
    """vsphere-11.1.2-iommu: the option; firmware that has it off is a person's."""
    if situation.facts["advanced_options"][IOMMU_OFF] is not False:
        return [host_rows.option(IOMMU_OFF, False, pending="reboot")]
    return [plan.by_hand("enable the IOMMU (VT-d, AMD-Vi) in the firmware setup: ESXi's own option leaves it on")]


PLANS: dict[str, Planner] = {"vsphere-11.1.2-iommu": iommu}
