# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several hosts ask of their vCenter is done once, and not where one of them is excepted from it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.controller import CONTROLLER
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import by_hand
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import controller_rows, host_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.port_group_vlans import Claims
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.controller_scope import Scope

AREA, CHECK = "resource_governance", "vsphere-11.3.1-pressure"


def proposed(*rows: dict[str, Any], check: str = CHECK, lockout: int = 0) -> Proposal:
    return Proposal(AREA, (check,), tuple({**row, "checks": [check]} for row in rows), lockout=lockout)


CLUSTER = controller_rows.admission_control("prod", "domain-c8")
SALTING = host_rows.option("Mem.ShareForceSalting", 2)
NOTHING = Proposal(AREA, ())


def rows_of(scope: Scope) -> dict[str, list[tuple[str, str]]]:
    found = scope.proposals(AREA)
    return {name: [(row["kind"], row.get("name", "")) for row in planned.rows] for name, planned in found.items()}


def test_what_hosts_share_is_asked_of_the_vcenter_once_and_last():
    scope = Scope(load_standard())
    scope.add(CONTROLLER, NOTHING)
    scope.add("esx1", proposed(SALTING, CLUSTER))
    scope.add("esx2", proposed(CLUSTER))
    assert rows_of(scope) == {
        "esx1": [("option", "Mem.ShareForceSalting")],
        "esx2": [],
        CONTROLLER: [("admission_control", "prod (domain-c8)")],
    }
    assert scope.proposals(AREA)[CONTROLLER].checks == (CHECK,)


def test_what_one_host_is_excepted_from_no_other_brings_about():
    scope = Scope(load_standard())
    scope.add("esx1", proposed(CLUSTER, controller_rows.admission_control("test", "domain-c9")))
    scope.add("esx2", NOTHING, [proposed(CLUSTER)])
    planned = scope.proposals(AREA)[CONTROLLER]
    assert [row["kind"] for row in planned.rows] == ["by_hand", "admission_control"]
    assert planned.rows[0]["what"].startswith(
        "admission control of cluster prod (domain-c8): left alone, as one of the hosts"
    )


def test_what_one_host_may_not_have_done_no_other_brings_about():
    scope = Scope(load_standard())
    instead = {**by_hand("allow its machines first"), "instead_of": [CLUSTER["kind"], CLUSTER["name"]]}
    scope.add("esx1", proposed(CLUSTER))
    scope.add("esx2", proposed(instead))
    assert [row["kind"] for row in scope.proposals(AREA)[CONTROLLER].rows] == ["by_hand"]


def test_what_holds_for_machines_is_left_where_a_host_was_not_read():
    scope = Scope(load_standard())
    scope.add("esx1", proposed(controller_rows.distributed_rejects("prod", "dvportgroup-7"), CLUSTER))
    scope.unseen("esx2")
    planned = scope.proposals(AREA)[CONTROLLER]
    assert [row["kind"] for row in planned.rows] == ["by_hand", "admission_control"]
    assert "port group prod (dvportgroup-7): left alone, as esx2 could not be judged" in planned.rows[0]["what"]


VLAN = "VLAN of port group prod (dvportgroup-7): left alone, as"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        (Claims({"prod (dvportgroup-7)": "vmk0 is on it"}), "esx2: vmk0 is on it"),
        (Claims(joined=frozenset(["prod (dvportgroup-7)"]), management=((5, 20),)), "esx2: VLAN 20 is the one of its"),
        (Claims(unread=True), "esx2: what is on its port groups was not read"),
    ],
)
def test_a_host_whose_own_checks_pass_has_a_say(claims: Claims, why: str):
    scope = Scope(load_standard())
    scope.add("esx1", proposed(controller_rows.distributed_vlan("prod", "dvportgroup-7", 20), CLUSTER))
    scope.add("esx2", NOTHING)
    scope.claim("esx1", Claims())
    scope.claim("esx2", claims)
    rows = scope.proposals(AREA)[CONTROLLER].rows
    assert [row["kind"] for row in rows] == ["by_hand", "admission_control"]
    assert rows[0]["what"].startswith(f"{VLAN} {why}")


def test_hosts_that_are_given_different_values_for_what_they_share_get_none():
    scope = Scope(load_standard())
    for name, vlan in (("esx1", 20), ("esx2", 30)):
        scope.add(name, proposed(controller_rows.distributed_vlan("prod", "dvportgroup-7", vlan)))
    (row,) = scope.proposals(AREA)[CONTROLLER].rows
    assert row["what"] == f"{VLAN} the gold configuration gives its hosts different values, 20, 30"


def test_what_a_host_that_was_not_read_is_excepted_from_is_left():
    scope = Scope(load_standard())
    option = proposed(controller_rows.option("event.maxAge", 30), check="vsphere-11.3.7-events")
    scope.add("esx1", proposed(CLUSTER))
    scope.add("esx2", option)
    scope.unseen("esx3")
    scope.withheld("esx3", [CHECK])
    planned = scope.proposals(AREA)[CONTROLLER]
    assert [row["kind"] for row in planned.rows] == ["by_hand", "controller_option"]
    assert (
        "cluster prod (domain-c8): left alone, as esx3 could not be judged, and has an exception"
        in planned.rows[0]["what"]
    )


def test_what_an_exception_leaves_of_a_check_is_still_asked():
    scope = Scope(load_standard())
    other = controller_rows.admission_control("test", "domain-c9")
    scope.add("esx1", proposed(other), [proposed(CLUSTER, other)])
    assert rows_of(scope)[CONTROLLER] == [("admission_control", "test (domain-c9)")]


@pytest.mark.parametrize("excepted", [(), [proposed(CLUSTER)]])
def test_a_run_for_some_hosts_sets_nothing_that_hosts_share(excepted: Any):
    """Also where all hosts that share it are in the run, and whatever the vCenter itself has to have."""
    scope = Scope(load_standard(), of_all=False)
    option = proposed(controller_rows.option("event.maxAge", 30), by_hand("ask"), check="vsphere-11.3.7-events")
    scope.add(CONTROLLER, option)
    scope.add("esx1", proposed(SALTING, CLUSTER))
    scope.add("esx2", NOTHING if excepted else proposed(CLUSTER), excepted)
    found = scope.proposals(AREA)
    assert [row["kind"] for row in found["esx1"].rows] == ["option"]
    (left,) = found[CONTROLLER].rows
    named = "event.maxAge" if excepted else "event.maxAge, admission control of cluster prod (domain-c8)"
    assert left["kind"] == "by_hand" and left["what"] == f"left to a run of all hosts: {named}"
    checks = ["vsphere-11.3.7-events"] if excepted else ["vsphere-11.3.7-events", CHECK]
    assert left["checks"] == checks and not found[CONTROLLER].guarded


def test_a_refusal_of_the_vcenter_refuses_no_run_for_some_hosts():
    scope = Scope(load_standard(), of_all=False)
    scope.add(CONTROLLER, Proposal(AREA, (CHECK,), refusal="no"))
    scope.add("esx1", proposed(SALTING))
    assert rows_of(scope) == {"esx1": [("option", "Mem.ShareForceSalting")]}


def test_the_risk_is_the_greatest_of_those_that_ask():
    scope = Scope(load_standard())
    scope.add(CONTROLLER, proposed(controller_rows.option("event.maxAge", 30), lockout=1))
    scope.add("esx1", proposed(CLUSTER, check="vsphere-11.4.13-uplinks"))
    assert scope.proposals(AREA)[CONTROLLER].guarded


def test_without_anything_to_do_there_is_no_vcenter_among_the_hosts():
    scope = Scope(load_standard())
    scope.add(CONTROLLER, NOTHING)
    assert scope.proposals(AREA) == {}
