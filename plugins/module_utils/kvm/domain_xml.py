# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One domain's XML as facts (https://libvirt.org/formatdomain.html). Pure: text in, plain data out.

Conventions: 0 is no limit or not set, "" is not given, and None would mean that it could not be read. Sizes are bytes,
times microseconds, network rates KiB/s as libvirt has them.
"""

from __future__ import annotations

import hashlib
from xml.etree import ElementTree

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_devices import (
    consoles,
    devices,
    disks,
    interfaces,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_xml import (
    attribute,
    number,
    parse,
    size_b,
    text_of,
    yes,
)

# What names single vCPUs or their number (formatdomain): fewer vCPUs would contradict it.
_BOUND_TO_VCPUS = (
    "vcpus",
    "cpu/topology",
    "cpu/numa",
    "cputune/vcpupin",
    "cputune/vcpusched",
    "cputune/cachetune",
    "cputune/memorytune",
    "numatune/memnode",
)
# libvirt prints "no limit" as the largest value of its counter (VIR_DOMAIN_MEMORY_PARAM_UNLIMITED, in KiB).
_UNLIMITED_B = 9007199254740991 * 1024
# What libvirt fills in when it starts a domain: a running domain differs from its definition in these by nature.
_LIVE_ONLY = {
    "nics": ("target",),
    "disks": ("backing", "backing_known"),
    "consoles": ("port", "tls_port", "websocket"),
    "devices": (),
}
_COMPARED = (
    "title",
    "vcpus_max",
    "mem_max_b",
    "cpu",
    "mem",
    "nics",
    "disks",
    "devices",
    "consoles",
    "channels",
    "security",
    "firmware",
    "tpm",
    "partition",
)


def domain(live_xml, inactive_xml):
    """Return the facts of a domain.

    live_xml: what it runs with now (or its definition when it is shut off). inactive_xml: its definition, None for a
    domain without one. The facts are the live ones; `configured` holds the branches in which the definition, that is
    the next start, differs.

    :raises BadXml: see libvirt_xml.parse.
    """
    live = _facts(parse(live_xml, "domain"))
    live["configured"] = {}
    if inactive_xml:
        defined = _facts(parse(inactive_xml, "domain"))
        for key in _COMPARED:
            if _stable(key, live[key]) != _stable(key, defined[key]):
                live["configured"][key] = defined[key]
    live["config_hash"] = config_hash(inactive_xml or live_xml)
    return live


def config_hash(xml):
    """SHA-256 of a definition in canonical XML, for the comparison with an approved one (measure 11.3.7).

    A definition holds nothing that changes at run time, so only notation is evened out: order of attributes, white
    space.
    """
    return hashlib.sha256(ElementTree.canonicalize(xml, strip_text=True).encode()).hexdigest()


def _stable(key, value):
    if key in _LIVE_ONLY:
        return [_without(entry, _LIVE_ONLY[key]) for entry in value]
    if key == "security":
        return [
            (label["type"], label["model"], label["baselabel"])
            for label in value["labels"]
            if label["type"] != "dynamic"
        ]
    return value


def _without(entry, names):
    # A console on a libvirt network gets that network's address when it starts.
    names = names + ("listen", "listen_given") if entry.get("networks") else names
    return {name: entry[name] for name in entry if name not in names}


def _facts(root):
    maximum, memory = size_b(root, "maxMemory"), size_b(root, "memory")
    return {
        "title": text_of(root, "title"),
        "type": attribute(root, "", "type"),
        "accel": {"kvm": "kvm", "qemu": "tcg"}.get(attribute(root, "", "type"), attribute(root, "", "type")),
        "machine": attribute(root, "os/type", "machine"),
        "vcpus": _vcpus(root, "current") or _vcpus(root, ""),
        "vcpus_max": _vcpus(root, ""),
        "mem_b": size_b(root, "currentMemory") or memory,
        "mem_max_b": None if maximum is None or memory is None else max(maximum, memory),
        "cpu": _cpu(root),
        "mem": _memory(root),
        "nics": interfaces(root),
        "disks": disks(root),
        "devices": devices(root),
        "consoles": consoles(root),
        "channels": _channels(root),
        "security": _security(root),
        "firmware": _firmware(root),
        "tpm": _tpm(root),
        # libvirt fills its default in when a domain starts.
        "partition": text_of(root, "resource/partition") or "/machine",
        "emulator": text_of(root, "devices/emulator"),
        "custom_arguments": root.find("{http://libvirt.org/schemas/domain/qemu/1.0}commandline") is not None,
    }


def _vcpus(root, name):
    """The maximum number of vCPUs (the element's text) or, with `name`, one of its attributes; None when unreadable."""
    found = root.find("vcpu")
    if found is None:
        return None if not name else 0
    return number(found.get(name) if name else found.text, None if not name else 0)


def _cpu(root):
    tune = root.find("cputune")
    pinned = [] if tune is None else tune.findall("vcpupin")
    return {
        "shares": _tuned(root, "cputune/shares"),
        "quota_us": _tuned(root, "cputune/quota"),
        "period_us": _tuned(root, "cputune/period"),
        "global_quota_us": _tuned(root, "cputune/global_quota"),
        "global_period_us": _tuned(root, "cputune/global_period"),
        "cpuset": attribute(root, "vcpu", "cpuset"),
        "pins": {str(entry.get("vcpu"))[:8]: str(entry.get("cpuset"))[:200] for entry in pinned[:1024]},
        "nested": _nested(root),
        "bound": [path for path in _BOUND_TO_VCPUS if root.find(path) is not None],
    }


def _nested(root):
    """True when the guest is given the virtualisation extensions (or the whole host processor), so that it may nest."""
    if attribute(root, "cpu", "mode") in ("host-passthrough", "maximum"):
        return not any(
            entry.get("name") in ("vmx", "svm") and entry.get("policy") in ("disable", "forbid")
            for entry in root.findall("cpu/feature")
        )
    return any(
        entry.get("name") in ("vmx", "svm") and entry.get("policy", "require") in ("require", "force", "optional")
        for entry in root.findall("cpu/feature")
    )


def _tuned(root, path):
    """A limit in cputune; 0 where there is none. A negative quota means no limit (formatdomain, cputune)."""
    return max(number(text_of(root, path, "0")), 0)


def _memory(root):
    return {
        "hard_limit_b": _limit(root, "memtune/hard_limit"),
        "soft_limit_b": _limit(root, "memtune/soft_limit"),
        "swap_limit_b": _limit(root, "memtune/swap_hard_limit"),
        "hugepages": root.find("memoryBacking/hugepages") is not None,
        "locked": root.find("memoryBacking/locked") is not None,
        "shared_pages": root.find("memoryBacking/nosharepages") is None,
        "allocation": attribute(root, "memoryBacking/allocation", "mode"),
        "source": attribute(root, "memoryBacking/source", "type"),
        "access": attribute(root, "memoryBacking/access", "mode"),
    }


def _limit(root, path):
    found = size_b(root, path)
    return 0 if found is not None and found >= _UNLIMITED_B else found


def _channels(root):
    """Channels between guest and host by name, e.g. org.qemu.guest_agent.0."""
    return [
        {
            "type": attribute(entry, "", "type"),
            "name": attribute(entry, "target", "name") or attribute(entry, "target", "type"),
        }
        for entry in root.findall("devices/channel")[:50]
    ]


def _security(root):
    labels = [
        {
            "type": attribute(entry, "", "type"),
            "model": attribute(entry, "", "model"),
            "relabel": attribute(entry, "", "relabel") != "no",
            "label": text_of(entry, "label"),
            "baselabel": text_of(entry, "baselabel"),
        }
        for entry in root.findall("seclabel")[:10]
    ]
    confined = next((entry for entry in labels if entry["model"] in ("selinux", "apparmor")), None)
    return {
        "labels": labels,
        "label": confined["label"] if confined else "",
        "launch": attribute(root, "launchSecurity", "type"),
    }


def _firmware(root):
    features = {entry.get("name"): entry.get("enabled") for entry in root.findall("os/firmware/feature")}
    secure = yes(root, "os/loader", "secure") or features.get("secure-boot") == "yes"
    return {
        "type": attribute(root, "os", "firmware")
        or ("efi" if attribute(root, "os/loader", "type") == "pflash" else "bios"),
        "loader": text_of(root, "os/loader"),
        "nvram": text_of(root, "os/nvram") or attribute(root, "os/nvram/source", "file"),
        "secure_boot": secure and features.get("enrolled-keys") != "no",
    }


def _tpm(root):
    found = root.find("devices/tpm")
    if found is None:
        return {"present": False, "version": "", "backend": "", "encrypted": False}
    return {
        "present": True,
        "version": attribute(found, "backend", "version"),
        "backend": attribute(found, "backend", "type"),
        "encrypted": found.find("backend/encryption") is not None,
    }
