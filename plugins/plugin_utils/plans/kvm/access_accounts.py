# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts that can log in, and groups that amount to root (11.2.4): nobody is deleted, no service loses a group."""

from __future__ import annotations

from collections.abc import Collection

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import people, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import access_accounts

PRIVILEGED = "kvm-11.2.4-priv-groups"


def host_accounts(situation: Situation) -> list[Row]:
    """kvm-11.2.4-accounts: what is not authorised is expired and its password locked."""
    allowed = people.authorised(situation)
    rows: list[Row] = []
    closed = []
    for name, account in people.accounts(situation).items():
        if account.get("usable") is not True or name in allowed or name == "root" or str(account["uid_or_sid"]) == "0":
            continue
        why = _spared(situation, name)
        if why:
            rows.append(plan.by_hand(f"{name} can log in and is not authorised, but {why}: decide by hand"))
        elif account["source"] != "local":
            rows.append(plan.by_hand(f"{name} comes from the directory: take it out of the groups that may log in"))
        else:
            closed.append(name)
            rows.append(plan.account(name, usable=False))
    people.two_people(situation, closed)
    return rows + _by_hand(situation, closed)


def _spared(situation: Situation, name: str) -> str:
    """Why an account is left alone although nobody authorised it (amendments: what would have hurt)."""
    account = people.accounts(situation)[name]
    if name == situation.account:
        return "this run logs in as it"
    if account.get("services"):
        return f"{', '.join(account['services'][:3])} runs under it"
    if account.get("cron"):
        return "it has cron jobs"
    if account.get("human") is not True:
        return "it is no person's account"
    if account.get("keys") and situation.gold["gold_migration_transport"] == "ssh":
        return "it has an authorised key and virtual machines migrate over ssh, which may be what the key is for"
    return ""


def _by_hand(situation: Situation, closed: Collection[str]) -> list[Row]:
    """What the audit would still find beside local accounts: too many people, and whom the directory lets in."""
    facts = situation.facts
    identity = facts.get("identity") or {}
    accounts = [{**entry, "usable": entry["usable"] and entry["name"] not in closed} for entry in facts["accounts"]]
    verdict = access_accounts.host_allowlist(
        {"accounts": accounts, "joined": identity.get("joined"), "access": identity.get("access") or {},
         "domains": (identity.get("sssd") or {}).get("domains") or []},
        dict(situation.gold),
    )  # fmt: skip
    known = people.accounts(situation)
    return [
        plan.by_hand(f"{item.id}: {item.message}")
        for item in verdict.items
        if item.status == o.FAIL and item.id not in known
    ]


def privileged_groups(situation: Situation) -> list[Row]:
    """kvm-11.2.4-priv-groups: people only; QEMU's, OpenStack's and Ceph's accounts run machines by their groups."""
    people.administrators(situation)
    leave, strangers = _undeclared(situation)
    for group, names in leave.items():
        if situation.account in names:
            raise Refusal(
                f"{situation.account}, the account this run logs in as, would leave group {group}, by which it may "
                "become "
                "root: name it in gold_privileged_group_members, or give it a sudo rule of its own and take it out "
                "yourself"
            )
    rows = [plan.members(group, remove=names) for group, names in leave.items()]
    return rows + [
        plan.by_hand(f"{name} is in group {group} and has no account here: it may be a service's")
        for group, names in strangers.items()
        for name in names
    ]


def _undeclared(situation: Situation) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """{group: people who are not declared}, and the same of names without an account on this host."""
    verdict = access_accounts.privileged_groups(
        {"groups": situation.facts["groups"], "accounts": situation.facts["accounts"]}, dict(situation.gold)
    )
    known = people.accounts(situation)
    leave: dict[str, list[str]] = {}
    strangers: dict[str, list[str]] = {}
    for item in verdict.items:
        group, _colon, name = item.id.partition(": ")
        if item.status == o.FAIL:
            (leave if name in known else strangers).setdefault(group, []).append(name)
    return leave, strangers


PLANS: dict[str, Planner] = {
    "kvm-11.2.4-accounts": host_accounts,
    PRIVILEGED: privileged_groups,
}
