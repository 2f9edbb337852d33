# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real packets through real rulesets, in two network namespaces of their own: what the evaluator is held against.

python -m tests.integration.kvm.packets capture      write small.json anew, from `nft -j list ruleset`
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import os
import pathlib
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator

import yaml

RULESETS = pathlib.Path(__file__).parents[2] / "unit/plugins/plugin_utils/packets/rulesets"
# The pid keeps two test runs on one machine apart.
INSIDE, OUTSIDE = f"dwppf-in-{os.getpid()}", f"dwppf-out-{os.getpid()}"
OWN = {4: "192.0.2.2", 6: "2001:db8:ffff::2"}
ROUTER = {4: "192.0.2.1", 6: "2001:db8:ffff::1"}
MAC = {INSIDE: "02:00:00:00:00:02", OUTSIDE: "02:00:00:00:00:01"}
# Where probes come from. They leave out the prefixes of the cable.
SOURCES = {
    4: ["10.0.0.0/8", "11.0.0.0/8", "172.16.0.0/12", "198.51.100.0/24"],
    6: ["2001:db8::/33", "fd00::/8", "fe00::/16"],
}


def why_not() -> str | None:
    """Why this machine cannot send the packets, or None."""
    if os.geteuid() != 0:
        return "not root"
    missing = [tool for tool in ("ip", "nft") if not shutil.which(tool)]
    return f"missing: {', '.join(missing)}" if missing else None


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, timeout=20, capture_output=True)


@contextlib.contextmanager
def wire() -> Iterator[None]:
    """Two namespaces and a cable (eth0 inside); the outer one owns every source address there is."""
    for name in (INSIDE, OUTSIDE):
        _ip("netns", "del", name, check=False)
        _ip("netns", "add", name)
    try:
        near, far = ["address", MAC[INSIDE]], ["address", MAC[OUTSIDE]]
        _ip(
            "link",
            "add",
            "eth0",
            *near,
            "netns",
            INSIDE,
            "type",
            "veth",
            "peer",
            "name",
            "peer0",
            *far,
            "netns",
            OUTSIDE,
        )
        for name, device in ((INSIDE, "eth0"), (OUTSIDE, "peer0")):
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", device, "up")
        for family, length in ((4, "24"), (6, "64")):
            option = f"-{family}"
            nodad = ["nodad"] if family == 6 else []
            _ip("-n", INSIDE, option, "addr", "add", f"{OWN[family]}/{length}", "dev", "eth0", *nodad)
            _ip("-n", OUTSIDE, option, "addr", "add", f"{ROUTER[family]}/{length}", "dev", "peer0", *nodad)
            # Rulesets may drop neighbour discovery; what is tested is the probe.
            _ip("-n", INSIDE, option, "neigh", "add", ROUTER[family], "lladdr", MAC[OUTSIDE], "dev", "eth0")
            _ip("-n", OUTSIDE, option, "neigh", "add", OWN[family], "lladdr", MAC[INSIDE], "dev", "peer0")
            _ip("-n", INSIDE, option, "route", "add", "default", "via", ROUTER[family])
            # The outer namespace answers for every address that rulesets and probes name, but not for the inner one's.
            for prefix in SOURCES[family]:
                _ip("-n", OUTSIDE, option, "route", "add", "local", prefix, "dev", "lo")
            setting = f"net.ipv{family}.ip_nonlocal_bind=1"
            _ip("netns", "exec", OUTSIDE, "sysctl", "-q", "-w", setting)
        for setting in ("net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0"):
            _ip("netns", "exec", INSIDE, "sysctl", "-q", "-w", setting)
        yield
    finally:
        for name in (INSIDE, OUTSIDE):
            _ip("netns", "del", name, check=False)


def load(text: str) -> str:
    """Load a ruleset inside and return what nft says of it."""
    words = ["ip", "netns", "exec", INSIDE, "nft"]
    subprocess.run([*words, "-f", "-"], input="flush ruleset\n" + text, text=True, check=True, timeout=20)
    done = subprocess.run([*words, "-j", "list", "ruleset"], check=True, timeout=20, capture_output=True, text=True)
    return done.stdout


def probe(packets: Iterable[tuple[str, int, str]], wait: float = 0.35) -> list[str]:
    """Send the first packet of each (tcp or udp, port, source) and say accept or drop.

    Nobody listens inside: an accepted packet is answered with a refusal, a dropped one with nothing for `wait` seconds.
    """
    payload = json.dumps({"wait": wait, "packets": [list(packet) for packet in packets]})
    words = ["ip", "netns", "exec", OUTSIDE, sys.executable, __file__, "probe"]
    done = subprocess.run(words, input=payload, check=True, timeout=60, capture_output=True, text=True)
    return list(json.loads(done.stdout))


def _probe_here() -> None:
    """Runs in the outer namespace: all probes at once, then one wait."""
    order = json.loads(sys.stdin.read())
    wanted = order["packets"]
    answers = ["drop"] * len(wanted)
    waiting = selectors.DefaultSelector()
    for number, (protocol, port, source) in enumerate(wanted):
        version = ipaddress.ip_address(source).version
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        probe_socket = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind)
        probe_socket.setblocking(False)
        probe_socket.bind((source, 0))
        with contextlib.suppress(BlockingIOError):
            probe_socket.connect((OWN[version], port))
        if protocol == "udp":
            probe_socket.send(b"x")
        waiting.register(
            probe_socket,
            selectors.EVENT_READ | selectors.EVENT_WRITE if protocol == "tcp" else selectors.EVENT_READ,
            number,
        )
    deadline = time.monotonic() + order["wait"]
    while time.monotonic() < deadline and waiting.get_map():
        for key, _events in waiting.select(deadline - time.monotonic()):
            error = key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # type: ignore[union-attr]
            if error:
                # Any other refusal came from a reject rule.
                answers[key.data] = "accept" if error == errno.ECONNREFUSED else "drop"
                waiting.unregister(key.fileobj)
    print(json.dumps(answers))


def small() -> dict[str, dict]:
    """The rulesets of small.yml."""
    return dict(yaml.safe_load((RULESETS / "small.yml").read_text(encoding="utf-8")))


def capture() -> None:
    """Write small.json anew."""
    with wire():
        found = {name: json.loads(load(entry["nft"])) for name, entry in small().items()}
    (RULESETS / "small.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    {"probe": _probe_here, "capture": capture}[sys.argv[1]]()
