# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways past the second factor that people have at vCenter (11.4.3)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows, lockdown_mode
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.access import AGENTS, SHELLS


def no_bypass(situation: Situation) -> list[Row]:
    """vsphere-11.4.3-no-bypass: nobody gets round vCenter and its identity provider."""
    exempt, stay = lockdown_mode.narrowed_exempt(situation, AGENTS)
    console = lockdown_mode.console(situation)
    return [
        *host_rows.services_off(situation.facts, SHELLS),
        *exempt,
        *lockdown_mode.on(situation, exempt=stay, console=console),
    ]


PLANS: dict[str, Planner] = {"vsphere-11.4.3-no-bypass": no_bypass}
