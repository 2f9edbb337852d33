# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part platform: operating system, processor, memory, and the drivers of PCI controllers."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import platform
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

CPU = platform.CPU_DIR
BASE = {
    "/etc/os-release": 'ID=rocky\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\nPRETTY_NAME="Rocky Linux 9.4"\n',
    "/proc/sys/kernel/hostname": "kvm1\n",
    "/proc/sys/kernel/osrelease": "5.14.0\n",
    "/sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
    "/sys/class/dmi/id/product_name": "R750\n",
    "/sys/class/dmi/id/product_uuid": "4C4C4544-0000\n",
    "/proc/cpuinfo": "processor : 0\nflags : fpu vmx\n",
    CPU + "/cpu0/topology/thread_siblings_list": "0,2\n",
    CPU + "/cpu0/topology/physical_package_id": "0\n",
    CPU + "/cpu2/topology/thread_siblings_list": "0,2\n",
    CPU + "/cpu2/topology/physical_package_id": "0\n",
    CPU + "/cpu1/topology/thread_siblings_list": "1,3\n",
    CPU + "/cpu1/topology/physical_package_id": "1\n",
    CPU + "/cpu3/online": "0\n",
    CPU + "/vulnerabilities/meltdown": "Not affected\n",
    "/sys/module/kvm_intel/parameters/ept": "Y\n",
    "/sys/module/kvm_intel/parameters/nested": "0\n",
    "/dev/kvm": "",
    "/proc/meminfo": "MemTotal: 1000 kB\nSwapTotal: 100 kB\nSwapFree: 40 kB\n",
    "/sys/kernel/mm/ksm/run": "0\n",
    "/proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=1.50 total=0\n",
}
LINKS = {"/etc/systemd/system/default.target": "/usr/lib/systemd/system/multi-user.target"}


def collected(files=None, links=None, **more):
    notes = {}
    host = FakeHost(
        files={**BASE, **(files or {})},
        links={**LINKS, **(links or {})},
        commands={"systemd-detect-virt --vm": (1, "none\n", "")},
        **more,
    )
    return platform.collect(host, notes.setdefault), notes


def test_a_plain_host_leaves_no_note():
    facts, notes = collected()
    assert notes == {}
    assert (facts["host"]["product"], facts["host"]["family"]) == ("Rocky Linux 9.4", "rhel")
    assert facts["host"]["default_target"] == "multi-user.target"
    assert facts["host"]["uuid"] == "4c4c4544-0000"
    assert facts["host"]["virtualised_by"] == "none"
    cpu = facts["cpu"]
    assert (cpu["sockets"], cpu["cores"], cpu["threads"]) == (2, 2, 3), (
        "threads are no cores, offline ones do not count"
    )
    assert (cpu["virt_ext"], cpu["slat"], cpu["nested_guests"], cpu["kvm_module"]) == (True, True, False, "kvm_intel")
    assert facts["memory"]["swap_used_b"] == 60 * 1024
    assert facts["memory"]["pressure_some_avg300"] == 1.5
    assert facts["devices"] == {"pci": [], "vfio": {"unsafe_noiommu": False, "unsafe_interrupts": False}}


@pytest.mark.parametrize(
    ("path", "text", "fact"),
    [
        ("/etc/os-release", "nothing", "host.product"),
        ("/proc/meminfo", "MemTotal: 1 kB\n", "memory"),
        ("/proc/pressure/memory", "full\n", "memory.pressure_some_avg300"),
        ("/sys/kernel/mm/ksm/run", "9", "memory.ksm"),
        ("/proc/cpuinfo", "", "cpu.virt_ext"),
        ("/sys/module/kvm_intel/parameters/ept", "maybe", "cpu.slat"),
        (CPU + "/vulnerabilities/meltdown", "", "cpu.vulnerabilities"),
        ("/proc/cpuinfo", Unreadable("denied"), "cpu.virt_ext"),
        ("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "2", "devices.vfio.unsafe_noiommu"),
        ("/sys/bus/pci/devices/0000:01:00.0/class", "network", "devices.pci"),
    ],
)
def test_what_makes_no_sense_is_null_with_a_reason(path, text, fact):
    facts, notes = collected({path: text})
    assert notes[fact]
    value = facts
    for key in {"memory": "memory.total_b"}.get(fact, fact).split("."):
        value = value[key]
    assert value is None


@pytest.mark.parametrize(
    ("release", "family"),
    [
        ("ID=debian\n", "debian"),
        ("ID=ubuntu\nID_LIKE=debian\n", "debian"),
        ("ID=x\nID_LIKE=fedora\n", "rhel"),
        ("ID=void\n", "other"),
    ],
)
def test_families(release, family):
    assert collected({"/etc/os-release": release})[0]["host"]["family"] == family


def test_controllers_and_devices_held_by_vfio():
    pci = platform.PCI_DIR
    facts, notes = collected(
        {
            pci + "/0000:01:00.0/class": "0x010802\n",
            pci + "/0000:02:00.0/class": "0x020000\n",
            pci + "/0000:03:00.0/class": "0x030000\n",
            pci + "/0000:04:00.0/class": "0x030000\n",
            "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts": "Y\n",
        },
        {
            pci + "/0000:01:00.0/driver": "../../../bus/pci/drivers/nvme",
            pci + "/0000:03:00.0/driver": "../../../bus/pci/drivers/vfio-pci",
            pci + "/0000:04:00.0/driver": "../../../bus/pci/drivers/nouveau",
        },
    )
    assert notes == {}
    assert facts["devices"]["pci"] == [
        {"id": "0000:01:00.0", "kind": "storage", "driver": "nvme"},
        {"id": "0000:02:00.0", "kind": "network", "driver": ""},
        {"id": "0000:03:00.0", "kind": "other", "driver": "vfio-pci"},
    ]
    assert facts["devices"]["vfio"] == {"unsafe_noiommu": False, "unsafe_interrupts": True}


def test_other_hypervisors_and_a_desktop_are_seen():
    facts, _notes = collected(
        {"/sys/module/vboxdrv/refcnt": "0"},
        {"/etc/systemd/system/display-manager.service": "/usr/lib/systemd/system/gdm.service"},
    )
    assert facts["host"]["other_hypervisors"] == ["vboxdrv"]
    assert facts["host"]["display_manager"] == "gdm.service"


def test_without_a_kvm_module_its_parameters_are_unknown():
    files = {path: text for path, text in BASE.items() if "kvm_intel" not in path}
    notes = {}
    platform.collect(FakeHost(files=files, links=LINKS), notes.setdefault)
    assert "neither kvm_intel nor kvm_amd" in notes["cpu.slat"]
    assert "does not exist" in notes["host.virtualised_by"]
