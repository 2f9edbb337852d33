# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on virtual machines: capacity, guarantees and limits (11.3.1 to 11.3.4, 11.3.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import (
    vm_access,
    vm_devices,
    vm_policy,
    vm_protection,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    NO_VM,
    each_vm,
    entries,
    flag,
    hidden,
    machines,
    setting,
    text,
    texts,
    whole,
)

# Interfaces whose packets do not pass a device of the host that libvirt could limit.
UNLIMITABLE = ("hostdev", "vdpa")


def memory_ratio(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Memory of the machines that run, and of those that will after a reboot, to the memory of the host (11.3.1).

    facts: vms, visibility, total_b (memory.total_b). The maximum counts, as a guest may be given it at any time.
    """
    vms, unseen = machines(facts), hidden(facts)
    if not vms:
        return o.combine(unseen, empty=o.not_applicable(NO_VM))
    sums = {"running": 0, "after a reboot": 0, "all defined": 0}
    for vm in vms:
        size = whole(vm, "mem_max_b")
        sums["all defined"] += size
        sums["running"] += size if flag(vm, "active") else 0
        sums["after a reboot"] += size if flag(vm, "autostart") else 0
    total = whole(facts, "total_b")
    if total == 0:
        raise MissingFact("the host's memory was not read")
    ratios = {name: round(size / total, 3) for name, size in sums.items()}
    limit = gold["gold_memory_ratio_max"]
    expected = f"at most {limit}"
    over = [name for name in ("running", "after a reboot") if ratios[name] > limit]
    if not over:
        verdict = o.passed(ratios, expected, persistent=True)
    else:
        message = (
            f"the memory of the machines ({over[0]}) is {ratios[over[0]]} times that of the host, more than {limit}"
        )
        verdict = o.failed(ratios, expected, message, persistent=None if "running" in over else False)
    found = o.combine([*unseen, o.item("memory", verdict)], empty=verdict)
    found.actual = ratios if found.actual is None else found.actual
    return found


def memory_pressure(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The host has memory to spare and merges no pages. facts: pressure (%), swap_total_b, swap_used_b, ksm."""
    pressure = facts["pressure"]
    if isinstance(pressure, bool) or not isinstance(pressure, (int, float)) or pressure < 0:
        raise MissingFact("memory.pressure_some_avg300 is not a number")
    total, used = whole(facts, "swap_total_b"), whole(facts, "swap_used_b")
    if used > total:
        raise MissingFact("more swap in use than there is")
    percent = 100 * used / total if total else 0.0
    limits = {"pressure": gold["gold_memory_pressure_max"], "swap": gold["gold_swap_used_max_percent"]}
    merging = "pages of different machines are merged (KSM)"
    return o.combine(
        [
            o.item("pressure", _at_most(pressure, limits["pressure"], "per cent of the time spent waiting for memory")),
            o.item("swap", _at_most(round(percent, 1), limits["swap"], "per cent of the swap space in use")),
            o.item("ksm", o.failed("on", "off", merging) if flag(facts, "ksm") else o.passed("off", "off")),
        ],
        empty=o.unknown("nothing was read"),
    )


def _at_most(value: float, limit: float, what: str) -> Outcome:
    expected = f"at most {limit}"
    return o.passed(value, expected) if value <= limit else o.failed(value, expected, f"{value} {what}")


def vcpus_below_cores(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """No machine may be given as many vCPUs as the host has physical cores (11.3.3).

    facts: vms, visibility, cores (cpu.cores: physical cores, not threads; pitfall P18).
    """
    cores = whole(facts, "cores")
    if cores == 0:
        raise MissingFact("the number of physical cores was not read")
    return each_vm(facts, lambda vm: fewer_vcpus(vm, cores, f" on a host with {cores} physical cores"))


def fewer_vcpus(vm: Mapping[str, Any], cores: int, where: str) -> Outcome:
    """A machine has fewer vCPUs than cores. where: follows "N vCPUs" where it has not."""
    count = whole(vm, "vcpus_max")
    if count == 0:
        raise MissingFact("vcpus_max is 0")
    if count < cores:
        return o.passed(count, f"fewer than {cores}")
    return o.failed(count, f"fewer than {cores}", f"{count} vCPUs{where}")


def network_limits(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Every network interface of every machine has a limit both ways (11.3.10). facts: vms, visibility, networks."""
    networks = {text(entry, "name"): entry for entry in entries(facts, "networks")}
    return each_vm(facts, lambda vm: _nics(vm, lambda nic: _nic_limited(nic, networks)))


def _nics(vm: Mapping[str, Any], judge: Callable[[Mapping[str, Any]], Outcome]) -> Outcome:
    items = [o.item(text(nic, "id"), judge(nic)) for nic in entries(vm, "nics")]
    return o.combine(items, empty=o.not_applicable("it has no network interface"))


def _nic_limited(nic: Mapping[str, Any], networks: Mapping[str, Mapping[str, Any]]) -> Outcome:
    kind, network = text(nic, "type"), networks.get(text(nic, "net"))
    if kind in UNLIMITABLE or (network is not None and text(network, "forward") == "hostdev"):
        return o.manual("the interface is a device of its own: show its rate limit (ip link show, max_tx_rate)", kind)
    limits = _both_ways(nic)
    if not all(limits.values()) and kind == "network":
        limits = _portgroup_limits(nic, network) or limits
    if all(limits.values()):
        return o.passed(limits, "a limit in both directions")
    missing = " and ".join(way for way, average in limits.items() if not average)
    return o.failed(limits, "a limit in both directions", f"{kind} interface without a limit ({missing})")


def _both_ways(holder: Mapping[str, Any]) -> dict[str, int]:
    return {name: whole(need(holder, key), "average") for name, key in (("inbound", "in"), ("outbound", "out"))}


def _portgroup_limits(nic: Mapping[str, Any], network: Mapping[str, Any] | None) -> dict[str, int] | None:
    """The limits of the interface's port group, which libvirt applies to each of its interfaces.

    A limit of the network itself is shared by all its machines, so that one of them can still starve the others.
    """
    if network is None:
        return None
    wanted = text(nic, "portgroup")
    for group in entries(network, "portgroups"):
        if text(group, "name") == wanted if wanted else flag(group, "default"):
            return _both_ways(group)
    return None


def disk_and_cpu_limits(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Writable disks are throttled and, where required, processor time is capped (11.3.10). facts: vms, visibility."""
    cpu_required = "cpu" in gold["gold_limits_required"]

    def judge(vm: Mapping[str, Any]) -> Outcome:
        items = [o.item(text(disk, "id"), _disk_limited(disk)) for disk in entries(vm, "disks") if _is_writable(disk)]
        if cpu_required:
            items.append(o.item("cpu", _cpu_limited(need(vm, "cpu"))))
        return o.combine(items, empty=o.not_applicable("it has no writable disk"))

    return each_vm(facts, judge)


def _is_writable(disk: Mapping[str, Any]) -> bool:
    return text(disk, "device") in ("disk", "lun") and not flag(disk, "readonly")


def _disk_limited(disk: Mapping[str, Any]) -> Outcome:
    limits = {"bytes per second": whole(disk, "bps_limit"), "operations per second": whole(disk, "iops_limit")}
    if any(limits.values()):
        return o.passed(limits, "a limit of bytes or operations per second")
    return o.failed(limits, "a limit of bytes or operations per second", "disk without a limit in both directions")


def _cpu_limited(cpu: Mapping[str, Any]) -> Outcome:
    quota = {"quota_us": whole(cpu, "quota_us"), "global_quota_us": whole(cpu, "global_quota_us")}
    if any(quota.values()):
        return o.passed(quota, "a processor quota")
    return o.failed(quota, "a processor quota", "no cap on processor time (cputune quota)")


def memory_controls(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """The host can be told a VM's guaranteed memory, its limit and its priority (11.3.2): see _controls."""
    return _controls(facts, ("memory",))


def cpu_controls(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """The host can be told a VM's lower and upper processor limit and its priority (11.3.4): see _controls.

    CFS knows no reservation: the lower limit is processors set apart (cpuset).
    """
    return _controls(facts, ("cpu", "cpuset"))


def _controls(facts: Mapping[str, Any], wanted: tuple[str, ...]) -> Outcome:
    """The kernel offers the controllers and libvirt may use them. facts: hypervisor, cgroup, conf, daemon."""
    if text(facts, "hypervisor") != "QEMU":
        raise MissingFact(f"libvirt answers for {facts['hypervisor']}, not for QEMU")
    offered, limited = texts(facts["cgroup"], "controllers"), setting(facts["conf"], "cgroup_controllers")
    actual = {"kernel": sorted(offered), "qemu.conf cgroup_controllers": "not set" if limited is None else limited}
    expected = f"{' and '.join(wanted)} offered by the kernel and used by libvirt"
    missing = [name for name in wanted if name not in offered or (limited is not None and name not in limited)]
    if missing:
        return o.failed(actual, expected, f"no {' and '.join(missing)} control group for virtual machines")
    if not flag(facts["daemon"], "in_force"):
        return o.failed(actual, expected, "not in force: qemu.conf is newer than the daemon that reads it")
    return o.passed(actual, expected)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vm_memory_ratio": memory_ratio,
    "memory_pressure": memory_pressure,
    "vm_vcpus_below_cores": vcpus_below_cores,
    "vm_network_limits": network_limits,
    "vm_disk_and_cpu_limits": disk_and_cpu_limits,
    "vm_memory_controls": memory_controls,
    "vm_cpu_controls": cpu_controls,
    **vm_access.PREDICATES,
    **vm_devices.PREDICATES,
    **vm_policy.PREDICATES,
    **vm_protection.PREDICATES,
}
