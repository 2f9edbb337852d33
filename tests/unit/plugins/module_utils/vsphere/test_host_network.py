# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port groups after their overrides, uplinks of distributed switches, services of VMkernel adapters."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import host_network, inventory
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Facts
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.host_facts import Read
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Found

PNICS = [
    {"key": "key-0", "device": "vmnic0", "linkSpeed": {"speedMb": "25000", "duplex": "true"}},
    {"key": "key-1", "device": "vmnic1"},
]
TEAMING = {"uplinkPortOrder": {"activeUplinkPort": ["Uplink 1", "lag1"], "standbyUplinkPort": "Uplink 2"}}
PROXY = {
    "dvsUuid": "uuid-1",
    "dvsName": "dvs-prod",
    "pnic": ["key-0", "key-1"],
    "uplinkPort": [{"key": "10", "value": "Uplink 1"}, {"key": "11", "value": "Uplink 2"}],
    "hostLag": {"lagName": "lag1", "uplinkPort": {"key": "12", "value": "lag1-0"}},
    "spec": {
        "backing": {
            "pnicSpec": [
                {"pnicDevice": "vmnic0", "uplinkPortKey": "10"},
                {"pnicDevice": "vmnic1", "uplinkPortKey": "12"},
            ]
        }
    },
}


def network(
    config: dict[str, Any] | None,
    portgroup: dict[str, Any] | None = None,
    nioc: bool | None = True,
    missing: dict[str, str] | None = None,
    **values: Any,
) -> Facts:
    switch = {"name": "dvs-prod", "uuid": "uuid-1"}
    if nioc is not None:
        switch["config.networkResourceManagementEnabled"] = nioc
    group = {"key": "dvportgroup-7", "name": "app", "config.distributedVirtualSwitch": "dvs-1", **(portgroup or {})}
    if config is not None:
        group["config.defaultPortConfig"] = config
    given = {
        "config.network.pnic": PNICS,
        "config.network.vswitch": [],
        "config.network.portgroup": [],
        "config.network.vnic": [],
        "config.virtualNicManagerInfo.netConfig": [],
        "config.network.proxySwitch": [PROXY],
        **{key.replace("__", "."): value for key, value in values.items()},
    }
    distributed = inventory.Distributed(
        {"dvs-1": Found("D", "dvs-1", switch, {})}, {"dvportgroup-7": Found("P", "dvportgroup-7", group, {})}
    )
    given = {path: value for path, value in given.items() if path not in (missing or {})}
    read = Read(Found("HostSystem", "host-1", given, missing or {}), {}, distributed)
    facts = Facts()
    host_network.fill(facts, read)
    return facts


def test_uplinks_are_the_adapters_of_this_host() -> None:
    facts = network({"uplinkTeamingPolicy": TEAMING})
    group = facts.document["network"]["portgroups"][0]
    # Uplink 2 has no adapter on this host.
    assert (group["active"], group["standby"]) == (["vmnic0", "vmnic1"], [])
    assert facts.document["network"]["switches"][0]["uplinks"] == ["vmnic0", "vmnic1"]


@pytest.mark.parametrize(
    ("vlan", "number", "trunk"),
    [
        ({"_type": "VmwareDistributedVirtualSwitchVlanIdSpec", "vlanId": "100"}, 100, []),
        (
            {"_type": "VmwareDistributedVirtualSwitchTrunkVlanSpec", "vlanId": [{"start": "0", "end": "4094"}]},
            0,
            [[0, 4094]],
        ),
        ({"_type": "VmwareDistributedVirtualSwitchTrunkVlanSpec", "vlanId": {"start": "5", "end": "7"}}, 0, [[5, 7]]),
        ({"_type": "VmwareDistributedVirtualSwitchPvlanSpec", "pvlanId": "200"}, 200, []),
        ({}, 0, []),
    ],
)
def test_the_vlan_of_a_distributed_port_group(vlan: dict[str, Any], number: int, trunk: list[Any]) -> None:
    group = network({"vlan": vlan}).document["network"]["portgroups"][0]
    assert (group["vlan"], group["trunk"]) == (number, trunk)
    assert group["pvlan"] is ("pvlanId" in vlan)


def test_security_that_is_not_told_is_left_out() -> None:
    told = {"allowPromiscuous": {"inherited": "false", "value": "false"}, "macChanges": {"inherited": "true"}}
    group = network({"securityPolicy": told}).document["network"]["portgroups"][0]
    assert group["promiscuous"] is False
    assert "mac_changes" not in group
    assert "forged_transmits" not in group


def test_port_groups_of_uplinks_are_no_port_groups() -> None:
    assert network({}, {"config.uplink": True}).document["network"]["portgroups"] == []
    tagged = network({}, {"tag": {"key": "SYSTEM/DVS.UPLINKPG"}})
    assert tagged.document["network"]["portgroups"] == []


def test_a_switch_that_nobody_may_see_says_nothing_of_its_resource_management() -> None:
    assert "nioc" not in network({}, nioc=None).document["network"]["switches"][0]


@pytest.mark.parametrize(("number", "vlan", "trunk"), [("0", 0, []), ("20", 20, []), ("4095", 0, [[0, 4094]])])
def test_a_standard_port_group(number: str, vlan: int, trunk: list[Any]) -> None:
    group = {
        "spec": {"name": "VM Network", "vlanId": number, "vswitchName": "vSwitch0"},
        "computedPolicy": {
            "security": {"allowPromiscuous": "false", "macChanges": "true", "forgedTransmits": "true"},
            "nicTeaming": {"policy": "loadbalance_ip", "nicOrder": {"activeNic": "vmnic0", "standbyNic": ["vmnic1"]}},
            "shapingPolicy": {"enabled": "true"},
        },
    }
    found = network({}, config__network__portgroup=[group]).document["network"]["portgroups"][0]
    assert found == {
        "id": "VM Network", "name": "VM Network", "switch": "vSwitch0", "vlan": vlan, "trunk": trunk, "nsx": False,
        "active": ["vmnic0"], "standby": ["vmnic1"], "promiscuous": False, "mac_changes": True,
        "forged_transmits": True, "shaping_in": False, "shaping_out": True, "teaming": "loadbalance_ip",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ip", "address"),
    [
        ({"ipAddress": "192.0.2.11"}, "192.0.2.11"),
        ({"ipV6Config": {"ipV6Address": [{"ipAddress": "fe80::1"}, {"ipAddress": "2001:db8::1"}]}}, "2001:db8::1"),
        ({"ipV6Config": {"ipV6Address": {"ipAddress": "no address"}}}, ""),
        ({}, ""),
    ],
)
def test_the_address_of_a_vmkernel_adapter(ip: dict[str, Any], address: str) -> None:
    vnic = {"device": "vmk0", "portgroup": "Management Network", "spec": {"ip": ip}}
    found = network({}, config__network__vnic=[vnic]).document["network"]["vmkernel"][0]
    assert (found["portgroup"], found["address"]) == ("Management Network", address)


def test_services_are_those_that_select_the_adapter() -> None:
    config = [
        {"nicType": "management", "candidateVnic": {"key": "management.key-vmk0", "device": "vmk0"},
         "selectedVnic": "management.key-vmk0"},
        {"nicType": "vmotion", "candidateVnic": [{"key": "k0", "device": "vmk0"}, {"key": "k1", "device": "vmk1"}],
         "selectedVnic": ["k1"]},
        {"nicType": "vsan", "candidateVnic": [{"key": "k0", "device": "vmk0"}]},
    ]  # fmt: skip
    vnics = [
        {"device": name, "spec": {"distributedVirtualPort": {"portgroupKey": "dvportgroup-7"}}}
        for name in ("vmk0", "vmk1")
    ]
    facts = network({}, config__network__vnic=vnics, config__virtualNicManagerInfo__netConfig=config)
    found = {entry["id"]: entry for entry in facts.document["network"]["vmkernel"]}
    assert found["vmk0"]["services"] == ["management"]
    assert found["vmk1"]["services"] == ["vmotion"]
    assert found["vmk1"]["portgroup"] == "dvportgroup-7"


def test_a_link_without_speed_is_down() -> None:
    nics = network({}).document["network"]["nics"]
    assert nics == [{"id": "vmnic0", "up": True, "speed_mb": 25000}, {"id": "vmnic1", "up": False, "speed_mb": 0}]


def test_a_port_group_of_a_strange_shape_takes_only_the_port_groups_with_it() -> None:
    facts = network({}, config__network__portgroup=[{"spec": "text"}])
    assert [error["path"] for error in facts.errors] == ["network.portgroups"]
    assert facts.has("network.nics")


def test_distributed_switches_that_are_refused_are_not_taken_for_none() -> None:
    facts = network({}, missing={"config.network.proxySwitch": "no permission"})
    assert [error["path"] for error in facts.errors] == ["network.switches", "network.portgroups"]
    # A host without one has the property unset.
    assert network({}, config__network__proxySwitch=None).document["network"]["portgroups"] == []


def test_ports_whose_settings_are_refused_are_on_no_vlan() -> None:
    group = network(None).document["network"]["portgroups"][0]
    assert set(group) == {"id", "name", "nsx", "switch"}


def test_a_distributed_switch_that_nobody_may_see_leaves_the_port_groups_unknown() -> None:
    facts = network({}, config__network__proxySwitch=[{**PROXY, "dvsUuid": "uuid-2"}])
    assert [error["path"] for error in facts.errors] == ["network.portgroups"]
