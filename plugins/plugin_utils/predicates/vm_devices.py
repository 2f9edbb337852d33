# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a virtual machine's process can reach: devices, labels, assigned hardware (11.2.7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    NO_VM,
    declared,
    each_vm,
    entries,
    flag,
    hidden,
    in_force,
    machines,
    one,
    setting,
    text,
    texts,
)

# libvirt's own list of what every guest may open (qemu.conf, cgroup_device_acl, of libvirt 7 to 11).
DEFAULT_ACL = {
    "/dev/null", "/dev/full", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/ptmx", "/dev/kvm", "/dev/userfaultfd",
    "/dev/kqemu", "/dev/rtc", "/dev/hpet",
}  # fmt: skip
PCI = r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]"
# Redirected USB devices belong to the operator's own computer, not to the host (amendments.md).
NOT_ASSIGNED = ("redirdev",)


def device_acl(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """libvirt limits each guest's process to its own devices. facts: conf, daemon, cgroup, processes, visibility."""
    conf = facts["conf"]
    allowed = sorted(DEFAULT_ACL | set(gold["gold_extra_device_acl"]))
    items = [
        o.item(
            "cgroup_controllers",
            _uses_devices(setting(conf, "cgroup_controllers"), texts(facts["cgroup"], "controllers")),
        ),
        o.item("cgroup_device_acl", _nothing_beyond(setting(conf, "cgroup_device_acl"), allowed)),
        o.item("qemu.conf", in_force(facts["daemon"])),
    ]
    items += [_process_item(process, _own_device_group(process)) for process in _libvirt_guests(facts)]
    return o.combine(hidden(facts) + items, empty=o.unknown("nothing was read"))


def _uses_devices(used: Any, offered: list[str]) -> Outcome:
    if "devices" not in offered:
        return o.failed(offered, "the devices controller", "the kernel offers no devices control group")
    if used is not None and "devices" not in used:
        return o.failed(used, "not set, or with devices", "libvirt is told not to use the devices control group")
    return o.passed("not set" if used is None else used)


def _nothing_beyond(acl: Any, allowed: list[str]) -> Outcome:
    extra = [] if acl is None else sorted(set(map(str, acl)) - set(allowed))
    if extra:
        return o.failed(extra, allowed, f"every guest may open {', '.join(extra[:5])}")
    return o.passed("not set" if acl is None else acl)


def _libvirt_guests(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The processes that libvirt started; the others are failing items already (hidden)."""
    return [process for process in entries(facts, "processes") if text(process, "domain")]


def _process_item(process: Mapping[str, Any], found: Outcome) -> Outcome:
    if found.status != o.PASS:
        found.message = f"{str(process.get('guest') or 'unnamed')[:80]}: {found.message}"
    return o.item(text(process, "domain"), found)


def _own_device_group(process: Mapping[str, Any]) -> Outcome:
    group = text(process, "device_cgroup")
    if group.strip("/") and ".scope" in group:
        return o.passed(group)
    return o.failed(
        group, "a control group of its own", "its process is in no control group of its own that could limit devices"
    )


def mount_namespace(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Each guest's process sees a /dev of its own. facts: conf, daemon, processes, visibility."""
    used, expected = setting(facts["conf"], "namespaces"), "not set, or with mount"
    if used is None or "mount" in used:
        configured = o.passed("not set" if used is None else used, expected)
    else:
        configured = o.failed(used, expected, "libvirt is told to start guests in the host's own /dev")
    items = [o.item("namespaces", configured), o.item("qemu.conf", in_force(facts["daemon"]))]
    for process in _libvirt_guests(facts):
        own = flag(process, "own_mount_namespace")
        verdict = o.passed(own) if own else o.failed(own, True, "its process shares the host's mount namespace")
        items.append(_process_item(process, verdict))
    return o.combine(hidden(facts) + items, empty=o.unknown("nothing was read"))


def unique_labels(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every machine is confined by a label that no other running machine has. facts: vms, visibility, processes."""
    labels = {text(process, "domain"): text(process, "label") for process in _libvirt_guests(facts)}
    known = [label for label in labels.values() if label]
    static = set(gold["gold_static_label_vms"])

    def judge(vm: Mapping[str, Any]) -> Outcome:
        for label in entries(need(vm, "security"), "labels"):
            fault = _definition_fault(vm, text(label, "type"), static)
            if fault:
                return o.failed(dict(label), "a dynamic label", fault)
        if not flag(vm, "active"):
            return o.passed("dynamic label at the next start", "a label of its own")
        if vm["id"] not in labels:
            raise MissingFact("its process was not seen")
        return _label_verdict(labels[vm["id"]], known)

    return each_vm(facts, judge)


def _definition_fault(vm: Mapping[str, Any], kind: str, static: set[str]) -> str:
    if kind == "none":
        return "its definition switches labelling off"
    if kind == "static" and vm["id"] not in static and not (static and text(vm, "name") in static):
        return "its definition gives it a fixed label, which gold_static_label_vms does not name"
    return ""


def _label_verdict(label: str, known: list[str]) -> Outcome:
    expected = "a label of its own, enforced"
    if not label:
        return o.failed("none", expected, "its process has no label of SELinux or AppArmor")
    if known.count(label) > 1:
        return o.failed(label, expected, "another running machine has the same label")
    apparmor = re.match(r"libvirt-\S+ \((\w+)\)$", label)
    selinux = re.match(r"[^:]+:[^:]+:(svirt\w*):(.*)$", label)
    if apparmor and apparmor.group(1) == "enforce":
        return o.passed(label, expected)
    if selinux and re.search(r"c\d", selinux.group(2)):
        return o.passed(label, expected)
    return o.failed(label, expected, "its label does not confine it to its own resources")


def assigned_devices(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Host devices are assigned only as declared, and none to two running machines.

    facts: vms, visibility, iommu_groups.
    """
    vms = machines(facts)
    groups = facts["iommu_groups"]
    items = [one(vm, lambda vm=vm: _declared_only(vm, gold["gold_assigned_devices"])) for vm in vms]  # type: ignore[misc]
    users: dict[str, list[dict[str, Any]]] = {}
    for vm in vms:
        if flag(vm, "active"):
            for resource in _resources(vm, groups):
                users.setdefault(resource["key"], []).append(resource)
    shared = set(gold["gold_shared_devices"])
    items += [
        o.item(key, _shared_by(key, found, shared)) for key, found in sorted(users.items()) if _machines_of(found) > 1
    ]
    return o.combine(hidden(facts) + items, empty=o.not_applicable(NO_VM))


def _declared_only(vm: Mapping[str, Any], gold: Mapping[str, Any]) -> Outcome:
    wanted = [str(address).lower() for address in declared(gold, vm) or []]
    versions = (vm, {**vm, **need(vm, "configured")})
    found = {
        _address(entry)
        for version in versions
        for entry in entries(version, "devices")
        if text(entry, "kind") not in NOT_ASSIGNED
    }
    extra = sorted(found - set(wanted))
    if extra:
        return o.failed(sorted(found), wanted, f"has a host device that is not declared for it: {', '.join(extra[:5])}")
    return o.passed(sorted(found), wanted)


def _address(entry: Mapping[str, Any]) -> str:
    return text(entry, "address").lower()


def _resources(vm: Mapping[str, Any], groups: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a running machine holds, each with a key that is the same in every machine that holds it."""
    found = []
    for entry in entries(vm, "devices"):
        kind, address = text(entry, "kind"), _address(entry)
        if kind in NOT_ASSIGNED or kind == "filesystem":
            continue
        exclusive = {"vm": vm["id"], "readonly": False, "shareable": kind == "shmem"}
        found.append({"key": f"{kind} {address}", **exclusive})
        if re.fullmatch(PCI, address) and text(groups, address):
            found.append({"key": f"IOMMU group {groups[address]}", **exclusive})
    for disk in entries(vm, "disks"):
        path = text(disk, "path") or ":".join(part for part in (text(disk, "pool"), text(disk, "volume")) if part)
        if path:
            hosts = ",".join(sorted(text(host, "name") for host in entries(disk, "hosts")))
            key = " ".join(part for part in ("disk", text(disk, "proto"), hosts, path) if part)
            found.append(
                {"key": key, "vm": vm["id"], "readonly": flag(disk, "readonly"), "shareable": flag(disk, "shared")}
            )
    return found


def _machines_of(users: list[dict[str, Any]]) -> int:
    return len({user["vm"] for user in users})


def _shared_by(key: str, users: list[dict[str, Any]], shared: set[str]) -> Outcome:
    vms = sorted({user["vm"] for user in users})
    if all(user["readonly"] for user in users):
        return o.passed(vms, "read-only in every machine")
    if all(user["shareable"] for user in users) and key.split(" ", 1)[1] in shared:
        return o.passed(vms, "declared as shared")
    return o.failed(
        vms, "one running machine, or declared in gold_shared_devices", "is held by more than one running machine"
    )


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vm_device_acl": device_acl,
    "vm_mount_namespace": mount_namespace,
    "vm_unique_labels": unique_labels,
    "vm_assigned_devices": assigned_devices,
}
