# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VLAN of a distributed port group as it is read, and which adapters keep a port group as it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import network, shared
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError


def controller(vlan: dict[str, Any] | None) -> Any:
    values = {"key": "dvportgroup-7", "config.defaultPortConfig": {} if vlan is None else {"vlan": vlan}}
    group = SimpleNamespace(values=values, moid="dvportgroup-7")
    return SimpleNamespace(all=lambda _wanted: {group.moid: group})


def spec(kind: str, **fields: Any) -> dict[str, Any]:
    return {"_type": f"VmwareDistributedVirtualSwitch{kind}Spec", "inherited": "false", **fields}


@pytest.mark.parametrize(
    ("vlan", "read"),
    [
        (spec("VlanId", vlanId="20"), 20),
        (spec("VlanId", vlanId="0"), 0),
        (spec("TrunkVlan", vlanId={"start": "0", "end": "4094"}), "0-4094"),
        (spec("TrunkVlan", vlanId=[{"start": "5", "end": "5"}, {"start": "7", "end": "9"}]), "5,7-9"),
        (spec("VlanId", vlanId="20", inherited="true"), None),
    ],
)
def test_a_vlan_is_read_as_it_can_be_written(vlan: dict[str, Any], read: Any) -> None:
    assert shared.vlan(controller(vlan), "guests (dvportgroup-7)") == read


@pytest.mark.parametrize(
    ("vlan", "why"),
    [(spec("Pvlan", pvlanId="200"), "VmwareDistributedVirtualSwitchPvlanSpec"), (None, "not told")],
)
def test_a_private_vlan_and_one_that_is_not_told_are_left(vlan: dict[str, Any] | None, why: str) -> None:
    with pytest.raises(ChangeError, match=f"the VLAN of port group guests .dvportgroup-7. is {why}"):
        shared.vlan(controller(vlan), "guests (dvportgroup-7)")


def adapters(*services: str, **vnic: Any) -> Any:
    """What is known of a host whose only adapter carries these."""
    key = "key-vim.host.VirtualNic-vmk3"
    found = {
        "config.network.vnic": [{"device": "vmk3", **vnic}],
        "config.virtualNicManagerInfo.netConfig": [
            {
                "nicType": name,
                "candidateVnic": {"key": f"{name}.{key}", "device": "vmk3"},
                "selectedVnic": f"{name}.{key}",
            }
            for name in services
        ],
    }
    return found.__getitem__


ON_SWITCH = {"spec": {"distributedVirtualPort": {"portgroupKey": "dvportgroup-7"}}}


@pytest.mark.parametrize(("vnic", "group"), [({"portgroup": "guests"}, "guests"), (ON_SWITCH, "dvportgroup-7")])
def test_what_may_lose_its_connection_is_all_that_may_be_on_it(vnic: dict[str, Any], group: str) -> None:
    network.refuse_carrying(adapters("vmotion", "vSphereReplication", **vnic), group)
    network.refuse_carrying(adapters("management", **vnic), "another")
    for services, told in (
        (("management",), "vmk3, which carries management"),
        (("vmotion", "vsan"), "vmk3, which carries vmotion, vsan"),
        ((), "vmk3, which carries what no service tells, storage maybe"),
    ):
        with pytest.raises(ChangeError, match=f"{told}, is on port group {group}"):
            network.refuse_carrying(adapters(*services, **vnic), group)
