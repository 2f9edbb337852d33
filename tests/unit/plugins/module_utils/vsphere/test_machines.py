# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines: what their configuration says, in the shape the checks read."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import machines
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Found

HEAD = 'xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
BASE = {
    "name": "app01",
    "config.instanceUuid": "502a3d11-0c7e-4f33-9d0b-1e7a3a6c1f01",
    "config.version": "vmx-21",
    "config.extraConfig": {},
    "config.hardware.memoryMB": 2048,
    "runtime.powerState": "poweredOn",
}


def entry(version: tuple[int, ...] = (8, 0, 3), missing: dict[str, str] | None = None, **changed: object) -> tuple:
    values = {**BASE, **{key.replace("__", "."): value for key, value in changed.items()}}
    return machines.entry(Found("VirtualMachine", "vm-1", values, missing or {}), {"datastore-1": "fast"}, version)


def device(kind: str, inner: str) -> list[dict]:
    text = f'<val {HEAD}><VirtualDevice xsi:type="{kind}">{inner}</VirtualDevice></val>'
    return machines.PROPERTIES.paths["config.hardware.device"](ElementTree.fromstring(text))


def backing(kind: str, inner: str = "") -> str:
    return f'<backing xsi:type="{kind}">{inner}</backing>'


def devices(kind: str, inner: str) -> list[dict[str, str]]:
    return entry(config__hardware__device=device(kind, inner))[0]["devices"]


@pytest.mark.parametrize(
    ("kind", "inner", "found"),
    [
        ("VirtualPCIPassthrough", backing("VirtualPCIPassthroughDeviceBackingInfo", "<id>0000:3b:00.0</id>"),
         [{"kind": "pci", "address": "0000:3b:00.0"}]),
        ("VirtualPCIPassthrough", backing("VirtualPCIPassthroughVmiopBackingInfo", "<vgpu>grid_a</vgpu>"),
         [{"kind": "vgpu", "address": "grid_a"}]),
        ("VirtualPCIPassthrough", backing("VirtualPCIPassthroughDynamicBackingInfo"), [{"kind": "pci", "address": ""}]),
        ("VirtualSriovEthernetCard", "<macAddress>m</macAddress><sriovBacking><virtualFunctionBacking>"
         "<id>0000:01:10.0</id></virtualFunctionBacking></sriovBacking>",
         [{"kind": "sriov", "address": "0000:01:10.0"}]),
        ("VirtualUSB", backing("VirtualUSBUSBBackingInfo", "<deviceName>path:1/0/2</deviceName>"),
         [{"kind": "usb", "address": "path:1/0/2"}]),
        ("VirtualSCSIPassthrough", "<backing><deviceName>/vmfs/devices/genscsi/x</deviceName></backing>",
         [{"kind": "scsi", "address": "/vmfs/devices/genscsi/x"}]),
        ("VirtualSerialPort", backing("VirtualSerialPortDeviceBackingInfo", "<deviceName>/dev/uart0</deviceName>"),
         [{"kind": "serial", "address": "/dev/uart0"}]),
        ("VirtualSerialPort", backing("VirtualSerialPortFileBackingInfo", "<fileName>x</fileName>"), []),
        ("VirtualParallelPort",
         backing("VirtualParallelPortDeviceBackingInfo", "<deviceName>/dev/parport0</deviceName>"),
         [{"kind": "parallel", "address": "/dev/parport0"}]),
        ("ParaVirtualSCSIController", "<busNumber>0</busNumber>", []),
    ],
)  # fmt: skip
def test_devices_of_the_host_are_named(kind: str, inner: str, found: list[dict[str, str]]) -> None:
    assert devices(kind, inner) == found


@pytest.mark.parametrize(
    ("backing", "portgroup"),
    [
        (
            '<backing xsi:type="VirtualEthernetCardNetworkBackingInfo"><deviceName>VM Network</deviceName></backing>',
            "VM Network",
        ),
        ("<backing><port><portgroupKey>dvportgroup-7</portgroupKey></port></backing>", "dvportgroup-7"),
        ("<backing><opaqueNetworkId>seg1</opaqueNetworkId></backing>", "nsx:seg1"),
        ("", ""),
    ],
)
def test_a_card_is_on_its_port_group(backing: str, portgroup: str) -> None:
    inner = (
        f"<key>4000</key><deviceInfo><label>Network adapter 1</label></deviceInfo>{backing}<macAddress>m</macAddress>"
    )
    found = entry(config__hardware__device=device("VirtualVmxnet3", inner))[0]["nics"]
    assert found == [{"id": "4000", "label": "Network adapter 1", "portgroup": portgroup, "type": "virtual"}]


def test_a_card_that_goes_past_the_switch_is_told() -> None:
    (card,) = entry(config__hardware__device=device("VirtualSriovEthernetCard", "<macAddress>m</macAddress>"))[0][
        "nics"
    ]
    assert card["type"] == "sriov"


@pytest.mark.parametrize(
    ("number", "automatic", "found"), [(4, None, 4), (4, False, 4), (4, True, 1), (0, None, None), (None, None, None)]
)
def test_cores_of_a_socket(number: int | None, automatic: bool | None, found: int | None) -> None:
    """Where vSphere chooses, any number of vCPUs makes whole sockets."""
    values = {"config__hardware__numCoresPerSocket": number, "config__hardware__autoCoresPerSocket": automatic}
    assert (
        entry(**{key: value for key, value in values.items() if value is not None})[0].get("cores_per_socket") == found
    )


@pytest.mark.parametrize(
    ("version", "limit", "found"),
    [((8, 0, 3), "-1", -1), ((8, 0, 3), "500", 500), ((9, 0, 0), "-1", -2), ((9, 0, 0), "500", 500), ((), "-1", -1)],
)
def test_a_disk_limit_that_the_version_cannot_set_is_told_apart(
    version: tuple[int, ...], limit: str, found: int
) -> None:
    inner = f"<key>2000</key><storageIOAllocation><limit>{limit}</limit></storageIOAllocation>"
    disk = entry(version, config__hardware__device=device("VirtualDisk", inner))[0]["disks"][0]
    assert disk["iops_limit"] == found


def test_a_disk_says_where_it_lies_and_whether_it_is_encrypted() -> None:
    inner = (
        '<key>2000</key><backing xsi:type="VirtualDiskFlatVer2BackingInfo"><fileName>[slow] a/a.vmdk</fileName>'
        '<datastore type="Datastore">datastore-1</datastore><keyId><keyId>k</keyId></keyId><sharing>sharingMultiWriter'
        "</sharing></backing>"
    )
    disk = entry(config__hardware__device=device("VirtualDisk", inner))[0]["disks"][0]
    assert disk == {
        "id": "2000", "label": "", "datastore": "fast", "encrypted": True, "sharing": "sharingMultiWriter", "rdm": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("managed", "extra", "system"),
    [
        (None, {}, ""),
        ({"extensionKey": "com.vmware.vim.eam", "type": "cluster-agent"}, {}, "vCLS"),
        ({"extensionKey": "VirtualCenter", "type": "vcls-entity"}, {"HDCS.agent": "true"}, "vCLS"),
        ({"extensionKey": "com.vmware.vim.eam", "type": "guest-introspection"}, {}, "agent: guest-introspection"),
        # What an extension manages is people's all the same, and an agent is not one by its own word.
        ({"extensionKey": "com.vmware.vcloud", "type": "vcd-vm"}, {}, ""),
        ({"extensionKey": "com.example.backup", "type": "cluster-agent"}, {}, ""),
        ({}, {"HDCS.agent": "true"}, ""),
        ({}, {}, ""),
    ],
)
def test_machines_of_the_platform_are_recognised(managed: dict | None, extra: dict, system: str) -> None:
    assert entry(config__managedBy=managed, config__extraConfig=extra)[0]["system"] == system


def test_secrets_of_the_extra_configuration_never_leave_the_reader() -> None:
    options = "".join(
        f'<OptionValue><key>{key}</key><value xsi:type="xsd:string">S3cret</value></OptionValue>'
        for key in (
            "guestinfo.userdata",
            "isolation.tools.copy.disable",
            "RemoteDisplay.vnc.key",
            "sched.mem.pshare.salt",
        )
    )
    found = machines.PROPERTIES.paths["config.extraConfig"](ElementTree.fromstring(f"<val {HEAD}>{options}</val>"))
    assert "guestinfo.userdata" not in found
    assert "isolation.tools.copy.disable" in found


def test_what_is_refused_is_an_error_of_this_machine_only() -> None:
    vm, errors = entry(missing={"config.migrateEncryption": "no permission: x"})
    assert "migrate_encryption" not in vm
    assert {"path": f"vms[{vm['id']}].migrate_encryption", "reason": "no permission: x"} in errors


def test_a_machine_whose_configuration_is_lost_still_has_an_entry() -> None:
    vm, _errors = machines.entry(Found("VirtualMachine", "vm-9", {"name": "orphan"}, {}), {}, ())
    assert vm["id"] == "vm-9"
    assert "encrypted" not in vm
    assert "active" not in vm


def test_the_hash_follows_the_configuration_and_not_the_weather() -> None:
    first = entry()[0]["config_hash"]
    assert entry(runtime__powerState="poweredOff", name="renamed")[0]["config_hash"] == first
    assert entry(config__hardware__memoryMB=4096)[0]["config_hash"] != first
