# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sudo's rules (11.2.5): lines of sudoers that can be rewritten without a doubt; the others are left to a person.

A line of one rule that names one account, or one group, and grants everything is such a line. What the files would then
give is judged as the audit judges it, before a line is written, and visudo has the last word on the host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import people, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import access_accounts, sudo_rights
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.access_accounts import named

# Groups one is in for sudo's sake alone.
SUDO_GROUPS = ("sudo", "wheel", "admin")
# With -f the modes of files that were there before are not part of the test: sudo itself reads a file of mode 0644.
CHECK = ("visudo", "-c", "-q", "-f", "/etc/sudoers")
PLAIN = re.compile(r"%?[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?")


def least_privilege(situation: Situation) -> list[Row]:
    """kvm-11.2.5-sudo."""
    people.two_people(situation)
    sudo = situation.facts.get("sudo") or {}
    if not isinstance(sudo.get("rules"), list) or not isinstance(sudo.get("defaults"), list):
        raise Refusal("sudo's rules were not read: no line of sudoers is changed that nobody has judged")
    if any(error["path"] == "sudo.rules" for error in situation.facts.get("collector", {}).get("errors", [])):
        raise Refusal("a line of sudoers could not be read: what the whole would then say is not known")
    work = _Work(situation)
    work.settings()
    for rule in list(sudo["rules"]):
        work.rule(rule)
    work.groups()
    return work.rows()


class _Work:
    """The rules as they are, and as the rows so far would leave them."""

    def __init__(self, situation: Situation):
        self.situation = situation
        self.sudo = situation.facts["sudo"]
        self.admins = named(situation.gold, "gold_hypervisor_admins", "gold_breakglass_accounts")
        self.automation = named(situation.gold, "gold_automation_accounts")
        self.accounts = people.accounts(situation)
        self.rules = [dict(rule) for rule in self.sudo["rules"]]
        self.defaults = [dict(entry) for entry in self.sudo["defaults"]]
        self.members = {name: list(names) for name, names in situation.facts["groups"].items()}
        self.edits: dict[str, dict[str, list[Any]]] = {}
        self.leave: dict[str, list[str]] = {}

    def settings(self) -> None:
        """Lines `Defaults !authenticate`, which spare a password whoever they name."""
        for entry in list(self.defaults):
            if entry["name"] != "authenticate" or entry["value"] is not False:
                continue
            if entry["scope"] == "user" and set(entry["of"]) <= self.automation:
                continue
            users = entry["of"] if entry["scope"] == "user" else [*self.admins]
            if entry["scope"] not in ("all", "user") or not all(self._has_password(name) for name in users):
                continue
            scope = rf":\s*{_listed(entry['of'])}" if entry["scope"] == "user" else ""
            self._edit(entry["source"], absent=rf"^\s*Defaults{scope}\s+!\s*authenticate\s*$")
            self.defaults.remove(entry)

    def rule(self, rule: Mapping[str, Any]) -> None:
        """A rule of one account or group that gives a password-free or an undeclared root."""
        source = rule["source"]
        users = [str(name) for name in rule["users"]]
        alone = [other["source"] for other in self.rules].count(source) == 1
        path = source.rpartition(":")[0]
        twice = [r["users"] for r in self.rules if r["source"].rpartition(":")[0] == path].count(rule["users"]) > 1
        if not rule["applies"] or not alone or twice or len(users) != 1 or not PLAIN.fullmatch(users[0]):
            return
        if users[0] == "root" or not any(sudo_rights.root_reason(c, rule["noexec"]) for c in rule["commands"]):
            return
        if users[0].startswith("%"):
            self._ask_for_password(rule, self.members.get(users[0][1:], []))
        elif users[0] in self.automation or users[0] == self.situation.account:
            return
        elif users[0] in self.admins:
            self._ask_for_password(rule, users)
        elif self.accounts.get(users[0], {}).get("human") is True:
            self._edit(source, absent=_line(users[0], ".*"))
            self.rules = [other for other in self.rules if other["source"] != source]

    def _ask_for_password(self, rule: Mapping[str, Any], users: list[str]) -> None:
        people_ = [name for name in users if name not in self.automation]
        whole = rule["commands"] == ["ALL"] and not rule["noexec"] and not rule["setenv"] and rule["hosts"] == ["ALL"]
        if not rule["nopasswd"] or not whole or self.situation.account in users:
            return
        if not all(self._has_password(name) for name in people_):
            return
        who, runas = rule["users"][0], ", ".join(rule["runas"])
        runas += f":{', '.join(rule['runas_groups'])}" if rule["runas_groups"] else ""
        line = {"line": f"{who} ALL=({runas}) ALL", "match": _line(who, r".*NOPASSWD\s*:\s*ALL\s*")}
        self._edit(rule["source"], present=line)
        for other in self.rules:
            if other["source"] == rule["source"]:
                other["nopasswd"] = False

    def _has_password(self, name: str) -> bool:
        """Without a password an administrator who is asked for one has lost sudo."""
        account = self.accounts.get(name)
        return account is None or account.get("usable") is False or account.get("password") in ("password", "directory")

    def groups(self) -> None:
        """People whom a group makes root and nobody declared leave it."""
        for group in SUDO_GROUPS:
            for name in list(self.members.get(group, [])):
                person = self.accounts.get(name, {}).get("human") is True
                if person and name not in self.admins | self.automation and name != self.situation.account:
                    self.leave.setdefault(group, []).append(name)
                    self.members[group].remove(name)

    def _edit(self, source: str, *, absent: str = "", present: Mapping[str, str] | None = None) -> None:
        path = source.rpartition(":")[0]
        entry = self.edits.setdefault(path, {"absent": [], "present": []})
        if absent:
            entry["absent"].append(absent)
        if present:
            entry["present"].append(dict(present))

    def rows(self) -> list[Row]:
        """The rows, and a sentence for everything that would still be wrong.

        :raises Refusal: the account this run logs in as would no longer become root.
        """
        then = [plan.run(*CHECK, undo=["/bin/true"])]
        rows = [
            plan.lines(path, present=entry["present"], absent=entry["absent"], then=then)
            for path, entry in self.edits.items()
        ]
        rows += [plan.members(group, remove=names) for group, names in self.leave.items()]
        after = {**self.sudo, "rules": self.rules, "defaults": self.defaults, "effective": {}}
        self._still_root(after)
        verdict = access_accounts.sudo_least_privilege(
            {
                "sudo": {**after, "sources": ["files"]},
                "groups": self.members,
                "accounts": self.situation.facts["accounts"],
            },
            dict(self.situation.gold),
        )
        return rows + [
            plan.by_hand(f"sudo, {item.id}: {item.message}; {_advice(item.message)}")
            for item in verdict.items
            if item.status != o.PASS
        ]

    def _still_root(self, after: Mapping[str, Any]) -> None:
        account = self.situation.account
        if account == "root":
            return
        now = _gives_root(self.sudo, self.situation.facts["groups"], self.accounts, account)
        if now and not _gives_root({**self.sudo, **after}, self.members, self.accounts, account):
            raise Refusal(f"{account}, the account this run logs in as, could no longer become root through sudo")


def _advice(message: str) -> str:
    if "password a person could use" in message:
        return "lock its password (passwd -l); it logs in by key"
    if "without a password" in message:
        return "give the account a password, then take NOPASSWD out of the rule with visudo"
    return "rewrite the rule with visudo, or declare the account"


def _gives_root(sudo: Mapping[str, Any], groups: Any, accounts: Mapping[str, Any], name: str) -> bool:
    try:
        found, _doubt = sudo_rights.grants(sudo, groups, accounts.values())
    except MissingFact as reason:
        raise Refusal(f"sudo's rules were not read whole: {reason}") from None
    return any(grant.user == name and "ALL" in grant.commands for grant in found)


def _line(who: str, rest: str) -> str:
    """A rule of one line; one that goes on in the next line is not touched."""
    return rf"^\s*{re.escape(who)}\s+[^=,]*={rest}(?<!\\)$"


def _listed(names: list[str]) -> str:
    return r"\s*,\s*".join(re.escape(name) for name in names)


PLANS: dict[str, Planner] = {"kvm-11.2.5-sudo": least_privilege}
