# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machines of an ESXi host share, and how much of it each may have (11.3).

A limit of memory is only ever taken away: below a machine's memory it makes the guest give back what it uses. A
reservation is set where the host has as much left, as a machine that cannot have its reservation does not start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan, vm_limits
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import (
    controller_rows,
    host_rows,
    virtual_machines,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.virtual_machines import (
    AT_ONCE,
    POWERED_OFF,
    setting,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import declared
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_policy import MIB
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.capacity import (
    CANNOT,
    CPU_SHARES,
    NO_LIMIT,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.network import SRIOV

SALTING = "Mem.ShareForceSalting"
MEMORY, CPU = "gold_vm_memory_policy", "gold_vm_cpu_policy"
VCPUS = "vsphere-11.3.3-vcpu"
DISTRIBUTED = "distributed"
PAST_THE_SWITCH = "an SR-IOV adapter goes past the switch: limit it on the physical adapter, or use another kind"
ONE_WAY = "a standard switch limits one direction only: connect it to a distributed port group"


def memory_pressure(situation: Situation) -> list[Row]:
    """vsphere-11.3.1-pressure: where machines lack memory, a person has to move or resize them."""
    rows: list[Row] = []
    if situation.facts["advanced_options"][SALTING] != 2:
        rows.append(host_rows.option(SALTING, 2))
    cluster = situation.facts["cluster"]
    if cluster.get("ha") and cluster.get("admission_control") is False:
        rows.append(controller_rows.admission_control(cluster["name"], cluster["id"]))
    return rows or [plan.by_hand("move machines until none gives memory back")]


def memory_policy(situation: Situation) -> list[Row]:
    """vsphere-11.3.2-policy: reservations; memory below what is declared as its limit is a person's to take."""
    return virtual_machines.each(situation, _memory)


def _memory(situation: Situation, vm: Vm) -> list[Row]:
    rows: list[Row] = []
    wanted = declared(situation.gold[MEMORY], vm)
    if wanted is None:
        return rows
    size, mem, edits = vm["mem_max_b"] // MIB, vm["mem"], []
    if 0 <= mem["limit_b"] < size * MIB:
        edits.append(setting(vm, "machine_memory_limit", NO_LIMIT))
    most = vm_limits.number(MEMORY, wanted, "limit_mib")
    if most is not None and size > most:
        rows.append(_for_a_person(vm, f"lower its memory of {size} MiB to {most} MiB or less while it is off"))
    kept = _kept_mib(situation, vm)
    if kept > size:
        rows.append(_for_a_person(vm, f"{kept} MiB are declared as kept for it, and it has {size}: declare less"))
    elif kept * MIB > mem["reservation_b"]:
        others = sum(
            max(other["mem"]["reservation_b"], _kept_mib(situation, other) * MIB) for other in _others(situation, vm)
        )
        if situation.facts["memory"]["total_b"] - others < kept * MIB:
            rows.append(_for_a_person(vm, f"the host has no {kept} MiB left to reserve for it: move it"))
        else:
            edits.append(setting(vm, "machine_memory_reservation", kept))
    rows += _change(situation, vm, edits, f"set what {MEMORY} declares")
    return rows


def cpu_policy(situation: Situation) -> list[Row]:
    """vsphere-11.3.4-policy: shares, limit and reservation as declared."""
    return virtual_machines.each(situation, _processors)


def _processors(situation: Situation, vm: Vm) -> list[Row]:
    rows: list[Row] = []
    wanted = declared(situation.gold[CPU], vm)
    if wanted is None:
        return rows
    cpu, whole, edits = vm["cpu"], _whole_mhz(situation, vm), []
    priority = vm_limits.number(CPU, wanted, "priority")
    if priority is not None and _share(vm) < priority:
        edits.append(setting(vm, "machine_cpu_shares", _shares(priority, _count(situation, vm))))
    percent = vm_limits.number(CPU, wanted, "limit_percent")
    limit = None if percent is None else _limit_mhz(whole, percent)
    if limit is not None and not 0 <= cpu["limit_mhz"] <= limit:
        rows += _cpu_limit(situation, vm, limit, edits)
    if wanted.get("dedicated") and cpu["reservation_mhz"] < whole:
        ceiling = limit if limit is not None else cpu["limit_mhz"]
        others = sum(
            max(other["cpu"]["reservation_mhz"], _own_mhz(situation, other)) for other in _others(situation, vm)
        )
        if 0 <= ceiling < whole:
            rows.append(_for_a_person(vm, f"its limit of {ceiling} MHz is below the {whole} MHz to reserve"))
        elif situation.facts["cpu"]["cores"] * situation.facts["cpu"]["mhz"] - others < whole:
            rows.append(_for_a_person(vm, f"the host has no {whole} MHz left to reserve for it: move it"))
        else:
            edits.append(setting(vm, "machine_cpu_reservation", whole))
    rows += _change(situation, vm, edits, f"set what {CPU} declares")
    return rows


def _for_a_person(vm: Vm, what: str) -> Row:
    return virtual_machines.by_hand(vm, f": {what}")


def _change(situation: Situation, vm: Vm, edits: list[Row], what: str) -> list[Row]:
    live = situation.options.get("live_vm_changes") is True
    return virtual_machines.change(situation, vm, edits, what, taken=AT_ONCE, live=live) if edits else []


def _kept_mib(situation: Situation, vm: Vm) -> int:
    """The memory that is declared as kept for it; locked to its size, it keeps all."""
    wanted = declared(situation.gold[MEMORY], vm) or {}
    kept = math.ceil(vm_limits.number(MEMORY, wanted, "soft_limit_mib") or 0)
    if wanted.get("guaranteed") and not vm["mem"]["locked_to_max"]:
        kept = max(kept, vm["mem_max_b"] // MIB)
    return kept


def _own_mhz(situation: Situation, vm: Vm) -> int:
    """The processor time that is declared as its own."""
    return _whole_mhz(situation, vm) if (declared(situation.gold[CPU], vm) or {}).get("dedicated") else 0


def _others(situation: Situation, vm: Vm) -> list[Vm]:
    """The other machines that run, whose reservations the host has to keep besides."""
    return [other for other in situation.facts["vms"] if other["id"] != vm["id"] and other["active"]]


def _whole_mhz(situation: Situation, vm: Vm) -> int:
    return _count(situation, vm) * int(situation.facts["cpu"]["mhz"])


def _limit_mhz(whole: int, percent: float) -> int:
    return max(int(whole * percent / 100), 1)


def _share(vm: Vm) -> float:
    """Its share as a multiple of the default."""
    of_vcpu = CPU_SHARES.get(vm["cpu"]["shares_level"]) or vm["cpu"]["shares"] / vm["vcpus_max"]
    return of_vcpu / CPU_SHARES["normal"]


def _shares(priority: float, count: int) -> str:
    """The level that is just that, else a number of shares."""
    of_vcpu = priority * CPU_SHARES["normal"]
    level = next((name for name, shares in CPU_SHARES.items() if shares == of_vcpu), None)
    return level or str(math.ceil(of_vcpu * count))


def _cpu_limit(situation: Situation, vm: Vm, limit: int, edits: list[Row]) -> list[Row]:
    """Adds the limit to edits, or returns what a person has to do: a server takes none below the reservation."""
    kept = max(vm["cpu"]["reservation_mhz"], _own_mhz(situation, vm))
    if limit < kept:
        what = f"a limit of {limit} MHz is below the {kept} MHz that are reserved for it: declare one of them otherwise"
        return [_for_a_person(vm, what)]
    edits.append(setting(vm, "machine_cpu_limit", limit))
    return []


def vcpus(situation: Situation) -> list[Row]:
    """vsphere-11.3.3-vcpu: the most vCPUs below the cores of the smallest host that make whole sockets."""
    return virtual_machines.each(situation, _fewer_vcpus)


def _fewer_vcpus(situation: Situation, vm: Vm) -> list[Row]:
    cores = situation.facts["cpu"]["cores"]
    if situation.facts["cluster"]["name"]:
        cores = min(cores, situation.facts["cluster"]["smallest_host_cores"])
    count, most = vm["vcpus_max"], cores - 1
    if count < cores:
        return []
    what = f"{count} vCPUs, and the smallest host it may run on has {cores} cores"
    if most < 1:
        return [_for_a_person(vm, f"{what}: move it to larger hosts")]
    socket = min(vm["cores_per_socket"], most)
    wanted = most // socket * socket
    if vm["cpu"]["reservation_mhz"] > wanted * situation.facts["cpu"]["mhz"]:
        return [_for_a_person(vm, f"{what}: lower its reservation to what {wanted} vCPUs can use, then those")]
    edits = [setting(vm, "machine_vcpus", wanted)]
    if socket != vm["cores_per_socket"]:
        edits.append(setting(vm, "machine_cores_per_socket", socket))
    return virtual_machines.change(situation, vm, edits, f"{what}: lower them to {wanted}", taken=POWERED_OFF)


def _count(situation: Situation, vm: Vm) -> int:
    """Its vCPUs once this call is done."""
    excepted = situation.excepted.get(VCPUS, frozenset())
    if VCPUS in situation.checks and vm["id"] not in excepted:
        for row in _fewer_vcpus(situation, vm):
            if row["kind"] == "machine_vcpus":
                return int(row["value"])
    return int(vm["vcpus_max"])


def network_limits(situation: Situation) -> list[Row]:
    """vsphere-11.3.10-network: limits of adapters, and network I/O control, without which none of them holds."""
    without: dict[tuple[str, str], list[str]] = {}
    rows = virtual_machines.each(situation, lambda asked, vm: _adapters(asked, vm, without))
    return rows + [controller_rows.network_control(name, key, items=items) for (name, key), items in without.items()]


def _adapters(situation: Situation, vm: Vm, without: dict[tuple[str, str], list[str]]) -> list[Row]:
    """without: gains {(name, key) of a switch without network I/O control: [machine]}, of those that limit."""
    groups = {group["id"]: group for group in situation.facts["network"]["portgroups"]}
    switches = {switch["id"]: switch for switch in situation.facts["network"]["switches"]}
    limited, unlimited, rows = [], {}, []
    for nic in vm["nics"]:
        group = groups.get(nic["portgroup"], {})
        if group.get("nsx", True) or "shaping_in" not in group:
            continue  # not connected, of NSX, or not read
        switch = switches[group["switch"]]
        if nic["type"] == SRIOV:
            rows.append(_for_a_person(vm, f"{nic['label']}: {PAST_THE_SWITCH}"))
        elif group["shaping_in"] and group["shaping_out"]:
            continue
        elif switch["kind"] != DISTRIBUTED:
            rows.append(_for_a_person(vm, f"{nic['label']}: {ONE_WAY}"))
        elif nic["limit_mbps"] > 0:
            limited.append(switch)
        else:
            unlimited[nic["id"]] = switch
    if unlimited:
        limits = _limits(situation, vm, "network_kib", "machine_nic_limit", unlimited, _mbps)
        rows += limits
        limited += unlimited.values() if any(row["kind"] != "by_hand" for row in limits) else ()
    for switch in limited:
        if not switch["nioc"]:
            without.setdefault((switch["id"], switch["key"]), []).append(vm["id"])
    return rows


def _mbps(kib: int) -> int:
    return max(kib * 1024 * 8 // 10**6, 1)


def disk_and_cpu_limits(situation: Situation) -> list[Row]:
    """vsphere-11.3.10-disk: limits of disks, where the release has them, and of processor time."""
    return virtual_machines.each(situation, _disks)


def _disks(situation: Situation, vm: Vm) -> list[Row]:
    rows: list[Row] = []
    unlimited = [disk for disk in vm["disks"] if disk["iops_limit"] <= 0 and not (disk.get("policy_iops") or 0) > 0]
    if any(disk["iops_limit"] == CANNOT for disk in unlimited):
        what = (
            "give its disks a storage policy with an IOPS limit: limits of single disks are deprecated in this release"
        )
        rows.append(_for_a_person(vm, what))
    elif unlimited:
        keys = [disk["id"] for disk in unlimited]
        rows += _limits(situation, vm, "disk_iops", "machine_disk_limit", keys, lambda iops: iops)
    if "cpu" in situation.gold["gold_limits_required"] and vm["cpu"]["limit_mhz"] == NO_LIMIT:
        rows += _default_cpu_limit(situation, vm)
    return rows


def _default_cpu_limit(situation: Situation, vm: Vm) -> list[Row]:
    policy = declared(situation.gold[CPU], vm) or {}
    percents = [
        vm_limits.limit(situation.gold["gold_vm_limits"], vm, "cpu_percent"),
        vm_limits.number(CPU, policy, "limit_percent"),
    ]
    known = [percent for percent in percents if percent is not None]
    if not known:
        return [_undeclared(vm, "cpu_percent")]
    edits: list[Row] = []
    limit = _limit_mhz(_whole_mhz(situation, vm), min(known))
    rows = _cpu_limit(situation, vm, limit, edits)
    return rows + _change(situation, vm, edits, f"no cap on processor time: set a limit of {limit} MHz")


def _limits(
    situation: Situation, vm: Vm, key: str, kind: str, devices: Iterable[str], convert: Callable[[int], int]
) -> list[Row]:
    figure = vm_limits.limit(situation.gold["gold_vm_limits"], vm, key)
    if figure is None:
        return [_undeclared(vm, key)]
    edits = [setting(vm, kind, convert(figure), of=device) for device in devices]
    return _change(situation, vm, edits, f"it has no limit; set {key} {figure} of gold_vm_limits")


def _undeclared(vm: Vm, key: str) -> Row:
    return virtual_machines.by_hand(vm, f" has no limit: declare {key} for it, or a default, in gold_vm_limits")


PLANS: dict[str, Planner] = {
    "vsphere-11.3.1-pressure": memory_pressure,
    "vsphere-11.3.2-policy": memory_policy,
    VCPUS: vcpus,
    "vsphere-11.3.4-policy": cpu_policy,
    "vsphere-11.3.10-network": network_limits,
    "vsphere-11.3.10-disk": disk_and_cpu_limits,
}
