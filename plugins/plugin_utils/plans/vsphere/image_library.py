# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who checks images in and out (11.2.8), how machines travel between hosts (11.2.10), and signed images (11.3.9)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import (
    controller_rows,
    principals,
    role_edits,
    virtual_machines,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import roles as role_rules
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.library import VERIFIED
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.vms import MIGRATION

# As the product calls the one policy that it comes with.
OVF_POLICY = "OVF default policy"


def migration(situation: Situation) -> list[Row]:
    """vsphere-11.2.10-vmotion: a stricter way stays."""
    least, rows = situation.gold["gold_vmotion_encryption"], []
    for vm in virtual_machines.of_people(situation):
        if MIGRATION.index(vm["migrate_encryption"]) < MIGRATION.index(least):
            wanted = virtual_machines.migration(vm, least)
            rows += virtual_machines.change(situation, vm, [wanted], f"encryption of its migration has to be {least}")
    return rows


def signed(situation: Situation) -> list[Row]:
    """vsphere-11.3.9-signature: with a policy, templates that are not signed cannot be used any more."""
    library, rows = situation.facts["storage"]["library"], []
    for found in library["libraries"]:
        templates = [item for item in library["items"] if item["library"] == found["name"] and item["kind"] == "ovf"]
        if found["security_policy"] or not templates:
            continue
        unsigned = [item["name"] for item in templates if item["certificate_status"] != VERIFIED]
        if unsigned:
            rows.append(
                plan.by_hand(
                    f"{found['name']}: under the policy {OVF_POLICY} {principals.several(unsigned)} could not be used "
                    "any more: sign them, import them anew, then apply the policy"
                )
            )
            continue
        named = f"{found['kind'].lower()} {found['id']} {found['name']}"
        rows.append(controller_rows.library_policy(named, OVF_POLICY, items=[item["id"] for item in templates]))
    if any(item["kind"] != "ovf" for item in library["items"]):
        rows.append(
            plan.by_hand("images without a certificate: verify their signatures, note them in gold_image_manifest")
        )
    return rows


PLANS: dict[str, Planner] = {
    "vsphere-11.2.8-privileges": role_edits.without(role_rules.handles_images, "gold_image_admins"),
    "vsphere-11.2.10-vmotion": migration,
    "vsphere-11.3.9-signature": signed,
}
