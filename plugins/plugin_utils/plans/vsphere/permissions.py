# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds which role on what at a vCenter: what gold declares, and denials (11.2.2, 11.2.3).

What the account of the run may hold itself, by name or through a group, is for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import controller_rows, principals
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import roles as rules


def declared(situation: Situation) -> list[Row]:
    """vsphere-11.2.2-custom-roles: what is declared is granted first, then the rest is taken away.

    Administrators at the root folder and denials are other checks'.
    """
    wanted = situation.gold["gold_vsphere_permissions"]
    if not wanted or not all(rules.well_formed(entry) for entry in wanted):
        return [
            plan.by_hand(
                "gold_vsphere_permissions is empty, or has an entry without principal, role or objects: declare who "
                "holds what on what, as every other permission is then taken away"
            )
        ]
    facts = situation.facts["rbac"]
    known = {role["name"] for role in facts["roles"]}
    found = rules.granted(facts)
    grants: list[Row] = []
    kept: list[tuple[str, str]] = []
    for entry in wanted:
        for where in entry["objects"]:
            kept.append((str(entry["principal"]).casefold(), where))
            if not any(rules.matches(permission, {**entry, "objects": [where]}) for permission in found):
                grants.append(_granted(situation, entry["principal"], where, entry["role"], known))
    extra = [
        permission
        for permission in found
        if permission["role"] != rules.NO_ACCESS
        and not (permission["role"] == rules.ADMIN and permission["root"])
        and not any(rules.label(permission).casefold() == who and rules.is_on(permission, name) for who, name in kept)
    ]
    return grants + [_taken(situation, permission) for permission in extra]


def _granted(situation: Situation, principal: str, where: str, role: str, known: set[str]) -> Row:
    if role not in known:
        return plan.by_hand(f"make the role {role}, which {principal} is to hold on {where}")
    if principals.may_be_own(situation, principal):
        return plan.by_hand(
            f"{principal} on {where} may be the account of this run: what it holds there replaces what it holds above. "
            f"Grant {role} with another account"
        )
    return controller_rows.permission(principal, where, role)


def _taken(situation: Situation, permission: Mapping[str, Any]) -> Row:
    if principals.may_be_own(situation, rules.label(permission)):
        return plan.by_hand(
            f"{principals.item(permission)} ({permission['role']}) is not declared, and may be what the account of "
            "this run holds: declare it, or remove it with another account"
        )
    return controller_rows.no_permission(rules.label(permission), permission["entity"])


def denied(situation: Situation) -> list[Row]:
    """vsphere-11.2.3-noaccess: the role No access on the machine itself replaces what the folder hands down."""
    wanted = situation.gold["gold_deny_map"]
    there = {
        principals.item(entry).casefold()
        for entry in situation.facts["rbac"]["permissions"]
        if entry["role"] == rules.NO_ACCESS and entry["entity_type"] == "VirtualMachine"
    }
    rows = []
    for entry in wanted:
        principal, uuid = str(entry["principal"]), str(entry["domain_uuid"])
        if principals.may_be_own(situation, principal):
            rows.append(
                plan.by_hand(
                    f"gold_deny_map denies {uuid} to {principal}, which may be the account of this run: it could not "
                    "take that back. Do it with another account"
                )
            )
        elif f"{principal} on {uuid}".casefold() not in there:
            rows.append(controller_rows.permission(principal, uuid, rules.NO_ACCESS))
    covered = {str(entry["domain_uuid"]).casefold() for entry in wanted}
    open_to_all = [str(uuid) for uuid in situation.gold["gold_sensitive_vms"] if str(uuid).casefold() not in covered]
    if open_to_all:
        rows.append(plan.by_hand(f"say in gold_deny_map to whom {principals.several(open_to_all)} is denied"))
    return rows
