# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an ESXi host may go into maintenance mode and restart now, from what `maintenance.around` has read. Pure.

A host may go where its machines move away by themselves and those that are left hold what high availability promises.
Whatever was not told counts against it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.inventory import CONNECTED

Facts = Mapping[str, Any]
FULLY = "fullyAutomated"
# The states in which a host's agent of high availability takes part (ClusterDasFdmAvailabilityState).
TAKING_PART = ("master", "connectedToMaster")
MAX_NAMES = 5
AGAIN = "then run this again"


@dataclass(frozen=True)
class Refusal:
    """Why a host is not restarted now, and the next step.

    passing: it may be over in some minutes when another host of the cluster has just been restarted.
    """

    reason: str
    passing: bool = False


class Untold(Exception):
    """A fact that the decision needs was not read."""


def refusal(name: str, around: Facts) -> Refusal | None:
    """Why the host of that name stays as it is, None where it may go. around: see maintenance.around."""
    for rule in RULES:
        try:
            found = rule(name, around)
        except Untold as lacking:
            found = Refusal(f"{lacking} was not read, so that nobody knows what it would cost")
        if found:
            return found
    return None


def _itself(name: str, around: Facts) -> Refusal | None:
    host = around["members"][name]
    if host["connection"] != CONNECTED:
        return Refusal(f"the host is {host['connection']}")
    if _told(host["maintenance"], "whether the host is in maintenance mode"):
        return Refusal(
            "it is in maintenance mode already, in which somebody else may be at work: restart it yourself, or take it "
            f"out of maintenance mode and {AGAIN.removeprefix('then ')}"
        )
    return None


def _others(name: str, around: Facts) -> Refusal | None:
    """One host of a cluster at a time, whoever has taken the other one out."""
    for other, facts in _rest(name, around).items():
        if facts["connection"] != CONNECTED:
            return Refusal(f"{other} of its cluster is {facts['connection']}: bring it back first, {AGAIN}")
        if _told(facts["maintenance"], f"whether {other} is in maintenance mode"):
            return Refusal(f"{other} of its cluster is in maintenance mode: take it out of it first, {AGAIN}")
    return None


def _machines(name: str, around: Facts) -> Refusal | None:
    """EnterMaintenanceMode_Task waits for machines that nobody moves."""
    running, cluster = around["running"], around["cluster"]
    if not running:
        return None
    names = {key: machine["name"] for key, machine in running.items()}
    run = f"{_names(names.values())} {'runs' if len(running) == 1 else 'run'} on it"
    if cluster is None:
        return Refusal(f"{run} and nobody moves machines of a host outside of a cluster: shut them down, {AGAIN}")
    if not _rest(name, around):
        return Refusal(f"{run} and its cluster has no other host: shut them down, {AGAIN}")
    tied = [machine["name"] for machine in running.values() if machine["tied"]]
    if tied:
        return Refusal(f"{_names(tied)} cannot move, with a device of the host's: shut it down, {AGAIN}")
    drs = cluster["drs"]
    how = f"move them to another host, or set DRS of cluster {cluster['name']} to fully automated, {AGAIN}"
    if not _told(drs["enabled"], "whether DRS is on"):
        return Refusal(f"{run} and DRS is off: {how}")
    if _told(drs["behaviour"], "the automation level of DRS") != FULLY:
        return Refusal(f"{run} and DRS is {drs['behaviour']}: {how}")
    stay = [names[key] for key, behaviour in drs["overrides"].items() if key in running and behaviour != FULLY]
    if stay:
        return Refusal(f"DRS may not move {_names(stay)} by itself (VM override): move by hand what it leaves, {AGAIN}")
    return None


def _room(name: str, around: Facts) -> Refusal | None:
    """What machines use now has to fit into the others, whatever is promised."""
    cluster = around["cluster"]
    if cluster is None or not around["running"]:
        return None
    rest = _rest(name, around)
    spared = _dedicated(cluster)
    used = sum(_told(facts["used_mb"], f"the memory in use on {one}") for one, facts in around["members"].items())
    have = sum(_told(facts["memory_mb"], f"the memory of {one}") for one, facts in rest.items()
               if facts["id"] not in spared)  # fmt: skip
    if used > have:
        return Refusal(
            f"{used} MiB of memory are in use in cluster {cluster['name']}, and its other hosts have {have} MiB for "
            f"machines: shut machines down, {AGAIN}"
        )
    return None


def _promised(name: str, around: Facts) -> Refusal | None:
    """Admission control of high availability has to hold without this host."""
    cluster = around["cluster"]
    if cluster is None or not _rest(name, around) or not _told(cluster["ha"], "whether high availability is on"):
        # The only host of a cluster runs no machine by now, to which something could be promised.
        return None
    for other, facts in _rest(name, around).items():
        if facts["ha_state"] not in TAKING_PART:
            state = facts["ha_state"] or "not told"
            return Refusal(f"high availability of {other} is {state}: put that right first, {AGAIN}", passing=True)
    if not _told(cluster["admission"], "whether admission control is on"):
        return None
    policy, told = cluster["policy"] or {}, cluster["told"] or {}
    kind = str(policy.get("_type", ""))
    if kind not in POLICIES:
        raise Untold(f"the admission control policy of cluster {cluster['name']}")
    broken = POLICIES[kind](name, around, policy, told)
    if broken:
        return Refusal(
            f"without it admission control of cluster {cluster['name']} would not hold: {broken}. Shut machines down, "
            f"add a host, or lower the policy for the time, {AGAIN}",
            passing=True,
        )
    return None


def _level(_name: str, _around: Facts, policy: Facts, told: Facts) -> str:
    """Slots. Who can lose so many hosts, whichever they are, can lose one less once one is gone."""
    wanted = _number(policy, "failoverLevel", 1)
    now = _number(told, "currentFailoverLevel", None, "the current failover level")
    return "" if now - 1 >= wanted else f"{now} hosts can fail now, and {wanted} have to be able to after that"


def _percentages(name: str, around: Facts, policy: Facts, told: Facts) -> str:
    """What the promises take of the whole is what they take of the rest: of that, the percentage has to be free."""
    automatic = str(policy.get("autoComputePercentages", "true")) not in ("false", "0")
    for what, key, unit in (("Cpu", "cpu_mhz", "MHz"), ("Memory", "memory_mb", "MiB")):
        whole = _told(around["cluster"][key], f"what its hosts have in {unit}")
        own = _told(around["members"][name][key], f"what it has in {unit}")
        free = _number(told, f"current{what}FailoverResourcesPercent", None, "the current failover capacity")
        left = whole - own
        promised = whole * (100 - free) / 100
        then = 100 * (left - promised) / left if left > 0 else 0.0
        wanted = float(_number(policy, f"{what.lower()}FailoverResourcesPercent", None, "the percentage to keep free"))
        if automatic:
            wanted = _automatic(name, around, key, _number(policy, "failoverLevel", 1))
        if then < wanted:
            called = "processors" if what == "Cpu" else "memory"
            return f"{max(then, 0):.0f} % of the {called} would be free, {wanted:.0f} % have to be"
    return ""


def _automatic(name: str, around: Facts, key: str, level: int) -> float:
    """The percentage that the server computes: that of the so many largest hosts of those that are left."""
    sizes = sorted(_told(facts[key], f"what {one} has") for one, facts in _rest(name, around).items())
    return 100.0 * sum(sizes[-level:]) / sum(sizes) if level and sum(sizes) else 100.0 if level else 0.0


def _failover_hosts(name: str, around: Facts, policy: Facts, told: Facts) -> str:
    """Dedicated hosts: as many as are promised have to be left, and be well."""
    wanted = _number(policy, "failoverLevel", 1)
    states = {str(one.get("host")): str(one.get("status")) for one in _list(told.get("hostStatus"))}
    left = _dedicated(around["cluster"]) - {around["members"][name]["id"]}
    if len(left) < wanted:
        return f"{len(left)} failover hosts would be left, {wanted} have to be"
    ill = sorted(key for key in left if states.get(key) != "green")
    return f"the failover hosts {_names(_called(around, ill))} are not green" if ill else ""


def _dedicated(cluster: Facts) -> frozenset[str]:
    return frozenset(str(key) for key in _list((cluster["policy"] or {}).get("failoverHosts")))


def _called(around: Facts, keys: list[str]) -> list[str]:
    names = {facts["id"]: name for name, facts in around["members"].items()}
    return [names.get(key, key) for key in keys]


def _rest(name: str, around: Facts) -> dict[str, Facts]:
    return {other: facts for other, facts in around["members"].items() if other != name}


def _told(value: Any, what: str) -> Any:
    if value is None:
        raise Untold(what)
    return value


def _number(found: Facts, key: str, default: int | None, what: str = "") -> int:
    """A number of the API, which comes as text. :raises Untold: there is none, and no default."""
    if key not in found and default is not None:
        return default
    try:
        return int(found[key])
    except (KeyError, TypeError, ValueError):
        raise Untold(what or key) from None


def _list(found: Any) -> list[Any]:
    return [] if found is None else found if isinstance(found, list) else [found]


def _names(names: Any) -> str:
    names = sorted(str(name)[:60] for name in names)
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


Policy = Callable[[str, Facts, Facts, Facts], str]
POLICIES: dict[str, Policy] = {
    "ClusterFailoverLevelAdmissionControlPolicy": _level,
    "ClusterFailoverResourcesAdmissionControlPolicy": _percentages,
    "ClusterFailoverHostAdmissionControlPolicy": _failover_hosts,
}
RULES: tuple[Callable[[str, Facts], Refusal | None], ...] = (_itself, _others, _machines, _room, _promised)
