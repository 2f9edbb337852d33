# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles of a vCenter grant too much (11.2.5, 11.2.8, 11.4.4, 11.4.5).

A role is edited only where everybody who holds it holds too much: who rightly holds it would lose it as well. What the
account of the run may hold itself, by name or through a group, is for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import controller_rows, principals
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import privileges
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import roles as rules


def without(reaches: Callable[[str], bool], setting: str) -> Planner:
    """A planner: only those that the gold setting names hold privileges that `reaches`."""

    def planned(situation: Situation) -> list[Row]:
        rbac, allowed = situation.facts["rbac"], situation.gold[setting]
        people = {id(entry) for entry in rules.granted(rbac)}
        rows = []
        for role in rbac["roles"]:
            reached = sorted(name for name in role["privileges"] if reaches(name))
            holders = [entry for entry in rbac["permissions"] if entry["role"] == role["name"]]
            wrong = [entry for entry in holders if id(entry) in people and not rules.among(rules.label(entry), allowed)]
            if reached and wrong and allowed:
                rows += _narrowed(situation, role, reached, holders, wrong)
            elif reached and wrong:
                rows.append(_undeclared(setting, wrong, reached))
            elif reached:
                rows += _everywhere(situation, role, reached, allowed)
        return rows

    return controller_rows.at_vcenter(planned)


def _everywhere(situation: Situation, role: Mapping[str, Any], reached: list[str], allowed: Iterable[Any]) -> list[Row]:
    """Who holds a role by a global permission alone: those are set in the client only."""
    known = situation.facts["rbac"].get("global_permissions")
    names = (
        [rules.label(entry) for entry in rules.granted({"known": known}, "known") if entry["role"] == role["name"]]
        if known
        else []
    )
    wrong = sorted({name for name in names if not rules.among(name, allowed)})
    if not wrong:
        return []
    who, what = principals.several(wrong), principals.several(reached)
    why = f"{who} holds {role['name']} as a global permission: give another role without {what}"
    return [plan.by_hand(why, [f"{name} on {privileges.EVERYTHING}" for name in wrong])]


def _undeclared(setting: str, wrong: list[Mapping[str, Any]], reached: list[str]) -> Row:
    """Backup and monitoring have roles too: as long as nobody has said who needs what, none is cut."""
    who = principals.several(sorted({rules.label(entry) for entry in wrong}))
    what = principals.several(reached)
    return plan.by_hand(f"{setting} is empty: say there who of {who} needs {what}; the others then lose it")


def _narrowed(
    situation: Situation,
    role: Mapping[str, Any],
    reached: list[str],
    holders: Iterable[Mapping[str, Any]],
    wrong: list[Mapping[str, Any]],
) -> list[Row]:
    names = sorted({rules.label(entry) for entry in wrong})
    rightly = sorted({rules.label(entry) for entry in holders} - set(names))
    who, what = principals.several(names), principals.several(reached)
    own = [name for name in names if principals.may_be_own(situation, name)]
    why, called = "", str(role["name"])
    # Told from 9.0 on (pitfall P17).
    everywhere = [
        rules.label(entry)
        for entry in situation.facts["rbac"].get("global_permissions") or ()
        if entry["role"] == called
    ]
    if role["system"]:
        why = f"{who} hold {called}, which comes with the product: give another role without {what}"
    elif rightly:
        others = principals.several(rightly)
        why = f"the role {called} is held rightly by {others}: give {who} another one without {what}"
    elif everywhere:
        others = principals.several(everywhere)
        why = f"{others} holds {called} as a global permission, and would lose {what} too: give {who} another role"
    elif own:
        why = (
            f"the account of this run may hold the role {called} as {principals.several(own)}: take {what} out of it "
            "with another account"
        )
    if why:
        return [plan.by_hand(why)]
    items = [principals.item(entry) for entry in wrong]
    return [controller_rows.role_without(called, privilege, items=items) for privilege in reached]
