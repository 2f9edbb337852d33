# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared guarantees and limits of single virtual machines (11.3.2, 11.3.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    both,
    declared,
    flag,
    hidden,
    machines,
    one,
    text,
    whole,
)

MIB = 1024 * 1024
MEMORY_KEYS = {"guaranteed", "limit_mib", "soft_limit_mib"}
CPU_KEYS = {"priority", "limit_percent", "dedicated"}
# The share of a machine without one: libvirt leaves the kernel's default, which differs by control group version (P18).
DEFAULT_SHARES = {1: 1024, 2: 100}


def memory_policy(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The machines named in gold_vm_memory_policy have what was declared for them. facts: vms, visibility."""
    policy = gold["gold_vm_memory_policy"]
    return _declared_machines(facts, policy, MEMORY_KEYS, _memory)


def cpu_policy(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The machines named in gold_vm_cpu_policy have what was declared for them. facts: vms, visibility, cgroup."""
    version = whole(facts["cgroup"], "version")
    if version not in DEFAULT_SHARES:
        raise MissingFact("the control group version was not read")
    others = machines(facts)
    policy = gold["gold_vm_cpu_policy"]
    return _declared_machines(
        facts, policy, CPU_KEYS, lambda vm, wanted: _cpu(vm, wanted, DEFAULT_SHARES[version], others)
    )


def _declared_machines(
    facts: Mapping[str, Any],
    policy: Mapping[str, Any],
    keys: set[str],
    judge: Callable[[Mapping[str, Any], Mapping[str, Any]], Outcome],
) -> Outcome:
    """Judge the machines of this host that the policy names.

    Without a policy the check was left out on purpose: the capability check beside it decides (amendments.md).
    """
    vms = machines(facts)
    if not policy:
        return Outcome(o.NOT_EVALUATED, message="no virtual machine is declared to need it")
    unknown_keys = {
        str(key) for wanted in policy.values() for key in (wanted if isinstance(wanted, Mapping) else {"?": 0})
    } - keys
    if unknown_keys:
        return o.failed(
            sorted(unknown_keys), sorted(keys), f"the policy has an unknown key: {', '.join(sorted(unknown_keys))}"
        )
    items = hidden(facts)
    for vm in vms:
        wanted = declared(policy, vm)
        if wanted is not None:
            items.append(one(vm, lambda vm=vm, wanted=wanted: both(vm, lambda version: judge(version, wanted))))  # type: ignore[misc]
    return o.combine(
        items, empty=o.not_applicable("none of the machines the policy names is on this host", [vm["id"] for vm in vms])
    )


def _memory(vm: Mapping[str, Any], wanted: Mapping[str, Any]) -> Outcome:
    mem, faults = need(vm, "mem"), []
    if wanted.get("guaranteed") and not (flag(mem, "hugepages") or flag(mem, "locked")):
        faults.append("its memory is not guaranteed (neither huge pages nor locked)")
    limit = wanted.get("limit_mib")
    if limit is not None:
        # A guest cannot use more than its maximum memory, so that is a limit as well.
        ceilings = [size for size in (whole(mem, "hard_limit_b"), whole(vm, "mem_max_b")) if size]
        if not ceilings or min(ceilings) > limit * MIB:
            faults.append(f"its memory is not limited to {limit} MiB")
    soft = wanted.get("soft_limit_mib")
    if soft is not None and whole(mem, "soft_limit_b") < soft * MIB:
        faults.append(f"it does not keep {soft} MiB under contention (soft_limit)")
    return o.failed(dict(mem), dict(wanted), "; ".join(faults)) if faults else o.passed(dict(mem), dict(wanted))


def _cpu(vm: Mapping[str, Any], wanted: Mapping[str, Any], default: int, others: list[Mapping[str, Any]]) -> Outcome:
    cpu, faults = need(vm, "cpu"), []
    ratio = (whole(cpu, "shares") or default) / default
    if wanted.get("priority") is not None and ratio < wanted["priority"]:
        faults.append(f"its share is {ratio:.2f} times the default, less than {wanted['priority']}")
    if wanted.get("limit_percent") is not None:
        percent = limit_percent(cpu)
        if percent is None or percent > wanted["limit_percent"]:
            faults.append(f"a vCPU is not limited to {wanted['limit_percent']} per cent of a processor")
    if wanted.get("dedicated"):
        faults.extend(not_dedicated(vm, others))
    return o.failed(dict(cpu), dict(wanted), "; ".join(faults)) if faults else o.passed(dict(cpu), dict(wanted))


def limit_percent(cpu: Mapping[str, Any]) -> float | None:
    """The cap of one vCPU in per cent; the kernel's period is 100 ms where none is set."""
    quota, period = whole(cpu, "quota_us"), whole(cpu, "period_us") or 100000
    return 100 * quota / period if quota else None


def not_dedicated(vm: Mapping[str, Any], others: list[Mapping[str, Any]]) -> list[str]:
    """Why a machine has no processors of its own, or nothing."""
    mine = _pinned(vm)
    if mine is None:
        return ["its vCPUs are not pinned"]
    for other in others:
        if other["id"] != vm["id"] and flag(other, "active"):
            theirs = _allowed(other)
            if theirs is None or theirs & mine:
                return [f"{str(other.get('name'))[:80]} may run on its processors"]
    return []


def _pinned(vm: Mapping[str, Any]) -> set[int] | None:
    """The processors of a machine whose vCPUs are all pinned, else None."""
    pins = need(vm, "cpu", "pins")
    if not isinstance(pins, Mapping) or len(pins) < whole(vm, "vcpus_max"):
        return None
    return set().union(*(_processors(text(pins, vcpu)) for vcpu in pins))


def _allowed(vm: Mapping[str, Any]) -> set[int] | None:
    """The processors a machine may use, None for all of them."""
    pinned = _pinned(vm)
    if pinned is not None:
        return pinned
    cpuset = text(need(vm, "cpu"), "cpuset")
    return _processors(cpuset) if cpuset else None


def _processors(cpuset: str) -> set[int]:
    """`0-3,^2,8` as a set."""
    found: set[int] = set()
    for part in cpuset.split(","):
        low, _dash, high = part.strip().lstrip("^").partition("-")
        if not low.isdigit() or not (high or low).isdigit() or int(high or low) > 8191:
            raise MissingFact(f"{cpuset[:40]!r} is not a list of processors")
        numbers = set(range(int(low), int(high or low) + 1))
        found = found - numbers if part.strip().startswith("^") else found | numbers
    return found


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vm_memory_policy": memory_policy,
    "vm_cpu_policy": cpu_policy,
}
