# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One network namespace and one veth pair for each lab host."""

from __future__ import annotations

import subprocess

SUBNET = "10.213.{index}"
LAST_INDEX = 250


def _ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *arguments], check=check, timeout=20, capture_output=True, text=True)
    return done.stdout


def namespace(name: str) -> str:
    """Return the name of a lab host's network namespace."""
    return f"dwplab-{name}"


def address(index: int) -> str:
    """Return the address of the lab host with this index."""
    return SUBNET.format(index=index) + ".2"


def free_index() -> int:
    """Return the lowest index whose interface does not exist yet (call it under the state lock)."""
    links = _ip("-o", "link")
    return next(index for index in range(1, LAST_INDEX) if f" dwplab{index}@" not in links)


def create(name: str, index: int) -> None:
    """Make the namespace and the pair; the host has no route out, by intention."""
    space, outside = namespace(name), f"dwplab{index}"
    _ip("netns", "add", space)
    _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space)
    _ip("addr", "add", SUBNET.format(index=index) + ".1/24", "dev", outside)
    _ip("link", "set", outside, "up")
    _ip("-n", space, "addr", "add", address(index) + "/24", "dev", "eth0")
    _ip("-n", space, "link", "set", "lo", "up")
    _ip("-n", space, "link", "set", "eth0", "up")


def destroy(name: str, index: int | None) -> None:
    """Remove the namespace and its pair; quiet when they are gone already."""
    if index is not None:
        _ip("link", "del", f"dwplab{index}", check=False)
    _ip("netns", "del", namespace(name), check=False)
