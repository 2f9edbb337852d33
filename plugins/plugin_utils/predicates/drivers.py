# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on drivers: who signed them, in which mode they run, and bypassing a faulty one (11.2.1, 11.2.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import confinement
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    declared,
    each_vm,
    entries,
    flag,
    hidden,
    machines,
    one,
    setting,
    text,
    texts,
    whole,
)

# Documentation/admin-guide/tainted-kernels.rst of the kernel.
FORCED_LOAD, OUT_OF_TREE, UNSIGNED = 1 << 1, 1 << 12, 1 << 13
ENFORCED_BY_ARGUMENT = re.compile(r"^module\.sig_enforce(=(1|y|Y|on))?$")
PCI = re.compile(r"^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")


def signatures_enforced(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """The kernel refuses drivers without a signature now, and at the next boot.

    facts: sig_enforce, sig_forced (built in), lockdown, secure_boot, configured (arguments of the next boot).
    """
    expected = "unsigned drivers refused, now and after a restart"
    enforced, lockdown = facts["sig_enforce"], text(facts, "lockdown")
    actual = {"sig_enforce": enforced, "lockdown": lockdown}
    if flag(facts, "sig_enforce") is False and lockdown not in ("integrity", "confidentiality"):
        return o.failed(
            actual, expected, "the kernel loads unsigned drivers: module.sig_enforce is off and there is no lockdown"
        )
    arguments = texts(facts, "configured")
    lasting = {
        "built into the kernel": flag(facts, "sig_forced"),
        "kernel argument": any(ENFORCED_BY_ARGUMENT.match(argument) for argument in arguments),
        # Distributions' kernels lock themselves down when they were booted with secure boot (P13).
        "secure boot": lockdown in ("integrity", "confidentiality") and flag(facts, "secure_boot"),
        "lockdown argument": any(
            argument in ("lockdown=integrity", "lockdown=confidentiality") for argument in arguments
        ),
    }
    reasons = [reason for reason, holds in lasting.items() if holds]
    if not reasons:
        message = "unsigned drivers are refused now, but nothing configured keeps it so after a restart"
        return o.failed(actual, expected, message, persistent=False)
    return o.passed({**actual, "lasting by": ", ".join(reasons)}, expected, persistent=True)


def none_unsigned_loaded(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The kernel's taint flags tell what was ever loaded since boot. facts: tainted, drivers."""
    expected = "no driver forced, unsigned, or out of tree beyond gold_allowed_out_of_tree"
    tainted = whole(facts, "tainted")
    loaded = sorted(text(driver, "name") for driver in entries(facts, "drivers") if flag(driver, "out_of_tree"))
    extra = sorted(set(loaded) - set(gold["gold_allowed_out_of_tree"]))
    wrong = [
        message
        for bit, message in ((FORCED_LOAD, "a driver was loaded by force"), (UNSIGNED, "an unsigned driver was loaded"))
        if tainted & bit
    ]
    if tainted & OUT_OF_TREE and not loaded:
        wrong.append("a driver from outside the kernel was loaded since the last boot, and is not loaded any more")
    if extra:
        wrong.append(f"{', '.join(extra[:5])} is from outside the kernel and not in gold_allowed_out_of_tree")
    actual = {"tainted": tainted, "out of tree": loaded}
    return o.failed(actual, expected, "; ".join(wrong)) if wrong else o.passed(actual, expected)


def signers_approved(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every loaded driver is signed, by an approved signer. facts: drivers."""
    approved = gold["gold_module_signers"]
    items, signers = [], set()
    for driver in entries(facts, "drivers"):
        name, signer = text(driver, "name"), text(driver, "signer")
        signers.add(signer)
        if not flag(driver, "signed") or not signer:
            items.append(o.item(name, o.failed("unsigned", approved, "the driver carries no signature")))
        elif approved and signer not in approved:
            items.append(
                o.item(name, o.failed(signer, approved, f"its signer {signer[:80]!r} is not in gold_module_signers"))
            )
        elif approved:
            items.append(o.item(name, o.passed(signer, approved)))
    names = sorted(signers - {""})
    if not approved and signers:
        message = f"gold_module_signers approves nobody yet; the signers found are {', '.join(names)[:300] or 'none'}"
        items.append(o.item("signers", o.manual(message, names, "approved signers")))
    return o.combine(items, empty=o.not_applicable("no driver module is loaded", []))


def signing_keys_guarded(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """What makes a signature worthless: validation switched off, firmware keys open, a signing key on the host itself.

    facts: validation_disabled, setup_mode, private_keys.
    """
    keys = texts(facts, "private_keys")
    wrong = []
    if flag(facts, "validation_disabled"):
        wrong.append("shim does not validate what it loads (mokutil --disable-validation was used)")
    if flag(facts, "setup_mode"):
        wrong.append("the firmware is in setup mode: anybody can enrol keys")
    if keys:
        wrong.append(f"a private signing key lies on the host: {', '.join(keys[:5])}")
    actual = {
        "validation disabled": facts["validation_disabled"],
        "setup mode": facts["setup_mode"],
        "private keys": keys,
    }
    expected = "validation on, keys enrolled, no private signing key on the host"
    return o.failed(actual, expected, "; ".join(wrong)) if wrong else o.passed(actual, expected)


def bypass_available(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """A second kernel to boot when a driver of the first is faulty. facts: kernels."""
    kernels = texts(facts, "kernels")
    expected = "at least two bootable kernels"
    if not kernels:
        return o.unknown("no kernel was found in /boot: the boot loader keeps them elsewhere", [], expected)
    if len(kernels) < 2:
        return o.failed(kernels, expected, f"{kernels[0]} is the only kernel that can be booted")
    return o.passed(kernels, expected)


def host_kernel_mode(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Physical network and storage controllers run outside the kernel. facts: pci."""
    items = []
    for device in entries(facts, "pci"):
        if text(device, "kind") not in ("network", "storage"):
            continue
        driver = text(device, "driver")
        if not driver:
            found = o.passed("no driver")
        elif "vfio" in driver or driver.startswith(("uio", "igb_uio")):
            found = o.passed(driver)
        else:
            found = o.failed(driver, "vfio-pci or uio", f"the {device['kind']} driver {driver} runs in kernel mode")
        items.append(o.item(text(device, "id"), found))
    return o.combine(items, empty=o.unknown("no network or storage controller was found on the PCI bus"))


def passthrough_user_mode(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Assigned PCI devices pass through the IOMMU-guarded vfio. facts: vms, visibility, pci, vfio, conf."""
    drivers = {text(device, "id"): text(device, "driver") for device in entries(facts, "pci")}
    items = [
        one(vm, lambda vm=vm: _assigned(vm, drivers))  # type: ignore[misc]
        for vm in machines(facts)
        if _pci_devices(vm)
    ]
    if not items:
        return o.combine(hidden(facts), empty=o.not_applicable("no PCI device is assigned to a virtual machine"))
    for name, message in (
        ("unsafe_noiommu", "vfio may be used without an IOMMU (enable_unsafe_noiommu_mode)"),
        ("unsafe_interrupts", "interrupts of assigned devices are not remapped (allow_unsafe_interrupts)"),
    ):
        unsafe = flag(facts["vfio"], name)
        items.append(o.item(name, o.failed(unsafe, False, message) if unsafe else o.passed(unsafe, False)))
    relaxed = setting(facts["conf"], "relaxed_acs_check", 0)
    message = "qemu.conf relaxes the check of access control services (relaxed_acs_check)"
    items.append(o.item("relaxed_acs_check", o.passed(0, 0) if relaxed == 0 else o.failed(relaxed, 0, message)))
    return o.combine(hidden(facts) + items, empty=o.unknown("nothing was read"))


def _pci_devices(vm: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        device
        for device in entries(vm, "devices")
        if text(device, "kind") in ("hostdev", "interface", "nvme") and PCI.match(text(device, "address"))
    ]


def _assigned(vm: Mapping[str, Any], drivers: Mapping[str, str]) -> Outcome:
    running = flag(vm, "active")
    found = {}
    for device in _pci_devices(vm):
        address = text(device, "address")
        found[address] = drivers.get(address, "none that guards it")
        # libvirt binds a managed device to vfio when the machine starts.
        if "vfio" not in found[address] and (running or not flag(device, "managed")):
            return o.failed(found, "vfio", f"{address} is bound to {found[address]}, not to vfio")
    return o.passed(found, "vfio")


def kernel_datapath_declared(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """vhost-net moves the machine's packets inside the kernel. facts: vms, visibility."""
    allowed = dict.fromkeys(gold["gold_vhost_kernel_vms"], True)

    def judge(vm: Mapping[str, Any]) -> Outcome:
        kernel = [
            text(nic, "id")
            for nic in entries(vm, "nics")
            # Without a driver element libvirt takes vhost where the kernel offers it (formatdomain, interfaces).
            if text(nic, "model").startswith("virtio")
            and text(nic, "type") != "vhostuser"
            and text(nic, "driver") != "qemu"
        ]
        if kernel and not declared(allowed, vm):
            return o.failed(kernel, "driver qemu or vhostuser", "its packets pass vhost-net in the kernel, undeclared")
        return o.passed(kernel or "no vhost-net")

    return each_vm(facts, judge)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "driver_signatures_enforced": signatures_enforced,
    "drivers_none_unsigned": none_unsigned_loaded,
    "driver_signers_approved": signers_approved,
    "driver_signing_keys_guarded": signing_keys_guarded,
    "driver_bypass_available": bypass_available,
    "drivers_host_kernel_mode": host_kernel_mode,
    "drivers_passthrough_user_mode": passthrough_user_mode,
    "drivers_kernel_datapath_declared": kernel_datapath_declared,
    **confinement.PREDICATES,
}
