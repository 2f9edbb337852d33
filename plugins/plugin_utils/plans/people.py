# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has to be able to get in after a change: what every planner of accounts, groups, PAM and sshd asks first."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import sudo_rights
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.access_accounts import by_name, named

# One person can be ill: a host that only one can enter is one accident away from nobody.
PEOPLE = 2


def accounts(situation: Situation) -> dict[str, Mapping[str, Any]]:
    """{name: facts} of every account the host knows.

    :raises Refusal: they were not read.
    """
    try:
        return by_name(situation.facts["accounts"])
    except (KeyError, MissingFact) as reason:
        raise Refusal(f"the accounts of the host were not read ({reason}): nobody could say who is shut out") from None


def administrators(situation: Situation) -> list[str]:
    """gold_hypervisor_admins.

    :raises Refusal: the list is empty.
    """
    names = [str(name) for name in situation.gold["gold_hypervisor_admins"]]
    if not names:
        raise Refusal(
            "gold_hypervisor_admins is empty: nobody would be left to administer the host; name at least two people"
        )
    return names


def two_people(situation: Situation, shut_out: Collection[str] = ()) -> None:
    """At least two named administrators can still log in.

    :raises Refusal: fewer, with who they are.
    """
    known = accounts(situation)
    named_people = administrators(situation)
    able = [name for name in named_people if known.get(name, {}).get("usable") is True and name not in shut_out]
    # Accounts of the directory are not listed by every host; the directory itself says whom it lets in.
    able += [name for name in directory_people(situation) if name in named_people and name not in (*able, *shut_out)]
    if len(able) < PEOPLE:
        raise Refusal(
            f"only {', '.join(able) or 'nobody'} of gold_hypervisor_admins ({', '.join(named_people)}) can log in to "
            "this "
            f"host, and {PEOPLE} have to: give them a key or a password first, or correct the list"
        )


def directory_people(situation: Situation) -> list[str]:
    """Whom the directory lets in, as far as the host can list them; [] where it is not joined."""
    identity = situation.facts.get("identity") or {}
    access = identity.get("access") or {}
    if identity.get("joined") is not True:
        return []
    listed = [*(access.get("users") or [])]
    for members in (access.get("groups") or {}).values():
        listed += members
    return list(dict.fromkeys(map(str, listed)))


def authorised(situation: Situation) -> set[str]:
    """Everybody the gold configuration lets log in.

    :raises Refusal: nobody, or the account this run comes in as is not among them.
    """
    allowed = named(
        situation.gold, "gold_authorised_accounts", "gold_hypervisor_admins", "gold_hypervisor_operators",
        "gold_automation_accounts", "gold_breakglass_accounts",
    )  # fmt: skip
    if not allowed:
        raise Refusal(
            "the gold configuration authorises nobody: name gold_hypervisor_admins before accounts are locked"
        )
    if situation.account not in allowed | {"root"}:
        raise Refusal(
            f"{situation.account}, the account this run logs in as, is authorised by no gold setting; found "
            f"{', '.join(sorted(allowed))}; add it to gold_automation_accounts"
        )
    return allowed


def becomes_root_without_password(situation: Situation) -> bool:
    """Whether the account this run logs in as becomes root although sudo's PAM stack changes under it."""
    if situation.account == "root":
        return True
    facts = situation.facts
    try:
        found, _unresolved = sudo_rights.grants(facts["sudo"], facts["groups"], accounts(situation).values())
    except (KeyError, MissingFact) as reason:
        raise Refusal(
            f"sudo's rules were not read ({reason}): whether this run stays able to work is not known"
        ) from None
    # The last rule that matches decides in sudo; sudo -l prints them in that order.
    mine = [grant for grant in found if grant.user == situation.account and "ALL" in grant.commands]
    return bool(mine) and mine[-1].nopasswd
