# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""storage: where the images of machines are, who may reach them, what encrypts them and what they travel over."""

from __future__ import annotations

import posixpath
import re
import struct

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import (
    image_header,
    image_inventory,
    key_material,
    passwd,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.block_devices import Devices
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"
# linux/posix_acl_xattr.h: entries that name somebody; the rest repeats the mode.
ACL_NAMED = {0x02: "user", 0x08: "group"}
ACL_MASK = 0x10
CEPH_CONF = "/etc/ceph/ceph.conf"


def collect(host, note):
    """Return {"storage": {directories, images, library, places, crypt, key_files, tls, ceph}}.

    directories: of pools, with owner and access list. images: every file, device or address that holds a machine's
    bytes; `place` names an entry of places. library: the images that are no machine's own disk.
    """
    devices = Devices(host)
    facts = dict.fromkeys(("directories", "images", "library"))
    snapshot = None
    try:
        snapshot = host.libvirt()
    except Unreadable as reason:
        for name in facts:
            note("storage." + name, str(reason))
    if snapshot is not None:
        targets = attempt(note, "storage.directories", lambda: image_inventory.directories(snapshot, host))
        facts["directories"] = attempt(note, "storage.directories", lambda: directories(host, targets, devices))
        facts["images"] = attempt(note, "storage.images", lambda: images(host, snapshot, targets, devices))
        facts["library"] = library(facts["images"], note)
    facts["key_files"] = attempt(note, "storage.key_files", lambda: key_files(host, devices))
    facts["tls"] = attempt(note, "storage.tls", lambda: key_material.tls_directories(host))
    facts["ceph"] = attempt(note, "storage.ceph", lambda: ceph(host))
    # Last: these hold what the walks above have met.
    facts["places"] = devices.places()
    facts["crypt"] = [crypt(host, name, about) for name, about in sorted(devices.crypt.items())]
    return {"storage": facts}


def directories(host, targets, devices):
    """[{id, pools, exists, mode, owner, group, acl, default_acl, place}]; owner and group as names, else numbers."""
    if targets is None:
        raise Unreadable("libvirt did not list its storage pools")
    users = {entry["uid"]: name for name, entry in reversed(passwd.users(host.read("/etc/passwd")).items())}
    groups = {entry["gid"]: name for name, entry in reversed(passwd.groups(host.read("/etc/group")).items())}
    found = []
    for path, pools in sorted(targets.items()):
        try:
            stat = host.stat(path)
        except Absent:
            found.append({"id": path[:300], "pools": pools, "exists": False})
            continue
        place, problem = place_of(path, devices)
        found.append(
            {
                "id": path[:300],
                "pools": pools,
                "exists": True,
                "mode": stat["mode"],
                "owner": users.get(stat["uid"], str(stat["uid"])),
                "group": groups.get(stat["gid"], str(stat["gid"])),
                "acl": access_list(host.xattr(path, ACL), users, groups),
                "default_acl": access_list(host.xattr(path, DEFAULT_ACL), users, groups),
                "place": place,
                "problem": problem,
            }
        )
    return found


def access_list(data, users, groups):
    """The named entries of a POSIX access list as kept in its extended attribute: ["user:alice:rwx", "group:ops:r-x"].

    What the mask takes away is not shown.
    """
    entries = [struct.unpack("<HHI", data[at : at + 8]) for at in range(4, len(data) - 7, 8)]
    mask = next((rights for tag, rights, _id in entries if tag == ACL_MASK), 7)
    found = []
    for tag, rights, number in entries:
        if tag in ACL_NAMED:
            name = (users if tag == 0x02 else groups).get(number, str(number))
            bits = "".join(letter if rights & mask & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
            found.append("%s:%s:%s" % (ACL_NAMED[tag], name, bits))
    return found[:100]


def images(host, snapshot, targets, devices):
    """Every image, with the place of each that is a path of this host."""
    inventory = image_inventory.Inventory(host)
    inventory.add_domains(snapshot)
    if targets is None:
        raise Unreadable("libvirt did not list its storage pools")
    for path, pools in sorted(targets.items()):
        inventory.add_directory(path, pools)
    inventory.add_saved_states()
    found = inventory.images()
    for image in found:
        if image["type"] in ("file", "block", "dir"):
            image["place"], problem = place_of(image["id"], devices)
            image["problem"] = image["problem"] or problem
    return found


def place_of(path, devices):
    """The id of the path's place and "", or "" and the reason why it cannot be told."""
    try:
        return devices.place(path), ""
    except Unreadable as reason:
        return "", str(reason)[:300]


def library(found, note):
    """{items}: the images in pools from which machines are made, that is, all but the disks that a machine writes to.

    id, name, size_b, mtime, mode, signature, backing_of and written_by (UUIDs of machines).
    """
    if found is None:
        note("storage.library", "the images could not be listed")
        return {"items": None}
    items = []
    for image in found:
        kinds = {use["kind"] for use in image["uses"]}
        written = sorted({use["of"] for use in image["uses"] if use["kind"] == "disk" and use["writable"]})
        if "pool" in kinds and ("backing" in kinds or not written):
            items.append(
                {
                    "id": image["id"],
                    "problem": image["problem"],
                    "name": posixpath.basename(image["id"]),
                    "size_b": image["size_b"],
                    "mtime": image["mtime"],
                    "mode": image["mode"],
                    "signature": image["signature"],
                    "backing_of": sorted({use["of"] for use in image["uses"] if use["kind"] == "backing"}),
                    "written_by": written,
                }
            )
    return {"items": items}


def key_files(host, devices):
    found = key_material.key_files(host)
    for entry in found:
        entry["place"], entry["problem"] = place_of(entry["id"], devices) if entry["exists"] else ("", "")
    return found


def crypt(host, name, about):
    """A dm-crypt device: {id, kind, version, cipher, key_bits, slots, problem}. Only LUKS has a header to read."""
    facts = {
        "id": name[:120],
        "kind": about["kind"],
        "version": 0,
        "cipher": "",
        "key_bits": 0,
        "slots": [],
        "problem": "",
    }
    if about["kind"] in ("luks1", "luks2"):
        try:
            facts.update(_header_below(host, about["below"]))
        except Unreadable as reason:
            facts["problem"] = str(reason)[:300]
    return facts


def _header_below(host, names):
    if len(names) != 1:
        raise Unreadable("it stands on %d devices" % len(names))
    return image_header.luks_header(host, "/dev/" + names[0].replace("!", "/"))


def ceph(host):
    """{client_secure}: whether the host's Ceph clients accept nothing but encrypted connections (ms_client_mode)."""
    try:
        text = host.read(CEPH_CONF)
    except Absent:
        return {"client_secure": False}
    modes = re.findall(r"^\s*ms[ _]client[ _]mode\s*=\s*(.*?)\s*$", text, re.MULTILINE)
    return {"client_secure": bool(modes) and all(mode == "secure" for mode in modes)}


PROVIDES = ["directories", "images", "library", "places", "crypt", "key_files", "tls", "ceph"]
PART = Part("storage", ["storage." + name for name in PROVIDES], collect)
