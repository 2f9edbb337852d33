# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the first bytes of a disk image or device say: its format, its backing image, and how it is encrypted.

The header decides and not libvirt's description: `<encryption>` in a definition is a claim until a machine has started
with it, and a machine that is shut off shows no chain. Salts and digests of a LUKS header never become facts.
"""

from __future__ import annotations

import json
import struct

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable

LUKS_MAGIC = b"LUKS\xba\xbe"
QCOW2_MAGIC = b"QFI\xfb"
HEAD = 4096
# LUKS2 allows headers of up to 4 MiB (its on-disk format specification, section 2.1); cryptsetup makes 16 KiB.
MAX_LUKS_HEADER = 4 * 1024 * 1024
# LUKS1 on-disk format specification: version, cipher name and mode, key bytes, and eight slots of 48 bytes.
LUKS1_SLOTS, LUKS1_SLOT_SIZE, LUKS1_ACTIVE = 208, 48, 0x00AC71F3
# QEMU docs/interop/qcow2: crypt_method 1 is a cipher without a key that could be changed, and has long been deprecated.
QCOW2_CRYPT = {0: "", 1: "aes", 2: "luks"}
MAX_NAME = 1023


def describe(host, path):
    """Return {format, encryption, backing, luks} of an image file or device.

    format: raw, qcow2 or luks. encryption: "" for none, luks, or aes (QEMU's old one). backing: the path or address of
    the image below, as it stands in the header. luks: what luks_header() says, {} where there is no such header.

    :raises Unreadable: the path cannot be read, or its header has an impossible content.
    """
    head = host.head(path, HEAD)
    if head.startswith(LUKS_MAGIC):
        return {"format": "luks", "encryption": "luks", "backing": "", "luks": luks_header(host, path)}
    if head.startswith(QCOW2_MAGIC):
        return _qcow2(head, path)
    return {"format": "raw", "encryption": "", "backing": "", "luks": {}}


def _qcow2(head, path):
    if len(head) < 72:
        raise Unreadable("%s: a qcow2 header of %d bytes" % (path, len(head)))
    offset, size = struct.unpack(">QI", head[8:20])
    method = struct.unpack(">I", head[32:36])[0]
    if method not in QCOW2_CRYPT or size > MAX_NAME or offset + size > len(head):
        raise Unreadable("%s: a qcow2 header of unexpected content" % path)
    backing = head[offset : offset + size].decode("utf-8", "replace")
    return {"format": "qcow2", "encryption": QCOW2_CRYPT[method], "backing": backing, "luks": {}}


def luks_header(host, path):
    """Return {version, cipher, key_bits, slots: [{id, kdf, token}]} of a LUKS header.

    slots: those that hold a key. kdf: argon2id, argon2i or pbkdf2. token: the kind of token that opens the slot (a TPM,
    a Tang server), "" where a passphrase or key file does.

    :raises Unreadable: no LUKS header, or one of unexpected content.
    """
    head = host.head(path, HEAD)
    if not head.startswith(LUKS_MAGIC) or len(head) < 592:
        raise Unreadable("%s has no LUKS header (it may be kept apart)" % path)
    version = struct.unpack(">H", head[6:8])[0]
    if version == 1:
        return _luks1(head)
    if version != 2:
        raise Unreadable("%s: LUKS header of version %d" % (path, version))
    size = struct.unpack(">Q", head[8:16])[0]
    if not HEAD < size <= MAX_LUKS_HEADER:
        raise Unreadable("%s: LUKS header of %d bytes" % (path, size))
    try:
        return _luks2(json.loads(host.head(path, size)[HEAD:].split(b"\0", 1)[0].decode("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable("%s: LUKS metadata of unexpected content (%s)" % (path, str(error)[:80]))


def _luks1(head):
    slots = []
    for number in range(8):
        at = LUKS1_SLOTS + number * LUKS1_SLOT_SIZE
        if struct.unpack(">I", head[at : at + 4])[0] == LUKS1_ACTIVE:
            slots.append({"id": str(number), "kdf": "pbkdf2", "token": ""})
    cipher = "%s-%s" % (_text(head[8:40]), _text(head[40:72]))
    return {"version": 1, "cipher": cipher, "key_bits": struct.unpack(">I", head[108:112])[0] * 8, "slots": slots}


def _luks2(metadata):
    tokens = {}
    for token in metadata.get("tokens", {}).values():
        for slot in token.get("keyslots", []):
            tokens.setdefault(str(slot), str(token.get("type"))[:60])
    slots, bits = [], 0
    for number, slot in sorted(metadata["keyslots"].items())[:32]:
        bits = max(bits, int(slot["key_size"]) * 8)
        if slot["type"] == "luks2":
            slots.append(
                {"id": str(number)[:4], "kdf": str(slot["kdf"]["type"])[:20], "token": tokens.get(str(number), "")}
            )
    ciphers = {
        str(segment["encryption"])[:60] for segment in metadata["segments"].values() if segment["type"] == "crypt"
    }
    if len(ciphers) != 1:
        raise ValueError("%d ciphers" % len(ciphers))
    return {"version": 2, "cipher": ciphers.pop(), "key_bits": bits, "slots": slots}


def _text(data):
    return data.split(b"\0", 1)[0].decode("ascii", "replace")
