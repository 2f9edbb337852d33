# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who checks images in and out (11.2.8), and how virtual machines travel between ESXi hosts (11.2.10)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import role_edits, virtual_machines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import roles as role_rules
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.vms import MIGRATION


def migration(situation: Situation) -> list[Row]:
    """vsphere-11.2.10-vmotion: a stricter way stays."""
    least, rows = situation.gold["gold_vmotion_encryption"], []
    for vm in virtual_machines.of_people(situation):
        if MIGRATION.index(vm["migrate_encryption"]) < MIGRATION.index(least):
            wanted = virtual_machines.migration(vm, least)
            rows += virtual_machines.change(situation, vm, [wanted], f"encryption of its migration has to be {least}")
    return rows


PLANS: dict[str, Planner] = {
    "vsphere-11.2.8-privileges": role_edits.without(role_rules.handles_images, "gold_image_admins"),
    "vsphere-11.2.10-vmotion": migration,
}
