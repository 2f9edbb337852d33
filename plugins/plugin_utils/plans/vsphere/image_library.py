# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How machines and images travel, who checks images in and out, and their signatures (11.2.8, 11.2.10, 11.3.9)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import (
    controller_rows,
    host_rows,
    principals,
    role_edits,
    virtual_machines,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import privileges
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.library import (
    OLD_PROTOCOLS,
    PROFILES,
    VERIFIED,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.vms import MIGRATION

# As the product calls the one policy that it comes with.
OVF_POLICY = "OVF default policy"
DISABLED = "UserVars.ESXiVPsDisabledProtocols"


def migration(situation: Situation) -> list[Row]:
    """vsphere-11.2.10-vmotion: a stricter way stays."""
    return virtual_machines.each(situation, _travels_encrypted)


def _travels_encrypted(situation: Situation, vm: Vm) -> list[Row]:
    least = situation.gold["gold_vmotion_encryption"]
    if vm["migrate_encryption"] not in MIGRATION:
        return [virtual_machines.by_hand(vm, f": {vm['migrate_encryption']!r} is no way to migrate that is known here")]
    if MIGRATION.index(vm["migrate_encryption"]) >= MIGRATION.index(least):
        return []
    wanted = virtual_machines.migration(vm, least)
    return virtual_machines.change(situation, vm, [wanted], f"encryption of its migration has to be {least}")


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


def tls_server(situation: Situation) -> list[Row]:
    """vsphere-11.2.10-tls-server: both are in force after a restart."""
    facts, rows = situation.facts, []
    release = host_rows.release(facts)
    if release < (9,):
        # From 9 on the profile alone says it.
        now = [part.strip() for part in str(facts["advanced_options"][DISABLED]).split(",") if part.strip()]
        missing = sorted(OLD_PROTOCOLS - {part.casefold() for part in now})
        if missing:
            rows.append(host_rows.option(DISABLED, ",".join([*now, *missing]), pending="reboot"))
    if release >= PROFILES:
        rows += _profile(situation)
    return rows


def _profile(situation: Situation) -> list[Row]:
    tls, allowed = situation.facts["tls"], [str(name) for name in situation.gold["gold_tls_profiles"]]
    if not allowed:
        raise Refusal("gold_tls_profiles is empty: name the TLS profile that hosts get; expected NIST_2024")
    rows: list[Row] = []
    if tls["profile"] == "MANUAL":
        what = "its ciphers were chosen by hand and could not be brought back: set one of them"
        return [plan.by_hand(f"the TLS profile is MANUAL, gold_tls_profiles has {', '.join(allowed)}; {what} yourself")]
    if tls["profile"] not in allowed:
        rows.append(host_rows.esxcli("system tls server.profile", allowed[0], pending="reboot"))
    if tls["reboot_required"]:
        rows.append(plan.waiting("restart the host: a TLS profile is set, and in force from its next start on"))
    return rows


PLANS: dict[str, Planner] = {
    "vsphere-11.2.8-privileges": role_edits.without(privileges.handles_images, "gold_image_admins"),
    "vsphere-11.2.10-tls-server": tls_server,
    "vsphere-11.2.10-vmotion": migration,
    "vsphere-11.3.9-signature": signed,
}
