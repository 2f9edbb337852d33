# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""qemu_processes: what runs guests and what reaches into them, and the configuration libvirt starts QEMU with."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import libvirt_conf, qemu_proc
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

QEMU_CONF = "/etc/libvirt/qemu.conf"
SASL_FILES = ("/etc/sasl2/qemu.conf", "/etc/sasl2/qemu-kvm.conf")
# Debian and Ubuntu, then the RHEL family. Never the path a domain names: whoever defines a domain could name a program.
EMULATORS = ("/usr/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm", "/usr/bin/qemu-system-aarch64")
# Passwords: only whether they are set leaves the host.
_SECRET = ("vnc_password", "spice_password")
MAX_MOUNTS = 2000


def collect(host, note):
    """Return {"qemu": {"processes", "helpers", "daemon", "conf", "version", "sasl", "cgroup", "disk_access"}}."""
    facts = {"processes": None, "helpers": None, "daemon": None}
    seen = attempt(note, "qemu.processes", lambda: qemu_proc.scan_once(host))
    if seen is None:
        note("qemu.helpers", "the processes could not be listed")
        note("qemu.daemon", "the processes could not be listed")
    else:
        facts["processes"], facts["helpers"] = seen["processes"], seen["helpers"]
        _note_gaps(facts["processes"], note)
    facts["conf"] = _conf(host, note)
    if seen is not None:
        facts["daemon"] = _daemon(seen["daemons"], facts["conf"])
        if facts["daemon"]["in_force"] is None:
            note("qemu.daemon.in_force", "when qemu.conf changed or its daemon started was not read")
    facts["version"] = attempt(note, "qemu.version", lambda: _version(host))
    facts["sasl"] = attempt(note, "qemu.sasl", lambda: _sasl(host))
    facts["cgroup"] = attempt(note, "qemu.cgroup", lambda: _cgroup(host))
    facts["disk_access"] = attempt(note, "qemu.disk_access", lambda: _disk_access(host))
    return {"qemu": facts}


def _note_gaps(processes, note):
    for process in processes:
        for key, value in process.items():
            if value is None:
                note("qemu.processes[%d].%s" % (process["pid"], key), "not readable in /proc/%d" % process["pid"])


def _conf(host, note):
    """{readable, present, mtime, settings}: settings holds what is set, so that "not set" and "not read" differ."""
    try:
        settings = libvirt_conf.parse(host.read(QEMU_CONF))
        mtime = int(host.stat(QEMU_CONF)["mtime"])
    except Absent:
        return {"readable": True, "present": False, "mtime": 0, "settings": {}}
    except Unreadable as reason:
        note("qemu.conf", str(reason))
        return None
    except libvirt_conf.BadConfiguration as reason:
        note("qemu.conf", "%s: %s" % (QEMU_CONF, reason))
        return None
    for key in _SECRET:
        if key in settings:
            settings[key + "_set"] = settings.pop(key) != ""
    return {"readable": True, "present": True, "mtime": mtime, "settings": settings}


def _daemon(daemons, conf):
    """{name, pid, started, in_force}: in_force is False when qemu.conf is newer than the daemon that read it.

    A daemon that is not running reads the file when its socket starts it, so nothing older is in force. libvirt reads
    qemu.conf at start only; its daemons have no reload for it.
    """
    if not daemons:
        return {"name": "", "pid": 0, "started": 0, "in_force": None if conf is None else True}
    newest = max(daemons, key=lambda daemon: daemon["started"] or 0)
    # The start time is reckoned from the boot time, both in whole seconds: a difference of one says nothing.
    known = conf is not None and newest["started"] is not None
    in_force = newest["started"] + 1 >= conf["mtime"] if known else None
    return {"name": newest["name"], "pid": newest["pid"], "started": newest["started"], "in_force": in_force}


def _version(host):
    """QEMU's version as it prints it, "" where none of the known programs is installed."""
    for path in EMULATORS:
        try:
            match = re.search(r"version ([0-9.]+)", host.succeed([path, "--version"], timeout=5))
        except Absent:
            continue
        if match is None:
            raise Unreadable("%s --version names no version" % path)
        return match.group(1)
    return ""


def _sasl(host):
    """The SASL mechanisms QEMU's consoles accept: {mechanisms: [lower case]}; empty where SASL is not configured."""
    for path in SASL_FILES:
        try:
            text = host.read(path)
        except Absent:
            continue
        match = re.search(r"^\s*mech_list\s*:\s*(.*)$", text, re.MULTILINE)
        return {"mechanisms": (match.group(1) if match else "").lower().split()}
    return {"mechanisms": []}


def _cgroup(host):
    """{version: 1 | 2, controllers}: what the kernel offers libvirt for limits. Hybrid hosts count as 1.

    On v2 the devices controller is a BPF program that needs no entry in cgroup.controllers.
    """
    try:
        return {
            "version": 2,
            "controllers": sorted(host.read("/sys/fs/cgroup/cgroup.controllers").split()) + ["devices"],
        }
    except Absent:
        pass
    found = []
    for line in host.read("/proc/self/mountinfo").splitlines():
        place, _dash, rest = line.partition(" - ")
        words, kind = place.split(), rest.split()
        if kind[:1] == ["cgroup"] and len(words) > 4:
            found += words[4].rsplit("/", 1)[-1].split(",")
    return {"version": 1, "controllers": sorted(set(found) - {"systemd"})}


def _disk_access(host):
    """Ways in which the host itself opens a disk: {loops, nbds, mounts}, the source of each with its paths."""
    mounts = _mounts(host)
    return {"loops": _loops(host), "nbds": _nbds(host), "mounts": mounts}


def _block_devices(host, prefix):
    try:
        return [name for name in host.list("/sys/block") if re.match(prefix + r"\d+$", name)]
    except Absent:
        return []


def _loops(host):
    found = []
    for name in _block_devices(host, "loop"):
        try:
            backing = host.read("/sys/block/%s/loop/backing_file" % name).strip()
        except Absent:
            continue  # Not in use.
        read_only = host.read("/sys/block/%s/ro" % name).strip() == "1"
        found.append({"device": "/dev/" + name, "backing": backing[:1000], "read_only": read_only})
    return found


def _nbds(host):
    """Connected network block devices; the kernel shows the client's process only while there is one."""
    found = []
    for name in _block_devices(host, "nbd"):
        try:
            pid = host.read("/sys/block/%s/pid" % name).strip()
        except Absent:
            continue
        found.append({"device": "/dev/" + name, "pid": int(pid) if pid.isdigit() else 0})
    return found


def _mounts(host):
    """File systems mounted from a block device or through FUSE: [{source, target, type, read_only}]."""
    found = []
    for line in host.read("/proc/1/mountinfo").splitlines():
        place, _dash, rest = line.partition(" - ")
        words, kind = place.split(), rest.split()
        if len(words) > 5 and len(kind) > 1 and (kind[1].startswith("/dev/") or kind[0].startswith("fuse")):
            source = host.real(kind[1]) if kind[1].startswith("/dev/") else kind[1]
            found.append(
                {
                    "source": source[:300],
                    "target": words[4][:300],
                    "type": kind[0],
                    "read_only": "ro" in words[5].split(","),
                }
            )
    if len(found) > MAX_MOUNTS:
        raise Unreadable("more than %d mounts" % MAX_MOUNTS)
    return found


PART = Part("qemu_processes", ["qemu"], collect)
