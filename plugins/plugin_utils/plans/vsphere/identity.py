# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How people reach an ESXi host through the directory (11.4.1)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import lockdown_mode


def directory(situation: Situation) -> list[Row]:
    """vsphere-11.4.1-host-or-vcenter: through vCenter alone by lockdown mode. Joining takes a directory's password."""
    if situation.gold["gold_vsphere_directory_mode"] != "vcenter":
        return [
            plan.by_hand(
                "join the host to gold_directory_domain (host, Configure, Authentication services): it takes the "
                "password of an account of the directory, which an enforcement never asks for"
            )
        ]
    if situation.facts["identity"]["joined"]:
        domain = str(situation.facts["identity"]["domain"])[:80]
        return [
            plan.by_hand(
                f"the host is joined to {domain}, and gold_vsphere_directory_mode is vcenter: make sure that nobody "
                "depends on it, then leave the domain"
            )
        ]
    return lockdown_mode.on(situation, exempt=lockdown_mode.exempt(situation), console=lockdown_mode.console(situation))


PLANS: dict[str, Planner] = {"vsphere-11.4.1-host-or-vcenter": directory}
