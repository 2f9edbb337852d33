# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port groups of one name on the hosts of a cluster leave the segment of management together, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.port_group_vlans import Claims
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import same_named

AREA, CHECK = "admin_network", "vsphere-11.4.12-dedicated"
ROW = host_rows.portgroup_vlan("guests", 40, ["vm-1"])
OPTION = host_rows.option("Net.BMCNetworkEnable", 0)


def asked(*rows: dict[str, Any]) -> Proposal:
    return Proposal(AREA, (CHECK,), tuple({**row, "checks": [CHECK]} for row in rows), lockout=3)


def together(own: dict[str, Proposal], **claims: Claims) -> dict[str, list[str]]:
    """{host: kinds of its rows}"""
    found = same_named.together(AREA, own, claims, load_standard())
    return {name: [row["kind"] for row in planned.rows] for name, planned in found.items()}


C1, C2 = ("c1", 2), ("c2", 2)


def member(value: int = 40, cluster: Any = C1, **more: Any) -> Claims:
    return Claims(cluster=cluster, follows={"guests": host_rows.portgroup_vlan("guests", value, [])}, **more)


def test_a_host_without_machines_there_follows() -> None:
    own = {"esx1": asked(ROW, OPTION)}
    found = same_named.together(AREA, own, {"esx1": member(), "esx2": member()}, load_standard())
    assert [row["kind"] for row in found["esx1"].rows] == ["portgroup_vlan", "option"]
    (row,) = found["esx2"].rows
    assert (row["name"], row["value"], row["checks"]) == ("guests", 40, [CHECK])
    assert found["esx2"].guarded and found["esx2"].checks == (CHECK,)


def test_a_host_that_asks_by_itself_is_asked_once() -> None:
    own = {"esx1": asked(ROW), "esx2": asked(OPTION, ROW)}
    wanted = {"esx1": ["portgroup_vlan"], "esx2": ["option", "portgroup_vlan"]}
    assert together(own, esx1=member(), esx2=member()) == wanted


@pytest.mark.parametrize("other", [member(cluster=C2), member(cluster=None), Claims(unread=True)])
def test_hosts_to_which_no_machine_moves_stay_as_they_are(other: Claims) -> None:
    mine = member(cluster=("c1", 1))
    assert together({"esx1": asked(ROW)}, esx1=mine, esx2=other) == {"esx1": ["portgroup_vlan"]}
    has_none = Claims(cluster=C1)
    assert together({"esx1": asked(ROW)}, esx1=member(), esx2=has_none) == {"esx1": ["portgroup_vlan"]}


def test_every_host_of_the_cluster_has_to_be_read() -> None:
    found = same_named.together(AREA, {"esx1": asked(ROW)}, {"esx1": member()}, load_standard())
    (row,) = found["esx1"].rows
    assert together({"esx1": asked(ROW)}, esx1=Claims(unread=True)) == {"esx1": ["by_hand"]}
    assert "as 1 hosts of its cluster, to which machines on it may move, are not in this run or were not" in row["what"]


def test_hosts_outside_of_clusters_have_no_others() -> None:
    alone = member(cluster=None)
    assert together({"esx1": asked(ROW)}, esx1=alone, esx2=alone) == {"esx1": ["portgroup_vlan"]}


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (Claims(cluster=C1, keeps={"guests": "vmk3 is on it"}), "keeps it as it is: vmk3 is on it"),
        (member(50), "is given another one"),
    ],
)
def test_where_one_host_keeps_it_all_do(other: Claims, why: str) -> None:
    own = {"esx1": asked(OPTION, ROW)}
    found = same_named.together(AREA, own, {"esx1": member(), "esx2": other}, load_standard())
    assert list(found) == ["esx1"] and [row["kind"] for row in found["esx1"].rows] == ["option", "by_hand"]
    (row,) = found["esx1"].rows[1:]
    assert row["what"] == f"VLAN of port group guests: left alone, as esx2, to which machines on it may move, {why}"
    assert row["items"] == ["vm-1"] and row["checks"] == [CHECK]
