# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every place where libvirt's machines keep their bytes: disks and their chains, pools, saved states, virtual TPMs."""

from __future__ import annotations

import posixpath

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import image_header, openpgp
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_devices import disks
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_xml import BadXml, attribute, parse, text_of

DEFAULT_DIRECTORY = "/var/lib/libvirt/images"
SAVED_STATES = "/var/lib/libvirt/qemu/save"
VIRTUAL_TPMS = "/var/lib/libvirt/swtpm"
MAX_IMAGES = 2000
MAX_CHAIN = 50
SIGNATURE_SUFFIXES = (".asc", ".sig", ".gpg")
# Files that lie beside images and hold no machine's data.
BESIDE = SIGNATURE_SUFFIXES + (
    ".sha256",
    ".sha256sum",
    ".sha512",
    ".sha512sum",
    ".md5",
    ".txt",
    ".json",
    ".yml",
    ".yaml",
    ".xml",
)


def directories(snapshot, host):
    """{path: [names of pools]}: the directories pools keep files in, and libvirt's default one where it exists.

    :raises Unreadable: libvirt did not list its pools.
    """
    if snapshot["pools"] is None:
        raise Unreadable("libvirt did not list its storage pools")
    found = {}
    for record in snapshot["pools"]:
        root = _parsed(record["xml"], "pool")
        path = text_of(root, "target/path")
        # The targets of other pools are device nodes (/dev/<volume group>, /dev/disk/by-path).
        if path and attribute(root, "", "type") in ("dir", "fs", "netfs", "vstorage"):
            found.setdefault(path, []).append(record["name"])
    if host.exists(DEFAULT_DIRECTORY):
        found.setdefault(DEFAULT_DIRECTORY, [])
    return found


# An image: type is file, block, dir, network, absent, or what libvirt calls another kind of source. uses: what it
# serves, {kind: disk|backing|pool|vtpm|saved state, of: UUID, pool or image above, writable}. problem: why it could not
# be read, for one image that cannot be judged must not hide the others. protocol, hosts, local, tls: of a network.
BLANK = {
    "type": "", "encryption": "", "format": "", "backing": "", "luks": {}, "size_b": 0, "mtime": 0, "mode": "",
    "uid": 0, "gid": 0, "place": "", "problem": "", "protocol": "", "hosts": [], "local": False, "tls": "",
    "signature": {},
}  # fmt: skip


class Inventory(object):
    """The images found so far, by path."""

    def __init__(self, host):
        self._host = host
        self._found = {}

    def images(self):
        return [self._found[path] for path in sorted(self._found)]

    def add_domains(self, snapshot):
        """The disks of every domain as it runs and as it is defined, their backing images, and its virtual TPM's state.

        :raises Unreadable: libvirt did not list or describe every domain.
        """
        if snapshot["domains"] is None:
            raise Unreadable("libvirt did not list its domains")
        volumes = _volume_paths(snapshot["pools"] or [])
        for record in snapshot["domains"]:
            if record["error"]:
                raise Unreadable("domain %s: %s" % (record["uuid"], record["error"]))
            for text in (record["live_xml"], record["inactive_xml"]):
                if text:
                    self._add_domain(record, _parsed(text, "domain"), volumes)

    def _add_domain(self, record, root, volumes):
        uuid = record["uuid"]
        for disk in disks(root):
            if disk["device"] in ("disk", "lun"):
                self._add_source(disk, uuid, "disk", not disk["readonly"], volumes)
                for link in disk["backing"]:
                    self._add_source(link, uuid, "backing", False, volumes)
        if attribute(root, "devices/tpm/backend", "type") == "emulator":
            state = attribute(root, "devices/tpm/backend/source", "path") or "%s/%s" % (VIRTUAL_TPMS, uuid)
            entry = self._add_path(state, {"kind": "vtpm", "of": uuid, "writable": True})
            if root.find("devices/tpm/backend/encryption") is not None:
                entry["encryption"] = "swtpm"

    def _add_source(self, source, uuid, kind, writable, volumes):
        use = {"kind": kind, "of": uuid, "writable": writable}
        if source["type"] == "network":
            name = "%s:%s" % (source["proto"] or "network", source["path"])
            entry = self._entry(name, use, "network")
            entry.update(protocol=source["proto"], tls=source["tls"], encryption=source["encrypted"] and "luks")
            entry["hosts"] = [
                ":".join(part for part in (h["name"], h["port"]) if part) or h["socket"] for h in source["hosts"]
            ]
            entry["local"] = bool(source["hosts"]) and all(h["transport"] == "unix" for h in source["hosts"])
        elif source["type"] == "volume":
            path = volumes.get((source["pool"], source["volume"]), "")
            if path:
                self._add_path(path, use)
            else:
                self._entry("volume:%s/%s" % (source["pool"], source["volume"]), use, "volume")
        elif source["type"] in ("file", "block", "dir") and source["path"]:
            self._add_path(source["path"], use)
        elif source["path"]:
            self._entry("%s:%s" % (source["type"] or "unknown", source["path"]), use, source["type"] or "unknown")

    def add_directory(self, path, pools):
        """The files in a pool's directory. Sub-directories are no volumes of a directory pool, and are left out."""
        try:
            names = self._host.list(path)
        except Absent:
            return  # A pool that is not active need not have its directory.
        for name in names:
            full = posixpath.join(path, name)
            if not name.endswith(BESIDE) and self._holds_bytes(full):
                for pool in pools or [""]:
                    self._add_path(full, {"kind": "pool", "of": pool, "writable": False})
                self._found[full]["signature"] = self._signature(full, names)

    def _holds_bytes(self, path):
        try:
            return self._host.stat(path)["type"] in ("file", "block")
        except Absent:
            return False  # It went away meanwhile, or is a link that leads nowhere.
        except Unreadable:
            return True  # _read finds the same reason, and keeps it with the image.

    def add_saved_states(self):
        """What `virsh managedsave` left: a machine's memory in a file."""
        try:
            names = self._host.list(SAVED_STATES)
        except Absent:
            return
        for name in names:
            if name.endswith(".save"):
                use = {"kind": "saved state", "of": name[: -len(".save")], "writable": True}
                self._add_path(posixpath.join(SAVED_STATES, name), use)

    def _entry(self, identity, use, kind):
        if identity not in self._found:
            if len(self._found) >= MAX_IMAGES:
                raise Unreadable("more than %d images; the rest was not read" % MAX_IMAGES)
            self._found[identity] = dict(BLANK, id=identity[:1000], type=kind, uses=[])
        entry = self._found[identity]
        if use not in entry["uses"]:
            entry["uses"].append(use)
        return entry

    def _add_path(self, path, use, depth=0):
        known = path in self._found
        entry = self._entry(path, use, "file")
        if not known:
            self._read(entry, path)
        if entry["backing"] and depth < MAX_CHAIN:
            backing = entry["backing"]
            # What a machine's chain ends in belongs to the machine; what a library image stands on, to that image.
            above = {"kind": "backing", "of": path if use["kind"] == "pool" else use["of"], "writable": False}
            if "://" in backing or backing.startswith("json:"):
                self._entry("address:" + backing, above, "address")
            else:
                below = posixpath.normpath(posixpath.join(posixpath.dirname(path), backing))
                self._add_path(below, above, depth + 1)
        return entry

    def _read(self, entry, path):
        """Fill in what the file itself says."""
        try:
            stat = self._host.stat(path)
            entry.update({key: stat[key] for key in ("type", "mode", "uid", "gid")})
            entry.update(size_b=stat["size"], mtime=int(stat["mtime"]))
            if stat["type"] in ("file", "block"):
                entry.update(image_header.describe(self._host, path))
        except Absent:
            entry["type"] = "absent"
        except Unreadable as reason:
            entry["problem"] = str(reason)[:300]

    def _signature(self, path, names):
        """The detached signature beside an image: {file, algorithm, hash, issuer, problem}; file is "" for none."""
        found = {"file": "", "algorithm": "", "hash": "", "issuer": "", "problem": ""}
        name = posixpath.basename(path)
        for suffix in SIGNATURE_SUFFIXES:
            if name + suffix in names:
                found["file"] = path + suffix
                try:
                    found.update(openpgp.signature(self._host.read_bytes(path + suffix, openpgp.MAX_SIGNATURE)))
                except (Unreadable, openpgp.BadSignature) as reason:
                    found["problem"] = str(reason)[:200]
                break
        return found


def _volume_paths(pools):
    """{(pool, volume): path}."""
    found = {}
    for pool in pools:
        for volume in pool["volumes"] or []:
            if volume["xml"]:
                found[(pool["name"], volume["name"])] = text_of(_parsed(volume["xml"], "volume"), "target/path")
    return found


def _parsed(text, root):
    try:
        return parse(text, root)
    except BadXml as reason:
        raise Unreadable(str(reason))
