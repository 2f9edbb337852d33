# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ESXi host installs and executes (11.2.1)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows

# From the strictest to the weakest (HostImageConfigManager).
LEVELS = ("vmware_certified", "vmware_accepted", "partner", "community")
EXEC_BOOT, EXEC_NOW = "VMkernel.Boot.execInstalledOnly", "User.execInstalledOnly"


def acceptance(situation: Situation) -> list[Row]:
    """vsphere-11.2.1-acceptance: the weakest level that gold allows, as a host refuses one above its packages."""
    allowed = [level for level in LEVELS if level in situation.gold["gold_acceptance_levels"]]
    software = situation.facts["software"]
    if software["acceptance_level"] in allowed:
        return []
    wanted = allowed[-1]
    below = [
        str(package["name"])[:60]
        for package in software["packages"]
        if LEVELS.index(package["acceptance"]) > LEVELS.index(wanted)
    ]
    if below:
        return [plan.by_hand(f"remove {', '.join(below[:5])} first: the host takes no acceptance level above theirs")]
    return [host_rows.acceptance(wanted)]


def exec_from_the_start(situation: Situation) -> list[Row]:
    """vsphere-11.2.1-exec-boot: agents that no package brought stop with the restart, so that is announced."""
    if situation.facts["advanced_options"][EXEC_BOOT] is True:
        if situation.facts["boot"]["options"]["execInstalledOnly"] is True:
            return []
        return [plan.waiting("restart the host: execInstalledOnly is set, and in force from its next start on")]
    return [host_rows.option(EXEC_BOOT, True, pending="reboot")]


def exec_now(situation: Situation) -> list[Row]:
    """vsphere-11.2.1-exec-runtime (pitfall P6)."""
    return [] if situation.facts["advanced_options"][EXEC_NOW] == 1 else [host_rows.option(EXEC_NOW, 1)]


PLANS: dict[str, Planner] = {
    "vsphere-11.2.1-acceptance": acceptance,
    "vsphere-11.2.1-exec-boot": exec_from_the_start,
    "vsphere-11.2.1-exec-runtime": exec_now,
}
