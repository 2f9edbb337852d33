# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that run guests or reach into them, as the kernel shows them in /proc.

libvirt's list is not the whole truth: its access control filters it, and a guest can be run without libvirt. So every
QEMU process and every process that holds /dev/kvm is found here, and tied to libvirt through libvirt's own pid files.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import weakref

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.qemu_arguments import summary

PID_DIRECTORY = "/run/libvirt/qemu"
MAX_PROCESSES = 100000
MAX_DESCRIPTORS = 50000
MAX_LISTED = 2000

# Names of the programs of interest, by what they are to a guest.
_QEMU = re.compile(r"^(qemu-system-[a-z0-9_]+|qemu-kvm|kvm)$")
_HELPERS = {
    "swtpm": "tpm",
    "virtiofsd": "file system",
    "qemu-nbd": "disk access",
    "qemu-storage-daemon": "disk access",
    "nbdkit": "disk access",
    "nbdfuse": "disk access",
    "guestmount": "disk access",
    "guestfish": "disk access",
    "libguestfs": "disk access",
}
_DAEMONS = ("libvirtd", "virtqemud")
# What the kernel says where no security module answers for a process (attr/current).
_NO_MODULE = os.strerror(errno.EINVAL)

_scans = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def scan_once(host):
    """The scan of this collection: two parts need it at the same time and it reads thousands of files."""
    with _lock:
        if host not in _scans:
            _scans[host] = scan(host)
        return _scans[host]


def scan(host):
    """Return {"processes", "helpers", "daemons", "gaps"}.

    processes: everything that runs a guest (QEMU, or a holder of /dev/kvm). helpers: swtpm, virtiofsd, qemu-nbd and
    the like. daemons: libvirt's own. gaps: why something may have been missed; empty when everything was seen.

    :raises Unreadable: /proc itself cannot be listed.
    """
    boot = _boot_time(host)
    found = {"processes": [], "helpers": [], "daemons": [], "gaps": []}
    if host.euid() != 0:
        found["gaps"].append("not root: who holds /dev/kvm cannot be seen")
    pids = _pid_files(host, found["gaps"])
    for name in host.list("/proc", MAX_PROCESSES):
        if name.isdigit():
            try:
                _look_at(host, int(name), boot, pids, found)
            except Absent:
                continue  # It ended while it was looked at.
    return found


def _look_at(host, pid, boot, pids, found):
    base = "/proc/%d" % pid
    name, executable = _name(host, base)
    if name is None:
        return
    holds = _holds_kvm(host, base, found["gaps"])
    if name in _DAEMONS:
        found["daemons"].append({"name": name, "pid": pid, "started": _started(host, base, boot)})
    if _QEMU.match(name) or holds == "guest" or (holds and name not in _DAEMONS):
        target, kind = found["processes"], "guest"
    elif name in _HELPERS:
        target, kind = found["helpers"], _HELPERS[name]
    else:
        return
    if len(target) >= MAX_LISTED:
        found["gaps"].append("more than %d processes; the rest was not read" % MAX_LISTED)
        return
    entry = _describe(host, base, pid, boot, found["gaps"])
    entry.update(name=name, executable=executable, kind=kind, holds_kvm=bool(holds))
    entry.update(summary(host.read_bytes(base + "/cmdline").split(b"\0"), kind))
    if entry.get("probe") and pids["probes"].get(entry["probe"]) == str(pid):
        return  # libvirt asks a QEMU without a machine what it can do; it lives for a moment and runs no guest.
    entry["domain"] = entry["uuid"] if kind == "guest" and pid in pids["guests"] else ""
    target.append(entry)


def _name(host, base):
    """The program's file name and path; (None, "") for a kernel thread. A name in comm can be set to anything."""
    try:
        executable = host.link(base + "/exe")
    except Absent:
        return None, ""
    except Unreadable:
        return host.read(base + "/comm").strip()[:40], ""
    return executable.replace(" (deleted)", "").rsplit("/", 1)[-1][:80], executable[:300]


def _holds_kvm(host, base, gaps):
    """ "guest" when the process holds a virtual machine, "device" when only /dev/kvm is open, "" when neither."""
    try:
        names = host.list(base + "/fd", MAX_DESCRIPTORS)
    except Absent:
        return ""
    except Unreadable as reason:
        if host.euid() == 0:
            gaps.append(str(reason))
        return ""
    held = ""
    for name in names:
        try:
            target = host.link("%s/fd/%s" % (base, name))
        except Unreadable:
            continue  # Closed meanwhile.
        if target.startswith("anon_inode:kvm-v"):
            return "guest"
        if target == "/dev/kvm":
            held = "device"
    return held


def _describe(host, base, pid, boot, gaps):
    status = dict(line.split(":", 1) for line in host.read(base + "/status").splitlines() if ":" in line)
    return {
        "pid": pid,
        "uid": _integer(status.get("Uid", "").split()[1:2]),
        "gid": _integer(status.get("Gid", "").split()[1:2]),
        "groups": [int(group) for group in status.get("Groups", "").split()[:50]],
        "capeff": status.get("CapEff", "").strip() or None,
        "seccomp": _integer(status.get("Seccomp", "").split()),
        "nonewprivs": _integer(status.get("NoNewPrivs", "").split()),
        "label": _label(host, base, gaps),
        "own_mount_namespace": _differs(host, base + "/ns/mnt", "/proc/1/ns/mnt"),
        "device_cgroup": _device_cgroup(host, base),
        "started": _started(host, base, boot),
    }


def _integer(words):
    return int(words[0]) if words and words[0].isdigit() else None


def _label(host, base, gaps):
    """The security label; "" where no module labels processes, None where it could not be read."""
    try:
        return host.read(base + "/attr/current").strip().rstrip("\0")[:300]
    except Absent:
        return ""
    except Unreadable as reason:
        if _NO_MODULE in str(reason):
            return ""
        gaps.append(str(reason))
        return None


def _differs(host, path, other):
    try:
        return host.link(path) != host.link(other)
    except Unreadable:
        return None


def _device_cgroup(host, base):
    """The control group that limits the process's devices, None where it cannot be read.

    On cgroup v1 that of the devices controller; on v2 the one group there is, where the limit is a BPF program that no
    file shows (catalogue, kvm-11.2.7-cgroup-devices).
    """
    try:
        lines = [line.split(":", 2) for line in host.read(base + "/cgroup").splitlines()]
    except Unreadable:
        return None
    groups = {entry[1]: entry[2] for entry in lines if len(entry) == 3}
    return next(
        (path[:300] for names, path in groups.items() if "devices" in names.split(",")), groups.get("", "")[:300]
    )


def _boot_time(host):
    match = re.search(r"^btime (\d+)$", host.read("/proc/stat"), re.MULTILINE)
    return int(match.group(1)) if match else None


def _started(host, base, boot):
    """When the process started, in seconds since the epoch; None where /proc does not tell."""
    try:
        fields = host.read(base + "/stat").rsplit(")", 1)[-1].split()
        return boot + int(fields[19]) // os.sysconf("SC_CLK_TCK")
    except (Unreadable, IndexError, ValueError, TypeError):
        return None


def _pid_files(host, gaps):
    """libvirt's own record of what it started: {"guests": {pid: name}, "probes": {path: pid}}."""
    found = {"guests": {}, "probes": {}}
    for directory, key in ((PID_DIRECTORY, "guests"), ("/var/lib/libvirt/qemu", "probes")):
        try:
            names = host.list(directory, MAX_PROCESSES)
        except Absent:
            continue
        except Unreadable as reason:
            gaps.append(str(reason))
            continue
        for name in names:
            if key == "probes" and name.startswith("qmp-"):
                path = "%s/%s/qmp.pid" % (directory, name)
                found["probes"][path] = _pid(host, path, gaps)
            elif key == "guests" and name.endswith(".pid"):
                pid = _pid(host, "%s/%s" % (directory, name), gaps)
                if pid.isdigit():
                    found["guests"][int(pid)] = name[: -len(".pid")]
    return found


def _pid(host, path, gaps):
    try:
        return host.read(path, 64).strip()
    except Absent:
        return ""
    except Unreadable as reason:
        gaps.append(str(reason))
        return ""
