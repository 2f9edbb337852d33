# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt: the virtual machines and libvirt's other objects, and whether its list of machines is the whole truth."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import libvirt_objects, qemu_proc
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.domain_xml import domain
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_xml import BadXml
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

PROVIDES = ["libvirt", "vms", "networks", "pools", "volumes", "nwfilters", "secrets"]
MAX_DOMAINS = 5000
# A socket of the QEMU driver's own daemon exists only where the modular daemons are in use (libvirt docs/daemons.rst).
SOCKETS = (("/run/libvirt/virtqemud-sock-ro", "modular"), ("/run/libvirt/libvirt-sock-ro", "monolithic"))


def collect(host, note):
    """Return {"libvirt": {...}, "vms": [...], "networks": [...], "pools", "volumes", "nwfilters", "secrets"}."""
    try:
        snapshot = host.libvirt()
    except Unreadable as reason:
        for path in PROVIDES:
            note(path, str(reason))
        return {"libvirt": {"reachable": False, "uri": host.libvirt_uri}}
    for error in snapshot["errors"]:
        note(error["path"], error["reason"])
    facts = from_snapshot(snapshot, note)
    facts["libvirt"]["daemon"] = _daemon(host)
    facts["libvirt"]["iommu_groups"] = attempt(
        note, "libvirt.iommu_groups", lambda: _iommu_groups(host, facts["vms"] or [])
    )
    facts["libvirt"]["visibility"] = _visibility(host, note, snapshot)
    _add_confinement(host, facts["vms"] or [])
    return facts


def from_snapshot(snapshot, note):
    """Facts from a snapshot (libvirt_source.snapshot), live or recorded. Pure but for note(path, reason)."""
    facts = {"libvirt": {"reachable": True}}
    for key in ("uri", "via", "version", "hypervisor"):
        facts["libvirt"][key] = snapshot[key]
    facts["vms"] = _vms(snapshot["domains"], note)
    for branch, parser in (
        ("networks", libvirt_objects.network),
        ("pools", libvirt_objects.pool),
        ("nwfilters", libvirt_objects.nwfilter),
        ("secrets", libvirt_objects.secret),
    ):
        facts[branch] = _list(note, branch, snapshot[branch], parser)
    facts["volumes"] = _volumes(snapshot["pools"], note)
    return facts


def _list(note, branch, records, parser):
    """The parsed records, or None when one of them cannot be read: a list with a hole must not look whole."""
    if records is None:
        return None
    found = [_parsed(note, branch, record, parser) for record in _sorted(records)]
    return None if None in found else found


def _sorted(records):
    """libvirt lists in no order; evidence of an unchanged host should not change."""
    return sorted(records, key=lambda record: (record["name"], record.get("uuid", "")))


def _parsed(note, branch, record, parser):
    """parser(record), or None; what libvirt did not describe has its reason among the snapshot's errors already."""
    if record["xml"] is None:
        return None
    try:
        return parser(record)
    except BadXml as reason:
        note(branch, str(reason))
        return None


def _volumes(pools, note):
    if pools is None or any(pool["volumes"] is None for pool in pools):
        if pools is None:
            note("volumes", "the pools could not be read")
        return None
    found = []
    for pool in _sorted(pools):
        parser = _volume_parser(pool["name"])
        for record in _sorted(pool["volumes"]):
            found.append(_parsed(note, "volumes", record, parser))
    return None if None in found else found


def _volume_parser(pool_name):
    return lambda record: libvirt_objects.volume(pool_name, record)


def _vms(records, note):
    if records is None:
        return None
    if len(records) > MAX_DOMAINS:
        note("vms", "more than %d domains" % MAX_DOMAINS)
        return None
    return [_vm(record, note) for record in _sorted(records)]


def _vm(record, note):
    facts = {
        "id": record["uuid"],
        "name": record["name"][:200],
        "power": record["state"],
        "active": record["active"],
        "autostart": record["autostart"],
        "persistent": record["persistent"],
    }
    path = "vms[%s]" % record["uuid"]
    if record["error"]:
        note(path, record["error"])
        return facts
    try:
        facts.update(domain(record["live_xml"], record["inactive_xml"]))
    except BadXml as reason:
        note(path, str(reason))
        return facts
    for key in ("vcpus", "vcpus_max", "mem_b", "mem_max_b"):
        if facts[key] is None:
            note("%s.%s" % (path, key), "libvirt's description gives no readable value")
    return facts


def _daemon(host):
    """monolithic, modular, or "" where neither has a socket (another hypervisor, or a remote daemon)."""
    for path, kind in SOCKETS:
        try:
            host.stat(path)
            return kind
        except Unreadable:
            continue
    return ""


def _iommu_groups(host, vms):
    """{PCI address: IOMMU group} of every assigned PCI device; "" where the host has no such device or no IOMMU."""
    addresses = {
        device["address"]
        for vm in vms
        for version in (vm, vm.get("configured", {}))
        for device in version.get("devices", [])
        if device["kind"] in ("hostdev", "interface", "nvme")
        and device["address"].count(":") == 2
        and "." in device["address"]
    }
    groups = {}
    for address in sorted(addresses):
        try:
            groups[address] = host.link("/sys/bus/pci/devices/%s/iommu_group" % address).rsplit("/", 1)[-1]
        except Absent:
            groups[address] = ""
    return groups


def _visibility(host, note, snapshot):
    """Reconcile what runs with what libvirt lists (amendments.md, per-VM checks).

    complete: True when every guest of the host is in libvirt's list, or among `unmatched`. False when something is or
    may be hidden, with the reasons in `gaps`. unmatched: processes that run a guest outside libvirt, [{id, pid, name,
    uid, why}].
    """
    try:
        seen = qemu_proc.scan_once(host)
        if snapshot["domains"] is None:
            return {"complete": False, "gaps": ["libvirt did not list its domains"], "unmatched": []}
        gaps, strangers = _differences(seen, snapshot)
        if gaps or strangers:
            # A machine may have started or stopped between the two looks: only what a second look confirms counts.
            later, strangers = _differences(qemu_proc.scan(host), snapshot)
            gaps = [gap for gap in gaps if gap in later]
    except Unreadable as reason:
        note("libvirt.visibility", str(reason))
        return None
    # Where libvirt's own record was not read whole, a guest of its own looks like a stranger: nobody is accused.
    strangers = [] if gaps else strangers
    return {"complete": not gaps, "gaps": gaps[:50], "unmatched": [_unmatched(process) for process in strangers]}


def _add_confinement(host, vms):
    """Give each running machine the label, user and capabilities of its process; left out where that was not seen.

    confined: a label of libvirt's that a security module enforces, on SELinux (svirt) or AppArmor.
    """
    try:
        processes = {process["domain"]: process for process in qemu_proc.scan_once(host)["processes"]}
    except Unreadable:
        return  # Noted by _visibility.
    for vm in vms:
        process = processes.get(vm["id"])
        if process and "security" in vm and process["label"] is not None:
            label = process["label"]
            vm["security"].update(label=label, user=process["uid"], capeff=process["capeff"])
            vm["security"]["confined"] = label.endswith("(enforce)") or ":svirt" in label


def _differences(seen, snapshot):
    """What hides or may hide a guest, and the processes that run one outside libvirt."""
    gaps = list(seen["gaps"])
    listed = {record["uuid"]: record for record in snapshot["domains"]}
    running = {process["domain"] for process in seen["processes"] if process["domain"]}
    gaps += ["libvirt runs %s but does not list it to this connection" % uuid for uuid in sorted(running - set(listed))]
    if snapshot["hypervisor"] == "QEMU":
        active = {uuid for uuid, record in listed.items() if record["active"]}
        gaps += ["%s runs but its process cannot be seen" % uuid for uuid in sorted(active - running)]
    return gaps, [process for process in seen["processes"] if not process["domain"]]


def _unmatched(process):
    what = "holds /dev/kvm" if process["holds_kvm"] else "is a QEMU"
    return {
        "id": "process %d" % process["pid"],
        "pid": process["pid"],
        "name": process["executable"] or process["name"],
        "uid": process["uid"],
        "why": "%s, and libvirt did not start it" % what,
    }


PART = Part("libvirt", PROVIDES, collect)
