# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change would take from guests and migration peers is seen by the guard, and the change is taken back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.tests.integration.enforcement.test_guard import assert_whole, guarded, states
from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import BootedHost

GUEST, PEER = "192.168.122.77", "198.51.100.1"
# A guest with an address on libvirt's bridge, and a peer that takes ssh; both are on the host. With spanning tree on, a
# bridge lets a new port through after some seconds.
SETUP = f"""
ip netns add guest && ip link add guest0 type veth peer name eth0 netns guest
ip link set guest0 master virbr0 up
ip netns exec guest ip link set eth0 up && ip netns exec guest ip address add {GUEST}/24 dev eth0
ip address add {PEER}/32 dev lo
for attempt in $(seq 20); do ping -n -q -c 1 -W 1 {GUEST} && exit 0; sleep 0.5; done; exit 1
"""
NO_TABLE = ["nft", "delete", "table", "inet", "lab_loss"]
VIRSH = ("virsh", "-q")


def dropping(rule: str) -> plan.Row:
    """A table of somebody's that drops what the host sends so."""
    text = f"table inet lab_loss {{\n chain o {{\n  type filter hook output priority 0;\n  {rule} drop\n }}\n}}\n"
    return plan.file("/etc/lab-loss.nft", text, then=[plan.run("nft", "-f", "/etc/lab-loss.nft", undo=NO_TABLE)])


def doing(command: tuple[str, ...], undo: tuple[str, ...]) -> plan.Row:
    """A change that ends with a command."""
    return plan.file("/etc/lab-loss", "x\n", then=[plan.run(*VIRSH, *command, undo=[*VIRSH, *undo])])


LOSSES = {
    "peer": (dropping(f"ip daddr {PEER} tcp dport 22"), f"migration peer {PEER}:22 cannot be reached any more"),
    "answering": (dropping(f"ip daddr {GUEST}"), f"{GUEST} on a bridge does not answer any more"),
    "guest": (doing(("destroy", "vm1"), ("start", "vm1")), "virtual machine 11111111-1111-4111-8111-111111111111 was"),
    "network": (doing(("net-destroy", "default"), ("net-start", "default")),
                "the name and address server of network default ended"),
}  # fmt: skip


@pytest.fixture(scope="module")
def host(lab_ready: None) -> Iterator[BootedHost]:
    """A host with a guest and a peer; each loss is taken back before the next."""
    started = BootedHost(f"guests-{os.getpid()}")
    try:
        started.run(SETUP)
        yield started
    finally:
        started.stop()


@pytest.mark.timeout(200)
@pytest.mark.parametrize("what", LOSSES)
def test_a_change_that_takes_something_from_guests_or_peers_is_taken_back(host: BootedHost, what: str) -> None:
    row, told = LOSSES[what]
    result = guarded(host, [row], what, seconds=60, gold_migration_peers=[PEER])
    assert result["failed"]
    assert f"the change of {what} was taken back: " in result["msg"] and told in result["msg"], result["msg"]
    assert states(host)[-1] == "undone"
    assert "lab" not in host.run("nft list tables; ls /etc | grep lab-loss; true")
    assert_whole(host)
