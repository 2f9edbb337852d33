# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port groups of an ESXi host, its management adapter, and by how many adapters guests reach the network."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.vsphere.vsphere_side import (
    both,
    by_hand,
    options,
    planned,
    proposed,
    situation,
    wanted,
)

POLICY, UPLINKS = "11.3.5-nsx-prepared", "11.4.13-uplinks"
DEDICATED, SEPARATED = "11.4.12-dedicated", "11.4.12-traffic-separation"
REJECTED = {"promiscuous": False, "mac_changes": False, "forged_transmits": False}


def guests(**group):
    """The first two machines on a port group of vSwitch0 with these values; the others on none."""

    def change(facts):
        whole = {
            "id": "guests", "name": "guests", "switch": "vSwitch0", "vlan": 40, "trunk": [], "nsx": False,
            "active": ["vmnic0", "vmnic1"], "standby": [], "teaming": "loadbalance_srcid", **REJECTED,
            "shaping_in": False, "shaping_out": False, **group,
        }  # fmt: skip
        facts["network"]["portgroups"].append(whole)
        facts["vms"][1]["template"] = False
        for number, vm in enumerate(facts["vms"]):
            for nic in vm["nics"]:
                nic["portgroup"] = "guests" if number < 2 else ""

    return change


def uuids(count=2):
    return [vm["id"] for vm in situation().facts["vms"][:count]]


def test_hosts_that_pass_get_no_row():
    for check in (POLICY, UPLINKS, DEDICATED, SEPARATED):
        assert planned(check) == [], check


@pytest.mark.parametrize("accepted", sorted(REJECTED))
def test_a_port_group_is_closed_once_all_machines_on_it_are_allowed(accepted):
    change = guests(**{accepted: True})
    rows = planned(POLICY, change, allow_vm_changes=frozenset(uuids()))
    assert wanted(rows) == {("portgroup_security", "guests"): REJECTED}
    some = planned(POLICY, change, allow_vm_changes=frozenset(uuids(1)))
    assert wanted(some) == {} and "1 missing" in by_hand(some) and uuids()[1] in by_hand(some)
    assert wanted(planned(POLICY, change)) == {}


def test_a_port_group_stays_open_where_machines_on_it_may_be_hidden():
    def hidden(facts):
        guests(promiscuous=True)(facts)
        facts["visibility"] = {"complete": False, "gaps": ["1 virtual machine is hidden"], "unmatched": []}

    (row,) = planned(POLICY, hidden, allow_vm_changes=frozenset(uuids()))
    assert row["kind"] == "by_hand" and "which they are is not known: 1 virtual machine is hidden" in row["what"]
    assert row["instead_of"][0] == "portgroup_security"


def test_a_template_needs_nobodys_leave():
    def template(facts):
        facts["vms"][1]["template"] = True

    change = both(guests(promiscuous=True), template)
    assert wanted(planned(POLICY, change, allow_vm_changes=frozenset(uuids(1))))


def test_what_is_the_vcenters_is_set_there_or_for_a_person():
    change = guests(promiscuous=True, switch="dvs-prod", active=["vmnic2"])
    rows = planned(UPLINKS, change, allow_vm_changes=frozenset(uuids()), options={"standby_uplinks": True})
    assert wanted(rows) == {} and "port group guests is on a distributed switch" in by_hand(rows)
    (name,) = wanted(planned(POLICY, change, allow_vm_changes=frozenset(uuids())))
    assert name == ("distributed_security", "guests (guests)")
    (row,) = planned(POLICY, change)
    assert row["instead_of"] == list(name)
    assert planned(POLICY, guests(promiscuous=True, nsx=True)) == []


def hidden(facts):
    """One more port group in use, of whose ports the account may read nothing."""
    facts["network"]["portgroups"].append({"id": "hidden", "name": "hidden", "switch": "dvs-prod", "nsx": False})
    facts["vms"][1]["nics"] += [
        {**nic, "label": f"{nic['label']} {name}", "portgroup": name}
        for nic in facts["vms"][1]["nics"][:1]
        for name in ("hidden", "not listed")
    ]


@pytest.mark.parametrize(
    ("check", "change"),
    [
        (POLICY, guests(promiscuous=True)),
        (UPLINKS, guests(active=["vmnic0"])),
        (DEDICATED, lambda facts: facts["network"]["vmkernel"][0]["services"].append("vmotion")),
    ],
)
def test_a_port_group_that_nobody_may_read_hinders_no_other(check, change):
    how = {"allow_vm_changes": frozenset(uuids()), "options": {"standby_uplinks": True}}
    assert wanted(planned(check, both(change, hidden), **how)) == wanted(planned(check, change, **how)) != {}


def test_a_segment_that_was_not_read_may_be_that_of_management():
    def unread(facts):
        facts["network"]["vmkernel"][0]["services"].append("vmotion")
        for group in facts["network"]["portgroups"]:
            if group["id"] == facts["network"]["vmkernel"][1]["portgroup"]:
                del group["vlan"]

    rows = planned(DEDICATED, unread)
    assert wanted(rows) == {} and "an adapter on a VLAN of its own does not carry it yet" in by_hand(rows)


@pytest.mark.parametrize(("check", "area"), [(POLICY, "guest_protection"), (UPLINKS, "network_resilience")])
def test_a_machine_that_an_exception_covers_keeps_its_port_group(check, area):
    check = f"vsphere-{check}"
    asked = situation(
        guests(promiscuous=True, active=["vmnic0"]), allow_vm_changes=frozenset(uuids()),
        options={"standby_uplinks": True}, excepted={check: frozenset(uuids(1))},
    )  # fmt: skip
    assert proposed(area, asked, check).rows == ()


def test_unused_adapters_become_standby_when_asked_for():
    change = guests(active=["vmnic0"])
    rows = planned(UPLINKS, change, options={"standby_uplinks": True})
    assert wanted(rows) == {("portgroup_teaming", "guests"): {"active": ["vmnic0"], "standby": ["vmnic1"]}}
    left = planned(UPLINKS, change)
    assert wanted(left) == {} and "leaves vmnic1 unused" in by_hand(left) and "standby_uplinks: true" in by_hand(left)


def test_adapters_that_do_not_help_are_not_added():
    allowed = {"options": {"standby_uplinks": True}}
    hashed = planned(UPLINKS, guests(active=["vmnic0"], teaming="loadbalance_ip"), **allowed)
    assert wanted(hashed) == {} and "balances by IP hash" in by_hand(hashed)

    def down(facts):
        facts["network"]["nics"][1]["up"] = False

    dead = planned(UPLINKS, both(guests(active=["vmnic0"]), down), **allowed)
    assert wanted(dead) == {} and "no further adapter with a link" in by_hand(dead)


def adapter(name, *services, portgroup=None):
    """What a VMkernel adapter carries."""

    def change(facts):
        found = next(one for one in facts["network"]["vmkernel"] if one["id"] == name)
        found["services"] = list(services)
        found["portgroup"] = portgroup or found["portgroup"]

    return change


@pytest.mark.parametrize("check", [DEDICATED, SEPARATED])
def test_what_another_adapter_carries_too_leaves_management(check):
    rows = planned(check, adapter("vmk0", "management", "vmotion"))
    assert wanted(rows) == {("adapter_service", "vmk0 vmotion"): False}


@pytest.mark.parametrize("check", [DEDICATED, SEPARATED])
def test_nothing_is_lost_and_no_connection_in_use_is_cut(check):
    only = planned(check, both(adapter("vmk0", "management", "vmotion"), adapter("vmk1")))
    assert wanted(only) == {} and "does not carry it yet" in by_hand(only)
    beside = both(adapter("vmk0", "management", "vmotion"), adapter("vmk1", "vmotion", portgroup="Management Network"))
    assert wanted(planned(check, beside)) == {}
    storage = planned(check, both(adapter("vmk0", "management", "vsan"), adapter("vmk1", "vsan", "vmotion")))
    assert wanted(storage) == {} and "vmk0 carries vsan beside management, and it is in use" in by_hand(storage)


def test_another_adapter_on_the_segment_of_management():
    shared = adapter("vmk1", "vmotion", portgroup="Management Network")
    rows = planned(SEPARATED, shared)
    assert wanted(rows) == {} and "vmk1 carries vmotion beside management" in by_hand(rows)


def test_the_network_of_the_board_is_switched_off():
    on = options(Net__BMCNetworkEnable=1)
    assert wanted(planned(SEPARATED, on)) == {("option", "Net.BMCNetworkEnable"): 0}
    assert planned(SEPARATED, release="7.0") == []


def test_addresses_and_vlans_are_for_a_person():
    def moved(facts):
        facts["network"]["vmkernel"][0]["address"] = "203.0.113.9"

    rows = planned(DEDICATED, moved)
    assert wanted(rows) == {} and "vmk0: its address 203.0.113.9 is in no network of gold_mgmt_cidrs" in by_hand(rows)
    neighbour = planned(DEDICATED, guests(vlan=20))
    assert wanted(neighbour) == {} and "port group guests is on VLAN 20, the segment of management" in by_hand(
        neighbour
    )
