# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detached OpenPGP signatures: who made them and with what, read without a key ring and without the signed file.

Verifying one means reading the whole image, which an audit never does; what the packet itself says (RFC 4880, RFC 9580)
is enough to refuse a wrong signer or a broken hash.
"""

from __future__ import annotations

import base64
import binascii
import re

MAX_SIGNATURE = 64 * 1024
ALGORITHMS = {1: "rsa", 3: "rsa", 17: "dsa", 19: "ecdsa", 22: "ed25519", 27: "ed25519", 28: "ed448"}
HASHES = {
    1: "md5",
    2: "sha1",
    3: "ripemd160",
    8: "sha256",
    9: "sha384",
    10: "sha512",
    11: "sha224",
    12: "sha3-256",
    14: "sha3-512",
}
SIGNATURE_PACKET = 2
ISSUER_KEY, ISSUER_FINGERPRINT = 16, 33


class BadSignature(Exception):
    """The data is no OpenPGP signature that could be read. The message is the reason."""


def signature(data):
    """Return {algorithm, hash, issuer} of the first signature packet.

    issuer: the fingerprint of the key, or its 16-digit id where the signature names no more, in capitals.

    :raises BadSignature: no signature, or one of a version before 4.
    """
    try:
        return _first(*_packet(_unarmoured(data)))
    except IndexError:
        raise BadSignature("it ends early")


def _first(tag, body):
    if tag != SIGNATURE_PACKET or len(body) < 10:
        raise BadSignature("the first packet is no signature")
    if body[0] not in (4, 5, 6):
        raise BadSignature("a signature of version %d" % body[0])
    width = 4 if body[0] == 6 else 2
    hashed, rest = _area(body, 4, width)
    unhashed, _rest = _area(body, rest, width)
    issuer = ""
    for kind, content in _subpackets(hashed) + _subpackets(unhashed):
        if kind == ISSUER_FINGERPRINT and len(content) > 20:
            issuer = binascii.hexlify(content[1:]).decode().upper()
            break
        if kind == ISSUER_KEY and len(content) == 8:
            issuer = issuer or binascii.hexlify(content).decode().upper()
    return {
        "algorithm": ALGORITHMS.get(body[2], "number %d" % body[2]),
        "hash": HASHES.get(body[3], "number %d" % body[3]),
        "issuer": issuer,
    }


def _unarmoured(data):
    if not data.lstrip().startswith(b"-----BEGIN PGP SIGNATURE-----"):
        return data
    text = data.decode("ascii", "replace").replace("\r", "")
    found = re.search(r"-----BEGIN PGP SIGNATURE-----\n(?:[^\n]+: [^\n]*\n)*\n(.*?)\n(?:=|-----END)", text, re.DOTALL)
    if not found:
        raise BadSignature("armour without a body")
    try:
        return base64.b64decode(found.group(1).replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        raise BadSignature("armour that is not base64")


def _packet(raw):
    """(tag, body) of the first packet, old or new format."""
    if len(raw) < 3 or not raw[0] & 0x80:
        raise BadSignature("no OpenPGP packet")
    if raw[0] & 0x40:
        tag, (length, at) = raw[0] & 0x3F, _length(raw, 1)
    else:
        tag, size = (raw[0] >> 2) & 0x0F, 1 << (raw[0] & 3)
        if size > 4:
            raise BadSignature("a packet without a length")
        length, at = int.from_bytes(raw[1 : 1 + size], "big"), 1 + size
    if at + length > len(raw):
        raise BadSignature("a packet longer than the file")
    return tag, raw[at : at + length]


def _length(raw, at):
    """A length of the new format, and the position behind it."""
    first = raw[at]
    if first < 192:
        return first, at + 1
    if first < 224:
        return ((first - 192) << 8) + raw[at + 1] + 192, at + 2
    if first == 255:
        return int.from_bytes(raw[at + 1 : at + 5], "big"), at + 5
    raise BadSignature("a packet in parts")


def _area(body, at, width):
    length = int.from_bytes(body[at : at + width], "big")
    end = at + width + length
    if end > len(body):
        raise BadSignature("subpackets longer than the packet")
    return body[at + width : end], end


def _subpackets(area):
    found, at = [], 0
    while at < len(area):
        # Subpackets use the same lengths, but 192 to 254 all mean two bytes.
        if 224 <= area[at] < 255:
            length, at = ((area[at] - 192) << 8) + area[at + 1] + 192, at + 2
        else:
            length, at = _length(area, at)
        found.append((area[at] & 0x7F, area[at + 1 : at + length]))
        at += length
    return found
