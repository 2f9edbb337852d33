# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines of vSphere: which may be changed, when, and to what."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.vsphere.vsphere_side import (
    by_hand,
    planned,
    situation,
    wanted,
)

STANDARD = load_standard()
APP = "502a3d11-0c7e-4f33-9d0b-1e7a3a6c1f01"
MIB = 1024 * 1024
LIMITS = {"gold_vm_limits": {"default": {"network_kib": 125000, "disk_iops": 900, "cpu_percent": 50}}}
ALL_OPEN = {
    "flags": {"exec_usage": "hvOff", "mmu_usage": "off", "vbs": False},
    "nested_hv": True,
    "vcpus_max": 40,
    "cpu": {"reservation_mhz": 0, "limit_mhz": -1, "shares": 40000, "shares_level": "normal"},
    "mem": {"reservation_b": 0, "limit_b": 8192 * MIB, "shares": 1, "shares_level": "normal", "locked_to_max": False},
    "max_console": 40,
    "autolock": False,
    "extra_config": {"isolation.tools.copy.disable": "FALSE"},
}
POLICIES = {
    **LIMITS,
    "gold_vm_memory_policy": {"app01": {"guaranteed": True}},
    "gold_vm_cpu_policy": {"app01": {"priority": 2}},
}
CHECKS = [
    "11.1.2-vm-monitor", "11.1.2-nested-off", "11.3.2-policy", "11.3.3-vcpu", "11.3.4-policy", "11.3.10-network",
    "11.3.10-disk", "11.4.5-isolation",
]  # fmt: skip


def app(shaped: bool = False, **values: Any):
    """The first machine, off, with other values; its port group shapes nothing unless `shaped`."""

    def change(facts: dict[str, Any]) -> None:
        vm = facts["vms"][0]
        vm.update({"active": False, "cores_per_socket": 1, **values})
        for group in facts["network"]["portgroups"]:
            group.update(shaping_in=shaped, shaping_out=shaped)

    return change


def rows_of(check: str, gold: dict[str, Any] | None = None, more: dict[str, Any] | None = None, **values: Any):
    return planned(check, app(**values), gold, **{"allow_vm_changes": frozenset({APP}), **(more or {})})


def of_app(rows):
    return {
        (kind, name.removeprefix(APP).strip()): value for (kind, name), value in wanted(rows).items() if APP in name
    }


def open_nic(facts: dict[str, Any]) -> None:
    app(**ALL_OPEN)(facts)
    facts["vms"][0]["nics"][0]["limit_mbps"] = -1
    facts["vms"][0]["disks"][0].update(iops_limit=-1, policy_iops=0)


@pytest.mark.parametrize("check", CHECKS)
def test_no_machine_is_changed_by_default(check):
    rows = planned(check, open_nic, POLICIES)
    assert wanted(rows) == {}
    assert f"app01 ({APP})" in by_hand(rows) and "put its UUID into hypervisor_allow_vm_changes" in by_hand(rows)


@pytest.mark.parametrize("check", CHECKS)
def test_templates_and_machines_of_vsphere_itself_are_never_changed(check):
    def template(facts):
        open_nic(facts)
        facts["vms"][0]["template"] = True

    def agent(facts):
        open_nic(facts)
        facts["vms"][0]["system"] = "vCLS"

    allowed = {"allow_vm_changes": frozenset({APP})}
    rows = planned(check, template, POLICIES, **allowed)
    assert wanted(rows) == {} and f"app01 ({APP}) is a template: make it a machine first" in by_hand(rows)
    rows = planned(check, agent, POLICIES, **allowed)
    assert APP not in str(rows)


@pytest.mark.parametrize("check", CHECKS)
def test_a_machine_that_passes_gets_no_row(check):
    fine = {"flags": {"exec_usage": "hvAuto", "mmu_usage": "automatic"}, "max_console": 1, "autolock": True}
    gold = {**LIMITS, "gold_vm_cpu_policy": {"app01": {"priority": 1, "limit_percent": 100}}}
    assert of_app(rows_of(check, gold, shaped=True, **fine)) == {}


@pytest.mark.parametrize("check", ["11.3.2-policy", "11.3.4-policy", "11.3.10-network", "11.3.10-disk"])
def test_never_live_unless_asked_for(check):
    def running(facts):
        open_nic(facts)
        facts["vms"][0]["active"] = True

    allowed = {"allow_vm_changes": frozenset({APP})}
    rows = planned(check, running, POLICIES, **allowed)
    assert of_app(rows) == {} and "live_vm_changes: true" in by_hand(rows)
    assert of_app(planned(check, running, POLICIES, **allowed, options={"live_vm_changes": True}))
    # That does not widen who may be changed.
    assert of_app(planned(check, running, POLICIES, options={"live_vm_changes": True})) == {}


@pytest.mark.parametrize("check", ["11.1.2-vm-monitor", "11.1.2-nested-off", "11.3.3-vcpu"])
def test_what_a_server_takes_of_a_machine_that_is_off_only_waits_for_a_person(check):
    def running(facts):
        open_nic(facts)
        facts["vms"][0]["active"] = True

    rows = planned(
        check, running, allow_vm_changes=frozenset({APP}), options={"live_vm_changes": True, "console_confirmed": True}
    )
    assert of_app(rows) == {} and "vSphere takes that only when it is off: shut it down" in by_hand(rows)


def test_the_host_chooses_how_it_virtualises():
    assert of_app(rows_of("11.1.2-vm-monitor", **ALL_OPEN)) == {
        ("machine_exec", ""): "hvAuto", ("machine_mmu", ""): "automatic",
    }  # fmt: skip
    half = {"flags": {"exec_usage": "hvOn", "mmu_usage": "off"}}
    assert of_app(rows_of("11.1.2-vm-monitor", **half)) == {("machine_mmu", ""): "automatic"}
    old = planned("11.1.2-vm-monitor", lambda facts: facts["cpu"].update(slat=False))
    assert wanted(old) == {} and "replace the host" in by_hand(old)


def test_hypervisors_inside_machines():
    assert of_app(rows_of("11.1.2-nested-off", **ALL_OPEN)) == {("machine_nested", ""): False}
    assert rows_of("11.1.2-nested-off", {"gold_nested_vms": ["app01"]}, **ALL_OPEN) == []
    secured = rows_of("11.1.2-nested-off", **{**ALL_OPEN, "flags": {**ALL_OPEN["flags"], "vbs": True}})
    assert of_app(secured) == {} and "declare it in gold_nested_vms" in by_hand(secured)


@pytest.mark.parametrize(
    ("policy", "mem", "expected"),
    [
        ({"guaranteed": True}, {}, {"machine_memory_reservation": 16384}),
        ({"guaranteed": True}, {"locked_to_max": True}, {}),
        ({"soft_limit_mib": 1024}, {"reservation_b": 512 * MIB}, {"machine_memory_reservation": 1024}),
        ({"soft_limit_mib": 1024}, {"reservation_b": 2048 * MIB}, {}),
        ({"soft_limit_mib": 1024}, {"reservation_b": 2048 * MIB, "limit_b": 4096 * MIB}, {"machine_memory_limit": -1}),
        ({}, {"limit_b": 16384 * MIB}, {}),
    ],
)
def test_memory_is_reserved_and_never_limited(policy, mem, expected):
    now = {"reservation_b": 0, "limit_b": -1, "locked_to_max": False, **mem}
    rows = rows_of("11.3.2-policy", {"gold_vm_memory_policy": {APP: policy}}, mem=now)
    assert {kind: value for (kind, _key), value in of_app(rows).items()} == expected


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"limit_mib": 4096}, "lower its memory of 16384 MiB to 4096 MiB or less while it is off"),
        ({"soft_limit_mib": 99999}, "99999 MiB are declared as kept for it, and it has 16384"),
    ],
)
def test_memory_that_a_person_has_to_change(policy, said):
    rows = rows_of("11.3.2-policy", {"gold_vm_memory_policy": {APP: policy}})
    assert of_app(rows) == {} and said in by_hand(rows)


def test_what_the_host_does_not_have_is_not_reserved():
    def full(facts):
        app()(facts)
        facts["memory"]["total_b"] = 20480 * MIB
        facts["vms"][2].update(active=True)
        facts["vms"][2]["mem"]["reservation_b"] = 8192 * MIB
        facts["vms"][2]["cpu"]["reservation_mhz"] = 32 * 2900 - 4000

    allowed = {"allow_vm_changes": frozenset({APP})}
    rows = planned("11.3.2-policy", full, {"gold_vm_memory_policy": {APP: {"guaranteed": True}}}, **allowed)
    assert of_app(rows) == {} and "the host has no 16384 MiB left to reserve" in by_hand(rows)
    gold = {"gold_vm_cpu_policy": {APP: {"dedicated": True, "limit_percent": 100}}}
    rows = planned("11.3.4-policy", full, gold, **allowed)
    assert "machine_cpu_reservation" not in str(rows) and "the host has no 11600 MHz left to reserve" in by_hand(rows)


def test_what_is_promised_to_another_machine_is_not_promised_again():
    def two(facts):
        app(active=True)(facts)
        facts["memory"]["total_b"] = 20480 * MIB
        facts["vms"].append({**facts["vms"][0], "id": "502a3d11-0c7e-4f33-9d0b-1e7a3a6c1f99", "name": "app02"})

    promised = {"gold_vm_memory_policy": {name: {"guaranteed": True} for name in ("app01", "app02")}}
    more = {"allow_vm_changes": frozenset({APP}), "options": {"live_vm_changes": True}}
    rows = planned("11.3.2-policy", two, promised, **more)
    assert wanted(rows) == {} and by_hand(rows).count("the host has no 16384 MiB left") == 2


@pytest.mark.parametrize(
    ("policy", "cpu", "expected"),
    [
        ({"priority": 2}, {}, {"machine_cpu_shares": "high"}),
        ({"priority": 1.5}, {}, {"machine_cpu_shares": "6000"}),
        ({"priority": 1.5}, {"shares": 6000, "shares_level": "custom"}, {}),
        ({"limit_percent": 50}, {}, {"machine_cpu_limit": 5800}),
        ({"limit_percent": 50}, {"limit_mhz": 5000}, {}),
        ({"dedicated": True}, {"limit_mhz": -1}, {"machine_cpu_reservation": 11600}),
        ({"dedicated": True, "limit_percent": 100}, {}, {"machine_cpu_limit": 11600, "machine_cpu_reservation": 11600}),
    ],
)
def test_processors_as_declared(policy, cpu, expected):
    now = {"reservation_mhz": 0, "limit_mhz": -1, "shares": 4000, "shares_level": "normal", **cpu}
    rows = rows_of("11.3.4-policy", {"gold_vm_cpu_policy": {APP: policy}}, cpu=now)
    assert {kind: value for (kind, _key), value in of_app(rows).items()} == expected


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"dedicated": True}, "its limit of 8000 MHz is below the 11600 MHz to reserve"),
        ({"dedicated": True, "limit_percent": 50}, "a limit of 5800 MHz is below the 11600 MHz that are reserved"),
    ],
)
def test_a_limit_below_what_is_reserved_is_never_sent(policy, said):
    rows = rows_of("11.3.4-policy", {"gold_vm_cpu_policy": {APP: policy}})
    assert of_app(rows) == {} and said in by_hand(rows)


@pytest.mark.parametrize(("key", "found"), [("priority", "high"), ("priority", 0), ("limit_percent", True)])
def test_a_figure_that_is_none_is_refused(key, found):
    with pytest.raises(Refusal, match=f"gold_vm_cpu_policy: {key} is {found!r}, expected a number greater than 0"):
        rows_of("11.3.4-policy", {"gold_vm_cpu_policy": {APP: {key: found}}})


@pytest.mark.parametrize(
    ("vcpus", "socket", "expected"),
    [
        (24, 1, {"machine_vcpus": 23}),
        (40, 4, {"machine_vcpus": 20}),
        (24, 12, {"machine_vcpus": 12}),
        (64, 32, {"machine_vcpus": 23, "machine_cores_per_socket": 23}),
        (23, 23, {}),
    ],
)
def test_fewer_vcpus_than_the_smallest_host_has_cores_in_whole_sockets(vcpus, socket, expected):
    rows = rows_of("11.3.3-vcpu", vcpus_max=vcpus, cores_per_socket=socket)
    assert {kind: value for (kind, _key), value in of_app(rows).items()} == expected


def test_vcpus_that_a_reservation_counts_on_are_for_a_person():
    rows = rows_of("11.3.3-vcpu", vcpus_max=40, cpu={"reservation_mhz": 40 * 2900})
    assert of_app(rows) == {} and "lower its reservation to what 23 vCPUs can use" in by_hand(rows)


def test_limits_go_by_the_vcpus_that_the_same_run_leaves():
    gold = {"gold_vm_cpu_policy": {APP: {"limit_percent": 100}}}
    assert of_app(rows_of("11.3.4-policy", gold, **ALL_OPEN))["machine_cpu_limit", ""] == 23 * 2900
    only = {"checks": frozenset({"vsphere-11.3.4-policy"})}
    asked = situation(app(**ALL_OPEN), gold, allow_vm_changes=frozenset({APP}))
    alone = planners("vsphere")["vsphere-11.3.4-policy"](asked.__class__(**{**vars(asked), **only}))
    assert of_app(alone)["machine_cpu_limit", ""] == 40 * 2900


def test_adapters_are_limited_where_the_switch_keeps_to_it():
    allowed = {"allow_vm_changes": frozenset({APP})}
    assert of_app(planned("11.3.10-network", open_nic, LIMITS, **allowed)) == {("machine_nic_limit", "4000"): 1024}

    def uncontrolled(facts):
        open_nic(facts)
        facts["network"]["switches"][1]["nioc"] = False

    rows = planned("11.3.10-network", uncontrolled, LIMITS, **allowed)
    switch = f"dvs-prod ({situation().facts['network']['switches'][1]['key']})"
    assert set(wanted(rows)) == {("machine_nic_limit", f"{APP} 4000"), ("network_control", switch)}
    # It takes a limit, there already or set here, to be worth it.
    (control,) = planned("11.3.10-network", uncontrolled, LIMITS, **allowed)[-1:]
    without = [row for row in planned("11.3.10-network", uncontrolled, LIMITS) if row["kind"] == "network_control"]
    assert APP in control["items"] and all(APP not in row["items"] for row in without)

    def standard(facts):
        open_nic(facts)
        facts["vms"][0]["nics"][0]["portgroup"] = "vMotion"

    rows = planned("11.3.10-network", standard, LIMITS, **allowed)
    assert of_app(rows) == {} and "connect it to a distributed port group" in by_hand(rows)


def test_an_adapter_that_goes_past_the_switch_is_not_limited_there():
    def past(facts):
        open_nic(facts)
        facts["vms"][0]["nics"][0]["type"] = "sriov"

    rows = planned("11.3.10-network", past, LIMITS, allow_vm_changes=frozenset({APP}))
    assert of_app(rows) == {} and "limit it on the physical adapter" in by_hand(rows)


def test_disks_and_processors_are_limited_by_the_figure_of_gold():
    allowed = {"allow_vm_changes": frozenset({APP})}
    assert of_app(planned("11.3.10-disk", open_nic, LIMITS, **allowed)) == {
        ("machine_disk_limit", "2000"): 900, ("machine_cpu_limit", ""): 23 * 2900 // 2,
    }  # fmt: skip
    # The stricter of two declarations, so that both checks pass afterwards.
    gold = {**LIMITS, "gold_vm_cpu_policy": {APP: {"limit_percent": 10}}}
    both = of_app(planned("11.3.10-disk", open_nic, gold, **allowed))
    assert both["machine_cpu_limit", ""] == 23 * 290
    rows = planned("11.3.10-disk", open_nic, **allowed)
    assert wanted(rows) == {}
    assert "declare disk_iops for it" in by_hand(rows) and "declare cpu_percent for it" in by_hand(rows)

    def nine(facts):
        open_nic(facts)
        facts["vms"][0]["disks"][0]["iops_limit"] = -2

    assert "a storage policy with an IOPS limit" in by_hand(planned("11.3.10-disk", nine, LIMITS, **allowed))


def test_an_unknown_key_of_limits_is_refused():
    with pytest.raises(Refusal, match="gold_vm_limits has 'disk_iosp', expected network_kib, disk_iops, cpu_percent"):
        planned("11.3.10-disk", open_nic, {"gold_vm_limits": {"default": {"disk_iosp": 1}}},
                allow_vm_changes=frozenset({APP}))  # fmt: skip


def test_consoles_are_closed_and_wait_for_the_next_start_of_a_machine_that_runs():
    open_console = {key: ALL_OPEN[key] for key in ("max_console", "autolock", "extra_config")}
    expected = {
        ("machine_option", "isolation.tools.copy.disable"): None, ("machine_consoles", ""): 1,
        ("machine_autolock", ""): True,
    }  # fmt: skip
    rows = rows_of("11.4.5-isolation", **open_console)
    assert of_app(rows) == expected and {row["pending"] for row in rows if APP in str(row.get("name"))} == {""}
    rows = rows_of("11.4.5-isolation", active=True, **open_console)
    assert of_app(rows) == expected and {row["pending"] for row in rows if APP in str(row.get("name"))} == {"vm_power"}


def test_a_machine_whose_facts_are_not_whole_does_not_stop_the_others():
    def half(facts):
        open_nic(facts)
        facts["vms"].append({**facts["vms"][0], "id": "502a3d11-0c7e-4f33-9d0b-1e7a3a6c1f99", "name": "odd"})
        del facts["vms"][-1]["autolock"]

    rows = planned("11.4.5-isolation", half, allow_vm_changes=frozenset({APP}))
    assert ("machine_autolock", "") in of_app(rows)
    assert "odd (502a3d11-0c7e-4f33-9d0b-1e7a3a6c1f99): what its planning needs was not read ('autolock')" in by_hand(
        rows
    )


def test_a_machine_that_an_exception_covers_is_left_out_and_the_others_are_planned():
    check, other = "vsphere-11.4.5-isolation", "502a3d11-0c7e-4f33-9d0b-1e7a3a6c1f99"

    def two(facts):
        open_nic(facts)
        facts["vms"].append({**facts["vms"][0], "id": other, "name": "app02"})

    def rows(item, allowed):
        asked = situation(two, excepted={check: frozenset({item})}, allow_vm_changes=frozenset(allowed))
        asked = proposal.replace(asked, checks=frozenset([check]))
        return list(proposal.propose("access_control", asked, STANDARD, "vsphere").rows)

    assert of_app(rows(other, {APP, other})) and other not in str(rows(other, {APP, other}))
    # Also where the operator did not allow it to be changed, so that nothing would be set of it anyway.
    assert of_app(rows(other, {APP})) and other not in str(rows(other, {APP}))
