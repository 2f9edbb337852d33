# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the controller reached this host, and who else is connected to it."""

from __future__ import annotations

import os
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.engine import run

MAX_PARENTS = 20
MAX_PEERS = 500


def client():
    """{user, address, port, local_address, local_port} of the ssh connection this process came by; None: it is local.

    sudo drops SSH_CONNECTION, so the processes this one descends from are asked.
    """
    pid = os.getpid()
    for _generation in range(MAX_PARENTS):
        found = _environment(pid).get("SSH_CONNECTION", "").split()
        if len(found) == 4:
            user = _environment(pid).get("USER") or _environment(pid).get("LOGNAME", "")
            return {
                "user": _before_sudo(pid) or user,
                "address": found[0],
                "port": int(found[1]),
                "local_address": found[2],
                "local_port": int(found[3]),
            }
        pid = _parent(pid)
        if pid <= 1:
            return None
    return None


def inbound():
    """[{protocol, local_address, local_port, peer, peer_port}] of established connections to ports that listen here."""
    listening = {_end(words[3])[1] for words in _ss(["-Hltn"]) if len(words) > 3}
    found = []
    for words in _ss(["-Htn", "state", "established"]):
        if len(words) < 4:
            continue
        (local, port), (peer, peer_port) = _end(words[2]), _end(words[3])
        if port in listening and not peer.startswith("127.") and peer != "::1":
            found.append(
                {"protocol": "tcp", "local_address": local, "local_port": port, "peer": peer, "peer_port": peer_port}
            )
    return found[:MAX_PEERS]


def outbound():
    """[{protocol, peer, peer_port, process}] of connections this host made to others."""
    listening = {_end(words[3])[1] for words in _ss(["-Hltn"]) if len(words) > 3}
    found = []
    for words in _ss(["-Htunp", "state", "established"]):
        if len(words) < 5:
            continue
        (_local, port), (peer, peer_port) = _end(words[3]), _end(words[4])
        if (words[0] == "tcp" and port in listening) or peer.startswith("127.") or peer == "::1":
            continue
        process = re.search(r'\(\("([^"]*)"', " ".join(words[5:]))
        found.append(
            {
                "protocol": words[0],
                "peer": peer,
                "peer_port": peer_port,
                "process": process.group(1) if process else "",
            }
        )
    return found[:MAX_PEERS]


def _ss(arguments):
    return [line.split() for line in run(["ss"] + arguments).splitlines()]


def _end(text):
    address, _colon, port = text.rpartition(":")
    address = re.sub(r"%.*$", "", address.strip("[]"))
    if address.startswith("::ffff:") and "." in address:
        address = address[len("::ffff:") :]
    return address, int(port) if port.isdigit() else 0


def _environment(pid):
    try:
        with open("/proc/%d/environ" % pid, "rb") as handle:
            text = handle.read(262144).decode("utf-8", "replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def _before_sudo(pid):
    return _environment(pid).get("SUDO_USER", "")


def _parent(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as handle:
            return int(handle.read().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
