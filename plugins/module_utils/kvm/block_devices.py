# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a path's bytes are: the file system it is in, the block devices below, and which of them encrypt.

All from /proc/self/mountinfo and /sys/dev/block, which name the same ancestry as `lsblk --json` without a process.
"""

from __future__ import annotations

import os
import posixpath
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

MAX_DEPTH = 12
MAX_MOUNTS = 5000
REMOTE_TYPES = {
    "nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "afs", "ocfs2", "9p", "virtiofs",
    "fuse.glusterfs", "fuse.sshfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.s3fs", "fuse.rclone", "fuse.nfs", "davfs",
    "fuse",
}  # fmt: skip
MEMORY_TYPES = {"tmpfs", "ramfs", "devtmpfs"}
# Mount options that say how a network file system is protected. Others may hold credentials and stay on the host.
OPTIONS = re.compile(r"^(sec|xprtsec|vers|seal|ms_mode|proto|nfsvers)(=[\w./-]*)?$")
# A piece of a device's path in /sys that betrays a disk reached through a network.
TRANSPORTS = (
    ("iscsi", re.compile(r"/session\d+/")),
    ("fc", re.compile(r"/rport-\d")),
    ("sas", re.compile(r"/end_device-")),
)


class Devices(object):
    """The block devices of a host, each looked at once."""

    def __init__(self, host):
        self._host = host
        self._nodes = {}
        self._places = {}
        self._mounts = None
        self.crypt = {}

    def places(self):
        """Every place met so far.

        [{id, type (file system, or "block" for a device of its own), target, source, remote, memory, options,
        encrypted, crypt, leaves}]. encrypted: yes where every way down to a disk passes dm-crypt, no, or unknown where
        the kernel
        does not show the devices. crypt: names of those devices. leaves: the disks, {id, transport, wwid}.
        """
        return [self._places[key] for key in sorted(self._places)]

    def place(self, path):
        """Return the id of the place of an existing path.

        :raises Unreadable: the path does not exist, or the kernel does not say where it is.
        """
        found = self._host.stat(path)
        if found["type"] == "block":
            number = _number(found)
            key = "block " + number
            if key not in self._places:
                self._places[key] = self._on_devices(
                    key, {"type": "block", "target": "", "source": path[:300]}, [number]
                )
        else:
            mount = self._mount_of(self._host.real(path))
            key = "mount " + mount["target"]
            if key not in self._places:
                self._places[key] = self._in_mount(key, mount)
        return key

    def _mount_of(self, path):
        if self._mounts is None:
            self._mounts = _mounts(self._host.read("/proc/self/mountinfo", 8 * 1024 * 1024))
        best = None
        for mount in self._mounts:
            target = mount["target"]
            inside = target == "/" or path == target or path.startswith(target + "/")
            # Of two mounts at one place the later covers the earlier.
            if inside and (best is None or len(target) >= len(best["target"])):
                best = mount
        if best is None:
            raise Unreadable("no mount holds %s" % path)
        return best

    def _in_mount(self, key, mount):
        kind = mount["type"]
        about = {"type": kind, "target": mount["target"], "source": mount["source"][:300]}
        if kind in REMOTE_TYPES or kind in MEMORY_TYPES:
            return self._elsewhere(key, about, kind, mount["options"])
        if kind == "btrfs" or mount["number"].startswith("0:"):
            # Anonymous device numbers: btrfs names one of its devices; overlay and zfs name none.
            numbers = self._btrfs(mount["source"]) if kind == "btrfs" else []
        else:
            numbers = [mount["number"]]
        return self._on_devices(key, about, numbers)

    @staticmethod
    def _elsewhere(key, about, kind, options):
        kept = {}
        for option in options:
            if OPTIONS.match(option):
                name, _equals, value = option.partition("=")
                kept[name] = value
        return dict(
            about, id=key, remote=kind in REMOTE_TYPES, memory=kind in MEMORY_TYPES, options=kept, encrypted="no",
            crypt=[], leaves=[],
        )  # fmt: skip

    def _btrfs(self, source):
        """The device numbers of every member of the btrfs file system that `source` belongs to."""
        own = self._host.stat(source)
        number = _number(own)
        for uuid in self._host.list("/sys/fs/btrfs"):
            try:
                names = self._host.list("/sys/fs/btrfs/%s/devices" % uuid)
            except Absent:
                continue
            members = [self._host.read("/sys/class/block/%s/dev" % name).strip() for name in names]
            if number in members:
                return members
        raise Unreadable("the kernel does not list the devices of the btrfs on %s" % source)

    def _on_devices(self, key, about, numbers):
        nodes = [self._node(number, 0) for number in numbers]
        leaves = {leaf["id"]: leaf for node in nodes for leaf in node["leaves"]}
        return dict(
            about,
            id=key,
            remote=False,
            memory=False,
            options={},
            encrypted="unknown" if not nodes else "yes" if all(node["encrypted"] for node in nodes) else "no",
            crypt=sorted({name for node in nodes for name in node["crypt"]}),
            leaves=[leaves[name] for name in sorted(leaves)],
        )

    def _node(self, number, depth):
        """{encrypted, crypt, leaves} of a block device, all the way down."""
        if number not in self._nodes:
            if depth > MAX_DEPTH:
                raise Unreadable("block device %s stands on more than %d others" % (number, MAX_DEPTH))
            self._nodes[number] = self._walk(number, depth)
        return self._nodes[number]

    def _walk(self, number, depth):
        host = self._host
        path = host.real("/sys/dev/block/" + number)
        name = posixpath.basename(path)
        if not host.exists(path):
            raise Unreadable("the kernel shows no block device %s" % number)
        below = [host.read("/sys/class/block/%s/dev" % slave).strip() for slave in _listed(host, path + "/slaves")]
        if host.exists(path + "/partition"):
            below = [host.read(posixpath.dirname(path) + "/dev").strip()]
        backing = _read(host, path + "/loop/backing_file")
        if backing:
            # A loop device is as safe as the place of its file.
            place = self._places[self.place(backing)]
            return {"encrypted": place["encrypted"] == "yes", "crypt": place["crypt"], "leaves": place["leaves"]}
        nodes = [self._node(entry, depth + 1) for entry in below]
        crypt = sorted({entry for node in nodes for entry in node["crypt"]})
        leaves = [leaf for node in nodes for leaf in node["leaves"]]
        mapping = _read(host, path + "/dm/uuid")
        if mapping.startswith("CRYPT-"):
            device = _read(host, path + "/dm/name") or name
            self.crypt[device] = {"kind": mapping.split("-")[1].lower(), "below": _listed(host, path + "/slaves")}
            return {"encrypted": True, "crypt": sorted(set(crypt) | {device}), "leaves": leaves}
        if not nodes:
            leaves = [{"id": name, "transport": _transport(host, path, name), "wwid": _wwid(host, path)}]
        return {"encrypted": bool(nodes) and all(node["encrypted"] for node in nodes), "crypt": crypt, "leaves": leaves}


def _mounts(text):
    """proc(5): 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"""
    found = []
    for line in text.splitlines()[:MAX_MOUNTS]:
        place, _dash, rest = line.partition(" - ")
        words, kind = place.split(), rest.split(" ")
        if len(words) > 5 and len(kind) > 2:
            found.append(
                {
                    "number": words[2],
                    "target": _unescaped(words[4]),
                    "type": kind[0],
                    "source": _unescaped(kind[1]),
                    "options": kind[2].split(","),
                }
            )
    return found


def _unescaped(text):
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def _transport(host, path, name):
    """How a disk is reached: iscsi, fc, nbd, rbd, drbd, nvme-<transport>, virtio or sas; "local" for the rest."""
    for transport, sign in TRANSPORTS:
        if sign.search(path):
            return transport
    for prefix in ("nbd", "rbd", "drbd"):
        if re.match(prefix + r"\d", name):
            return prefix
    if name.startswith("zram"):
        return "memory"
    if name.startswith("nvme"):
        controllers = [path + "/device"]
        controllers += [
            path + "/device/" + entry for entry in _listed(host, path + "/device") if re.match(r"nvme\d+$", entry)
        ]
        kinds = {_read(host, controller + "/transport") for controller in controllers} - {"", "pcie"}
        return "nvme-" + sorted(kinds)[0] if kinds else "local"
    return "virtio" if "/virtio" in path else "local"


def _wwid(host, path):
    return (_read(host, path + "/wwid") or _read(host, path + "/device/wwid"))[:120]


def _read(host, path):
    """The stripped text of a small file in /sys, "" where the device has no such property."""
    try:
        return host.read(path, 4096).strip()
    except Absent:
        return ""


def _listed(host, path):
    try:
        return host.list(path)
    except Absent:
        return []


def _number(stat):
    return "%d:%d" % (os.major(stat["rdev"]), os.minor(stat["rdev"]))
