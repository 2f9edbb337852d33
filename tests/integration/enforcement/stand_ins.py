# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for guests on a booted host: network namespaces plugged into its bridges, which watch their own network.

The lab's machines run no system, so nothing inside them could ask for an address. A namespace meets the host's bridges,
dnsmasq and packet filter exactly as a guest's interface does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import BootedHost

SIX = """\
<network>
  <name>six</name>
  <bridge name='lab6'/>
  <forward mode='route'/>
  <dns><host ip='fd00:9::1'><hostname>gateway.six</hostname></host></dns>
  <ip address='192.168.150.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.150.10' end='192.168.150.99'/></dhcp>
  </ip>
  <ip family='ipv6' address='fd00:9::1' prefix='64'><dhcp><range start='fd00:9::1000' end='fd00:9::1fff'/></dhcp></ip>
</network>
"""
LEASE = """\
#!/bin/sh
case $1 in bound|renew)
  ip addr replace "$ip/$mask" dev "$interface"
  [ -z "$router" ] || ip route replace default via "$router"
esac
"""
# Runs inside a namespace until the file `stop` is there: {what: [seconds since the epoch, whether it worked]}.
WATCH = r"""
import json, os, socket, struct, subprocess, sys, threading, time

name, what, stop = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
found = {key: [] for key in what}

def ping(target):
    return subprocess.run(["ping", "-n", "-q", "-c", "1", "-W", "1", target], stdout=-3, stderr=-3).returncode == 0

def dns(target):
    server, _blank, host = target.partition(" ")
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    question = b"".join(bytes([len(part)]) + part.encode() for part in host.split(".")) + b"\0"
    with socket.socket(family, socket.SOCK_DGRAM) as end:
        end.settimeout(1)
        end.sendto(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + question + struct.pack(">2H", 255, 1), (server, 53))
        try:
            return struct.unpack(">H", end.recv(512)[:2])[0] == 7
        except OSError:
            return False

def dhcp(_target):
    words = ["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "3", "-T", "1", "-s", "/run/stand-ins/lease"]
    return subprocess.run(words, stdout=-3, stderr=-3).returncode == 0

def neighbour(target):
    # Forget the gateway's address on the wire, so that it has to be discovered anew.
    subprocess.run(["ip", "-6", "neigh", "flush", "dev", "eth0"], stdout=-3, stderr=-3)
    return ping(target)

def watch(key):
    while not os.path.exists(stop):
        began = time.time()
        found[key].append([began, globals()[key.split(":")[0]](what[key])])
        time.sleep(max(0, 0.3 - (time.time() - began)))

threads = [threading.Thread(target=watch, args=(key,)) for key in what]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
with open("/run/stand-ins/%s.json" % name, "w") as out:
    json.dump(found, out)
"""


@dataclass(frozen=True)
class Guest:
    """A namespace on a bridge. watch: {what: target}; what is ping, dns, dhcp or neighbour, plus ":suffix"."""

    name: str
    bridge: str
    watch: dict[str, str]
    addresses: Sequence[str] = ()


GUESTS = (
    Guest("dhcp4", "virbr0", {"ping": "192.168.122.1", "dns": "192.168.122.1 localhost", "dhcp": ""}),
    Guest("dual", "lab6", {
        "ping:6": "fd00:9::1", "dns:6": "fd00:9::1 gateway.six", "neighbour": "fd00:9::1",
        "ping:routed": "192.168.122.1", "dhcp": "",
    }, ["fd00:9::77/64"]),
    # The two see each other over the bridge only; the host has no address there.
    Guest("bridged", "lab0", {"ping": "198.51.100.2", "ping:6": "2001:db8:77::2"},
          ["198.51.100.1/24", "2001:db8:77::1/64"]),
    Guest("outside", "lab0", {}, ["198.51.100.2/24", "2001:db8:77::2/64"]),
)  # fmt: skip


def plug_in(host: BootedHost) -> None:
    """Make networks and namespaces; frames between ports of a bridge pass the packet filter, as with Docker"""
    host.put("/run/stand-ins/six.xml", SIX)
    host.put("/run/stand-ins/lease", LEASE, 0o755)
    host.put("/run/stand-ins/watch.py", WATCH)
    host.run("virsh -q net-define /run/stand-ins/six.xml && virsh -q net-start six && virsh -q net-autostart six")
    host.run("ip link add lab0 type bridge && ip link set lab0 up && sysctl -q -w net.ipv6.conf.lab0.disable_ipv6=1")
    host.run(
        "for name in iptables ip6tables; do [ ! -e /proc/sys/net/bridge/bridge-nf-call-$name ] || "
        "sysctl -q -w net.bridge.bridge-nf-call-$name=1; done"
    )
    for number, guest in enumerate(GUESTS):
        space = f"ip netns exec {guest.name}"
        host.run(
            f"ip netns add {guest.name} && ip link add guest{number} type veth peer name eth0 netns {guest.name} && "
            f"ip link set guest{number} master {guest.bridge} up && {space} ip link set lo up && "
            f"{space} ip link set eth0 up"
        )
        for address in guest.addresses:
            host.run(f"{space} ip addr add {address} dev eth0 {'nodad' if ':' in address else ''}")
        if "dhcp" in guest.watch:
            host.run(f"{space} udhcpc -i eth0 -n -q -f -t 20 -T 1 -s /run/stand-ins/lease", timeout=40)


@contextmanager
def watching(host: BootedHost) -> Iterator[dict[str, dict[str, list[tuple[float, bool]]]]]:
    """Watch while the block runs; filled when it ends: {guest: {what: [(when, whether it worked)]}}."""
    found: dict[str, dict[str, list[tuple[float, bool]]]] = {}
    host.run("rm -f /run/stand-ins/stop /run/stand-ins/*.json")
    watchers = [guest for guest in GUESTS if guest.watch]
    for guest in watchers:
        host.run(
            f"systemd-run -q --unit watch-{guest.name} --collect ip netns exec {guest.name} "
            f"python3 /run/stand-ins/watch.py {guest.name} '{json.dumps(guest.watch)}' /run/stand-ins/stop"
        )
    try:
        yield found
    finally:
        host.run("touch /run/stand-ins/stop")
        for guest in watchers:
            text = host.run(
                f"for i in $(seq 100); do [ -s /run/stand-ins/{guest.name}.json ] && break; sleep 0.1; done; "
                f"cat /run/stand-ins/{guest.name}.json"
            )
            found[guest.name] = {key: [tuple(pair) for pair in seen] for key, seen in json.loads(text).items()}
