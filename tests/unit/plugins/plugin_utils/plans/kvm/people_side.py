# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A recorded host with people, and the situations that planners of accounts, PAM and sshd meet on it."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm import recorded_host

RECORDING = Path(recorded_host.__file__).parent / "recordings" / "debian12.json"
SITE = {
    "gold_hypervisor_admins": ["alice", "bob"],
    "gold_remote_admins": ["ansible", "alice", "bob"],
    "gold_automation_accounts": ["ansible"],
    "gold_breakglass_accounts": ["breakglass"],
    "gold_hypervisor_operators": ["oscar"],
}
SOURCE = "10.213.1.1"
EXEMPT = [
    {"account": "ansible", "sources": ["10.213.1.0/24"], "exception": "EX-1"},
    {"account": "breakglass", "sources": ["console"], "exception": "EX-2"},
]


@functools.lru_cache(maxsize=1)
def _facts() -> str:
    calls = json.loads(RECORDING.read_text())
    return json.dumps(collector.collect(recorded_host.ReplayHost(calls)))


def facts() -> dict[str, Any]:
    """The facts document of the recorded Debian 12 host, to be changed at will."""
    return json.loads(_facts())


def account(document: dict[str, Any], name: str, **changes: Any) -> dict[str, Any]:
    """The facts of one account, changed; one that is not there is made like alice's."""
    found = next((entry for entry in document["accounts"] if entry["name"] == name), None)
    if found is None:
        found = {**copy.deepcopy(account(document, "alice")), "name": name, "uid_or_sid": "1900", "groups": [name]}
        document["accounts"].append(found)
    found.update(changes)
    return found


def situation(document: dict[str, Any], *checks: str, gold: dict[str, Any] | None = None, **others: Any) -> Situation:
    """What the action would hand to a planner."""
    values = {**gold_config.defaults(), **SITE, **(gold or {})}
    given = {"account": "ansible", "source": SOURCE, **others}
    return Situation(facts=document, gold=values, checks=frozenset(checks), **given)


def plan_of(check: str, document: dict[str, Any], gold: dict[str, Any] | None = None, **others: Any) -> list[Row]:
    """The rows of one check."""
    return planners("kvm")[check](situation(document, check, gold=gold, **others))


def by_hand(rows: list[Row]) -> list[str]:
    """What is left to a person."""
    return [row["what"] for row in rows if row["kind"] == "by_hand"]


def paths(rows: list[Row]) -> list[str]:
    """The files that rows write, in their order."""
    return [row["path"] for row in rows if "path" in row]
