# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set on virtual machines: where each setting is read, and its place in VirtualMachineConfigSpec.

A machine is named by its instance UUID; after a space stands which of its advanced settings or devices is meant.
"""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import machine_devices as devices
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.machines import options
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import at, number

# A server wants fields in the order of the schema.
ORDER = (
    "changeVersion",
    "flags.virtualMmuUsage",
    "flags.virtualExecUsage",
    "numCPUs",
    "numCoresPerSocket",
    "deviceChange",
    "cpuAllocation.reservation",
    "cpuAllocation.limit",
    "cpuAllocation.shares",
    "memoryAllocation.reservation",
    "memoryAllocation.limit",
    "extraConfig",
    "maxMksConnections",
    "guestAutoLockEnabled",
    "nestedHVEnabled",
    "migrateEncryption",
)
LEVELS = ("low", "normal", "high")


def split(name):
    """(UUID, key) of a setting's name; the key is empty where the machine has only one of the kind."""
    uuid, _space, key = name.partition(" ")
    return uuid, key


def spec(change_version, parts):
    """VirtualMachineConfigSpec as XML. parts: [(place of ORDER, XML)].

    With the version that was read, the server refuses what somebody changed in between.
    """
    parts = [("changeVersion", element("changeVersion", change_version))] + sorted(
        parts, key=lambda part: ORDER.index(part[0])
    )
    text, opened = "", ""
    for place, inner in parts:
        head, _dot, below = place.partition(".")
        head = head if below else ""
        if head != opened:
            text += ("</%s>" % opened if opened else "") + ("<%s>" % head if head else "")
            opened = head
        text += inner
    return "<spec>%s%s</spec>" % (text, "</%s>" % opened if opened else "")


class MachineKind(object):
    """A kind of row about a machine. path: the property of the machine it is read from, reader: of its element.

    now(found, key) -> the value of now, found being what was read at path; part(found, key, value) -> XML of its place.
    """

    reader = None

    def __init__(self, title, place, path):
        self.title = title
        self.place = place
        self.path = path

    def current(self, host, name):
        """The value of now.

        :raises ChangeError: the machine is not on the host, or the value was not read.
        """
        uuid, key = split(name)
        return self.now(self.read_of(host.machine(uuid)), key)

    def read_of(self, machine):
        """What was read at the path. :raises ChangeError: nothing was."""
        found = machine.values.get(self.path)
        if found is None:
            why = machine.missing.get(self.path, "it is unset")
            raise ChangeError("%s of virtual machine %s was not read: %s" % (self.path, machine.moid, why))
        return found


class Field(MachineKind):
    """One field, a number, a text, or true or false."""

    def now(self, found, _key):
        return found

    def part(self, _found, _key, wanted):
        text = {True: "true", False: "false"}[wanted] if isinstance(wanted, bool) else wanted
        return element(self.place.rpartition(".")[2], text)


class Setting(MachineKind):
    """An advanced setting, None where the machine has none of the name; written empty, it is taken away."""

    reader = staticmethod(options)

    def now(self, found, key):
        return None if found.get(key) is None else str(found[key])

    def part(self, _found, key, wanted):
        inner = element("key", key) + element("value", wanted or "", "xsd:string")
        return '<extraConfig xsi:type="OptionValue">%s</extraConfig>' % inner


class Shares(MachineKind):
    """A level, or a number of shares as text: the server ignores the number beside a level."""

    def now(self, found, _key):
        level = at(found, "level")
        return level if level in LEVELS else str(number(at(found, "shares")))

    def part(self, _found, _key, wanted):
        level = wanted if wanted in LEVELS else "custom"
        shares = element("shares", 0 if wanted in LEVELS else wanted)
        return "<shares>%s%s</shares>" % (shares, element("level", level))


class DeviceLimit(MachineKind):
    """The limit of one device, named by its key. holder: the structure of the device that holds it."""

    reader = staticmethod(devices.by_key)

    def __init__(self, title, holder):
        MachineKind.__init__(self, title, "deviceChange", "config.hardware.device")
        self.holder = holder

    def now(self, found, key):
        return devices.limit(self._device(found, key), self.holder)

    def part(self, found, key, wanted):
        return devices.edited(self._device(found, key), self.holder, wanted)

    @staticmethod
    def _device(found, key):
        if key not in found:
            raise ChangeError("the machine has no device %s any more" % key)
        return found[key]


SETTINGS = {
    "machine_exec": Field(
        "virtualisation of instructions for machine %s", "flags.virtualExecUsage", "config.flags.virtualExecUsage"
    ),
    "machine_mmu": Field(
        "virtualisation of memory for machine %s", "flags.virtualMmuUsage", "config.flags.virtualMmuUsage"
    ),
    "machine_nested": Field("hypervisors inside machine %s", "nestedHVEnabled", "config.nestedHVEnabled"),
    "machine_vcpus": Field("vCPUs of machine %s", "numCPUs", "config.hardware.numCPU"),
    "machine_cores_per_socket": Field(
        "cores for each socket of machine %s", "numCoresPerSocket", "config.hardware.numCoresPerSocket"
    ),
    "machine_cpu_reservation": Field(
        "reservation in MHz of machine %s", "cpuAllocation.reservation", "config.cpuAllocation.reservation"
    ),
    "machine_cpu_limit": Field("limit in MHz of machine %s", "cpuAllocation.limit", "config.cpuAllocation.limit"),
    "machine_cpu_shares": Shares("CPU shares of machine %s", "cpuAllocation.shares", "config.cpuAllocation.shares"),
    "machine_memory_reservation": Field(
        "reservation in MiB of machine %s", "memoryAllocation.reservation", "config.memoryAllocation.reservation"
    ),
    "machine_memory_limit": Field(
        "limit in MiB of machine %s", "memoryAllocation.limit", "config.memoryAllocation.limit"
    ),
    "machine_nic_limit": DeviceLimit("limit in Mbit/s of adapter %s", "resourceAllocation"),
    "machine_disk_limit": DeviceLimit("limit in operations per second of disk %s", "storageIOAllocation"),
    "machine_option": Setting("setting of machine %s", "extraConfig", "config.extraConfig"),
    "machine_consoles": Field("consoles at once of machine %s", "maxMksConnections", "config.maxMksConnections"),
    "machine_autolock": Field(
        "machine %s locks when its console closes", "guestAutoLockEnabled", "config.guestAutoLockEnabled"
    ),
    "machine_migration": Field("encrypted migration of machine %s", "migrateEncryption", "config.migrateEncryption"),
}
