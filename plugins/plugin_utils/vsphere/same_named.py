# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port groups of one name on the standard switches of a cluster's hosts: machines move between them, so that they leave
the segment of management together or not at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, by_hand
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.port_group_vlans import Claims
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard

KIND = "portgroup_vlan"


def together(
    area: str, own: Mapping[str, Proposal], claims: Mapping[str, Claims], standard: Standard
) -> dict[str, Proposal]:
    """The proposals of one area, with what one host asks for on the others of its cluster too, or left to a person."""
    found = dict(own)
    clusters: dict[tuple[str, int], dict[str, Claims]] = {}
    for name, one in claims.items():
        if one.cluster:
            clusters.setdefault(one.cluster, {})[name] = one
    for name, planned in own.items():
        mine = claims.get(name, Claims())
        cluster = mine.cluster
        others = {other: one for other, one in clusters[cluster].items() if other != name} if cluster else {}
        missing = cluster[1] - len(others) - 1 if cluster else 0
        rows = []
        for row in planned.rows:
            why = _against(row, mine, others, missing) if row["kind"] == KIND else ""
            rows.append({**_left_alone(row, why), "checks": row["checks"]} if why else row)
            if row["kind"] == KIND and not why:
                for other, following in _following(row, others):
                    found[other] = _with(found.get(other, Proposal(area, ())), following, row["checks"], standard)
        asked_by_others = found[name].rows[len(planned.rows) :]
        found[name] = replace(found[name], rows=(*rows, *asked_by_others))
    return found


def _against(row: Row, mine: Claims, others: Mapping[str, Claims], missing: int) -> str:
    """Why a row of a host may not be set, or nothing. others: hosts of its cluster; missing: how many were not read."""
    if mine.unread:
        return "what else is on its port groups, or in which cluster it is, was not read"
    if missing > 0:
        return f"{missing} hosts of its cluster, to which machines on it may move, are not in this run or were not read"
    for other, one in others.items():
        if row["name"] in one.keeps:
            return f"{other}, to which machines on it may move, keeps it as it is: {one.keeps[row['name']]}"
        if row["name"] in one.follows and one.follows[row["name"]]["value"] != row["value"]:
            return f"{other}, to which machines on it may move, is given another one"
    return ""


def _left_alone(row: Row, why: str) -> Row:
    return by_hand(f"VLAN of port group {row['name']}: left alone, as {why}", row["items"])


def _following(row: Row, others: Mapping[str, Claims]) -> Iterator[tuple[str, Row]]:
    return ((other, one.follows[row["name"]]) for other, one in others.items() if row["name"] in one.follows)


def _with(planned: Proposal, row: Row, checks: list[str], standard: Standard) -> Proposal:
    """A proposal with a row that another host of the cluster asks for, unless it has it by itself."""
    if any((one["kind"], one.get("name")) == (row["kind"], row["name"]) for one in planned.rows):
        return planned
    risks = [int(standard.checks[check].disruption["lockout"]) for check in checks]
    return replace(
        planned,
        checks=(*planned.checks, *(check for check in checks if check not in planned.checks)),
        rows=(*planned.rows, {**row, "checks": list(checks)}),
        lockout=max([planned.lockout, *risks]),
    )
