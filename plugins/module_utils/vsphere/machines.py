# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines: what to read of each, and its entry in the facts of its host."""

from __future__ import annotations

import hashlib
import json
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, of_objects
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import Ref, at, number, tag, value

MIB = 1024 * 1024
# guestinfo.* and others may hold passwords: only what a check reads leaves the server's answer.
KEPT = re.compile(
    r"(?:isolation|RemoteDisplay|tools\.guest|tools\.setInfo)\.|ethernet\d+\.filter|sched\.mem\.pshare\.salt$|mks\.enable3d$",
    re.IGNORECASE,
)
AGENT_MANAGER = "com.vmware.vim.eam"
# config.managedBy of vCLS machines, before 8.0.3 and since (Broadcom KB 370219).
CLUSTER_SERVICES = ((AGENT_MANAGER, "cluster-agent"), ("VirtualCenter", "vcls-entity"))
NEVER_HASHED = frozenset(("power", "active", "stats", "name", "config_hash"))
# What a device's structure is read for; the rest (controllers, video, keyboard) is passed over unread.
HOST_PORTS = {"VirtualSerialPort": "serial", "VirtualParallelPort": "parallel"}
SRIOV = "VirtualSriovEthernetCard"
TIED = frozenset(("VirtualPCIPassthrough", SRIOV))
OTHER_KINDS = {"VirtualUSB": "usb", "VirtualSCSIPassthrough": "scsi"}
READ_DEVICES = frozenset(("VirtualDisk", "VirtualPCIPassthrough", "VirtualTPM", *HOST_PORTS, *OTHER_KINDS))


def options(element):
    """{key: value} of an array of OptionValue."""
    found = {}
    for entry in element:
        key = inner = None
        for child in entry:
            name = tag(child)
            if name == "key":
                key = child.text
            elif name == "value":
                inner = value(child)
        if key:
            found[key] = inner
    return found


def _kept_options(element):
    return {key: inner for key, inner in options(element).items() if KEPT.match(key)}


def _devices(element):
    found = []
    for child in element:
        kind = next((text for name, text in child.items() if name.endswith("}type")), "")
        kind = kind[kind.rfind(":") + 1 :]
        if kind in READ_DEVICES or any(tag(inner) == "macAddress" for inner in child):
            found.append(value(child))
    return found


RUNNING = Properties(
    "VirtualMachine",
    {
        "name": None,
        "runtime.powerState": None,
        "config.managedBy": None,
        "config.extraConfig": _kept_options,
        "config.hardware.device": _devices,
    },
    page=100,
)
# Devices that every machine has and no check reads: half of what a vCenter says of a machine.
PASSED_OVER = frozenset(
    (
        b"VirtualIDEController",
        b"VirtualKeyboard",
        b"VirtualMachineVMCIDevice",
        b"VirtualMachineVideoCard",
        b"VirtualPCIController",
        b"VirtualPointingDevice",
        b"VirtualPS2Controller",
        b"VirtualSIOController",
    )
)
PROPERTIES = Properties(
    "VirtualMachine",
    {
        "name": None,
        "runtime.host": None,
        "runtime.powerState": None,
        "config.instanceUuid": None,
        "config.managedBy": None,
        "config.template": None,
        "config.version": None,
        "config.hardware.numCPU": None,
        "config.hardware.numCoresPerSocket": None,
        "config.hardware.autoCoresPerSocket": None,
        "config.hardware.memoryMB": None,
        "config.hardware.device": _devices,
        "config.extraConfig": _kept_options,
        "config.cpuAllocation": None,
        "config.memoryAllocation": None,
        "config.memoryReservationLockedToMax": None,
        "config.flags.virtualExecUsage": None,
        "config.flags.virtualMmuUsage": None,
        "config.flags.vbsEnabled": None,
        "config.nestedHVEnabled": None,
        "config.keyId": None,
        "config.migrateEncryption": None,
        "config.ftEncryptionMode": None,
        "config.firmware": None,
        "config.bootOptions.efiSecureBootEnabled": None,
        "config.maxMksConnections": None,
        "config.guestAutoLockEnabled": None,
        "summary.quickStats.balloonedMemory": None,
        "summary.quickStats.swappedMemory": None,
        "summary.quickStats.compressedMemory": None,
    },
    page=250,
    passed_over=(b"VirtualDevice", PASSED_OVER),
)
# fact: property, where the value is taken as it is.
PLAIN = {
    "name": "name",
    "power": "runtime.powerState",
    "template": "config.template",
    "hardware_version": "config.version",
    "vcpus_max": "config.hardware.numCPU",
    "migrate_encryption": "config.migrateEncryption",
    "ft_encryption": "config.ftEncryptionMode",
    "firmware": "config.firmware",
    "secure_boot": "config.bootOptions.efiSecureBootEnabled",
    "nested_hv": "config.nestedHVEnabled",
    "max_console": "config.maxMksConnections",
    "autolock": "config.guestAutoLockEnabled",
}


def entry(found, datastores, version):
    """(entry, errors) of one machine. found: see retrieve.Found; datastores: {id: name}; version: of its host."""
    values = found.values
    vm_id = values.get("config.instanceUuid") or found.moid
    vm = {"id": vm_id}
    errors = []

    def put(key, result, *paths):
        if result is not None:
            vm[key] = result
            return
        refused = next((found.missing[path] for path in paths if path in found.missing), None)
        if refused:
            errors.append({"path": "vms[%s].%s" % (vm_id, key), "reason": refused})

    for key, path in PLAIN.items():
        put(key, values.get(path), path)
    # Where it is refused, a machine of vSphere's own would be judged as one of people's.
    told = "config.managedBy" not in found.missing
    put("system", _system(values) if told else None, "config.managedBy", "config.extraConfig")
    put("active", _active(values), "runtime.powerState")
    # Where vSphere chooses the sockets, any number of vCPUs makes whole ones.
    sockets = 1 if values.get("config.hardware.autoCoresPerSocket") else values.get("config.hardware.numCoresPerSocket")
    put("cores_per_socket", sockets or None, "config.hardware.numCoresPerSocket")
    put("mem_max_b", _times(values.get("config.hardware.memoryMB"), MIB), "config.hardware.memoryMB")
    put("cpu", _allocation(values.get("config.cpuAllocation"), "mhz", 1), "config.cpuAllocation")
    put("mem", _memory(values), "config.memoryAllocation")
    put("stats", _stats(values, vm.get("active")), "summary.quickStats.balloonedMemory")
    put("flags", _flags(values), "config.flags.virtualExecUsage")
    if "config.version" in values:
        key_id = values.get("config.keyId") or {}
        put("encrypted", bool(key_id), "config.keyId")
        put("key_provider", at(key_id, "providerId.id", ""), "config.keyId")
    elif "config.keyId" in found.missing:
        put("encrypted", None, "config.keyId")
    devices = values.get("config.hardware.device")
    for key, read in (
        ("nics", lambda: [_nic(device) for device in devices if "macAddress" in device]),
        ("disks", lambda: [_disk(device, datastores, version) for device in _of(devices, "VirtualDisk")]),
        ("devices", lambda: [shown for device in devices for shown in _assigned(device)]),
        ("vtpm", lambda: bool(_of(devices, "VirtualTPM"))),
    ):
        put(key, None if devices is None else read(), "config.hardware.device")
    extra = values.get("config.extraConfig")
    put(
        "extra_config",
        None if extra is None else {key: str(text) for key, text in extra.items()},
        "config.extraConfig",
    )
    text = json.dumps({key: vm[key] for key in sorted(vm) if key not in NEVER_HASHED}, sort_keys=True, default=str)
    vm["config_hash"] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return vm, errors


def _system(values):
    """vCLS machines and other agents of ESX Agent Manager belong to the platform, and nobody may change them.

    What another extension manages (a cloud's tenants, desktops, a backup's proxies) is people's, and so is what only
    says of itself that it is an agent (HDCS.agent in extraConfig): whoever edits a machine may write that.
    """
    if values.get("config.extraConfig") is None:
        return None  # of a machine without a configuration nobody knows what it is
    managed = values.get("config.managedBy") or {}
    manager, kind = str(managed.get("extensionKey", "")), str(managed.get("type", ""))
    if (manager, kind) in CLUSTER_SERVICES:
        return "vCLS"
    return "agent: %s" % kind[:100] if manager == AGENT_MANAGER else ""


def running(session, moids):
    """{id: {name, tied}} of those machines that run and are not vSphere's own; one of which that is not known counts.

    tied: whether it has a device of its host, with which it cannot move.
    """
    found = of_objects(session, RUNNING, [Ref(moid, "VirtualMachine") for moid in moids], {})
    return {
        one.moid: {
            "name": str(one.name),
            "tied": any(device.get("_type") in TIED for device in one.values.get("config.hardware.device") or ()),
        }
        for one in found
        if one.values.get("runtime.powerState", "poweredOn") == "poweredOn" and not _system(one.values)
    }


def _active(values):
    power = values.get("runtime.powerState")
    return None if power is None else power != "poweredOff"


def _times(amount, unit):
    amount = number(amount)
    return None if amount is None else amount * unit if amount > 0 else amount


def _allocation(found, suffix, unit):
    if not isinstance(found, dict):
        return None
    entry = {
        "reservation_" + suffix: _times(found.get("reservation"), unit),
        "limit_" + suffix: _times(found.get("limit"), unit),
        "shares": number(at(found, "shares.shares")),
        "shares_level": at(found, "shares.level"),
    }
    return {key: amount for key, amount in entry.items() if amount is not None}


def _memory(values):
    entry = _allocation(values.get("config.memoryAllocation"), "b", MIB)
    locked = values.get("config.memoryReservationLockedToMax")
    if entry is not None and locked is not None:
        entry["locked_to_max"] = locked
    return entry


def _stats(values, active):
    units = (("ballooned_b", "balloonedMemory", MIB), ("swapped_b", "swappedMemory", MIB),
             ("compressed_b", "compressedMemory", 1024))  # fmt: skip
    if active is False:
        return {name: 0 for name, _path, _unit in units}
    found = {name: _times(values.get("summary.quickStats." + path), unit) for name, path, unit in units}
    known = {name: amount for name, amount in found.items() if amount is not None}
    return known or None


def _flags(values):
    found = {
        "exec_usage": values.get("config.flags.virtualExecUsage"),
        "mmu_usage": values.get("config.flags.virtualMmuUsage"),
        "vbs": values.get("config.flags.vbsEnabled"),
    }
    known = {name: text for name, text in found.items() if text is not None}
    return known or None


def _of(devices, kind):
    return [device for device in devices if device.get("_type") == kind]


def _nic(device):
    backing = device.get("backing") or {}
    opaque = backing.get("opaqueNetworkId")
    portgroup = at(backing, "port.portgroupKey") or backing.get("deviceName") or ""
    nic = {
        "id": str(device.get("key", "")),
        "label": at(device, "deviceInfo.label", ""),
        "portgroup": "nsx:%s" % opaque if opaque else portgroup,
        "limit_mbps": number(at(device, "resourceAllocation.limit")),
        "type": "sriov" if device.get("_type") == SRIOV else "virtual",
    }
    return {key: found for key, found in nic.items() if found is not None}


def _disk(device, datastores, version):
    backing = device.get("backing") or {}
    limit = number(at(device, "storageIOAllocation.limit"))
    if limit is None or limit < 0:
        # Deprecated as a whole since 8.0 U3 without a replacement, though still in the API of 9.0; its component is to
        # go in a release after 8 (Broadcom KB 320864). What is set counts, none is set anew.
        limit = -2 if version and version[0] >= 9 else -1 if limit is not None else None
    disk = {
        "id": str(device.get("key", "")),
        "label": at(device, "deviceInfo.label", ""),
        "datastore": datastores.get(backing.get("datastore"), _datastore_of(backing.get("fileName", ""))),
        "encrypted": bool(backing.get("keyId")),
        "sharing": backing.get("sharing", "sharingNone"),
        "rdm": backing.get("deviceName", "") if "RawDiskMapping" in backing.get("_type", "") else "",
        "iops_limit": limit,
    }
    return {key: found for key, found in disk.items() if found is not None}


def _datastore_of(file_name):
    match = re.match(r"\[([^\]]+)\]", str(file_name))
    return match.group(1) if match else ""


def _assigned(device):
    """[{kind, address}] where a device of the host stands behind it, else []."""
    kind, backing = device.get("_type", ""), device.get("backing") or {}
    if kind == "VirtualPCIPassthrough":
        if backing.get("vgpu"):
            return [{"kind": "vgpu", "address": backing["vgpu"]}]
        return [{"kind": "pci", "address": backing.get("id") or backing.get("assignedId") or ""}]
    if kind == SRIOV:
        sriov = device.get("sriovBacking") or {}
        address = at(sriov, "virtualFunctionBacking.id") or at(sriov, "physicalFunctionBacking.id") or ""
        return [{"kind": "sriov", "address": address}]
    if kind in HOST_PORTS:
        on_host = str(backing.get("_type", "")).endswith("PortDeviceBackingInfo")
        return [{"kind": HOST_PORTS[kind], "address": backing.get("deviceName", "")}] if on_host else []
    if kind in OTHER_KINDS:
        return [{"kind": OTHER_KINDS[kind], "address": backing.get("deviceName", "")}]
    return []
