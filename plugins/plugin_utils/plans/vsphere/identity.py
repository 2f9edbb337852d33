# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How people reach an ESXi host through the directory (11.4.1)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows, lockdown_mode
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.access_control import default_group

ESX_ADMINS = "vsphere-11.2.5-esx-admins"


def directory(situation: Situation) -> list[Row]:
    """vsphere-11.4.1-host-or-vcenter: through vCenter alone by lockdown mode, or the host is joined itself."""
    if situation.gold["gold_vsphere_directory_mode"] != "vcenter":
        return _join(situation)
    if situation.facts["identity"]["joined"]:
        domain = str(situation.facts["identity"]["domain"])[:80]
        return [
            plan.by_hand(
                f"the host is joined to {domain}, and gold_vsphere_directory_mode is vcenter: make sure that nobody "
                "depends on it, then leave the domain"
            )
        ]
    return lockdown_mode.on(situation, exempt=lockdown_mode.exempt(situation), console=lockdown_mode.console(situation))


def _join(situation: Situation) -> list[Row]:
    """Join a host that is in no domain. Whom that gives rights is set before, in the same change."""
    wanted = str(situation.gold["gold_directory_domain"]).strip()
    if not wanted:
        return [plan.by_hand("set gold_directory_domain to the domain that the host is to be joined to")]
    if situation.facts["identity"]["joined"]:
        found, state = (str(situation.facts["identity"][key])[:80] for key in ("domain", "membership_status"))
        return [
            plan.by_hand(
                f"the host is joined to {found} and its membership is {state}: make sure that nobody depends on it, "
                "leave the domain (host, Configure, Authentication services), then enforce this again"
            )
        ]
    if not (situation.options.get("directory_account") and situation.options.get("directory_password")):
        return [
            plan.by_hand(
                f"join the host to {wanted} (host, Configure, Authentication services), or give this run the account "
                "that does it, by hypervisor_options: {directory_account: user@domain, directory_password: its "
                "password, from a vault}"
            )
        ]
    admins = default_group(situation)
    if admins and situation.excepted.get(ESX_ADMINS):
        return [
            plan.by_hand(
                f"{ESX_ADMINS} has an exception: whoever may create the group of esxAdminsGroup in the directory would "
                "administer a host that is joined. Join it by hand where that was accepted"
            )
        ]
    return [*admins, host_rows.joined(wanted)]


PLANS: dict[str, Planner] = {"vsphere-11.4.1-host-or-vcenter": directory}
