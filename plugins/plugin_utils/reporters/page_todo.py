# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do: failing checks by severity with how to put them right, and what that disturbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.markup import (
    Html,
    Row,
    badge,
    el,
    joined,
    p,
    section,
    table,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_frame import Site
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import SEVERITIES
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import count, plain

MAX_CHECKS = 60
LOCKOUT = ("none", "low", "medium", "high")


def todo(site: Site) -> Html:
    """Failing checks by severity, and within it the one that fails on most subjects first; each check once."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for result in site.run["results"]:
        if result["status"] == o.FAIL:
            groups.setdefault(result["check"], []).append(result)
    if not groups:
        return section("todo", "What to do first", p("No check fails."))
    ordered = sorted(
        groups.values(),
        key=lambda found: (found[0]["tier"], SEVERITIES.index(found[0]["severity"]), -len(found), found[0]["check"]),
    )
    rows = [_row(site, found) for found in ordered[:MAX_CHECKS]]
    more = [p(f"{len(ordered) - MAX_CHECKS:,} more failing checks are with their measures and in results.csv.")]
    return section(
        "todo",
        "What to do first",
        p(
            f"{count(len(ordered), 'check')} {'fails' if len(ordered) == 1 else 'fail'}, the most severe first. The "
            "page of the measure has expected and actual values, subject by subject."
        ),
        table(
            "todo",
            "Failing checks, how to put them right, and what that disturbs",
            ("Check|wide", "Severity", "Subjects|wide", "How to put it right|wide", "Role", "Disturbs|wide"),
            rows,
            filter_by="Severity",
        ),
        *(more if len(ordered) > MAX_CHECKS else []),
    )


def _row(site: Site, found: Sequence[Mapping[str, Any]]) -> Row:
    first = found[0]
    words = weight(first)
    effects, rollback = effects_of(first), plain(first["disruption"].get("rollback"), 120)
    who = site.some_subjects([result["subject"] for result in found])
    return Row(
        [
            joined([site.measure(first["measure"]), " ", plain(first["title"], 200), f". {words}" if words else ""]),
            first["severity"].capitalize(),
            who if len(found) <= 3 else f"{len(found):,} subjects",
            plain(first["fix"], 400),
            el("code", plain(first["role"], 60)),
            f"{effects}{f'; to undo: {rollback}' if rollback else ''}",
        ],
        first["severity"].capitalize(),
    )


def weight(result: Mapping[str, Any]) -> str:
    """How much a failure counts, in words; empty for a must that decides."""
    if result["tier"] != 1:
        return "Supplementary: it informs and does not decide the measure."
    return "" if result["obligation"] == "must" else "Recommended, not mandatory: it does not decide the verdict."


def effects_of(result: Mapping[str, Any]) -> str:
    """What putting it right disturbs."""
    disruption = result["disruption"]
    effects = []
    if disruption.get("restart"):
        effects.append(f"restarts {plain(disruption['restart'], 80)}")
    effects += [
        words
        for key, words in (
            ("reboot", "needs a reboot"),
            ("maintenance", "needs maintenance mode"),
            ("vm_power", "needs VMs to be powered off and on"),
        )
        if disruption.get(key)
    ]
    if disruption.get("lockout"):
        effects.append(f"{LOCKOUT[disruption['lockout']]} risk of locking administrators out")
    return ", ".join(effects) or "no disruption"


def status_of(result: Mapping[str, Any]) -> Html:
    """The status of a result; where an exception or a statement changed what it counts as, what was measured too."""
    return _status(result["status"], result["measured"])


@lru_cache(maxsize=64)
def _status(status: str, measured: str) -> Html:
    if status == measured:
        return badge(status)
    return joined([badge(status), f" Measured: {measured.replace('_', ' ')}."])
