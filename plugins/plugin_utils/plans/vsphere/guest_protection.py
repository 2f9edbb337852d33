# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port groups on which guests neither listen to others nor pass for them (11.3.5)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import distributed


def guest_policy(situation: Situation) -> list[Row]:
    """vsphere-11.3.5-nsx-prepared."""
    return distributed.rejecting(situation) or [
        plan.by_hand("reject the three on the port groups of standard switches")
    ]


PLANS: dict[str, Planner] = {"vsphere-11.3.5-nsx-prepared": guest_policy}
