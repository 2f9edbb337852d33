# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names in a Kerberos keytab. The keys beside them are skipped and never leave this function."""

from __future__ import annotations

import struct

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable

VERSION = b"\x05\x02"
MAX_ENTRIES = 500


def principals(data):
    """Return the sorted principal names of a keytab file (MIT krb5, file format 0x0502: big-endian).

    :raises Unreadable: another format, or a file that is cut off.
    """
    if data[:2] != VERSION:
        raise Unreadable("a keytab of another format than 0x0502")
    found, position = set(), 2
    while position + 4 <= len(data) and len(found) < MAX_ENTRIES:
        size = struct.unpack_from(">i", data, position)[0]
        position += 4
        # A negative size is a hole where a deleted entry was.
        if size > 0:
            found.add(_name(data[position : position + size]))
        if size == 0:
            break
        position += abs(size)
    return sorted(found)


def _name(entry):
    try:
        count, length = struct.unpack_from(">HH", entry, 0)
        realm, position = entry[4 : 4 + length], 4 + length
        parts = []
        for _component in range(count):
            length = struct.unpack_from(">H", entry, position)[0]
            parts.append(entry[position + 2 : position + 2 + length])
            position += 2 + length
    except struct.error:
        raise Unreadable("the keytab is cut off")
    return "%s@%s" % ("/".join(part.decode("utf-8", "replace") for part in parts), realm.decode("utf-8", "replace"))
