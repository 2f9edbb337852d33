# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the host's TCP connections lead to, from the kernel's tables (proc(5), net/tcp)."""

from __future__ import annotations

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_ESTABLISHED = "01"


def remote_ports(tables):
    """The ports, as text, to which an established connection exists. tables: the texts of TABLES, as far as there are.

    Names and addresses of targets are not compared: nothing is resolved on the host.
    """
    found = set()
    for text in tables:
        for fields in (line.split() for line in text.splitlines()[1:]):
            if len(fields) > 3 and fields[3] == _ESTABLISHED:
                found.add(str(int(fields[2].rpartition(":")[2], 16)))
    return found
