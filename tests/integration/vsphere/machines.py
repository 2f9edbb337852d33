# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of the target's machines that make every check fail that is set on machines."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client, done

CHECKS = frozenset(
    {
        "vsphere-11.1.2-nested-off",
        "vsphere-11.1.2-vm-monitor",
        "vsphere-11.2.10-vmotion",
        "vsphere-11.2.7-device-edit",
        "vsphere-11.3.10-disk",
        "vsphere-11.3.10-network",
        "vsphere-11.3.2-policy",
        "vsphere-11.3.3-vcpu",
        "vsphere-11.3.4-policy",
        "vsphere-11.4.5-isolation",
    }
)
# What a site declares for its machines; db01 is the hardened one of the target.
GOLD: dict[str, Any] = {
    "gold_vm_limits": {"default": {"network_kib": 12500, "disk_iops": 1000, "cpu_percent": 100}},
    "gold_vm_memory_policy": {"db01": {"guaranteed": True}},
    "gold_vm_cpu_policy": {"db01": {"priority": 2, "limit_percent": 80}},
}


def options(**values: str) -> list[vim.option.OptionValue]:
    """Advanced settings; a double underscore is a dot."""
    return [vim.option.OptionValue(key=key.replace("__", "."), value=value) for key, value in values.items()]


def of_people(admin: Client) -> list[vim.VirtualMachine]:
    """Machines that are neither templates nor vSphere's own."""
    return [
        machine
        for machine in admin.all(vim.VirtualMachine)
        if machine.config.managedBy is None and not machine.config.template
    ]


def spoil(admin: Client) -> list[str]:
    """Have every machine of people fail what can be set of it in its state; db01 is off. Returns their UUIDs."""
    done(admin.machine("db01").PowerOffVM_Task())
    for machine in of_people(admin):
        done(machine.ReconfigVM_Task(spec=_opened(machine)))
        if machine.runtime.powerState == "poweredOff":
            done(machine.ReconfigVM_Task(spec=_without_help()))
    return [machine.config.instanceUuid for machine in of_people(admin)]


def _opened(machine: vim.VirtualMachine) -> vim.vm.ConfigSpec:
    """What a server takes at any time."""
    shares = vim.SharesInfo(level="normal", shares=0)
    return vim.vm.ConfigSpec(
        extraConfig=options(
            isolation__device__connectable__disable="FALSE",
            isolation__tools__copy__disable="FALSE",
            isolation__tools__paste__disable="FALSE",
        ),
        migrateEncryption="disabled",
        maxMksConnections=40,
        guestAutoLockEnabled=False,
        memoryReservationLockedToMax=False,
        cpuAllocation=vim.ResourceAllocationInfo(reservation=0, limit=-1, shares=shares),
        memoryAllocation=vim.ResourceAllocationInfo(reservation=0, limit=1024, shares=shares),
        deviceChange=[_unlimited(device) for device in machine.config.hardware.device if _can_be_limited(device)],
    )


def _can_be_limited(device: vim.vm.device.VirtualDevice) -> bool:
    return isinstance(device, (vim.vm.device.VirtualDisk, vim.vm.device.VirtualEthernetCard))


def _unlimited(device: vim.vm.device.VirtualDevice) -> vim.vm.device.VirtualDeviceSpec:
    if isinstance(device, vim.vm.device.VirtualDisk):
        device.storageIOAllocation.limit = -1
    else:
        device.resourceAllocation.limit = -1
    return vim.vm.device.VirtualDeviceSpec(operation="edit", device=device)


def _without_help() -> vim.vm.ConfigSpec:
    """What a server takes of a machine that is off."""
    flags = vim.vm.FlagInfo(virtualExecUsage="hvOff", virtualMmuUsage="off")
    return vim.vm.ConfigSpec(flags=flags, nestedHVEnabled=True, numCPUs=40, numCoresPerSocket=4)
