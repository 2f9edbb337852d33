# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether guests run and answer, and whether migration peers can be reached; asked before and after a change."""

from __future__ import annotations

import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.engine import ChangeError, run

# ssh, libvirt over TLS: how a peer of a migration is reached.
PEER_PORTS = (22, 16514)
WAIT = 2
# Processes of what owns a host's settings and would set them back, or fence the host for them (amendments.md).
ORCHESTRATORS = {
    "vdsmd": "oVirt",
    "ovirt-ha-agent": "oVirt",
    "nova-compute": "OpenStack",
    "pmxcfs": "Proxmox VE",
    "pvedaemon": "Proxmox VE",
    "pacemakerd": "Pacemaker",
    "corosync": "Pacemaker",
    "virt-handler": "KubeVirt",
}
MAX_ADDRESSES = 100
BRIDGES = "/sys/class/net"


def running():
    """{UUID: pid} of QEMU processes; a machine that was restarted has another pid."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/cmdline" % name, "rb") as handle:
                    words = handle.read(1024 * 1024).split(b"\0")
            except OSError:
                continue
            if b"qemu" in words[0] and b"-uuid" in words:
                found[words[words.index(b"-uuid") + 1].decode("ascii", "replace")] = int(name)
    return found


def orchestrators():
    """Names of the orchestrators whose agents run on this host, sorted."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/comm" % name, encoding="utf-8", errors="replace") as handle:
                    found.add(ORCHESTRATORS.get(handle.read().strip()))
            except OSError:
                continue
    return sorted(found - {None})


def answering():
    """Addresses on this host's bridges that answer a ping now, sorted. Neighbours the kernel has heard of are asked."""
    addresses = [address for address, device in _neighbours() if os.path.isdir("%s/%s/bridge" % (BRIDGES, device))]
    with ThreadPoolExecutor(max_workers=20) as pool:
        answers = list(pool.map(_ping, addresses[:MAX_ADDRESSES]))
    return sorted(address for address, answer in zip(addresses, answers) if answer)


def networks():
    """Names of the bridges for which a dnsmasq of libvirt's runs, sorted: guests get addresses and names from it."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/cmdline" % name, "rb") as handle:
                    text = handle.read(65536).decode("utf-8", "replace")
            except OSError:
                continue
            match = re.search(r"^\S*dnsmasq\0.*--conf-file=\S*?/dnsmasq/([^/\0]+)\.conf", text.replace("\n", " "))
            if match:
                found.append(match.group(1))
    return sorted(set(found))


def peers(names):
    """{"name:port": whether it takes a connection} of migration peers."""
    ends = [(name, port) for name in names for port in PEER_PORTS]
    with ThreadPoolExecutor(max_workers=20) as pool:
        answers = list(pool.map(_connects, ends))
    return {"%s:%d" % end: answer for end, answer in zip(ends, answers)}


def _neighbours():
    try:
        text = run(["ip", "neigh", "show"])
    except ChangeError:
        return []
    found = []
    for line in text.splitlines():
        match = re.match(r"^(\S+) dev (\S+) .*lladdr", line)
        if match:
            address, device = match.groups()
            found.append(("%s%%%s" % (address, device) if address.startswith("fe80") else address, device))
    return found


def _ping(address):
    try:
        run(["ping", "-n", "-q", "-c", "1", "-W", str(WAIT), address])
        return True
    except ChangeError:
        return False


def _connects(end):
    try:
        with socket.create_connection(end, timeout=WAIT):
            return True
    except OSError:
        return False
