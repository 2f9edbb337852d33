# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on accounts: who can log in, who is in a group that amounts to root, who may do what through sudo."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import polkit_policy as policy
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import sudo_rights
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded, mappings, texts

# Groups that amount to root or open the hypervisor beside libvirt, and why (their own documentation says so).
PRIVILEGED_GROUPS = {
    "sudo": "may become root",
    "wheel": "may become root",
    "admin": "may become root",
    "libvirt": "controls every virtual machine, which is as good as root",
    "libvirt-qemu": "reads and writes the disks of every virtual machine",
    "qemu": "reads and writes the disks of every virtual machine",
    "kvm": "runs virtual machines beside libvirt",
    "disk": "reads and writes raw disks",
    "docker": "starts containers that hold the host",
    "lxd": "starts containers that hold the host",
    "incus-admin": "starts containers that hold the host",
}
# The groups whose members the standard would call administrators (11.4.4, amendments).
ADMIN_GROUPS = ("sudo", "wheel", "admin", "libvirt")
# The ways to the logs that need no sudo. libvirt counts unless its access control limits what a connection may do.
LOG_GROUPS = ("root", "disk", "docker", "lxd", "incus-admin", "shadow", "syslog")
MAX_BREAKGLASS = 2
DIRECTORY_LISTED = ("simple",)


def by_name(accounts: Any) -> dict[str, Mapping[str, Any]]:
    return {str(need(account, "name")): account for account in mappings(accounts, "accounts")}


def members_of(groups: Any, name: str) -> list[str]:
    if not isinstance(groups, Mapping):
        raise MissingFact("groups were not read")
    return texts(groups[name], f"group {name}") if name in groups else []


def named(gold: Mapping[str, Any], *settings: str) -> set[str]:
    return {str(name) for setting in settings for name in gold[setting]}


def only(names: set[str]) -> str:
    """How people read a list of those who are allowed."""
    return f"only {', '.join(sorted(names))}" if names else "nobody"


def _flag(account: Mapping[str, Any], key: str) -> bool:
    value = need(account, key, what=str(account.get("name")))
    if not isinstance(value, bool):
        raise MissingFact(f"{key} of {account.get('name')} was not read")
    return value


def host_allowlist(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every account that can log in is named in the gold configuration, and there are not too many.

    Usable is a login shell, unexpired, and a password, key or certificate (amendments): a locked password alone is no
    lock where a key is authorised.
    """
    allowed = named(
        gold, "gold_authorised_accounts", "gold_hypervisor_admins", "gold_hypervisor_operators",
        "gold_automation_accounts", "gold_breakglass_accounts",
    )  # fmt: skip
    expected = f"{only(allowed)}, at most {gold['gold_max_host_accounts']}"
    items = []
    for name, account in by_name(facts["accounts"]).items():
        if _maybe(account):
            items.append(o.item(name, guarded(partial(_allowed, name, account, allowed))))
    items += _directory_logins(facts["joined"], facts["access"], facts["domains"], allowed)
    if not items:
        return o.unknown("no account of this host can log in, which cannot be the whole truth")
    usable = {name for name, account in by_name(facts["accounts"]).items() if account.get("usable") is True}
    usable |= {entry.id for entry in items if not entry.id.startswith("directory ")}
    usable -= {entry.id for entry in items if entry.status == o.UNKNOWN}
    if len(usable) > gold["gold_max_host_accounts"]:
        message = f"{len(usable)} accounts can log in, more than the {gold['gold_max_host_accounts']} allowed"
        items.append(o.item("directory and local accounts", o.failed(sorted(usable), expected, message)))
    return o.combine(items, empty=o.unknown("no account"), expected=expected)


def _maybe(account: Mapping[str, Any]) -> bool:
    """Whether the account can log in, or nobody knows."""
    return account.get("usable") is not False


def _allowed(name: str, account: Mapping[str, Any], allowed: set[str]) -> Outcome:
    # root is there on every host; whether it may be used is 11.4.6 and 11.2.4-uid0.
    if name in allowed or name == "root":
        return o.passed(name)
    _flag(account, "usable")
    ways = [key for key in ("keys", "certificate") if account.get(key)]
    if account.get("password") not in ("locked", None):
        ways.insert(0, "no password at all" if account["password"] == "none" else "password")
    return o.failed(", ".join(ways), None, f"can log in ({', '.join(ways)}) and is not authorised")


def _directory_logins(joined: Any, access: Any, domains: Any, allowed: set[str]) -> list[Outcome]:
    if not joined:
        return []
    items = []
    for domain in mappings(domains, "identity.sssd.domains"):
        provider = need(domain, "access_provider")
        if provider == "permit":
            message = "everybody in the directory can log in (access_provider permit)"
            items.append(o.item(f"directory {need(domain, 'name')}", o.failed(provider, None, message)))
        elif provider not in DIRECTORY_LISTED and provider != "deny":
            message = f"the host cannot list whom the directory lets in (access_provider {provider})"
            items.append(o.item(f"directory {need(domain, 'name')}", o.unknown(message, provider)))
    for group, members in sorted(need(access, "groups").items()):
        names = texts(members, f"directory group {group}")
        if not names:
            message = "expands to nobody: it may be empty, or the directory did not answer"
            items.append(o.item(f"directory group {group}", o.unknown(message)))
        for name in names:
            items.append(o.item(name, _in_directory(name, allowed)))
    return items + [
        o.item(name, _in_directory(name, allowed)) for name in texts(need(access, "users"), "directory users")
    ]


def _in_directory(name: str, allowed: set[str]) -> Outcome:
    if name in allowed:
        return o.passed(name)
    return o.failed("directory account", None, "the directory lets it in and it is not authorised")


def single_root(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    roots = [name for name, account in by_name(facts["accounts"]).items() if str(need(account, "uid_or_sid")) == "0"]
    if not roots:
        return o.unknown("no account has uid 0, which cannot be the whole truth")
    if roots == ["root"]:
        return o.passed(roots, "root alone")
    return o.failed(roots, "root alone", f"uid 0 has more than one name: {', '.join(roots)}")


def privileged_groups(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """People only: a service account that runs something is listed as what it is, never accused (amendments)."""
    allowed = named(gold, "gold_privileged_group_members", "gold_hypervisor_admins", "gold_breakglass_accounts")
    accounts = by_name(facts["accounts"])
    items = []
    for group, why in PRIVILEGED_GROUPS.items():
        for name in members_of(facts["groups"], group):
            if name != "root":
                items.append(o.item(f"{group}: {name}", guarded(partial(_member, name, why, accounts, allowed))))
    empty = o.not_applicable("none of the groups that amount to root has a member")
    return o.combine(items, empty=empty, expected=only(allowed))


def _member(name: str, why: str, accounts: Mapping[str, Mapping[str, Any]], allowed: set[str]) -> Outcome:
    if name in allowed:
        return o.passed(name)
    account = accounts.get(name)
    if account is not None and not _flag(account, "human"):
        return o.passed("service account", None, "a service account")
    return o.failed(why, None, f"{why} and is not authorised")


def dormant_accounts(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every person's account was used lately. One that was never used counts from the day its password was set."""
    limit, breakglass = gold["gold_dormant_days"], named(gold, "gold_breakglass_accounts")
    today = _day(str(facts["now"])[:10], "host.collected_at")
    expected = f"used within {limit} days"
    items = []
    if len(breakglass) > MAX_BREAKGLASS:
        message = f"{len(breakglass)} accounts are declared break-glass, more than {MAX_BREAKGLASS}"
        items.append(o.item("gold_breakglass_accounts", o.failed(sorted(breakglass), None, message)))
    for name, account in by_name(facts["accounts"]).items():
        if name in breakglass or name == "root" or not _maybe(account) or account.get("human") is False:
            continue
        test = partial(_used, name, account, facts["last"], facts["since"], today, limit)
        items.append(o.item(name, guarded(test)))
    empty = o.not_applicable("no person has an account that can log in to this host")
    return o.combine(items, empty=empty, expected=expected)


def _used(name: str, account: Mapping[str, Any], last: Any, since: str, today: dt.date, limit: int) -> Outcome:
    _flag(account, "usable")
    _flag(account, "human")
    day = need(last, name, what="account_logins.last")
    if day:
        idle = (today - _day(day, f"last login of {name}")).days
        return o.passed(day) if idle <= limit else o.failed(day, None, f"last used {idle} days ago, on {day}")
    changed = need(account, "changed_on", what=name)
    if changed and (today - _day(changed, f"password change of {name}")).days <= limit:
        return o.passed(f"new, password set on {changed}")
    if since and (today - _day(since, "account_logins.since")).days < limit:
        raise MissingFact(f"logins are on record since {since} only, and {name} has none")
    return o.failed("never", None, "no login on record, and the account is not new")


def _day(text: Any, what: str) -> dt.date:
    try:
        return dt.date.fromisoformat(str(text))
    except ValueError:
        raise MissingFact(f"{what} is no date") from None


def sudo_least_privilege(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Root through sudo only for administrators, who type a password, and for automation that is bounded.

    Bounded: the rule names the account itself, and the account has no password that a person could log in with.
    """
    sudo, accounts = facts["sudo"], by_name(facts["accounts"])
    if not need(sudo, "installed"):
        return o.not_applicable("sudo is not installed")
    admins = named(gold, "gold_hypervisor_admins", "gold_breakglass_accounts")
    automation = named(gold, "gold_automation_accounts")
    found, unresolved = sudo_rights.grants(sudo, facts["groups"], accounts.values())
    items = [o.item(sentence.split(": ")[0], o.unknown(sentence.split(": ", 1)[1])) for sentence in unresolved]
    for grant in found:
        outcome = guarded(partial(_granted, grant, accounts, admins, automation))
        items.append(o.item(f"{grant.user} ({grant.source})", outcome))
    items += _unasked(sudo, accounts)
    empty = o.not_applicable("sudo has no rule that lets anybody but root act as root")
    return o.combine(
        items, empty=empty, expected="root only for administrators with a password, and for bounded automation"
    )


def _granted(
    grant: sudo_rights.Grant, accounts: Mapping[str, Mapping[str, Any]], admins: set[str], automation: set[str]
) -> Outcome:
    reasons = [reason for command in grant.commands if (reason := sudo_rights.root_reason(command, grant.noexec))]
    if not reasons:
        return o.passed("bounded commands")
    actual = {"commands": list(grant.commands)[:10], "password": "not asked for" if grant.nopasswd else "asked for"}
    if grant.user in automation:
        if not grant.direct:
            return o.failed(actual, None, "automation becomes root through a rule for a group or for everybody")
        account = accounts.get(grant.user)
        if account is None:
            raise MissingFact(f"{grant.user} is not among the accounts that were read")
        if need(account, "password", what=grant.user) != "locked":
            return o.failed(actual, None, "automation becomes root, and has a password a person could use")
        return o.passed("bounded automation")
    if grant.user not in admins:
        return o.failed(actual, None, f"can become root ({reasons[0]}) and is no administrator")
    if grant.nopasswd:
        return o.failed(actual, None, f"can become root without a password ({reasons[0]})")
    return o.passed("administrator, with a password")


def _unasked(sudo: Mapping[str, Any], accounts: Mapping[str, Mapping[str, Any]]) -> list[Outcome]:
    """Rules of the directory are only seen by asking sudo for each account."""
    if set(texts(need(sudo, "sources"), "sudo.sources")) <= {"files"}:
        return []
    people = [name for name, account in accounts.items() if _maybe(account) and account.get("human") is not False]
    missing = [name for name in people if name not in need(sudo, "effective") and name != "root"]
    message = "sudo also takes rules from the directory, and was not asked about this account"
    return [o.item(name, o.unknown(message)) for name in missing]


def operators_lack_log_rights(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Nobody who administers or operates the hypervisor can alter its logs: declared people and real members alike."""
    accounts, log_admins = by_name(facts["accounts"]), named(gold, "gold_log_admins")
    declared = named(gold, "gold_hypervisor_admins", "gold_hypervisor_operators")
    found, unresolved = sudo_rights.grants(facts["sudo"], facts["groups"], accounts.values())
    reasons: dict[str, str] = {}
    for grant in found:
        reason = next((r for command in grant.commands if (r := sudo_rights.log_reason(command, grant.noexec))), "")
        if reason:
            reasons.setdefault(grant.user, f"sudo ({grant.source}): {reason}")
    by_polkit, doubtful = _root_by_polkit(facts, gold)
    for name, reason in by_polkit.items():
        reasons.setdefault(name, reason)
    groups = LOG_GROUPS + (() if facts["driver"] == "polkit" else ("libvirt",))
    for group in groups:
        for name in members_of(facts["groups"], group):
            reasons.setdefault(name, f"is in group {group}")
    people = declared | {name for group in ADMIN_GROUPS for name in members_of(facts["groups"], group)}
    people |= set(reasons) - named(gold, "gold_automation_accounts")
    items = [o.item(sentence.split(": ")[0], o.unknown(sentence.split(": ", 1)[1])) for sentence in unresolved]
    items += doubtful
    for name in sorted(people - {"root"}):
        if name in log_admins and name not in declared:
            continue
        person = _Person(name, name in declared, name in log_admins, reasons.get(name), accounts.get(name))
        items.append(o.item(name, guarded(partial(_apart, person, bool(facts["joined"])))))
    empty = o.failed([], None, "no administrator or operator is declared, and none was found")
    return o.combine(items, empty=empty, expected="no administrator or operator can alter, delete or stop the logs")


def _root_by_polkit(facts: dict[str, Any], gold: dict[str, Any]) -> tuple[dict[str, str], list[Outcome]]:
    """{account: why} of those whom a polkit rule makes root or master of every service, and what cannot be read."""
    reviewed = policy.reviewed(facts["rules"], gold["gold_polkit_rule_files"])
    reasons: dict[str, str] = {}
    items = []
    for answer in policy.answers(facts["rules"]):
        if not answer.grants or answer.path in reviewed or not any(answer.touches(action) for action in policy.ROOT):
            continue
        actions = ", ".join(answer.actions)[:80]
        if not answer.certain:
            items.append(o.item(answer.path, o.unknown(f"can grant {actions}, and when cannot be read from the file")))
        elif not answer.principals:
            items.append(o.item(answer.path, o.failed(actions, None, f"grants {actions} to everybody")))
        names = set(answer.users) | {name for group in answer.groups for name in members_of(facts["groups"], group)}
        if answer.certain:
            reasons.update(dict.fromkeys(names, f"{answer.path} grants {actions}"))
    return reasons, items


@dataclass(frozen=True)
class _Person:
    name: str
    declared: bool
    log_admin: bool
    reason: str | None
    account: Mapping[str, Any] | None


def _apart(person: _Person, joined: bool) -> Outcome:
    if person.log_admin:
        return o.failed("log administrator", None, "administers the hypervisor and its logs at once")
    if person.reason:
        if not person.declared and person.account is not None and not _flag(person.account, "human"):
            return o.passed("service account")
        return o.failed(person.reason, None, f"can alter the logs: {person.reason}")
    if person.account is None and joined:
        return o.unknown("comes from the directory, and its rights on this host were not read")
    return o.passed("no way to the logs" if person.account is not None else "no account on this host")


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "host_allowlist": host_allowlist,
    "single_root": single_root,
    "privileged_groups": privileged_groups,
    "dormant_accounts": dormant_accounts,
    "sudo_least_privilege": sudo_least_privilege,
    "operators_lack_log_rights": operators_lack_log_rights,
}
