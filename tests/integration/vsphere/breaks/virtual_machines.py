# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines: devices, encryption, consoles, shares (11.2.6 to 11.2.10, 11.3.1 to 11.3.4, 11.3.10, 11.4.5)."""

from __future__ import annotations

from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.integration.vsphere import machines
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks.steps import (
    MACHINE,
    Break,
    Place,
    Step,
    deny,
    deny_machine,
    options,
    reconfigure,
    state,
)
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import done

NEWEST = "esx03.lab.example"
NESTED = "lab-nested01"  # there, a device of the host is handed to it
HELD = {"gold_assigned_devices": {NESTED: ["0000:31:00.0"]}}
GIB = 1024 * 1024 * 1024


def _disk(place: Place) -> vim.vm.device.VirtualDisk:
    devices = place.admin.machine(MACHINE).config.hardware.device
    return next(device for device in devices if isinstance(device, vim.vm.device.VirtualDisk))


def _limit_of_disk(limit: int) -> Step:
    def step(place: Place) -> None:
        disk = _disk(place)
        disk.storageIOAllocation.limit = limit
        reconfigure(deviceChange=[vim.vm.device.VirtualDeviceSpec(operation="edit", device=disk)])(place)

    return step


def _plain_disk(place: Place) -> None:
    """One more disk, which nobody encrypts."""
    found = _disk(place)
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName="[datastore1] db01/plain.vmdk", diskMode="persistent", thinProvisioned=True
    )
    disk = vim.vm.device.VirtualDisk(
        key=-1, controllerKey=found.controllerKey, unitNumber=9, capacityInKB=1024 * 1024, backing=backing
    )
    change = vim.vm.device.VirtualDeviceSpec(operation="add", fileOperation="create", device=disk)
    reconfigure(deviceChange=[change])(place)


def _take_device_away(place: Place) -> None:
    """A device of the host goes back to it, for which the machine has to be off."""
    nested = place.admin.machine(NESTED)
    done(nested.PowerOffVM_Task())
    passed = next(
        device for device in nested.config.hardware.device if isinstance(device, vim.vm.device.VirtualPCIPassthrough)
    )
    change = vim.vm.device.VirtualDeviceSpec(operation="remove", device=passed)
    done(nested.ReconfigVM_Task(spec=vim.vm.ConfigSpec(deviceChange=[change])))


def _extra(**values: str) -> Step:
    return reconfigure(extraConfig=machines.options(**values))


def _memory(reservation: int, *, locked: bool) -> Step:
    allocation = vim.ResourceAllocationInfo(reservation=reservation)
    return reconfigure(memoryAllocation=allocation, memoryReservationLockedToMax=locked)


def _limit_of_cpu(mhz: int) -> Step:
    return reconfigure(cpuAllocation=vim.ResourceAllocationInfo(limit=mhz))


def _shares(level: str) -> Step:
    return reconfigure(cpuAllocation=vim.ResourceAllocationInfo(shares=vim.SharesInfo(level=level, shares=0)))


BREAKS = [
    Break(
        "vsphere-11.2.6-passthrough",
        {
            "fail": [options(VMkernel__Boot__noIOMMU=True)],
            "pass": [options(VMkernel__Boot__noIOMMU=False)],
            "unknown": [deny("config.option")],
        },
        "while the IOMMU is off",
        host=NEWEST,
    ),
    Break(
        "vsphere-11.2.7-assigned-map",
        {"fail": [], "pass": [_take_device_away], "unknown": [deny_machine("config.hardware.device")]},
        "is not declared for it",
        host=NEWEST,
    ),
    Break(
        "vsphere-11.2.7-assigned-map",
        {"pass": [], "unknown": [deny_machine("config.hardware.device")]},
        gold=HELD,
        host=NEWEST,
    ),
    Break(
        "vsphere-11.2.7-device-edit",
        {
            "fail": [_extra(isolation__device__connectable__disable="FALSE")],
            "pass": [_extra(isolation__device__connectable__disable="TRUE")],
            "unknown": [deny_machine("config.extraConfig")],
        },
        "the guest may disconnect devices",
    ),
    Break(
        "vsphere-11.2.9-vm-encrypted",
        {"pass": [], "fail": [_plain_disk], "unknown": [deny_machine("config.hardware.device")]},
        "is not encrypted",
    ),
    Break(
        "vsphere-11.2.10-vmotion",
        {
            "fail": [reconfigure(migrateEncryption="opportunistic")],
            "pass": [reconfigure(migrateEncryption="required")],
            "unknown": [deny_machine("config.migrateEncryption")],
        },
        "opportunistic",
    ),
    Break(
        "vsphere-11.3.1-ratio",
        {
            "fail": [state("hardware.memorySize", 8 * GIB)],
            "pass": [state("hardware.memorySize", 256 * GIB)],
            "unknown": [deny("hardware.memorySize")],
        },
        "times that of the host",
    ),
    Break(
        "vsphere-11.3.1-pressure",
        {
            "fail": [state("summary.quickStats.balloonedMemory", 512, MACHINE)],
            "pass": [state("summary.quickStats.balloonedMemory", 0, MACHINE)],
            "unknown": [deny_machine("summary.quickStats.balloonedMemory")],
        },
        "ballooned",
    ),
    Break(
        "vsphere-11.3.1-pressure",
        {
            "fail": [options(Mem__ShareForceSalting=0)],
            "pass": [options(Mem__ShareForceSalting=2)],
            "unknown": [deny("configurationEx", "ClusterComputeResource")],
        },
        "pages of different machines are merged",
    ),
    Break(
        "vsphere-11.3.2-policy",
        {
            "fail": [_memory(0, locked=False)],
            "pass": [_memory(16384, locked=True)],
            "unknown": [deny_machine("config.memoryAllocation")],
        },
        "not guaranteed",
    ),
    Break(
        "vsphere-11.3.3-vcpu",
        {
            "fail": [state("config.hardware.numCPU", 40, MACHINE)],
            "pass": [state("config.hardware.numCPU", 4, MACHINE)],
            "unknown": [deny_machine("config.hardware.numCPU")],
        },
        "has 32 cores",
    ),
    Break(
        "vsphere-11.3.3-vcpu",
        {"pass": [], "fail": [state("hardware.cpuInfo.numCpuCores", 4)], "unknown": [deny("hardware.cpuInfo")]},
        "has 4 cores",
    ),
    Break(
        "vsphere-11.3.4-policy",
        {"fail": [_shares("low")], "pass": [_shares("high")], "unknown": [deny_machine("config.cpuAllocation")]},
        "less than 2",
    ),
    Break(
        "vsphere-11.3.10-disk",
        {
            "fail": [_limit_of_cpu(-1)],
            "pass": [_limit_of_cpu(8000)],
            # A storage policy may limit it, which the vSphere API does not tell.
            "unknown": [_limit_of_disk(-1)],
        },
        "no cap on processor time",
    ),
    Break(
        "vsphere-11.4.5-isolation",
        {
            "fail": [reconfigure(maxMksConnections=40)],
            "pass": [reconfigure(maxMksConnections=1)],
            "unknown": [deny_machine("config.maxMksConnections")],
        },
        "40 people",
    ),
    Break(
        "vsphere-11.4.5-isolation",
        {
            "fail": [_extra(isolation__tools__copy__disable="FALSE")],
            "pass": [_extra(isolation__tools__copy__disable="TRUE")],
            "unknown": [deny_machine("config.extraConfig")],
        },
        "the clipboard leads out",
    ),
]
