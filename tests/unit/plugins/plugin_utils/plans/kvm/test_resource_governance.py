# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of resource governance."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm.resource_governance import PLANS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.vm_side import (
    VM1,
    VM2,
    both,
    conf,
    kinds,
    of_kind,
    situation,
    told,
    vm,
)

LIMITS = {"gold_vm_limits": {"default": {"network_kib": 1000, "disk_iops": 500, "cpu_percent": 50}}}


@pytest.mark.parametrize("check", ["kvm-11.3.2-capability", "kvm-11.3.4-capability"])
def test_libvirt_may_use_every_control_group(check):
    (row,) = PLANS[check](situation(conf(cgroup_controllers=["blkio"])))
    assert row["values"] == {"cgroup_controllers": None}
    assert PLANS[check](situation(conf(cgroup_controllers=["cpu", "cpuset", "memory"]))) == []

    def without(facts):
        facts["qemu"]["cgroup"]["controllers"] = ["pids"]

    assert "the kernel offers no" in told(PLANS[check](situation(without)))


def test_merging_of_pages_ends_now_and_at_the_next_start():
    def merging(facts):
        facts["memory"].update(ksm=True)

    rows = PLANS["kvm-11.3.1-pressure"](situation(merging))
    units = [(row["name"], row["active"], row["enabled"], row["masked"]) for row in of_kind(rows, "unit")]
    assert units == [("ksmtuned.service", False, False, True), ("ksm.service", False, False, True)]
    (now,) = of_kind(rows, "value")
    # 0 stops; 2 would pull merged pages apart, for which there may be no memory.
    assert (now["path"], now["text"]) == ("/sys/kernel/mm/ksm/run", "0")
    (kept,) = of_kind(rows, "file")
    # Of several files about one path, the first by name is applied.
    assert kept["content"].endswith("w /sys/kernel/mm/ksm/run - - - - 0\n")
    assert kept["path"].startswith("/etc/tmpfiles.d/00-")
    assert kinds(rows).index("unit") < kinds(rows).index("value")


@pytest.mark.parametrize("found", [{"pressure_some_avg300": 99.0}, {"swap_total_b": 100, "swap_used_b": 90}])
def test_memory_is_for_a_person(found):
    rows = PLANS["kvm-11.3.1-pressure"](situation(lambda facts: facts["memory"].update(found)))
    assert kinds(rows) == ["by_hand"] and "short of memory" in told(rows)


def cpus(count, cores=4, bound=(), current=0):
    def change(facts):
        facts["cpu"]["cores"] = cores
        machine = vm(facts, VM2)
        machine.update(vcpus_max=count, vcpus=current or count)
        machine["cpu"]["bound"] = list(bound)

    return change


def test_fewer_vcpus_than_cores():
    (row,) = PLANS["kvm-11.3.3-vcpu"](situation(cpus(8), allow=[VM2]))
    assert row["edits"] == [{"set": "vcpu", "attributes": {"current": None}, "text": "3"}] and row["pending"] == ""
    (row,) = PLANS["kvm-11.3.3-vcpu"](situation(cpus(8, current=2), allow=[VM2]))
    assert row["edits"][0]["attributes"] == {"current": "2"}
    assert PLANS["kvm-11.3.3-vcpu"](situation(cpus(3))) == []


@pytest.mark.parametrize("bound", ["cpu/topology", "cpu/numa", "cputune/vcpupin", "vcpus", "numatune/memnode"])
def test_vcpus_that_the_definition_counts_on_are_for_a_person(bound):
    rows = PLANS["kvm-11.3.3-vcpu"](situation(cpus(8, bound=[bound]), allow=[VM2]))
    assert kinds(rows) == ["by_hand"] and bound in told(rows)


def test_a_host_with_one_core_can_run_nothing():
    def one_core(facts):
        facts["cpu"]["cores"] = 1

    assert "larger host" in told(PLANS["kvm-11.3.3-vcpu"](situation(one_core, allow=[VM1, VM2])))


@pytest.mark.parametrize("check", ["kvm-11.3.10-network", "kvm-11.3.10-disk-cpu", "kvm-11.3.3-vcpu"])
def test_no_machine_is_changed_by_default(check):
    rows = PLANS[check](situation(cpus(64), gold=LIMITS))
    assert set(kinds(rows)) == {"by_hand"} and "hypervisor_allow_vm_changes" in told(rows)


def test_no_limit_is_made_up():
    rows = PLANS["kvm-11.3.10-network"](situation(allow=[VM1, VM2]))
    assert set(kinds(rows)) == {"by_hand"} and "declare network_kib for it" in told(rows)


def test_limits_of_the_network_both_ways():
    first, second = PLANS["kvm-11.3.10-network"](situation(gold=LIMITS, allow=[VM1, VM2]))
    assert (first["pending"], second["pending"]) == ("vm_power", "")
    assert first["edits"] == [
        {
            "set": f"devices/interface[mac/@address='52:54:00:00:00:01']/bandwidth/{way}",
            "attributes": {"average": "1000"},
            "text": None,
        }
        for way in ("inbound", "outbound")
    ]


def test_a_port_group_limits_its_interfaces():
    def group(facts):
        for network in facts["networks"]:
            average = {"average": 5, "peak": 0, "burst": 0, "floor": 0}
            network["portgroups"] = [{"name": "slow", "default": True, "in": average, "out": average}]

    assert PLANS["kvm-11.3.10-network"](situation(group, gold=LIMITS)) == []


def test_what_libvirt_cannot_limit_is_for_a_person():
    def user(facts):
        for nic in vm(facts, VM1)["nics"]:
            nic["type"] = "vhostuser"

    rows = PLANS["kvm-11.3.10-network"](situation(user, gold=LIMITS, allow=[VM1, VM2]))
    assert kinds(rows) == ["by_hand", "domain"] and "cannot limit its vhostuser interface" in told(rows)


def test_limits_of_disks_and_processors():
    rows = PLANS["kvm-11.3.10-disk-cpu"](situation(gold=LIMITS, allow=[VM1, VM2]))
    disk, processor = [row["edits"] for row in rows if row["uuid"] == VM1]
    place = "devices/disk[target/@dev='vda']/iotune"
    assert disk == [
        {"remove": place + "/read_iops_sec"},
        {"remove": place + "/write_iops_sec"},
        {"set": place + "/total_iops_sec", "attributes": {}, "text": "500"},
    ]
    assert processor == [{"set": "cputune/quota", "attributes": {}, "text": "50000"}]


def test_only_what_is_required_is_limited():
    gold = {**LIMITS, "gold_limits_required": ["network", "disk"]}
    rows = PLANS["kvm-11.3.10-disk-cpu"](situation(gold=gold, allow=[VM1, VM2]))
    assert not any("cputune/quota" in str(row) for row in rows)


def test_a_machines_own_figure_wins():
    gold = {"gold_vm_limits": {**LIMITS["gold_vm_limits"], "vm1": {"network_kib": 7}}}
    first, second = PLANS["kvm-11.3.10-network"](situation(gold=gold, allow=[VM1, VM2]))
    assert (first["edits"][0]["attributes"], second["edits"][0]["attributes"]) == (
        {"average": "7"},
        {"average": "1000"},
    )


def test_never_live_unless_asked_for():
    assert not of_kind(PLANS["kvm-11.3.10-disk-cpu"](situation(gold=LIMITS, allow=[VM1, VM2])), "domain_live")
    found = situation(gold=LIMITS, allow=[VM1, VM2], options={"live_vm_changes": True})
    rows = PLANS["kvm-11.3.10-disk-cpu"](found)
    live = of_kind(rows, "domain_live")
    assert {row["uuid"] for row in live} == {VM1}, "vm2 is shut off"
    assert [(row["command"], row["device"]) for row in live] == [("blkdeviotune", "vda"), ("schedinfo", "")]
    assert {row["pending"] for row in of_kind(rows, "domain")} == {""}
    options = {"live_vm_changes": True}
    assert not of_kind(PLANS["kvm-11.3.3-vcpu"](situation(cpus(64), allow=[VM1, VM2], options=options)), "domain_live")


def test_live_does_not_widen_who_is_allowed():
    rows = PLANS["kvm-11.3.10-network"](situation(gold=LIMITS, options={"live_vm_changes": True}))
    assert set(kinds(rows)) == {"by_hand"}


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"default": {"network_kib": True}}, "network_kib is True"),
        ({"default": {"network_kib": 0}}, "expected a whole number from 1"),
        ({"vm1": {"netwrok_kib": 5}}, "has 'netwrok_kib', expected network_kib"),
        ({"default": 7}, "has '7'"),
    ],
)
def test_figures_that_are_none_are_refused(limits, message):
    with pytest.raises(Refusal, match=message):
        PLANS["kvm-11.3.10-network"](situation(gold={"gold_vm_limits": limits}, allow=[VM1]))


def test_nothing_that_gets_a_machine_killed_is_ever_planned():
    """Locked memory and a hard limit (formatdomain warns of both) are in no row, whatever is declared."""
    gold = {**LIMITS, "gold_vm_memory_policy": {"vm1": {"guaranteed": True, "limit_mib": 1, "soft_limit_mib": 1}}}
    for plan in PLANS.values():
        rows = plan(situation(both(cpus(64), conf(cgroup_controllers=[])), gold=gold, allow=[VM1, VM2]))
        for word in ("memtune", "memoryBacking", "hard_limit", "locked", "maxMemory"):
            assert word not in str(rows)


POLICY = {"gold_vm_cpu_policy": {"vm1": {"priority": 2, "limit_percent": 50, "dedicated": True}}}


def test_priority_and_limit_of_a_declared_machine():
    rows = PLANS["kvm-11.3.4-policy"](situation(gold=POLICY, allow=[VM1, VM2]))
    assert kinds(rows) == ["domain", "by_hand"] and "pin its vCPUs" in told(rows)
    assert rows[0]["uuid"] == VM1 and [(edit["set"], edit["text"]) for edit in rows[0]["edits"]] == [
        ("cputune/shares", "2048"),
        ("cputune/quota", "50000"),
    ]

    def second_version(facts):
        facts["qemu"]["cgroup"]["version"] = 2

    assert (
        PLANS["kvm-11.3.4-policy"](situation(second_version, gold=POLICY, allow=[VM1]))[0]["edits"][0]["text"] == "200"
    )
    assert PLANS["kvm-11.3.4-policy"](situation(allow=[VM1, VM2])) == []


def test_a_better_share_stays():
    def better(facts):
        vm(facts, VM1)["cpu"].update(shares=4096, quota_us=20000, period_us=100000)

    gold = {"gold_vm_cpu_policy": {VM1: {"priority": 2, "limit_percent": 50}}}
    assert PLANS["kvm-11.3.4-policy"](situation(better, gold=gold, allow=[VM1])) == []
