# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines of an ESXi host: isolation, devices, encryption, consoles (11.1.2, 11.2, 11.4.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import MAPPING
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import declared, entries, flag, text
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import (
    each_vm,
    named,
    number,
    option,
    user_machines,
)

# Settings of a machine that keep people and guests apart; secure by default, so that absent is as good as TRUE.
ISOLATION = ("isolation.tools.copy.disable", "isolation.tools.paste.disable", "isolation.tools.dnd.disable")
DEVICE_EDIT = "isolation.device.connectable.disable"
FILTER = re.compile(r"ethernet\d+\.filter\d+\.name", re.IGNORECASE)
MIGRATION = ("disabled", "opportunistic", "required")
PASSED_THROUGH = ("pci", "sriov", "vgpu")


def nested_off(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """No machine is offered hardware virtualisation, but for declared ones. facts: vms, visibility."""

    def judge(vm: Mapping[str, Any]) -> Outcome:
        if not flag(vm, "nested_hv"):
            return o.passed(False, False)
        if named(vm, gold["gold_nested_vms"]):
            return o.passed(True, "declared in gold_nested_vms")
        return o.failed(True, False, "it may run a hypervisor of its own and is not in gold_nested_vms")

    return each_vm(facts, judge)


def passthrough(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Devices handed to machines are guarded by the IOMMU. facts: vms, visibility, options."""

    def judge(vm: Mapping[str, Any]) -> Outcome:
        found = [text(device, "address") for device in entries(vm, "devices") if text(device, "kind") in PASSED_THROUGH]
        if not found:
            return o.not_applicable("no device of the host is handed to it")
        if option(facts["options"], "VMkernel.Boot.noIOMMU") is not False:
            return o.failed(found, "guarded by the IOMMU", "devices are handed to it while the IOMMU is off (noIOMMU)")
        return o.passed(found, "guarded by the IOMMU")

    return each_vm(facts, judge)


def assigned_devices(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Devices of the host are handed to a machine only as declared, none to two. facts: vms, visibility."""
    holders: dict[str, set[str]] = {}
    for vm in user_machines(facts):
        for address, exclusive in _held(vm):
            if exclusive:
                holders.setdefault(address, set()).add(vm["id"])
    shared = {str(name) for name in gold["gold_shared_devices"]}

    def judge(vm: Mapping[str, Any]) -> Outcome:
        allowed = declared(gold["gold_assigned_devices"], vm) or []
        held = _held(vm)
        found = sorted(address for address, _exclusive in held)
        twice = [
            address for address, exclusive in held if exclusive and len(holders[address]) > 1 and address not in shared
        ]
        if twice:
            return o.failed(found, "held by one machine", f"{twice[0][:120]} is held by another machine as well")
        undeclared = [address for address, _exclusive in held if address not in allowed and address not in shared]
        if undeclared:
            return o.failed(
                found, list(allowed), f"{undeclared[0][:120]} is not declared for it in gold_assigned_devices"
            )
        return o.passed(found, list(allowed))

    return each_vm(facts, judge)


def _held(vm: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """[(address, whether it may be in one machine only)] of a machine's devices of the host and shared disks."""
    found = [(text(device, "address"), text(device, "kind") != "vgpu") for device in entries(vm, "devices")]
    for disk in entries(vm, "disks"):
        raw, sharing = text(disk, "rdm"), text(disk, "sharing")
        if raw:
            found.append((raw, True))
        elif sharing != "sharingNone":
            found.append((f"[{text(disk, 'datastore')}] {text(disk, 'label')} ({sharing})", False))
    return found


def device_edit(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Guests cannot change their devices, and network filters are declared ones. facts: vms, visibility."""

    def judge(vm: Mapping[str, Any]) -> Outcome:
        extra = _extra(vm)
        opened = switched_off(extra, DEVICE_EDIT)
        if opened:
            return o.failed(
                extra[opened[0]], "TRUE or absent", f"{DEVICE_EDIT} is off: the guest may disconnect devices"
            )
        filters = [str(value) for key, value in extra.items() if FILTER.fullmatch(key)]
        strange = [name for name in filters if name not in gold["gold_dvfilters"]]
        if strange:
            return o.failed(
                filters, gold["gold_dvfilters"], f"the network filter {strange[0][:60]} is not in gold_dvfilters"
            )
        return o.passed(filters or "no filter")

    return each_vm(facts, judge)


def _extra(vm: Mapping[str, Any]) -> Mapping[str, Any]:
    found = need(vm, "extra_config")
    if not isinstance(found, MAPPING) or any(value is None for value in found.values()):
        raise MissingFact("extra_config was not read whole")
    return found


def is_false(value: Any) -> bool:
    """Whether an advanced setting of a machine says no; absent is no such word."""
    return value is not None and str(value).strip().casefold() in ("false", "0", "no", "off", "f", "n")


def switched_off(extra: Mapping[str, Any], *names: str) -> list[str]:
    """Those of the advanced settings that say no, as the machine writes them: case does not count in their names."""
    return sorted(key for key, value in extra.items() if key.casefold() in names and is_false(value))


def images_encrypted(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Every disk is encrypted, by vSphere or by its datastore. facts: vms, visibility, datastores."""
    stores = {text(store, "id"): store for store in entries(facts, "datastores")}

    def judge(vm: Mapping[str, Any]) -> Outcome:
        whole, plain, hidden = flag(vm, "encrypted"), [], []
        disks = entries(vm, "disks")
        if not disks:
            return o.not_applicable("it has no disk")
        for disk in disks:
            if flag(disk, "encrypted"):
                continue
            store = stores.get(text(disk, "datastore"))
            if store is None or store.get("encrypted") is None:
                hidden.append(text(disk, "label"))
            elif not flag(store, "encrypted"):
                plain.append(text(disk, "label"))
        if plain:
            return o.failed(plain, "encrypted", f"{plain[0][:60]} is not encrypted, and its datastore is not either")
        if hidden:
            raise MissingFact(f"whether the datastore of {hidden[0][:60]} is encrypted was not read")
        return o.passed({"machine encrypted": whole, "disks": "encrypted"})

    return each_vm(facts, judge, expected="a key for every disk, or an encrypted datastore below it")


def migration_encrypted(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Machines migrate encrypted. facts: vms, visibility."""
    least = gold["gold_vmotion_encryption"]

    def judge(vm: Mapping[str, Any]) -> Outcome:
        mode = text(vm, "migrate_encryption")
        if mode not in MIGRATION:
            raise MissingFact(f"{mode[:40]!r} is no way to migrate")
        if MIGRATION.index(mode) >= MIGRATION.index(least):
            return o.passed(mode, least)
        return o.failed(mode, least, f"encryption of its migration is {mode}, not {least}")

    return each_vm(facts, judge, expected=least)


def consoles(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Whoever sees a console takes nothing out and does not see somebody else's session. facts: vms, visibility."""
    most = gold["gold_max_console"]

    def judge(vm: Mapping[str, Any]) -> Outcome:
        extra, faults = _extra(vm), []
        opened = switched_off(extra, *ISOLATION)
        if opened:
            faults.append(f"{opened[0]} is off: the clipboard leads out of the guest")
        sessions = number(vm, "max_console")
        if not 1 <= sessions <= most:
            faults.append(f"{'any number of' if sessions < 1 else sessions} people may watch its console at once")
        if not flag(vm, "autolock"):
            faults.append("the guest stays open when the last console is closed")
        actual = {"max_console": sessions, "autolock": vm["autolock"], "isolation": opened or "as by default"}
        expected = f"clipboard closed, at most {most} at the console, locked when it is closed"
        return o.failed(actual, expected, "; ".join(faults)) if faults else o.passed(actual, expected)

    return each_vm(facts, judge)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vsphere_nested_off": nested_off,
    "vsphere_passthrough": passthrough,
    "vsphere_assigned_devices": assigned_devices,
    "vsphere_device_edit": device_edit,
    "vsphere_images_encrypted": images_encrypted,
    "vsphere_migration_encrypted": migration_encrypted,
    "vsphere_consoles": consoles,
}
