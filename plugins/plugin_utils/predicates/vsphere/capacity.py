# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capacity, guarantees and limits of machines on ESXi (11.3.1 to 11.3.4, 11.3.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import MAPPING
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.visibility import unseen
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    declared,
    entries,
    flag,
    one,
    text,
    whole,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_policy import CPU_KEYS, MEMORY_KEYS, MIB
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vms import fewer_vcpus
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import (
    NO_VM,
    each_vm,
    number,
    option,
    user_machines,
)

# Shares of a vCPU by level (vim.SharesInfo): normal is the default.
CPU_SHARES = {"low": 500, "normal": 1000, "high": 2000}
NO_LIMIT = -1
CANNOT = -2


def memory_ratio(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Memory of running machines to that of the host, and of the cluster without its largest host (11.3.1).

    facts: vms, visibility, total_b, cluster. High availability starts the machines of a lost host on the others.
    """
    vms, limit = user_machines(facts), gold["gold_memory_ratio_max"]
    expected = f"at most {limit}"
    items = unseen(facts["visibility"])
    sizes = [(whole(vm, "mem_max_b"), flag(vm, "active")) for vm in vms]
    running = sum(size for size, active in sizes if active)
    ratios = {"host": _ratio(running, whole(facts, "total_b"))}
    if text(facts["cluster"], "name") and flag(facts["cluster"], "ha"):
        total = whole(facts["cluster"], "memory_total_b") - whole(facts["cluster"], "largest_host_memory_b")
        ratios["cluster without its largest host"] = _ratio(whole(facts["cluster"], "vm_memory_b"), total)
    for name, ratio in ratios.items():
        over = f"the memory of running machines is {ratio} times that of the {name}, more than {limit}"
        items.append(o.item(name, o.passed(ratio, expected) if ratio <= limit else o.failed(ratio, expected, over)))
    if not vms:
        return o.combine(unseen(facts["visibility"]), empty=o.not_applicable(NO_VM))
    found = o.combine(items, empty=o.not_applicable(NO_VM), expected=expected)
    found.actual = found.actual or ratios
    return found


def _ratio(used: int, total: int) -> float:
    if total <= 0:
        raise MissingFact("the memory of the hosts was not read")
    return round(used / total, 3)


def memory_pressure(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """No machine gives memory back, pages are not shared across machines, HA keeps a reserve.

    facts: vms, visibility, options, cluster.
    """
    salting = option(facts["options"], "Mem.ShareForceSalting")
    sharing = (
        o.passed(salting, 2)
        if salting == 2
        else o.failed(salting, 2, "pages of different machines are merged (Mem.ShareForceSalting)")
    )
    items = [o.item("page sharing", sharing), *unseen(facts["visibility"])]
    if text(facts["cluster"], "name") and flag(facts["cluster"], "ha"):
        reserved = flag(facts["cluster"], "admission_control")
        lost = o.failed(False, True, "the cluster does not keep capacity for a lost host (admission control is off)")
        items.append(o.item("admission control", o.passed(True, True) if reserved else lost))
    for vm in user_machines(facts):
        items.append(one(vm, lambda vm=vm: _pressed(vm)))  # type: ignore[misc]
    return o.combine(
        items, empty=o.unknown("nothing was read"), expected="no ballooned, swapped or compressed memory; salting 2"
    )


def _pressed(vm: Mapping[str, Any]) -> Outcome:
    stats = need(vm, "stats")
    if not isinstance(stats, MAPPING):
        raise MissingFact("stats were not read")
    actual = {key: whole(stats, key) for key in ("ballooned_b", "swapped_b", "compressed_b")}
    short = [key.rstrip("_b").rstrip("_") for key, size in actual.items() if size]
    return o.failed(actual, 0, f"memory of it is {' and '.join(short)}") if short else o.passed(actual, 0)


def vcpus_below_cores(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Fewer vCPUs than the smallest host it may run on has cores (11.3.3). facts: vms, visibility, cores, cluster."""
    cores = whole(facts, "cores")
    if text(facts["cluster"], "name"):
        cores = min(cores, whole(facts["cluster"], "smallest_host_cores"))
    if cores == 0:
        raise MissingFact("the number of physical cores was not read")

    where = f", while the smallest host it may run on has {cores} cores"
    return each_vm(facts, lambda vm: fewer_vcpus(vm, cores, where))


def memory_policy(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The machines of gold_vm_memory_policy have what was declared for them. facts: vms, visibility."""
    return _policy(facts, gold["gold_vm_memory_policy"], MEMORY_KEYS, _memory)


def cpu_policy(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The machines of gold_vm_cpu_policy have what was declared for them. facts: vms, visibility, mhz."""
    mhz = whole(facts, "mhz")
    if mhz == 0:
        raise MissingFact("the processors' speed was not read")
    return _policy(facts, gold["gold_vm_cpu_policy"], CPU_KEYS, lambda vm, wanted: _cpu(vm, wanted, mhz))


def _policy(
    facts: Mapping[str, Any],
    policy: Mapping[str, Any],
    keys: set[str],
    judge: Callable[[Mapping[str, Any], Mapping[str, Any]], Outcome],
) -> Outcome:
    vms = user_machines(facts)
    if not policy:
        return Outcome(o.NOT_EVALUATED, message="no virtual machine is declared to need it")
    strange = sorted(
        {str(key) for wanted in policy.values() for key in (wanted if isinstance(wanted, MAPPING) else {"?": 0})} - keys
    )
    if strange:
        return o.failed(strange, sorted(keys), f"the policy has an unknown key: {', '.join(strange)}")
    items = unseen(facts["visibility"])
    for vm in vms:
        wanted = declared(policy, vm)
        if wanted is not None:
            items.append(one(vm, lambda vm=vm, wanted=wanted: judge(vm, wanted)))  # type: ignore[misc]
    return o.combine(
        items, empty=o.not_applicable("none of the machines the policy names is on this host", [vm["id"] for vm in vms])
    )


def _memory(vm: Mapping[str, Any], wanted: Mapping[str, Any]) -> Outcome:
    mem, size, faults = need(vm, "mem"), whole(vm, "mem_max_b"), []
    reserved, limit = whole(mem, "reservation_b"), number(mem, "limit_b")
    if wanted.get("guaranteed") and not (flag(mem, "locked_to_max") or reserved >= size):
        faults.append("its memory is not guaranteed (reserved in full)")
    most = wanted.get("limit_mib")
    # A guest cannot use more than its own memory, so that is a limit as well.
    if most is not None and min(size, limit if limit >= 0 else size) > most * MIB:
        faults.append(f"its memory is not limited to {most} MiB")
    if wanted.get("soft_limit_mib") is not None and reserved < wanted["soft_limit_mib"] * MIB:
        faults.append(f"it does not keep {wanted['soft_limit_mib']} MiB under contention (reservation)")
    if 0 <= limit < size:
        faults.append("its limit is below its memory, so that the guest is made to give memory back")
    return o.failed(dict(mem), dict(wanted), "; ".join(faults)) if faults else o.passed(dict(mem), dict(wanted))


def _cpu(vm: Mapping[str, Any], wanted: Mapping[str, Any], mhz: int) -> Outcome:
    cpu, count, faults = need(vm, "cpu"), whole(vm, "vcpus_max"), []
    if count == 0:
        raise MissingFact("vcpus_max is 0")
    level = text(cpu, "shares_level")
    ratio = CPU_SHARES.get(level, whole(cpu, "shares") / count) / CPU_SHARES["normal"]
    if wanted.get("priority") is not None and ratio < wanted["priority"]:
        faults.append(f"its share is {ratio:.2f} times the default, less than {wanted['priority']}")
    limit = number(cpu, "limit_mhz")
    if wanted.get("limit_percent") is not None and (limit < 0 or 100 * limit / (count * mhz) > wanted["limit_percent"]):
        faults.append(f"a vCPU is not limited to {wanted['limit_percent']} per cent of a processor")
    if wanted.get("dedicated") and whole(cpu, "reservation_mhz") < count * mhz:
        faults.append("it has no processors of its own (a reservation of all its vCPUs)")
    return o.failed(dict(cpu), dict(wanted), "; ".join(faults)) if faults else o.passed(dict(cpu), dict(wanted))


def disk_and_cpu_limits(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every disk is limited and, where cpu is required, processor time. facts: vms, visibility."""

    def judge(vm: Mapping[str, Any]) -> Outcome:
        items = [o.item(text(disk, "label"), guarded(_disk, disk)) for disk in entries(vm, "disks")]
        if "cpu" in gold["gold_limits_required"]:
            limit = number(need(vm, "cpu"), "limit_mhz")
            open_end = o.failed(limit, "a limit in MHz", "no cap on processor time (its CPU limit is unlimited)")
            items.append(o.item("cpu", open_end if limit == NO_LIMIT else o.passed(limit)))
        return o.combine(items, empty=o.not_applicable("it has no disk"))

    return each_vm(
        facts,
        judge,
        expected="a limit of operations for every disk"
        + (" and of processor time" if "cpu" in gold["gold_limits_required"] else ""),
    )


def _disk(disk: Mapping[str, Any]) -> Outcome:
    limit = number(disk, "iops_limit")
    if limit > 0:
        return o.passed(limit)
    policy = number(disk, "policy_iops")
    if policy > 0:
        return o.passed(policy)
    if limit == CANNOT:
        # Deprecated since 8.0 U3 without a successor outside storage policies (P19, Broadcom KB 320864).
        return o.manual(
            "limits of single disks are deprecated in this version: show a storage policy's or another", limit
        )
    return o.failed(limit, "a limit of operations per second", "disk without a limit")


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vsphere_memory_ratio": memory_ratio,
    "vsphere_memory_pressure": memory_pressure,
    "vsphere_vcpus_below_cores": vcpus_below_cores,
    "vsphere_memory_policy": memory_policy,
    "vsphere_cpu_policy": cpu_policy,
    "vsphere_disk_and_cpu_limits": disk_and_cpu_limits,
}
