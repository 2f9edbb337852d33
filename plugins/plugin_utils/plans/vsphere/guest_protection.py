# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What guests on an ESXi host may do on their networks (11.3.5)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import (
    controller_rows,
    host_rows,
    port_groups,
)
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
        if any(group.get(key) for key in POLICY)
    ]


def _refused(situation: Situation, group: Group, users: list[Vm]) -> Row:
    items = [vm["id"] for vm in users]
    if port_groups.standard(situation, group):
        row = host_rows.portgroup_security(group["id"], items)
    else:
        # The vCenter's, and one for all hosts of the switch.
        row = controller_rows.distributed_rejects(str(group["name"]), group["id"], items=items)
    others = [vm for vm in users if not vm["template"] and not machines.allowed(situation, vm)]
    seen = situation.facts["visibility"]
    if not others and seen["complete"]:
        return row
    if others:
        how = (
            "to have it done, put their UUIDs into hypervisor_allow_vm_changes "
            f"({len(others)} missing, as {machines.called(others[0])})"
        )
    else:
        how = f"which they are is not known: {'; '.join(seen['gaps'])[:200]}"
    what = f"{port_groups.called(group)}: {REJECT}. It holds at once for all machines on it; {how}"
    return {**plan.by_hand(what, items), "instead_of": [row["kind"], row["name"]]}


PLANS: dict[str, Planner] = {"vsphere-11.3.5-nsx-prepared": network_policy}
