# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machines of an ESXi host share, and how much of it each may have (11.3)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import (
    controller_rows,
    distributed,
    host_rows,
)

SALTING = "Mem.ShareForceSalting"


def memory_pressure(situation: Situation) -> list[Row]:
    """vsphere-11.3.1-pressure: where machines lack memory, a person has to move or resize them."""
    rows: list[Row] = []
    if situation.facts["advanced_options"][SALTING] != 2:
        rows.append(host_rows.option(SALTING, 2))
    cluster = situation.facts["cluster"]
    if cluster.get("ha") and cluster.get("admission_control") is False:
        rows.append(controller_rows.admission_control(cluster["name"]))
    return rows or [plan.by_hand("move machines until none gives memory back")]


def network_limits(situation: Situation) -> list[Row]:
    """vsphere-11.3.10-network: limits that are set already are in force under network I/O control only."""
    return distributed.controlling(situation) or [plan.by_hand("set a limit at each network adapter")]


PLANS: dict[str, Planner] = {
    "vsphere-11.3.1-pressure": memory_pressure,
    "vsphere-11.3.10-network": network_limits,
}
