# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""platform: what machine and operating system this is, its processor, its memory and the drivers of its controllers."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

CPU_DIR = "/sys/devices/system/cpu"
# How an operating system's ID or ID_LIKE maps to the two families the parts know (os-release(5)).
FAMILIES = {
    "debian": "debian",
    "ubuntu": "debian",
    "rhel": "rhel",
    "fedora": "rhel",
    "centos": "rhel",
    "rocky": "rhel",
    "almalinux": "rhel",
    "ol": "rhel",
}
PCI_DIR = "/sys/bus/pci/devices"
# Base classes of the PCI code and ID assignment specification.
PCI_KINDS = {"01": "storage", "02": "network"}
MAX_PCI = 4096
# Kernel modules of hypervisors that run beside KVM on the same host (type 2).
OTHER_HYPERVISORS = ("vboxdrv", "vmmon", "vmnet")


def collect(host, note):
    """Return the branches host, cpu, memory and devices."""
    return {
        "host": about(host, note),
        "cpu": processor(host, note),
        "memory": memory(host, note),
        "devices": {
            "pci": attempt(note, "devices.pci", lambda: pci_devices(host)),
            "vfio": {
                name: attempt(note, "devices.vfio." + name, lambda path=path: module_flag(host, path))
                for name, path in (
                    ("unsafe_noiommu", "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"),
                    ("unsafe_interrupts", "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"),
                )
            },
        },
    }


def about(host, note):
    release = attempt(note, "host.product", lambda: os_release(host), {})
    dmi = {
        name: attempt(note, "host." + name, lambda file=file: dmi_value(host, file))
        for name, file in (("hw_vendor", "sys_vendor"), ("hw_model", "product_name"), ("uuid", "product_uuid"))
    }
    return {
        "name": attempt(note, "host.name", lambda: host.read("/proc/sys/kernel/hostname").strip()),
        "product": release.get("PRETTY_NAME"),
        "os_id": release.get("ID"),
        "os_version": release.get("VERSION_ID"),
        "family": family(release),
        "kernel": attempt(note, "host.kernel", lambda: host.read("/proc/sys/kernel/osrelease").strip()),
        "virtualised_by": attempt(note, "host.virtualised_by", lambda: virtualised_by(host)),
        "default_target": attempt(note, "host.default_target", lambda: default_target(host)),
        "display_manager": attempt(note, "host.display_manager", lambda: display_manager(host)),
        "other_hypervisors": attempt(note, "host.other_hypervisors", lambda: other_hypervisors(host)),
        **dmi,
    }


def os_release(host):
    """os-release(5) as {KEY: value}."""
    found = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', host.read("/etc/os-release"), re.MULTILINE))
    if "ID" not in found:
        raise Unreadable("/etc/os-release names no ID")
    return found


def family(release):
    """debian, rhel, or other."""
    for word in [release.get("ID", "")] + release.get("ID_LIKE", "").split():
        if word in FAMILIES:
            return FAMILIES[word]
    return "other" if release else None


def dmi_value(host, file):
    """A DMI identification; an empty string where the machine has no DMI (arm64 boards)."""
    try:
        return (
            host.read("/sys/class/dmi/id/" + file).strip().lower()
            if file == "product_uuid"
            else host.read("/sys/class/dmi/id/" + file).strip()
        )
    except Absent:
        return ""


def virtualised_by(host):
    """The hypervisor this host itself runs in, or none. systemd-detect-virt --vm looks through containers."""
    answer = host.run(["systemd-detect-virt", "--vm"])
    word = answer.out.strip()
    if not re.match(r"^[a-z0-9-]+$", word):
        raise Unreadable("systemd-detect-virt gave no word: %r" % word[:80])
    return word


def default_target(host):
    """The unit systemd boots into, by the link it follows: /etc wins over /usr/lib (systemd.unit(5))."""
    for directory in (
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
    ):
        try:
            return host.link(directory + "/default.target").rsplit("/", 1)[-1]
        except Absent:
            continue
    raise Unreadable("no default.target in any unit directory")


def display_manager(host):
    """The enabled display manager, an empty string for none."""
    try:
        return host.link("/etc/systemd/system/display-manager.service").rsplit("/", 1)[-1]
    except Absent:
        return ""


def other_hypervisors(host):
    return [name for name in OTHER_HYPERVISORS if host.exists("/sys/module/" + name)]


def processor(host, note):
    flags = attempt(note, "cpu.virt_ext", lambda: cpu_flags(host))
    module = attempt(note, "cpu.kvm_module", lambda: kvm_module(host))
    topology = attempt(note, "cpu.cores", lambda: count_cpus(host), {})
    return {
        "sockets": topology.get("sockets"),
        "cores": topology.get("cores"),
        "threads": topology.get("threads"),
        "virt_ext": None if flags is None else virt_ext(host, flags),
        "kvm_module": module,
        "dev_kvm": attempt(note, "cpu.dev_kvm", lambda: host.exists("/dev/kvm")),
        "slat": attempt(note, "cpu.slat", lambda: kvm_parameter(host, module, {"kvm_intel": "ept", "kvm_amd": "npt"})),
        "nested_guests": attempt(
            note, "cpu.nested_guests", lambda: kvm_parameter(host, module, {"kvm_intel": "nested", "kvm_amd": "nested"})
        ),
        "iommu": attempt(note, "cpu.iommu", lambda: iommu(host)),
        "vulnerabilities": attempt(note, "cpu.vulnerabilities", lambda: vulnerabilities(host)),
    }


def count_cpus(host):
    """Sockets, physical cores and hardware threads. virsh nodeinfo multiplies by NUMA cells (P18), so sysfs decides."""
    names = [name for name in host.list(CPU_DIR) if re.match(r"^cpu\d+$", name)]
    siblings, packages, threads = set(), set(), 0
    for name in names:
        try:
            siblings.add(host.read("%s/%s/topology/thread_siblings_list" % (CPU_DIR, name)).strip())
            packages.add(host.read("%s/%s/topology/physical_package_id" % (CPU_DIR, name)).strip())
        except Absent:
            continue  # an offline processor has no topology
        threads += 1
    if not threads or "" in siblings:
        raise Unreadable("no processor shows its topology")
    return {"sockets": len(packages), "cores": len(siblings), "threads": threads}


def cpu_flags(host):
    """The flags of the first processor; an empty set on architectures that list none."""
    text = host.read("/proc/cpuinfo")
    if "processor" not in text:
        raise Unreadable("/proc/cpuinfo lists no processor")
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return set(found.group(1).split()) if found else set()


def virt_ext(host, flags):
    """VT-x or AMD-V; elsewhere (arm64) a working /dev/kvm is the proof."""
    return bool(flags & {"vmx", "svm"}) or (not flags and host.exists("/dev/kvm"))


def kvm_module(host):
    """The processor-specific KVM module; "" for none (not loaded, or an architecture that has one only)."""
    return next((name for name in ("kvm_intel", "kvm_amd") if host.exists("/sys/module/" + name)), "")


def kvm_parameter(host, module, names):
    """A yes/no parameter of the KVM module. Without a module there is nothing to read, and nothing is known."""
    if not module:
        raise Unreadable("neither kvm_intel nor kvm_amd is loaded")
    value = host.read("/sys/module/%s/parameters/%s" % (module, names[module])).strip()
    if value not in ("Y", "1", "N", "0"):
        raise Unreadable("parameter %s of %s is %r" % (names[module], module, value[:20]))
    return value in ("Y", "1")


def iommu(host):
    """Whether an IOMMU is active: it shows up as a device, and devices are in groups."""
    try:
        return bool(host.list("/sys/class/iommu"))
    except Absent:
        return False


def vulnerabilities(host):
    """What the kernel says of each known processor weakness: {name: text}."""
    directory = CPU_DIR + "/vulnerabilities"
    found = {name: host.read(directory + "/" + name).strip()[:200] for name in host.list(directory)}
    if not found or not all(found.values()):
        raise Unreadable("the kernel lists no vulnerabilities")
    return found


def memory(host, note):
    figures = attempt(note, "memory", lambda: meminfo(host), {})
    return {
        "total_b": figures.get("MemTotal"),
        "swap_total_b": figures.get("SwapTotal"),
        "swap_used_b": figures["SwapTotal"] - figures["SwapFree"] if figures else None,
        "ksm": attempt(note, "memory.ksm", lambda: ksm(host)),
        "pressure_some_avg300": attempt(note, "memory.pressure_some_avg300", lambda: pressure(host)),
    }


def meminfo(host):
    """/proc/meminfo in bytes."""
    text = host.read("/proc/meminfo")
    figures = {name: int(value) * 1024 for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    for name in ("MemTotal", "SwapTotal", "SwapFree"):
        if name not in figures:
            raise Unreadable("/proc/meminfo lacks %s" % name)
    return figures


def ksm(host):
    """Whether kernel same-page merging runs: memory deduplication between guests is a side channel."""
    try:
        value = host.read("/sys/kernel/mm/ksm/run").strip()
    except Absent:
        return False
    if value not in ("0", "1", "2"):
        raise Unreadable("/sys/kernel/mm/ksm/run is %r" % value[:20])
    return value == "1"


def pressure(host):
    """Per cent of the last 300 s in which some task waited for memory. Absent where the kernel runs with psi=0."""
    found = re.search(r"^some .*avg300=([\d.]+)", host.read("/proc/pressure/memory"), re.MULTILINE)
    if not found:
        raise Unreadable("/proc/pressure/memory has no avg300")
    return float(found.group(1))


def pci_devices(host):
    """PCI devices that are storage or network controllers, or that a vfio driver holds: [{id, kind, driver}].

    driver: "" for none. Controllers that are not on PCI are not listed.
    """
    found = []
    for address in pci_addresses(host):
        code = host.read("%s/%s/class" % (PCI_DIR, address)).strip()
        if not re.match(r"^0x[0-9a-f]{6}$", code):
            raise Unreadable("PCI device %s has the class %r" % (address, code[:20]))
        try:
            driver = host.link("%s/%s/driver" % (PCI_DIR, address)).rsplit("/", 1)[-1]
        except Absent:
            driver = ""
        kind = PCI_KINDS.get(code[2:4], "other")
        if kind != "other" or "vfio" in driver:
            found.append({"id": address, "kind": kind, "driver": driver})
    return found


def pci_addresses(host):
    try:
        return host.list(PCI_DIR, MAX_PCI)
    except Absent:
        return []


def module_flag(host, path):
    """A yes/no parameter of a module; False where the module is not loaded or was built without it."""
    try:
        value = host.read(path).strip()
    except Absent:
        return False
    if value not in ("Y", "N"):
        raise Unreadable("%s is %r" % (path, value[:20]))
    return value == "Y"


PART = Part(
    "platform", ["host.product", "host.virtualised_by", "host.default_target", "cpu", "memory", "devices"], collect
)
