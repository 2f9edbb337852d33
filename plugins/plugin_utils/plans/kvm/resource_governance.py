# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What virtual machines may use of a host, and how much of it is promised (11.3.1 to 11.3.4, 11.3.10).

A machine is changed only when it is allowed (plans/machines.py), and never so that it could not start or would be
killed: no hard limit of memory, no locked memory, no fewer vCPUs where its definition counts on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, plan, vm_limits
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import qemu_conf
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import declared
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_policy import (
    DEFAULT_SHARES,
    limit_percent,
    not_dedicated,
)

KSM = "/sys/kernel/mm/ksm/run"
# Of several files about one path, the first by name is applied and the others are not (tmpfiles.d(5)).
KSM_AT_BOOT = "/etc/tmpfiles.d/00-dwp-hypervisor-ksm.conf"
# What switches it on: RHEL's two services, of which Debian has the second; a setting of Ubuntu's qemu-kvm.service.
KSM_UNITS = ("ksmtuned.service", "ksm.service")
KSM_SETTING = ("/etc/default/qemu-kvm", "KSM_ENABLED")
PERIOD_US = 100000


def memory_pressure(situation: Situation) -> list[Row]:
    """kvm-11.3.1-pressure: pages of different machines are not merged any more.

    What was merged stays so until it is written to: pulling it apart takes memory the host may not have.
    """
    memory = situation.facts["memory"]
    rows: list[Row] = []
    if memory["ksm"]:
        rows += [plan.unit(name, enabled=False, active=False, masked=True) for name in KSM_UNITS]
        path, key = KSM_SETTING
        rows.append(plan.keys(path, {key: "0"}, syntax="equals", create=False))
        rows.append(plan.value(KSM, "0"))
        # Whoever set it by hand, or in a start script, comes before this at the next start of the host.
        rows.append(plan.file(KSM_AT_BOOT, f"# dwp.hypervisor: machines share no pages.\nw {KSM} - - - - 0\n"))
    swap = 100 * memory["swap_used_b"] / memory["swap_total_b"] if memory["swap_total_b"] else 0
    pressure = memory["pressure_some_avg300"] or 0
    if pressure > situation.gold["gold_memory_pressure_max"] or swap > situation.gold["gold_swap_used_max_percent"]:
        rows.append(plan.by_hand("the host is short of memory: move machines to another host, or lower their memory"))
    return rows


def memory_controls(situation: Situation) -> list[Row]:
    """kvm-11.3.2-capability."""
    return _controls(situation, ("memory",), "without cgroup_disable=memory")


def cpu_controls(situation: Situation) -> list[Row]:
    """kvm-11.3.4-capability."""
    return _controls(situation, ("cpu", "cpuset"), "with CONFIG_CFS_BANDWIDTH and CONFIG_CPUSETS")


def _controls(situation: Situation, wanted: tuple[str, ...], how: str) -> list[Row]:
    used = qemu_conf.settings(situation).get("cgroup_controllers")
    limited = used is not None and not set(wanted) <= set(used)
    # libvirt takes every controller there is when it is told nothing.
    rows = qemu_conf.configure(situation, {"cgroup_controllers": None} if limited else {})
    missing = [name for name in wanted if name not in situation.facts["qemu"]["cgroup"]["controllers"]]
    if missing:
        rows.append(plan.by_hand(f"the kernel offers no {' and '.join(missing)} control group: start one {how}"))
    return rows


def cpu_policy(situation: Situation) -> list[Row]:
    """kvm-11.3.4-policy: shares and quota as declared. Which processors a machine has to itself is for a person."""
    policy, rows = situation.gold["gold_vm_cpu_policy"], []
    usual = DEFAULT_SHARES[situation.facts["qemu"]["cgroup"]["version"]]
    for vm in machines.machines(situation):
        wanted = declared(policy, vm) or {}
        edits: list[Row] = []
        live: dict[str, str] = {}
        priority, percent = wanted.get("priority"), wanted.get("limit_percent")
        if priority is not None and any(_share(version, usual) < priority for version in machines.versions(vm)):
            live["cpu_shares"] = str(math.ceil(usual * priority))
            edits.append(plan.domain_set("cputune/shares", text=live["cpu_shares"]))
        if percent is not None and any(not _capped(version, percent) for version in machines.versions(vm)):
            live["vcpu_quota"] = _quota_us(machines.defined(vm), percent)
            edits.append(plan.domain_set("cputune/quota", text=live["vcpu_quota"]))
        if edits:
            sets = " ".join(f"--set {key}={value}" for key, value in live.items())
            what = f"set what gold_vm_cpu_policy declares (virsh schedinfo --config {sets})"
            changed = machines.change(situation, vm, edits, what)
            rows += _with_live(situation, vm, changed, [{"command": "schedinfo", "values": live}])
        if wanted.get("dedicated") and not_dedicated(vm, machines.machines(situation)):
            what = "pin its vCPUs to processors (virsh vcpupin --config), and every other machine to others"
            rows.append(plan.by_hand(f"{machines.called(vm)} has no processors to itself: {what}"))
    return rows


def _share(version: machines.Vm, usual: int) -> float:
    return (version["cpu"]["shares"] or usual) / usual


def _capped(version: machines.Vm, percent: float) -> bool:
    found = limit_percent(version["cpu"])
    return found is not None and found <= percent


def _quota_us(version: machines.Vm, percent: float) -> str:
    """The quota of each vCPU. libvirt takes none below 1 ms."""
    return str(max(int((version["cpu"]["period_us"] or PERIOD_US) * percent / 100), 1000))


def vcpus(situation: Situation) -> list[Row]:
    """kvm-11.3.3-vcpu: one vCPU fewer than the host has cores, where nothing in the definition counts on more."""
    cores = situation.facts["cpu"]["cores"]
    rows: list[Row] = []
    for vm in machines.machines(situation):
        if all(version["vcpus_max"] < cores for version in machines.versions(vm)):
            continue
        stored, wanted = machines.defined(vm), cores - 1
        what = f"{stored['vcpus_max']} vCPUs on a host with {cores} cores"
        if wanted < 1:
            rows.append(plan.by_hand(f"{machines.called(vm)}: {what}: move it to a larger host"))
        elif stored["vcpus_max"] > wanted and stored["cpu"]["bound"]:
            bound = ", ".join(stored["cpu"]["bound"])
            rows.append(
                plan.by_hand(
                    f"{machines.called(vm)}: {what}, and its definition counts on them ({bound}): lower both together "
                    f"(virsh edit), or move it to a larger host"
                )
            )
        else:
            wanted = min(wanted, stored["vcpus_max"])
            current = str(stored["vcpus"]) if stored["vcpus"] < wanted else None
            edits = [plan.domain_set("vcpu", {"current": current}, text=str(wanted))]
            rows += machines.change(situation, vm, edits, f"{what}; virsh setvcpus --maximum {wanted} --config")
    return rows


def network_limits(situation: Situation) -> list[Row]:
    """kvm-11.3.10-network."""
    networks = {network["name"]: network for network in situation.facts["networks"]}
    rows: list[Row] = []
    for vm in machines.machines(situation):
        open_nics = {
            nic["id"]: nic
            for version in machines.versions(vm)
            for nic in version["nics"]
            if not all(nic[way]["average"] for way in ("in", "out")) and not _limited_by_group(nic, networks)
        }
        for nic in [nic for nic in open_nics.values() if nic["type"] in ("user", "vhostuser")]:
            what = (
                f"libvirt cannot limit its {nic['type']} interface {nic['id']}: limit it outside, or use another kind"
            )
            rows.append(plan.by_hand(f"{machines.called(vm)}: {what}"))
        macs = [mac for mac, nic in open_nics.items() if nic["type"] not in ("user", "vhostuser", "hostdev", "vdpa")]
        if macs:
            rows += _limit(situation, vm, "network_kib", lambda kib, macs=macs: _bandwidth(macs, kib))
    return rows


def _limited_by_group(nic: Mapping[str, Any], networks: Mapping[str, Mapping[str, Any]]) -> bool:
    network = networks.get(nic["net"]) if nic["type"] == "network" else None
    if network is None:
        return False
    if network["forward"] == "hostdev":
        return True
    wanted = nic["portgroup"]
    groups = [group for group in network["portgroups"] if (group["name"] == wanted if wanted else group["default"])]
    return bool(groups) and all(groups[0][way]["average"] for way in ("in", "out"))


def _bandwidth(macs: list[str], kib: int) -> tuple[list[Row], list[dict[str, Any]]]:
    edits, live = [], []
    for mac in sorted(macs):
        for way in ("inbound", "outbound"):
            path = f"devices/interface[mac/@address='{mac}']/bandwidth/{way}"
            edits.append(plan.domain_set(path, {"average": str(kib)}))
        values = {"inbound.average": str(kib), "outbound.average": str(kib)}
        live.append({"command": "domiftune", "values": values, "device": mac})
    return edits, live


def disk_and_cpu_limits(situation: Situation) -> list[Row]:
    """kvm-11.3.10-disk-cpu."""
    rows: list[Row] = []
    for vm in machines.machines(situation):
        open_disks = {
            disk["id"]
            for version in machines.versions(vm)
            for disk in version["disks"]
            if disk["device"] in ("disk", "lun") and not disk["readonly"]
            if not disk["bps_limit"] and not disk["iops_limit"]
        }
        if open_disks:
            rows += _limit(situation, vm, "disk_iops", lambda iops, disks=open_disks: _throttle(disks, iops))
        capped = all(
            version["cpu"]["quota_us"] or version["cpu"]["global_quota_us"] for version in machines.versions(vm)
        )
        if "cpu" in situation.gold["gold_limits_required"] and not capped:
            rows += _limit(situation, vm, "cpu_percent", lambda percent, vm=vm: _quota(machines.defined(vm), percent))
    return rows


def _throttle(disks: set[str], iops: int) -> tuple[list[Row], list[dict[str, Any]]]:
    edits, live = [], []
    for disk in sorted(disks):
        place = f"devices/disk[target/@dev='{disk}']/iotune"
        # A limit of one direction only cannot stand beside a total.
        edits += [plan.domain_remove(f"{place}/{way}_iops_sec") for way in ("read", "write")]
        edits.append(plan.domain_set(f"{place}/total_iops_sec", text=str(iops)))
        values = {"total_iops_sec": str(iops), "read_iops_sec": "0", "write_iops_sec": "0"}
        live.append({"command": "blkdeviotune", "values": values, "device": disk})
    return edits, live


def _quota(version: machines.Vm, percent: int) -> tuple[list[Row], list[dict[str, Any]]]:
    quota = _quota_us(version, percent)
    return [plan.domain_set("cputune/quota", text=quota)], [{"command": "schedinfo", "values": {"vcpu_quota": quota}}]


def _limit(situation: Situation, vm: machines.Vm, key: str, build: Any) -> list[Row]:
    """Rows that limit one machine by the figure declared for it, in its definition and, where asked for, now."""
    figure = vm_limits.limit(situation.gold["gold_vm_limits"], vm, key)
    if figure is None:
        return [
            plan.by_hand(f"{machines.called(vm)} has no limit: declare {key} for it, or a default, in gold_vm_limits")
        ]
    edits, live = build(figure)
    rows = machines.change(situation, vm, edits, f"it has no limit; set {key} {figure} of gold_vm_limits")
    return _with_live(situation, vm, rows, live)


def _with_live(situation: Situation, vm: machines.Vm, rows: list[Row], live: list[dict[str, Any]]) -> list[Row]:
    """Rows of one machine's definition and, where the operator asked for it, what makes the same hold now."""
    if rows[0]["kind"] == "domain" and vm["active"] and situation.options.get("live_vm_changes") is True:
        # In force already, so nothing waits for its next start.
        rows[0]["pending"] = ""
        rows += [plan.domain_live(vm["id"], uri=machines.uri(situation), **one) for one in live]
    return rows


PLANS: dict[str, Planner] = {
    "kvm-11.3.1-pressure": memory_pressure,
    "kvm-11.3.2-capability": memory_controls,
    "kvm-11.3.4-capability": cpu_controls,
    **machines.with_strangers(
        {
            "kvm-11.3.3-vcpu": vcpus,
            "kvm-11.3.4-policy": cpu_policy,
            "kvm-11.3.10-network": network_limits,
            "kvm-11.3.10-disk-cpu": disk_and_cpu_limits,
        }
    ),
}
