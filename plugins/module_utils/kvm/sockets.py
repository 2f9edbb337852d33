# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets that wait for packets from outside, from `ss` (ss(8), iproute2)."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable

MAX_LISTENERS = 3000
# -e adds the owner and the control group, which names the unit.
COMMAND = ["ss", "-H", "-l", "-n", "-t", "-u", "-w", "-S", "-p", "-e"]


def listeners(host):
    """[{proto, addr, interface, port, process, pid, uid, unit}]; addr "*" listens on every address of both families.

    :raises Unreadable: too many to judge, or not root, who alone sees other people's processes.
    """
    if host.euid() != 0:
        raise Unreadable("which process listens is shown to root alone")
    out = host.succeed(COMMAND)
    if not out.endswith("\n"):
        # Whoever asks over the network came in through a socket: no line at all is no answer, half a line half of one.
        raise Unreadable("ss: the answer is empty or cut")
    found = [_line(line) for line in out.splitlines() if line.strip()]
    if len(found) > MAX_LISTENERS:
        raise Unreadable("more than %d listening sockets" % MAX_LISTENERS)
    return sorted(found, key=lambda entry: (entry["proto"], entry["port"], entry["addr"], entry["process"]))


def _line(line):
    words = line.split()
    if len(words) < 6 or ":" not in words[4]:
        raise Unreadable("ss: unexpected line %r" % line[:80])
    address, _colon, port = words[4].rpartition(":")
    address, _percent, interface = address.strip("[]").partition("%")
    owners = re.findall(r'\("([^"]*)",pid=(\d+)', line)
    # systemd keeps the socket it handed to a daemon; the daemon is who serves it.
    process, pid = next((owner for owner in owners if owner[0] != "systemd"), owners[0] if owners else ("", "0"))
    uid = re.search(r" uid:(\d+)", line)
    group = re.search(r" cgroup:(\S+)", line)
    return {
        "proto": words[0],
        # "[fe80::1]%eth0": the interface may stand behind the bracket.
        "addr": address.strip("[]"),
        "interface": interface.strip("[]"),
        # Raw sockets show a protocol where others show a port.
        "port": int(port) if port.isdigit() else 0,
        "process": process,
        "pid": int(pid),
        "uid": int(uid.group(1)) if uid else 0,
        "unit": group.group(1).rsplit("/", 1)[-1] if group else "",
    }
