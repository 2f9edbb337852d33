# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How virtual machines and images travel between ESXi hosts (11.2.10)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows, virtual_machines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.library import OLD_PROTOCOLS, PROFILES
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.vms import MIGRATION

DISABLED = "UserVars.ESXiVPsDisabledProtocols"


def migration(situation: Situation) -> list[Row]:
    """vsphere-11.2.10-vmotion: a stricter way stays."""
    least, rows = situation.gold["gold_vmotion_encryption"], []
    for vm in virtual_machines.of_people(situation):
        if MIGRATION.index(vm["migrate_encryption"]) < MIGRATION.index(least):
            wanted = virtual_machines.migration(vm, least)
            rows += virtual_machines.change(situation, vm, [wanted], f"encryption of its migration has to be {least}")
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
    "vsphere-11.2.10-tls-server": tls_server,
    "vsphere-11.2.10-vmotion": migration,
}
