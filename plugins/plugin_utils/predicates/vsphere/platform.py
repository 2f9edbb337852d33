# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on ESXi as a platform: what it is, how it boots, how it is patched (11.1, 11.4.7, 11.4.8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.moments import days_between, hours_between
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import MAPPING
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import entries, flag, text
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import (
    each_vm,
    number,
    option,
    version,
)

ESXI_LINES = ("esx", "embeddedEsx")
# Of the firmware of virtual machines, in small letters.
VIRTUAL_VENDORS = frozenset(
    ("bochs", "innotek gmbh", "microsoft corporation", "parallels software international inc.", "qemu", "red hat",
     "vmware", "vmware, inc", "vmware, inc.", "xen")
)  # fmt: skip
# Makers of machines that also sell virtual ones are known by the model.
VIRTUAL_MODEL = re.compile(
    r"(VMware|KVM$|AHV$|HVM domU|Virtual Machine$|VirtualBox|Standard PC \(|Google Compute Engine$|OpenStack|BHYVE)",
    re.IGNORECASE,
)
# Of instructions and of memory, by the processor or as the host chooses (vim.vm.FlagInfo).
VIRTUALISED = ("hvAuto", "hvOn", "automatic", "on")
# Words of the appliance's lifecycle manager for a cluster that is as its image says (vSphere Automation API).
COMPLIANT = "COMPLIANT"
NOT_COMPLIANT = ("NON_COMPLIANT", "INCOMPATIBLE")


def esxi_product(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """ESXi of a version that may run. facts: line, version."""
    least = gold["gold_vsphere_min_version"]
    expected = f"ESXi {least} or later"
    actual = {"product line": text(facts, "line"), "version": text(facts, "version")}
    if actual["product line"] not in ESXI_LINES:
        return o.failed(actual, expected, f"the product line is {actual['product line']}, not ESXi")
    if version(actual["version"]) < version(least):
        return o.failed(actual, expected, f"ESXi {actual['version']} is older than {least}")
    return o.passed(actual, expected)


def bare_metal(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """The host is not itself a virtual machine, by what its firmware calls it. facts: vendor, model."""
    vendor, model = text(facts, "vendor").strip(), text(facts, "model").strip()
    actual, expected = {"vendor": vendor, "model": model}, "a physical machine"
    if not vendor:
        raise MissingFact("the firmware names no vendor of the machine")
    if vendor.casefold() in VIRTUAL_VENDORS or VIRTUAL_MODEL.match(model):
        return o.failed(actual, expected, f"the host is a virtual machine itself ({vendor[:60]}, {model[:60]})")
    return o.passed(actual, expected)


def vm_monitor(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """The processor virtualises memory, and no machine switches it off. facts: slat, vms, visibility."""
    expected = "instructions and memory virtualised by the processor for every machine"
    if facts["slat"] is not True:
        return o.failed(facts["slat"], expected, "the processor cannot virtualise memory (EPT or RVI)")

    def judge(vm: Mapping[str, Any]) -> Outcome:
        flags = vm.get("flags")
        if not isinstance(flags, MAPPING):
            raise MissingFact("flags were not read")
        actual = {"instructions": text(flags, "exec_usage"), "memory": text(flags, "mmu_usage")}
        strange = [value for value in actual.values() if value not in (*VIRTUALISED, "hvOff", "off")]
        if strange:
            raise MissingFact(f"{strange[0][:40]!r} is no way to virtualise")
        off = [what for what, value in actual.items() if value in ("hvOff", "off")]
        if off:
            return o.failed(actual, "hvAuto or hvOn, automatic or on", f"{' and '.join(off)} virtualised in software")
        return o.passed(actual)

    found = each_vm(facts, judge, expected=expected)
    if found.status == o.NOT_APPLICABLE and not found.items:
        return o.passed("the processor can; no machine is registered here", expected)
    return found


def boot_option(facts: dict[str, Any], wanted: bool, name: str) -> Outcome:
    """An option of the VMkernel, as the host has started with it and as it is set for its next start.

    facts: options, running.
    """
    set_to, running = option(facts["options"], f"VMkernel.Boot.{name}"), facts["running"]
    if not isinstance(running, bool):
        raise MissingFact(f"what {name} was when the host started was not read")
    actual = {"set": set_to, "in force": running}
    if set_to is wanted and running is wanted:
        return o.passed(actual, wanted, persistent=True)
    if set_to is wanted:
        return o.failed(actual, wanted, f"{name} is set to {wanted}, which waits for a restart")
    if running is wanted:
        return o.failed(actual, wanted, f"{name} is {wanted} now, but not after a restart", persistent=False)
    return o.failed(actual, wanted, f"{name} is {set_to}, expected {wanted}")


def exec_from_the_start(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Only what a package brought is executed, from the start on. facts: options, running."""
    return boot_option(facts, True, "execInstalledOnly")


def iommu(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """An IOMMU guards memory from devices. facts: options, running, devices: whether one can be handed to a machine."""
    if not isinstance(facts["devices"], bool):
        raise MissingFact("whether a device can be handed to a machine was not read")
    devices = (
        o.passed(True, True)
        if facts["devices"]
        else o.failed(False, True, "no device can be handed to a machine: the firmware has the IOMMU off")
    )
    items = [o.item("noIOMMU", guarded(boot_option, facts, False, "noIOMMU")), o.item("devices", devices)]
    return o.combine(items, empty=o.unknown("nothing was read"), expected="an IOMMU in use")


def tpm_attestation(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """vCenter has attested the present launch of the host. facts: attestation, booted_at.

    vCenter judges a host when it connects, not every day, so what counts is that it did since the host was started. It
    tells nothing of a host without a TPM 2.0.
    """
    expected = "accepted by vCenter since the host was started"
    attestation = facts["attestation"]
    status = text(attestation, "status")
    if not status:
        return o.failed("none", expected, "vCenter has not attested this host")
    actual = {
        "status": status,
        "time": text(attestation, "time"),
        "message": str(attestation.get("message") or "")[:300],
    }
    if status != "accepted":
        return o.failed(actual, expected, f"vCenter says {status}: {actual['message'] or 'no reason given'}")
    age = hours_between(facts["booted_at"], actual["time"], "the host's start")
    if age < 0:
        return o.failed(actual, expected, "the attestation is older than the host's last start")
    return o.passed(actual, expected)


def build_current(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The build is at least the one that the site calls patched. facts: os_id, version, build."""
    running, build, builds = text(facts, "version"), number(facts, "build"), gold["gold_vsphere_builds"]
    key = running if facts["os_id"] == "esxi" else f"{text(facts, 'os_id')}-{running}"
    actual = {"version": running, "build": build}
    least = builds.get(key)
    if least is None:
        return o.unknown(f"gold_vsphere_builds has no entry for {key}", actual, "the build that is patched")
    if isinstance(least, bool) or not isinstance(least, int):
        return o.failed(actual, least, f"gold_vsphere_builds: {key} is {least!r}, expected a build number")
    expected = f"build {least} or later"
    return (
        o.passed(actual, expected)
        if build >= least
        else o.failed(actual, expected, f"build {build} is older than {least}")
    )


def image_compliant(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Every cluster is as its image says. facts: clusters. Baselines cannot be read, they are deprecated (P19)."""
    items = [o.item(text(cluster, "id"), guarded(_image, cluster)) for cluster in entries(facts, "clusters")]
    return o.combine(
        items,
        empty=o.manual("no cluster is managed by an image: show how its hosts are patched, and that they are"),
        expected="every cluster managed by an image, and compliant with it",
    )


def _image(cluster: Mapping[str, Any]) -> Outcome:
    name, tool = text(cluster, "name")[:80], text(cluster, "tool")
    if tool == "baseline":
        return o.manual(f"{name} is managed by baselines, whose compliance cannot be read: show the report", tool)
    if tool == "alone":
        return o.manual(f"{name} is in no cluster, and what it is patched by cannot be read: show that it is", tool)
    if tool != "image":
        raise MissingFact(f"{name}: {tool!r} is no known way to manage a cluster")
    status = text(cluster, "status")
    if status == COMPLIANT:
        return o.passed(status)
    if status in NOT_COMPLIANT:
        return o.failed(status, COMPLIANT, f"{name} differs from its image ({status})")
    raise MissingFact(f"{name}: its compliance is {status or 'not known'}")


def support(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The product is still supported. facts: os_id, os_version, now. Published dates differ: they are data (P19)."""
    system = f"{text(facts, 'os_id')}-{text(facts, 'os_version')}"
    end = gold["gold_support_dates"].get(system)
    actual = {"system": system, "supported until": end}
    if end is None:
        return o.unknown(f"gold_support_dates has no entry for {system}", actual, "a supported version")
    if days_between(end, facts["now"], "the end of support") > 1:
        return o.failed(actual, "a supported version", f"support of {system} ended on {end}")
    return o.passed(actual, "a supported version")


def gold_tool(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Every cluster is compared with a configuration by vSphere itself. facts: clusters."""
    expected = "a configuration profile (or host profile) for every cluster, and compliance with it"
    items = [o.item(text(cluster, "id"), guarded(_profile, cluster)) for cluster in entries(facts, "clusters")]
    return o.combine(
        items, empty=o.failed("none", expected, "there is no cluster with a configuration profile"), expected=expected
    )


def _profile(cluster: Mapping[str, Any]) -> Outcome:
    name, tool = text(cluster, "name")[:80], text(cluster, "tool")
    if tool == "none":
        return o.failed(tool, None, f"{name} has no configuration profile and no host profile")
    if tool not in ("configuration_profile", "host_profile"):
        raise MissingFact(f"{name}: {tool!r} is no known tool")
    if flag(cluster, "compliant"):
        return o.passed(tool)
    return o.failed({"tool": tool, "compliant": False}, None, f"{name} is not as its profile says")


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vsphere_product": esxi_product,
    "vsphere_bare_metal": bare_metal,
    "vsphere_vm_monitor": vm_monitor,
    "vsphere_exec_from_the_start": exec_from_the_start,
    "vsphere_iommu": iommu,
    "vsphere_attestation": tpm_attestation,
    "vsphere_build": build_current,
    "vsphere_image_compliant": image_compliant,
    "vsphere_support": support,
    "vsphere_gold_tool": gold_tool,
}
