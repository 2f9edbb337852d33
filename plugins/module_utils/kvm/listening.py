# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process listens where: `ss` of this network namespace, so that a container's own servers are not the host's."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable

COMMAND = ["ss", "-H", "-l", "-n", "-t", "-u", "-p"]
_HOLDER = re.compile(r'\("((?:[^"\\]|\\.)*)",pid=(\d+),fd=\d+\)')


def listening(host):
    """Return [{proto, address, port, name, pid}], one entry for each holder of each listening socket.

    A socket whose holder is not shown (too few rights) has name and pid None. Do not change the answer.
    Raises Unreadable.
    """
    return host.once("listening", lambda: _ask(host))


def _ask(host):
    found = []
    out = host.succeed(COMMAND)
    # Even an idle host that is reached over ssh listens, and a whole answer ends its last line.
    if not out.endswith("\n"):
        raise Unreadable("ss answered nothing, or not to the end")
    for line in out.splitlines():
        fields = line.split(None, 6)
        if len(fields) < 6:
            raise Unreadable("ss answered with a line that cannot be read: %s" % line[:80])
        address, _colon, port = fields[4].rpartition(":")
        if not port.isdigit():
            raise Unreadable("ss answered with a line that cannot be read: %s" % line[:80])
        socket = {"proto": fields[0], "address": address.strip("[]").partition("%")[0], "port": int(port)}
        holders = _HOLDER.findall(fields[6]) if len(fields) > 6 else []
        for name, pid in holders or [(None, None)]:
            found.append(dict(socket, name=name, pid=int(pid) if pid else None))
    return found


def endpoint(socket):
    """A listening socket as systemd writes it too: 0.0.0.0:22, [::]:22. For ss, * is :: that takes IPv4 as well."""
    address = "::" if socket["address"] == "*" else socket["address"]
    return ("[%s]:%d" if ":" in address else "%s:%d") % (address, socket["port"])
