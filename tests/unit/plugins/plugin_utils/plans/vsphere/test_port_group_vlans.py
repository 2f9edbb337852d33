# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port groups on the segment of management get the VLAN that gold names, where nothing is lost by it."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import WHOLE, Refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import port_group_vlans
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.vsphere.vsphere_side import (
    both,
    by_hand,
    planned,
    proposed,
    situation,
    wanted,
)

SETTING = "gold_vsphere_port_group_vlans"
DEDICATED, SEPARATED = "11.4.12-dedicated", "11.4.12-traffic-separation"
GOLD = {SETTING: {"guests": 300, "vMotion": 30}}
# VLAN 20 is the one of management.
ROW = {("portgroup_vlan", "guests"): 300}


def guests(**group):
    """The first two machines on a port group of vSwitch0, on the VLAN of management; the others on none."""

    def change(facts):
        whole = {"id": "guests", "name": "guests", "switch": "vSwitch0", "vlan": 20, "trunk": [], "nsx": False, **group}
        facts["network"]["portgroups"].append(whole)
        facts["vms"][1]["template"] = False
        for number, vm in enumerate(facts["vms"]):
            for nic in vm["nics"]:
                nic["portgroup"] = whole["id"] if number < 2 else ""

    return change


def distributed(**group):
    return guests(id="dvportgroup-7", switch="dvs-prod", **group)


def vmotion(facts):
    """The adapter of vMotion on the VLAN of management."""
    facts["network"]["portgroups"][1]["vlan"] = 20


def adapter(name, portgroup, *services):
    def change(facts):
        facts["network"]["vmkernel"].append(
            {"id": name, "portgroup": portgroup, "address": "198.51.100.77", "services": list(services)}
        )

    return change


def uuids(count=2):
    return frozenset(vm["id"] for vm in situation().facts["vms"][:count])


def asked(change, check=DEDICATED, gold=None, **more):
    return planned(check, change, GOLD if gold is None else gold, **{"allow_vm_changes": uuids(), **more})


def test_a_host_that_passes_gets_no_row():
    for check in (DEDICATED, SEPARATED):
        assert planned(check, None, {SETTING: {"app": 300, "Management Network": 300, "vMotion": 300}}) == []


@pytest.mark.parametrize("group", [{}, {"trunk": [[0, 4094]], "vlan": 0}, {"trunk": [[1, 19], [20, 20]], "vlan": 0}])
def test_machines_leave_the_segment_of_management_with_their_port_group(group):
    assert wanted(asked(guests(**group))) == ROW
    assert wanted(asked(distributed(**group))) == {("distributed_vlan", "guests (dvportgroup-7)"): 300}


def test_a_port_group_that_gold_does_not_name_is_for_a_person():
    rows = asked(guests(), gold={})
    assert wanted(rows) == {}
    assert by_hand(rows).startswith("port group guests is on VLAN 20, the segment of management, with app01 (")
    assert (
        f"and 1 more: connect what is on it to another one, or name another VLAN for port group guests in {SETTING}"
        in (by_hand(rows))
    )


def test_a_misspelt_name_is_told():
    near = by_hand(asked(guests(), gold={SETTING: {"guest": 300, "app": 100}}))
    assert near.endswith(f"in {SETTING}; it names guest, which this host does not have")
    far = by_hand(asked(vmotion, SEPARATED, {SETTING: {"Backup": 300}}))
    assert "name another VLAN for port group vMotion" in far and "it names Backup, which this host does not have" in far


def test_a_name_is_the_one_that_the_vcenter_shows():
    rows = asked(distributed(name="a%2fb 100%25"), gold={SETTING: {"a/b 100%": 300}})
    assert wanted(rows) == {("distributed_vlan", "a%2fb 100%25 (dvportgroup-7)"): 300}
    assert wanted(asked(guests(name="a%2fb"), gold={SETTING: {"a/b": 300}})) == {}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"guests": 0}, "guests is 0, expected the number of one VLAN, 1 to 4094"),
        ({"guests": 4095}, "guests is 4095, expected"),
        ({"guests": "300"}, "guests is '300', expected"),
        ({"guests": True}, "guests is True, expected"),
        ({100: 300}, "has the port group 100, expected its name as text"),
    ],
)
def test_what_is_no_vlan_is_refused(entry, message):
    with pytest.raises(Refusal, match=message):
        asked(guests(), gold={SETTING: entry})


def test_gold_that_contradicts_itself_is_refused():
    with pytest.raises(Refusal, match="puts port group guests on VLAN 20, on which port group Management Network with"):
        asked(guests(), gold={SETTING: {"guests": 20}})


def test_management_on_a_trunk_comes_first():
    def trunk(facts):
        facts["network"]["portgroups"][0].update(trunk=[[0, 4094]], vlan=0)

    rows = asked(both(guests(trunk=[[0, 4094]], vlan=0), trunk))
    assert wanted(rows) == {} and "the management adapter is on a trunk that carries that VLAN too" in by_hand(rows)
    assert "esxcli network vswitch standard portgroup set -p 'Management Network' -v <VLAN>" in by_hand(rows)


def test_nothing_moves_to_a_vlan_that_may_be_that_of_management():
    def second(facts):
        facts["network"]["portgroups"].append({"id": "second", "name": "second", "switch": "dvs-prod", "nsx": False})

    for change in (adapter("vmk7", "second", "management"), both(second, adapter("vmk7", "second", "management"))):
        rows = asked(both(guests(), change))
        assert wanted(rows) == {} and "the VLAN of the management adapter vmk7 was not read" in by_hand(rows)


def test_a_port_group_moves_once_all_machines_on_it_are_allowed():
    some = asked(guests(), allow_vm_changes=uuids(1))
    assert wanted(some) == {} and "1 missing" in by_hand(some) and "hypervisor_allow_vm_changes" in by_hand(some)
    assert [row["instead_of"] for row in some] == [["portgroup_vlan", "guests"]]

    def template(facts):
        facts["vms"][1]["template"] = True

    assert wanted(asked(both(guests(), template), allow_vm_changes=uuids(1))) == ROW


def incomplete(facts):
    facts["visibility"] = {"complete": False, "gaps": ["1 virtual machine is hidden"], "unmatched": []}


def without_adapters(facts):
    del facts["vms"][2]["nics"]


def of_vsphere(facts):
    facts["vms"][1]["system"] = "an agent"


@pytest.mark.parametrize(
    ("change", "more", "why"),
    [
        (incomplete, {}, "which machines are on it is not known: 1 virtual machine is hidden"),
        (of_vsphere, {}, "is vSphere's own"),
        (without_adapters, {}, "the network adapters of vCLS-7f1c ("),
        (adapter("vmk7", "guests", "vsan"), {}, "vmk7 is on it, and vsan is in use"),
        (adapter("vmk7", "guests", "vmotion", "faultToleranceLogging"), {}, "faultToleranceLogging is in use"),
        (adapter("vmk7", "guests", "nvmeTcp"), {}, "nvmeTcp is in use"),
        (adapter("vmk7", "guests"), {}, "vmk7 is on it without a service, and may carry storage"),
        (None, {"gold": {**GOLD, "gold_mgmt_vms": ["tmpl-debian12"]}}, "of gold_mgmt_vms belongs on the segment"),
        (None, {"own_machines": dict.fromkeys(uuids(1), "the vCenter")}, "is the vCenter: move that to another"),
    ],
)
def test_what_would_be_cut_off_keeps_its_port_group(change, more, why):
    rows = asked(both(guests(), *([change] if change else [])), **more)
    assert wanted(rows) == {} and why in by_hand(rows)
    assert by_hand(rows).startswith(f"port group guests: it stays on VLAN 20, and not 300 of {SETTING}, as ")


def test_a_private_vlan_is_for_a_person():
    rows = asked(distributed(pvlan=True))
    assert wanted(rows) == {} and "it has a private VLAN, which is changed at its switch" in by_hand(rows)


def test_the_port_group_of_management_is_never_moved():
    def inside(facts):
        facts["vms"][0]["nics"][0]["portgroup"] = "Management Network"

    rows = asked(inside, gold={SETTING: {"Management Network": 300}})
    assert wanted(rows) == {}
    assert "is on port group Management Network with the management adapter: connect it to another one" in by_hand(rows)
    beside = both(vmotion, adapter("vmk7", "vMotion", "management"))
    for check in (DEDICATED, SEPARATED):
        assert wanted(asked(beside, check)) == {}


def test_traffic_leaves_the_segment_of_management_with_its_port_group():
    assert wanted(asked(vmotion, SEPARATED)) == {("portgroup_vlan", "vMotion"): 30}
    storage = both(vmotion, adapter("vmk7", "vMotion", "vsan"))
    rows = asked(storage, SEPARATED)
    assert wanted(rows) == {} and "vmk7 is on it, and vsan is in use" in by_hand(rows)


def test_both_checks_ask_for_one_change():
    both_on = both(guests(), adapter("vmk7", "guests", "vmotion"))
    done = proposed("admin_network", situation(both_on, GOLD, allow_vm_changes=uuids()))
    (row,) = [row for row in done.rows if row["kind"] == "portgroup_vlan"]
    assert row["checks"] == [f"vsphere-{DEDICATED}", f"vsphere-{SEPARATED}"]


@pytest.mark.parametrize("covered", [uuids(1), frozenset({WHOLE})])
def test_what_an_exception_of_the_other_check_covers_stays(covered):
    both_on = both(guests(), adapter("vmk7", "guests", "vmotion"))
    rows = asked(both_on, SEPARATED, excepted={f"vsphere-{DEDICATED}": covered})
    assert wanted(rows) == {} and "has an exception" in by_hand(rows)
    rows = asked(both_on, DEDICATED, excepted={f"vsphere-{SEPARATED}": frozenset({"vmk7"})})
    assert wanted(rows) == {} and "vmk7 has an exception" in by_hand(rows)


def test_a_machine_that_an_exception_covers_keeps_its_port_group_and_the_others_are_told():
    check = f"vsphere-{DEDICATED}"
    how = situation(guests(), GOLD, allow_vm_changes=uuids(), excepted={check: uuids(1)})
    (row,) = proposed("admin_network", how, check).rows
    assert row["kind"] == "by_hand" and row["items"] == sorted(uuids() - uuids(1))


def test_what_nobody_read_hinders_no_other():
    def unread(facts):
        facts["network"]["portgroups"].append({"id": "hidden", "name": "hidden", "switch": "dvs-prod", "nsx": False})
        facts["vms"][1]["nics"] += [{**nic, "portgroup": "hidden"} for nic in facts["vms"][1]["nics"][:1]]

    assert wanted(asked(both(guests(), unread))) == ROW


NAME = "guests (dvportgroup-7)"


def row(vlan=300):
    return {"kind": "distributed_vlan", "name": NAME, "value": vlan}


def claims(change=None, **more):
    return port_group_vlans.claims(situation(change, **{"allow_vm_changes": uuids(), **more}), {"guests"})


def test_a_host_that_passes_has_a_say_in_what_others_share_with_it():
    assert claims(distributed(vlan=99)).against(row()) == ""
    assert "hypervisor_allow_vm_changes (1 missing" in claims(distributed(vlan=99), allow_vm_changes=uuids(1)).against(
        row()
    )
    own = claims(both(distributed(vlan=99), adapter("vmk7", "dvportgroup-7", "management")))
    assert own.against(row()) == "vmk7 is on it, and management is in use"
    assert claims().against(row(20)) == "", "the host is not on that switch"


def test_no_port_group_is_moved_onto_the_management_segment_of_another_host():
    found = claims(distributed(vlan=99))
    assert found.against(row(20)) == "VLAN 20 is the one of its management adapter"
    assert found.against({"kind": "distributed_security", "name": NAME, "value": {}}) == ""


def test_without_facts_nobody_knows():
    with pytest.raises(KeyError):
        claims(lambda facts: facts["network"].pop("vmkernel"))

    def elsewhere(facts):
        facts["vms"][0]["nics"][0]["portgroup"] = "dvportgroup-7"

    with pytest.raises(KeyError, match="port group dvportgroup-7 was not read"):
        claims(elsewhere)
    assert port_group_vlans.Claims(unread=True).against(row()) == "what is on its port groups was not read"


def test_a_host_says_what_becomes_of_its_own_port_groups_whoever_asks():
    def empty(facts):
        guests()(facts)
        for vm in facts["vms"]:
            vm["nics"] = []

    found = claims(empty, gold=GOLD)
    assert found.cluster == ("domain-c8", 3) and found.keeps == {}
    assert wanted(list(found.follows.values())) == ROW
    assert claims(guests(vlan=300), gold=GOLD).follows == {}, "it is there already"
    for change, gold, why in (
        (adapter("vmk7", "guests", "nvmeTcp"), GOLD, "nvmeTcp is in use"),
        (None, {}, "does not name it for that host"),
        (None, {SETTING: {"guests": 20}}, "contradicts itself"),
    ):
        found = claims(both(empty, *([change] if change else [])), gold=gold)
        assert found.follows == {} and why in found.keeps["guests"]
