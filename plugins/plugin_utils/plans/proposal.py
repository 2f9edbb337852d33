# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From failing checks to the rows of one area, or to the reason why nothing of it may be changed. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import (
    Refusal,
    Row,
    Situation,
    by_hand,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import SAFE_ORDER, planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import Floored, WeakGold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard

# What facts of a shape that no planner foresaw end in: it refuses the area, naming the check and the host.
FACTS_LACKING = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, StopIteration)
# From here on somebody could be locked out (catalogue, field `op`).
GUARDED = 2


@dataclass(frozen=True)
class Proposal:
    """What would be done to one area of one host.

    rows: for the engine of the platform, each with the checks that ask for it. refusal: why nothing may be done, else
    empty. lockout: the greatest lock-out risk of its checks, 0 to 3.
    """

    area: str
    checks: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    refusal: str = ""
    lockout: int = 0

    @property
    def guarded(self) -> bool:
        """Whether a timed rollback has to wait until people, guests and peers are proved."""
        return self.lockout >= GUARDED and any(row["kind"] != "by_hand" for row in self.rows)


PLATFORMS = {"kvm": "KVM", "vsphere": "vSphere"}


def area_checks(standard: Standard, area: str, platform: str = "kvm") -> tuple[str, ...]:
    """The checks of a platform that an area's role enforces, in the order of the standard.

    :raises ValueError: no such area.
    """
    found = _by_area(standard, platform).get(area, ())
    if not found:
        raise ValueError(
            f"{area!r} is not an area that is enforced on {PLATFORMS[platform]}; "
            f"areas: {', '.join(areas(standard, platform))}"
        )
    return found


@lru_cache(maxsize=4)
def _by_area(standard: Standard, platform: str) -> dict[str, tuple[str, ...]]:
    """{area: its checks} of a platform: each host of a fleet is asked for each area."""
    found: dict[str, tuple[str, ...]] = {}
    for check in standard.checks.values():
        if check.id in planners(platform):
            found[check.role] = (*found.get(check.role, ()), check.id)
    return found


def areas(standard: Standard, platform: str = "kvm") -> list[str]:
    """Every area that is enforced on a platform, in the safe order of SAFE_ORDER."""
    known = _by_area(standard, platform)
    return [area for area in SAFE_ORDER if area in known]


# Areas that may not be changed in one run with what another area has just changed: (area, checks that were changed).
NOT_TOGETHER = {
    "mfa": frozenset({"kvm-11.4.6-ssh-root"}),
    "driver_signing": frozenset({"kvm-11.4.8-pending"}),
}


def propose(area: str, situation: Situation, standard: Standard, platform: str = "kvm") -> Proposal:
    """Plan the situation's checks of one area; a refusal of one check refuses the area."""
    checks = tuple(check for check in area_checks(standard, area, platform) if check in situation.checks)
    mine = replace(situation, checks=frozenset(checks), gold=Floored(situation.gold))
    rows: list[Row] = []
    lockout = 0
    for check in checks:
        try:
            planned = planners(platform)[check](mine)
        except WeakGold as weak:
            planned = [by_hand(f"nothing of {check} is set, as {weak}: correct the gold configuration")]
        except Refusal as refusal:
            return Proposal(area, checks, refusal=f"{check}: {refusal}")
        except FACTS_LACKING as error:
            reason = f"{check}: the facts lack what its planning needs ({type(error).__name__}: {str(error)[:120]})"
            return Proposal(area, checks, refusal=reason)
        planned = _without_excepted(planned, situation.excepted.get(check, frozenset()), platform)
        rows += [{**row, "checks": [check]} for row in planned]
        if any(row["kind"] != "by_hand" for row in planned):
            lockout = max(lockout, standard.checks[check].disruption["lockout"])
    try:
        return Proposal(area, checks, tuple(merged(rows)), lockout=lockout)
    except Refusal as refusal:
        return Proposal(area, checks, refusal=str(refusal))


def merged(rows: Iterable[Row]) -> list[Row]:
    """One row, at the place of the first, for what several checks ask for; `checks` names all of them.

    Equal rows are one. So are all rows about the members of one group: gpasswd fails for a member who is gone already.

    :raises Refusal: one check adds to a group whom another takes out of it.
    """
    found: dict[str, Row] = {}
    for row in rows:
        same = found.setdefault(_subject(row), dict(row))
        same["checks"] = _union(same["checks"], row["checks"])
        if row["kind"] == "members":
            same.update(add=_union(same["add"], row["add"]), remove=_union(same["remove"], row["remove"]))
            same["create"] = same["create"] or row["create"]
            if torn := sorted(set(same["add"]) & set(same["remove"])):
                raise Refusal(
                    f"{', '.join(same['checks'])}: {', '.join(torn)} would be added to group {row['group']} by one of "
                    "them and taken out of it by another: the gold configuration contradicts itself"
                )
    return list(found.values())


def _subject(row: Row) -> str:
    """What two rows have to have in common to be one."""
    if row["kind"] == "members":
        return f"members of {row['group']}"
    return json.dumps({key: value for key, value in row.items() if key not in ("checks", "items")}, sort_keys=True)


def _union(first: Iterable[str], second: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))


def _without_excepted(rows: list[Row], items: frozenset[str], platform: str) -> list[Row]:
    """The rows of one check without what an exception covers while other items of the check fail."""
    if platform == "kvm":
        return [row for row in rows if not _is_excepted(row, items)]
    # Items of a host are named like its settings, with or without the node an option is below; a row that puts several
    # items right names them.
    named = {item: [row for row in rows if _is_named(row, item)] for item in sorted(items)}
    if any(not found for found in named.values()):
        return [by_hand(f"an exception covers {', '.join(items)} of this check: set the rest of it by hand")]
    return [row for row in rows if not any(row in found for found in named.values())]


def _is_named(row: Row, item: str) -> bool:
    name = str(row.get("name", ""))
    if item in row.get("items", ()):
        return True
    return bool(item) and (name == item or name.endswith(f".{item}") or name.startswith(f"{item} "))


def _is_excepted(row: Row, items: frozenset[str]) -> bool:
    """Whether a row is about a virtual machine that an exception covers; its item ids begin with its UUID."""
    uuid = str(row.get("uuid", "")).lower()
    return bool(uuid) and any(item.lower() == uuid or item.lower().startswith(f"{uuid}/") for item in items)


@dataclass(frozen=True)
class Access:
    """What kvm_access_info said, before or after a change."""

    people: Mapping[str, str] = field(default_factory=dict)
    break_glass: Mapping[str, str] = field(default_factory=dict)
    guests: Mapping[str, int] = field(default_factory=dict)
    answering: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    peers: frozenset[str] = frozenset()

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Access:
        """From the module's answer; people and break_glass: {name: why not, "" for who gets in}."""
        return cls(
            people={entry["name"]: entry["why"] for entry in answer["people"]},
            break_glass={entry["name"]: entry["why"] for entry in answer["break_glass"]},
            guests=dict(answer["guests"]),
            answering=frozenset(answer["answering"]),
            networks=frozenset(answer["networks"]),
            peers=frozenset(name for name, reached in answer["peers"].items() if reached),
        )


MIN_PEOPLE = 2


def people_fault(access: Access) -> str:
    """Why too few people could get in, or an empty string: two named administrators and one break-glass account."""
    able = [name for name, why in access.people.items() if not why]
    if len(able) < MIN_PEOPLE:
        why = _reasons(access.people) or "gold_hypervisor_admins names nobody"
        return f"only {len(able)} of at least {MIN_PEOPLE} administrators of gold_hypervisor_admins can log in: {why}"
    if not [name for name, why in access.break_glass.items() if not why]:
        why = _reasons(access.break_glass) or "gold_breakglass_accounts names nobody"
        return f"no break-glass account can be used at the console: {why}"
    return ""


def _reasons(people: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in people.items() if why)


def without_stopped(before: Access, rows: Iterable[Row]) -> Access:
    """What has to be there after a change: networks that the change itself stops, under nobody, are not missed."""
    stopped = {row["name"] for row in rows if row["kind"] == "libvirt_network" and row["active"] is False}
    return replace(before, networks=before.networks - stopped)


def loss(before: Access, after: Access) -> str:
    """What worked before a change and does not any more, or an empty string."""
    lost = [f"virtual machine {uuid} was stopped or restarted" for uuid, pid in before.guests.items()
            if after.guests.get(uuid) != pid]  # fmt: skip
    lost += [
        f"{address} on a bridge does not answer any more" for address in sorted(before.answering - after.answering)
    ]
    lost += [
        f"the name and address server of network {name} ended" for name in sorted(before.networks - after.networks)
    ]
    lost += [f"migration peer {name} cannot be reached any more" for name in sorted(before.peers - after.peers)]
    return "; ".join(lost)
