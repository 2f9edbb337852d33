# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host may be restarted: whatever is not told counts against it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.restart_rules import refusal

RESOURCES = "ClusterFailoverResourcesAdmissionControlPolicy"
LEVEL = "ClusterFailoverLevelAdmissionControlPolicy"
HOSTS = "ClusterFailoverHostAdmissionControlPolicy"
Change = Callable[[dict[str, Any]], None]


def member(number: int, **changed: Any) -> dict[str, Any]:
    facts = {"id": f"host-{number}", "connection": "connected", "maintenance": False, "ha_state": "connectedToMaster",
             "cpu_mhz": 1000, "memory_mb": 1000, "used_mb": 100}  # fmt: skip
    return {**facts, **changed}


def around(change: Change = lambda _found: None, hosts: int = 3) -> dict[str, Any]:
    """A cluster of equal hosts, of whose resources a tenth is promised."""
    found: dict[str, Any] = {
        "members": {f"esx{number}": member(number) for number in range(1, hosts + 1)},
        "running": {"vm-1": {"name": "web", "tied": False}},
        "cluster": {
            "name": "c1",
            "vsan": False,
            "drs": {"enabled": True, "behaviour": "fullyAutomated", "overrides": {}},
            "ha": True,
            "admission": True,
            "policy": {"_type": RESOURCES, "cpuFailoverResourcesPercent": "25", "memoryFailoverResourcesPercent": "25",
                       "autoComputePercentages": "false"},
            "told": {"currentCpuFailoverResourcesPercent": "90", "currentMemoryFailoverResourcesPercent": "90"},
            "cpu_mhz": 1000 * hosts,
            "memory_mb": 1000 * hosts,
        },
    }  # fmt: skip
    found = copy.deepcopy(found)
    change(found)
    return found


def cluster(**changed: Any) -> Change:
    return lambda found: found["cluster"].update(changed)


def host(name: str, **changed: Any) -> Change:
    return lambda found: found["members"][name].update(changed)


def drs(**changed: Any) -> Change:
    return lambda found: found["cluster"]["drs"].update(changed)


def kept(**changed: Any) -> Change:
    return lambda found: found["cluster"]["policy"].update(changed)


def free(cpu: int, memory: int) -> Change:
    told = {"currentCpuFailoverResourcesPercent": str(cpu), "currentMemoryFailoverResourcesPercent": str(memory)}
    return cluster(told=told)


def idle(found: dict[str, Any]) -> None:
    found["running"] = {}


def both(*changes: Change) -> Change:
    def change(found: dict[str, Any]) -> None:
        for one in changes:
            one(found)

    return change


def dedicated(*numbers: int, red: int = 0) -> Change:
    """The failover hosts of a cluster, one of them ill."""
    return cluster(
        policy={"_type": HOSTS, "failoverHosts": [f"host-{number}" for number in numbers]},
        told={"hostStatus": [
            {"host": f"host-{number}", "status": "red" if number == red else "green"} for number in numbers
        ]},
    )  # fmt: skip


def slots(now: int, wanted: int) -> Change:
    return cluster(
        policy={"_type": LEVEL, "failoverLevel": str(wanted)}, told={"currentFailoverLevel": str(now)}
    )  # fmt: skip


MAY_GO = [
    (lambda _found: None, 3),
    # 10 % of three hosts are 15 % of two, and 85 % are left.
    (kept(cpuFailoverResourcesPercent="85"), 3),
    (kept(autoComputePercentages="true", failoverLevel="1"), 3),
    # Unset, the server computes it, for one host.
    (lambda found: found["cluster"]["policy"].pop("autoComputePercentages"), 3),
    (slots(2, 1), 3),
    (dedicated(2), 3),
    (dedicated(1, 2), 3),
    (cluster(admission=False, policy=None, told=None), 2),
    (cluster(ha=False, admission=None, policy=None, told=None), 2),
    (drs(overrides={"vm-1": "fullyAutomated", "vm-9": "manual"}), 3),
    (both(idle, drs(enabled=False)), 3),
    (both(idle, lambda found: found.update(cluster=None)), 1),
    # Nothing runs in a cluster of one host any more.
    (both(idle, free(100, 100)), 1),
    (host("esx2", ha_state="master"), 3),
    (both(host("esx1", used_mb=1000), host("esx2", used_mb=900), cluster(ha=False)), 3),
]


@pytest.mark.parametrize(("change", "hosts"), MAY_GO)
def test_who_may_go(change: Change, hosts: int) -> None:
    assert refusal("esx1", around(change, hosts)) is None


STAYS = [
    (host("esx1", connection="notResponding"), 3, "the host is notResponding", False),
    (host("esx1", maintenance=True), 3, "in maintenance mode already", False),
    (host("esx1", maintenance=None), 3, "whether the host is in maintenance mode was not read", False),
    (host("esx2", connection="disconnected"), 3, "esx2 of its cluster is disconnected", False),
    (host("esx2", maintenance=True), 3, "esx2 of its cluster is in maintenance mode", False),
    (host("esx2", maintenance=None), 3, "whether esx2 is in maintenance mode was not read", False),
    (lambda found: found.update(cluster=None), 1, "web runs on it and nobody moves machines of a host outside", False),
    (lambda _found: None, 1, "its cluster has no other host", False),
    (lambda found: found["running"]["vm-1"].update(tied=True), 3, "web cannot move, with a device", False),
    (drs(enabled=False), 3, "DRS is off: move them to another host, or set DRS of cluster c1 to fully", False),
    (drs(enabled=None), 3, "whether DRS is on was not read", False),
    (drs(behaviour="partiallyAutomated"), 3, "DRS is partiallyAutomated", False),
    (drs(behaviour=None), 3, "the automation level of DRS was not read", False),
    (drs(overrides={"vm-1": ""}), 3, "DRS may not move web by itself", False),
    (drs(overrides={"vm-1": "manual"}), 3, "DRS may not move web by itself", False),
    (both(host("esx1", used_mb=1000), host("esx2", used_mb=1001)), 3, "2101 MiB of memory are in use", False),
    # A dedicated failover host takes no machine while all is well.
    (both(dedicated(2), host("esx3", used_mb=900)), 3, "its other hosts have 1000 MiB", False),
    (host("esx3", used_mb=None), 3, "the memory in use on esx3 was not read", False),
    (host("esx2", memory_mb=None), 3, "the memory of esx2 was not read", False),
    (cluster(ha=None), 3, "whether high availability is on was not read", False),
    (cluster(admission=None), 3, "whether admission control is on was not read", False),
    (host("esx2", ha_state="election"), 3, "high availability of esx2 is election", True),
    (host("esx2", ha_state=""), 3, "high availability of esx2 is not told", True),
    (cluster(policy=None), 3, "the admission control policy of cluster c1 was not read", False),
    (cluster(policy={"_type": "ClusterOther"}), 3, "the admission control policy of cluster c1 was not read", False),
    (kept(cpuFailoverResourcesPercent="86"), 3, "85 % of the processors would be free, 86 % have to be", True),
    (free(90, 40), 3, "10 % of the memory would be free, 25 % have to be", True),
    (free(90, 20), 3, "0 % of the memory would be free", True),
    (kept(autoComputePercentages="true", failoverLevel="2"), 3, "85 % of the processors would be free, 100 %", True),
    (kept(autoComputePercentages="true"), 2, "80 % of the processors would be free, 100 % have to be", True),
    # The largest of those that are left is the one that may fail.
    (both(kept(autoComputePercentages="true"), host("esx3", memory_mb=9000)), 3, "85 % of the memory would be", True),
    (cluster(told=None), 3, "the current failover capacity was not read", False),
    (cluster(cpu_mhz=None), 3, "what its hosts have in MHz was not read", False),
    (host("esx1", cpu_mhz=None), 3, "what it has in MHz was not read", False),
    (slots(1, 1), 3, "1 hosts can fail now, and 1 have to be able to after that", True),
    (both(slots(1, 1), cluster(told={})), 3, "the current failover level was not read", False),
    (dedicated(1), 3, "0 failover hosts would be left, 1 have to be", True),
    (dedicated(2, red=2), 3, "the failover hosts esx2 are not green", True),
]


@pytest.mark.parametrize(("change", "hosts", "why", "passing"), STAYS)
def test_who_stays(change: Change, hosts: int, why: str, passing: bool) -> None:
    found = refusal("esx1", around(change, hosts))
    assert found and why in found.reason
    assert found.passing is passing


def test_a_refusal_says_what_to_do() -> None:
    for change, hosts, _why, _passing in STAYS:
        found = refusal("esx1", around(change, hosts))
        lacking = found and ("was not read" in found.reason or "the host is" in found.reason)
        assert lacking or (found and "run this again" in found.reason), found
