# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By how many physical adapters guests on an ESXi host reach the network (11.4.13)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows, port_groups
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.port_groups import Group

# Teaming that knows no standby adapter: all of its adapters are one link of the physical switch.
IP_HASH = "loadbalance_ip"


def uplinks(situation: Situation) -> list[Row]:
    """vsphere-11.4.13-uplinks: adapters of the switch that a port group leaves unused become its standby ones."""
    up = {nic["id"] for nic in situation.facts["network"]["nics"] if nic["up"]}
    switches = {switch["id"]: switch["uplinks"] for switch in situation.facts["network"]["switches"]}
    rows = []
    for group, users in port_groups.in_use(situation):
        if "active" not in group:
            continue  # its teaming was not read
        teamed = {*group["active"], *group["standby"]}
        behind = switches[group["switch"]]
        if behind and len(teamed & up) < situation.gold["gold_min_uplinks"]:
            spare = [name for name in behind if name in up and name not in teamed]
            items = [vm["id"] for vm in users]
            why = _reason(situation, group, len(teamed & up), spare)
            standby = [*group["standby"], *spare]
            rows.append(
                plan.by_hand(why, items)
                if why
                else host_rows.portgroup_adapters(group["id"], group["active"], standby, items)
            )
    return rows


def _reason(situation: Situation, group: Group, working: int, spare: list[str]) -> str:
    """Why a person has to see to it, or nothing. working: adapters of the group with a link; spare: those it lacks."""
    called, least = port_groups.called(group), situation.gold["gold_min_uplinks"]
    if not port_groups.standard(situation, group):
        return f"{called} is on a distributed switch: give it {least} working uplinks there"
    if working + len(spare) < least:
        return (
            f"{called}: its switch {group['switch']} has no further adapter with a link; add one of another card, on "
            "another physical switch, and make it active or standby"
        )
    if group.get("teaming") == IP_HASH:
        return f"{called} balances by IP hash: add {', '.join(spare)} to the link of the physical switch"
    if not situation.options.get("standby_uplinks"):
        return (
            f"{called} leaves {', '.join(spare)} unused: make sure that the physical switch carries its VLAN there, "
            "then allow it by hypervisor_options: {standby_uplinks: true}"
        )
    return ""


PLANS: dict[str, Planner] = {"vsphere-11.4.13-uplinks": uplinks}
