# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Situations for planners, made from the recorded host: whatever a test does not set is what Debian 12 said."""

from __future__ import annotations

import copy
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.recorded_host import ReplayHost

RECORDING = Path(__file__).parents[3] / "module_utils" / "kvm" / "recordings" / "debian12.json"


@lru_cache(maxsize=1)
def _facts() -> dict[str, Any]:
    return collector.collect(ReplayHost(json.loads(RECORDING.read_text())))


def situation(facts: dict[str, Any] | None = None, gold: dict[str, Any] | None = None, **others: Any) -> Situation:
    """facts: {"logging.rsyslog.in_force": False}, by path; gold: over the defaults; others: of Situation."""
    document = copy.deepcopy(_facts())
    for path, value in (facts or {}).items():
        place = document
        *way, last = path.split(".")
        for step in way:
            place = place.setdefault(step, {})
        place[last] = value
    values = {**gold_config.defaults(), **(gold or {})}
    return Situation(facts=document, gold=values, checks=frozenset(), **others)


def kinds(rows: list[dict[str, Any]]) -> list[str]:
    """What kinds of rows were planned."""
    return [row["kind"] for row in rows]


def asked(rows: list[dict[str, Any]]) -> str:
    """What is left to a person, one sentence a line."""
    return "\n".join(row["what"] for row in rows if row["kind"] == "by_hand")
