# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests on an ESXi host may do on their networks (11.3.5)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows, port_groups
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.port_groups import Group
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.network import POLICY

REJECT = "set promiscuous mode, MAC address changes and forged transmits to Reject"


def network_policy(situation: Situation) -> list[Row]:
    """vsphere-11.3.5-nsx-prepared: on the port group, so that others of its switch stay as they are.

    It holds at once for every machine on the port group. Clusters with a shared address, nested hypervisors and
    appliances that listen lose their network by it: all of the machines have to be allowed.
    """
    return [
        _refused(situation, group, users)
        for group, users in port_groups.in_use(situation)
        if any(group[key] for key in POLICY)
    ]


def _refused(situation: Situation, group: Group, users: list[Vm]) -> Row:
    items = [vm["id"] for vm in users]
    called = port_groups.called(group)
    if not port_groups.standard(situation, group):
        what = f"{called} is on a distributed switch: {REJECT} there, for all its hosts"
        return {**plan.by_hand(what), "items": items}
    others = [vm for vm in users if not vm["template"] and not machines.allowed(situation, vm)]
    if not others:
        return host_rows.portgroup_security(group["id"], items)
    return {
        **plan.by_hand(
            f"{called}: {REJECT}. It holds at once for all machines on it; to have it done, put their UUIDs into "
            f"hypervisor_allow_vm_changes ({len(others)} missing, as {machines.called(others[0])})"
        ),
        "items": items,
    }


PLANS: dict[str, Planner] = {"vsphere-11.3.5-nsx-prepared": network_policy}
