# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of vSphere's planners share: facts of an ESXi host or vCenter that passes, changed in one place."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard

FACTS = Path(__file__).parents[2] / "vsphere_facts"
GOLD = {
    "gold_remote_admins": ["alice"],
    "gold_log_servers": ["log1.example.test"],
    "gold_admin_cidrs": ["192.0.2.0/25"],
    "gold_mgmt_cidrs": ["192.0.2.0/24", "198.51.100.0/24"],
}

AREAS = proposal.areas(load_standard(), "vsphere")


@functools.cache
def _facts(release: str) -> dict[str, Any]:
    name = release if release == "vcenter" else f"esxi-{release}"
    return json.loads((FACTS / f"{name}.json").read_text())


def situation(
    change: Callable[[dict[str, Any]], Any] | None = None,
    gold: Mapping[str, Any] | None = None,
    release: str = "8.0",
    **more: Any,
) -> Situation:
    """change(facts) puts something out of order. release: or vcenter. more: other fields of Situation."""
    facts = copy.deepcopy(_facts(release))
    if change:
        change(facts)
    return Situation(
        facts=facts,
        gold={**gold_config.defaults(), **GOLD, **(gold or {})},
        checks=frozenset(planners("vsphere")),
        **{"account": "administrator@vsphere.local", "source": "192.0.2.20", **more},
    )


def planned(check: str, *arguments: Any, **more: Any) -> list[Row]:
    """The rows of one check."""
    return planners("vsphere")[f"vsphere-{check}"](situation(*arguments, **more))


def proposed(area: str, asked: Situation, check: str = "") -> Proposal:
    """What all checks of an area ask for together, or one of them."""
    asked = replace(asked, checks=frozenset([check])) if check else asked
    return proposal.propose(area, asked, load_standard(), "vsphere")


def wanted(rows: list[Row]) -> dict[tuple[str, str], Any]:
    """{(kind, name): value} of rows that are set, `remove` where they only take away."""
    return {(row["kind"], row["name"]): row.get("value", row.get("remove")) for row in rows if row["kind"] != "by_hand"}


def by_hand(rows: list[Row]) -> str:
    """What is left to a person."""
    return "; ".join(row["what"] for row in rows if row["kind"] == "by_hand")


def options(**values: Any) -> Callable[[dict[str, Any]], None]:
    """Advanced options with other values; a double underscore is a dot."""
    return lambda facts: facts["advanced_options"].update(
        {name.replace("__", "."): value for name, value in values.items()}
    )


def lockdown(**values: Any) -> Callable[[dict[str, Any]], None]:
    """Lockdown mode with other values: mode, exceptions, console_access."""
    return lambda facts: facts["remote_access"]["lockdown"].update(values)


def both(*changes: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], None]:
    """Several changes as one."""

    def change(facts: dict[str, Any]) -> None:
        for one in changes:
            one(facts)

    return change
