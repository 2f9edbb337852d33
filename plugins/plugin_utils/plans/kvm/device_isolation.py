# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How virtual machines are kept from the host and from one another: qemu.conf and their definitions (11.2.1, 11.2.6,
11.2.7).

libvirt's own defaults are the secure ones, so most of it is taking away what somebody set. Machines that run keep what
they were started with until they are power-cycled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import machines, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import qemu_conf
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.confinement import ROOT
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.drivers import PCI
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_devices import DEFAULT_ACL
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import declared

FILTERED = 2
VFIO_OPTIONS = "/etc/modprobe.d/zz-dwp-hypervisor-vfio.conf"
# The fact, and the option of the kernel module that it shows.
VFIO = {
    "unsafe_noiommu": "options vfio enable_unsafe_noiommu_mode=0",
    "unsafe_interrupts": "options vfio_iommu_type1 allow_unsafe_interrupts=0",
}
# Where a definition assigns a PCI device, by the facts' name for it.
ASSIGNED = {
    "hostdev": "devices/hostdev[@type='pci']",
    "interface": "devices/interface[@type='hostdev']",
    "nvme": "devices/disk[@type='nvme']/source",
}


def qemu_unprivileged(situation: Situation) -> list[Row]:
    """kvm-11.2.1-qemu-unprivileged."""
    rows = _account(situation)
    for vm in machines.machines(situation):
        if any(_root_label(label) for version in machines.versions(vm) for label in version["security"]["labels"]):
            edits = [plan.domain_remove("seclabel[@type='static'][@model='dac']")]
            rows += machines.change(situation, vm, edits, "its seclabel (model dac) runs it as root; take that away")
    return rows + qemu_conf.power_cycles(situation, lambda process: "" if process["uid"] else "runs as root")


def _root_label(label: Mapping[str, Any]) -> bool:
    owner = str(label["label"]).partition(":")[0]
    return label["type"] == "static" and label["model"] == "dac" and owner in ROOT


def _account(situation: Situation) -> list[Row]:
    conf = qemu_conf.settings(situation)
    if str(conf.get("user")) not in ROOT:
        return qemu_conf.configure(situation, {})
    user, group = qemu_conf.ACCOUNTS[situation.family]
    if conf.get("dynamic_ownership", 1) != 1:
        what = f"let {user} own the images of every machine, then set user to it in {qemu_conf.QEMU_CONF}"
        return [plan.by_hand(f"dynamic_ownership is 0, so libvirt does not hand images to another account: {what}")]
    values: dict[str, str | None] = {"user": f'"{user}"'}
    if str(conf.get("group")) in ROOT:
        values["group"] = f'"{group}"'
    return qemu_conf.configure(situation, values)


def emulation_unprivileged(situation: Situation) -> list[Row]:
    """kvm-11.2.6-emulation-caps."""
    conf = qemu_conf.settings(situation)
    values: dict[str, str | None] = {}
    if str(conf.get("swtpm_user")) in ROOT:
        # Which account swtpm has differs by build; libvirt's own default is never root.
        values.update(swtpm_user=None, swtpm_group=None)
    if conf.get("clear_emulator_capabilities", 1) != 1:
        values["clear_emulator_capabilities"] = None
    rows = _account(situation) + qemu_conf.configure(situation, values)
    rows += qemu_conf.power_cycles(situation, _privileges)
    for helper in situation.facts["qemu"]["helpers"]:
        if helper["uid"] == 0 and helper["name"] != "swtpm" and helper["kind"] != "tpm":
            what = "have it started by an account without privileges, or in its sandbox"
            rows.append(plan.by_hand(f"{helper['name']} (process {helper['pid']}) runs as root: {what}"))
    return rows


def _privileges(process: Mapping[str, Any]) -> str:
    if process["uid"] == 0:
        return "runs as root"
    return "holds capabilities" if str(process["capeff"]).strip("0") else ""


def confined(situation: Situation) -> list[Row]:
    """kvm-11.2.1-svirt: machines confined by default, and libvirt's refusal of others once nobody is hurt by it."""
    conf = qemu_conf.settings(situation)
    driver = conf.get("security_driver")
    values: dict[str, str | None] = {}
    if "none" in (driver if isinstance(driver, list) else [driver]):
        values["security_driver"] = None
    if conf.get("security_default_confined", 1) != 1:
        values["security_default_confined"] = None
    bare = [process for process in qemu_conf.guests(situation) if not _is_confined(process["label"])]
    rows = qemu_conf.configure(situation, values)
    rows += qemu_conf.power_cycles(situation, lambda process: _unconfined(process, values), suffices=False)
    if situation.gold["gold_require_confined"] and conf.get("security_require_confined", 0) != 1:
        rows += _require(situation, bare)
    return rows


def _is_confined(label: str) -> bool:
    return label.endswith("(enforce)") or ":svirt" in label


def _unconfined(process: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    if _is_confined(process["label"]):
        return ""
    if process["label"] or values:
        return "is not confined"
    return "is not confined, as AppArmor or SELinux is not enforced on this host; enforce it"


def _require(situation: Situation, bare: list[Mapping[str, Any]]) -> list[Row]:
    """security_require_confined, which keeps every machine from starting that is not confined.

    Only once each machine that runs is confined, each definition lets it be, and one that runs proves that the security
    module does it.
    """
    names = {process["domain"]: str(process.get("guest")) for process in bare}
    for vm in machines.machines(situation):
        if any(label["type"] == "none" for label in machines.defined(vm)["security"]["labels"]):
            names[vm["id"]] = str(vm.get("name"))
    if names:
        listed = ", ".join(f"{name[:80]} ({uuid})" for uuid, name in sorted(names.items())[:20])
        what = "they would not start any more; confine them first, then run this again"
        return [plan.by_hand(f"security_require_confined is not set, as these are not confined: {listed}; {what}")]
    if not qemu_conf.guests(situation):
        what = "start one machine, so that its label proves the security module, then run this again"
        return [plan.by_hand(f"security_require_confined is not set, as no machine runs: {what}")]
    return qemu_conf.configure(situation, {"security_require_confined": "1"}, next_start=False)


def syscalls_filtered(situation: Situation) -> list[Row]:
    """kvm-11.2.1-seccomp."""
    off = qemu_conf.settings(situation).get("seccomp_sandbox", -1) == 0
    rows = qemu_conf.configure(situation, {"seccomp_sandbox": None} if off else {})
    return rows + qemu_conf.power_cycles(
        situation, lambda process: "" if process["seccomp"] == FILTERED else "runs without a filter of system calls"
    )


def device_groups(situation: Situation) -> list[Row]:
    """kvm-11.2.7-cgroup-devices."""
    conf = qemu_conf.settings(situation)
    values: dict[str, str | None] = {}
    used = conf.get("cgroup_controllers")
    if used is not None and "devices" not in used:
        values["cgroup_controllers"] = None
    acl = conf.get("cgroup_device_acl")
    if acl is not None:
        kept = [entry for entry in acl if entry in DEFAULT_ACL | set(situation.gold["gold_extra_device_acl"])]
        if kept != acl:
            own = set(kept) - DEFAULT_ACL
            # A list that lacks one of libvirt's own devices keeps machines from starting, so it is written whole.
            values["cgroup_device_acl"] = qemu_conf.quoted(sorted(DEFAULT_ACL) + sorted(own)) if own else None
    rows = qemu_conf.configure(situation, values)
    if "devices" not in situation.facts["qemu"]["cgroup"]["controllers"]:
        rows.append(
            plan.by_hand("the kernel offers no devices control group: start a kernel that has CONFIG_CGROUP_DEVICE")
        )
    return rows + qemu_conf.power_cycles(
        situation, lambda process: "" if ".scope" in process["device_cgroup"] else "is in no control group of its own"
    )


def mount_namespace(situation: Situation) -> list[Row]:
    """kvm-11.2.7-mount-namespace."""
    used = qemu_conf.settings(situation).get("namespaces")
    shared = used is not None and "mount" not in used
    rows = qemu_conf.configure(situation, {"namespaces": None} if shared else {})
    return rows + qemu_conf.power_cycles(
        situation, lambda process: "" if process["own_mount_namespace"] else "shares the host's /dev"
    )


def unique_label(situation: Situation) -> list[Row]:
    """kvm-11.2.7-unique-label."""
    static = dict.fromkeys(situation.gold["gold_static_label_vms"], True)
    rows: list[Row] = []
    for vm in machines.machines(situation):
        kinds = ["none"] if declared(static, vm) else ["none", "static"]
        found = {label["type"] for version in machines.versions(vm) for label in version["security"]["labels"]}
        edits = [plan.domain_remove(f"seclabel[@type='{kind}']") for kind in kinds if kind in found]
        if edits:
            what = "its definition switches labelling off or fixes a label; remove these seclabel elements (virsh edit)"
            rows += machines.change(situation, vm, edits, what)
    labels = [process["label"] for process in qemu_conf.guests(situation) if process["label"]]
    return rows + qemu_conf.power_cycles(
        situation, lambda process: _label_fault(process["label"], labels), suffices=False
    )


def _label_fault(label: str, labels: list[str]) -> str:
    if not _is_confined(label):
        return "is not confined (AppArmor or SELinux has to be enforced on the host)"
    return "has the label of another machine" if labels.count(label) > 1 else ""


def passthrough(situation: Situation) -> list[Row]:
    """kvm-11.2.6-passthrough-vfio."""
    rows: list[Row] = []
    if qemu_conf.settings(situation).get("relaxed_acs_check", 0) != 0:
        rows += qemu_conf.configure(situation, {"relaxed_acs_check": None})
    wrong = [text for fact, text in VFIO.items() if situation.facts["devices"]["vfio"][fact]]
    if wrong:
        # Not now: a group that is open keeps what it was opened with.
        text = "# dwp.hypervisor: assigned devices stay behind the IOMMU.\n" + "".join(line + "\n" for line in wrong)
        rows.append(plan.file(VFIO_OPTIONS, text, pending="reboot"))
    drivers = {device["id"]: device["driver"] for device in situation.facts["devices"]["pci"]}
    for vm in machines.machines(situation):
        for device in machines.defined(vm)["devices"]:
            address = device["address"]
            loose = device["kind"] in ASSIGNED and PCI.match(address) and "vfio" not in drivers.get(address, "")
            if loose and not device["managed"]:
                edit = plan.domain_set(_assigned(device["kind"], address), {"managed": "yes"})
                what = f'the host keeps the driver of {address}; set managed="yes" in its element'
                rows += machines.change(situation, vm, [edit], what)
    return rows


def _assigned(kind: str, address: str) -> str:
    """The path of the element that assigns a PCI address, in the form libvirt prints it."""
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    numbers = {"domain": domain, "bus": bus, "slot": slot, "function": function}
    # An NVMe disk keeps both, address and managed, in its source element.
    below = "" if kind == "nvme" else "source/"
    conditions = "".join(f"[{below}address/@{key}='0x{number}']" for key, number in numbers.items())
    return ASSIGNED[kind] + conditions


def vhost_kernel(situation: Situation) -> list[Row]:
    """kvm-11.2.6-vhost-kernel."""
    known = dict.fromkeys(situation.gold["gold_vhost_kernel_vms"], True)
    rows: list[Row] = []
    for vm in machines.machines(situation):
        found = {nic["mac"] for version in machines.versions(vm) for nic in version["nics"] if _in_kernel(nic)}
        if found and not declared(known, vm):
            edits = [
                plan.domain_set(f"devices/interface[mac/@address='{mac}']/driver", {"name": "qemu"})
                for mac in sorted(found)
            ]
            what = 'its packets pass vhost-net; put <driver name="qemu"/> into its interfaces or declare it'
            rows += machines.change(situation, vm, edits, what)
    return rows


def _in_kernel(nic: Mapping[str, Any]) -> bool:
    return nic["model"].startswith("virtio") and nic["type"] != "vhostuser" and nic["driver"] != "qemu"


PLANS: dict[str, Planner] = machines.with_strangers(
    {
        "kvm-11.2.1-qemu-unprivileged": qemu_unprivileged,
        "kvm-11.2.1-svirt": confined,
        "kvm-11.2.1-seccomp": syscalls_filtered,
        "kvm-11.2.6-emulation-caps": emulation_unprivileged,
        "kvm-11.2.6-passthrough-vfio": passthrough,
        "kvm-11.2.6-vhost-kernel": vhost_kernel,
        "kvm-11.2.7-cgroup-devices": device_groups,
        "kvm-11.2.7-mount-namespace": mount_namespace,
        "kvm-11.2.7-unique-label": unique_label,
    }
)
