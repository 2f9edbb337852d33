# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""By how many physical adapters guests on an ESXi host reach the network (11.4.13)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
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
        teamed = {*group["active"], *group["standby"]}
        behind = switches[group["switch"]]
        if behind and len(teamed & up) < situation.gold["gold_min_uplinks"]:
            spare = [name for name in behind if name in up and name not in teamed]
            rows.append({**_joined(situation, group, users, spare), "items": [vm["id"] for vm in users]})
    return rows


def _joined(situation: Situation, group: Group, users: list[Vm], spare: list[str]) -> Row:
    called, least = port_groups.called(group), situation.gold["gold_min_uplinks"]
    if not port_groups.standard(situation, group):
        return plan.by_hand(f"{called} is on a distributed switch: give it {least} working uplinks there")
    if len({*group["active"], *group["standby"]}) + len(spare) < least or not spare:
        return plan.by_hand(
            f"{called}: its switch {group['switch']} has no further adapter with a link; add one of another card, on "
            "another physical switch, and make it active or standby"
        )
    if group.get("teaming") == IP_HASH:
        return plan.by_hand(f"{called} balances by IP hash: add {', '.join(spare)} to the link of the physical switch")
    if not situation.options.get("standby_uplinks"):
        return plan.by_hand(
            f"{called} leaves {', '.join(spare)} unused: make sure that the physical switch carries its VLAN there, "
            "then allow it by hypervisor_options: {standby_uplinks: true}"
        )
    standby = [*group["standby"], *spare]
    return host_rows.portgroup_adapters(group["id"], group["active"], standby, [vm["id"] for vm in users])


PLANS: dict[str, Planner] = {"vsphere-11.4.13-uplinks": uplinks}
