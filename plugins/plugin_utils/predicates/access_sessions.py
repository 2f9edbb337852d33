# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on sessions and the directory: lock-out, time-out, where accounts come from (11.2.5, 11.4.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.access_accounts import (
    ADMIN_GROUPS,
    by_name,
    members_of,
    named,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded, mappings, texts

TALLY = ("pam_tally2.so", "pam_tally.so")
KERBEROS = ("ad", "ipa")
UNVERIFIED = ("never", "allow", "try")


def lockout(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """pam_faillock counts before and after the password is tried, in every service that asks for one."""
    items = []
    for service in ("login", "sshd"):
        stack = facts[service]
        if need(stack, "program", what=service) is True:
            test = partial(_locks, stack, facts["faillock"], gold)
            items.append(o.item(service, guarded(test)))
    expected = (
        f"locked after at most {gold['gold_lockout_attempts']} attempts, for {gold['gold_lockout_seconds']} s or more"
    )
    return o.combine(items, empty=o.not_applicable("neither sshd nor login is installed"), expected=expected)


def _locks(stack: Mapping[str, Any], conf: Mapping[str, Any], gold: Mapping[str, Any]) -> Outcome:
    lines = mappings(need(stack, "lines"), "a PAM stack")
    faillock = [str(need(line, "args")).split() for line in lines if need(line, "module") == "pam_faillock.so"]
    tally = [str(need(line, "args")).split() for line in lines if need(line, "module") in TALLY]
    if tally:
        values = _arguments(tally, {"deny": 0, "unlock_time": 0})
    elif any("preauth" in args for args in faillock) and any("authfail" in args for args in faillock):
        if any(word.startswith("conf=") for args in faillock for word in args):
            raise MissingFact("pam_faillock reads another file than faillock.conf, which was not read")
        values = _arguments(faillock, {"deny": need(conf, "deny"), "unlock_time": need(conf, "unlock_time")})
    else:
        return o.failed("no lock-out module", None, "nothing locks an account after failed attempts")
    # 0 attempts switches the module off; 0 seconds means until an administrator acts (P5).
    if not 1 <= values["deny"] <= gold["gold_lockout_attempts"]:
        return o.failed(
            values, None, f"locks after {values['deny']} attempts" if values["deny"] else "deny is 0: never locks"
        )
    if 0 < values["unlock_time"] < gold["gold_lockout_seconds"]:
        return o.failed(values, None, f"stays locked for {values['unlock_time']} s only")
    return o.passed(values)


def _arguments(lines: list[list[str]], values: dict[str, Any]) -> dict[str, int]:
    for word in (word for line in lines for word in line):
        name, _equals, value = word.partition("=")
        if name in values:
            values[name] = 0 if value == "never" else value
    if not all(re.fullmatch(r"\d+", str(value)) for value in values.values()):
        raise MissingFact("the lock-out module has an argument that is no number")
    return {name: int(value) for name, value in values.items()}


def session_timeout(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """An idle session ends: by logind, or by a TMOUT nobody can take back. sshd's ClientAlive ends dead ones only."""
    limit = gold["gold_idle_session_seconds"]
    stop, tmout = facts["stop_idle"], facts["tmout"]
    seconds, frozen = need(tmout, "seconds", what="TMOUT"), need(tmout, "readonly", what="TMOUT")
    actual = {"StopIdleSessionSec": stop, "TMOUT": seconds, "TMOUT readonly": frozen}
    expected = f"idle sessions end within {limit} s"
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in (stop, seconds)):
        raise MissingFact("a time-out is no number")
    if 0 < stop <= limit or (0 < seconds <= limit and frozen is True):
        return o.passed(actual, expected)
    if 0 < seconds <= limit:
        return o.failed(actual, expected, "TMOUT is set but not read-only, so a user can unset it")
    return o.failed(actual, expected, "nothing ends an idle session in time")


def directory_joined(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The declared domain is served by a running sssd, online, over an authenticated and encrypted channel."""
    sssd, wanted = facts["sssd"], gold["gold_directory_domain"]
    expected = f"joined to {wanted or '(gold_directory_domain is not set)'}, online, encrypted, with a host principal"
    if facts["joined"] is not True:
        return o.failed("not joined", expected, "the host takes no accounts from a directory")
    if not wanted:
        return o.failed(facts["domain"], expected, "gold_directory_domain names no directory to compare with")
    domains = [domain for domain in mappings(need(sssd, "domains"), "sssd domains") if _is_named(domain, wanted)]
    if not domains:
        return o.failed(facts["domain"], expected, f"the host is joined to {facts['domain']}, not to {wanted}")
    if need(sssd, "in_force", what="sssd") is not True:
        return o.failed("stale", expected, "not in force: sssd was started before its configuration was changed")
    domain = domains[0]
    fault = _insecure(domain)
    if fault:
        return o.failed(fault, expected, fault)
    principals = texts(facts["principals"], "the host keytab")
    if need(domain, "id_provider") in KERBEROS and not any(name.startswith("host/") for name in principals):
        return o.failed(principals[:5], expected, "the keytab holds no host principal")
    online = need(domain, "online", what=wanted)
    if online == "offline":
        return o.failed("offline", expected, "sssd cannot reach the directory")
    if online != "online":
        raise MissingFact(f"whether {wanted} can be reached is {online}")
    return o.passed({"domain": wanted, "provider": domain["id_provider"]}, expected)


def _is_named(domain: Mapping[str, Any], wanted: str) -> bool:
    return wanted.lower() in (str(need(domain, "name")).lower(), str(need(domain, "krb5_realm")).lower())


def _insecure(domain: Mapping[str, Any]) -> str:
    """Why the channel to the directory is not safe. AD and IPA bind with GSSAPI and seal what they exchange."""
    if need(domain, "id_provider") in KERBEROS:
        return ""
    if need(domain, "id_provider") != "ldap":
        raise MissingFact(f"the provider {domain['id_provider']} is not one this check knows")
    plain = [uri for uri in texts(need(domain, "ldap_uri"), "ldap_uri") if not uri.startswith(("ldaps://", "ldapi://"))]
    if plain and str(need(domain, "ldap_id_use_start_tls")).lower() != "true":
        return f"clear-text LDAP to {plain[0]}"
    if str(need(domain, "ldap_tls_reqcert")).lower() in UNVERIFIED:
        return f"the directory's certificate is not verified (ldap_tls_reqcert {domain['ldap_tls_reqcert']})"
    return ""


def directory_access_restricted(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    if facts["joined"] is not True:
        return o.failed(
            "not joined", "only groups of gold_authorised_groups", "the host takes no accounts from a directory"
        )
    allowed = {str(group).lower() for group in gold["gold_authorised_groups"]}
    people = named(
        gold,
        "gold_hypervisor_admins",
        "gold_hypervisor_operators",
        "gold_authorised_accounts",
        "gold_automation_accounts",
    )
    items = []
    for domain in mappings(facts["domains"], "sssd domains"):
        items.append(o.item(str(need(domain, "name")), guarded(partial(_restricted, domain, allowed, people))))
    return o.combine(
        items,
        empty=o.unknown("sssd serves no domain"),
        expected=f"only groups {', '.join(sorted(allowed)) or '(none)'}",
    )


def _restricted(domain: Mapping[str, Any], allowed: set[str], people: set[str]) -> Outcome:
    provider = need(domain, "access_provider")
    groups = texts(need(domain, "simple_allow_groups"), "simple_allow_groups")
    users = texts(need(domain, "simple_allow_users"), "simple_allow_users")
    if provider == "permit":
        return o.failed(provider, None, "lets in everybody the directory knows (access_provider permit)")
    if provider == "deny":
        return o.passed(provider)
    if provider == "simple":
        if not groups and not users:
            return o.failed(provider, None, "access_provider simple without an allow-list lets in everybody")
        strangers = [group for group in groups if group.lower() not in allowed] + [
            user for user in users if user not in people
        ]
        if strangers:
            return o.failed(strangers, None, f"lets in {strangers[0]}, which is not authorised")
        return o.passed({"groups": groups, "users": users})
    if (
        provider == "ad"
        and not need(domain, "ad_access_filter")
        and str(need(domain, "ad_gpo_access_control")) != "enforcing"
    ):
        return o.failed(
            provider, None, "access_provider ad without a filter and without enforced group policy lets in everybody"
        )
    return o.unknown(
        f"whom access_provider {provider} lets in is decided in the directory and cannot be read here", provider
    )


def accounts_from_directory(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Administrators come from the directory: a joined host with local administrators is joined in name only."""
    accounts = by_name(facts["accounts"])
    people = named(gold, "gold_hypervisor_admins", "gold_hypervisor_operators")
    people |= {name for group in ADMIN_GROUPS for name in members_of(facts["groups"], group)}
    people -= named(gold, "gold_breakglass_accounts", "gold_automation_accounts") | {"root"}
    listed = set(texts(need(facts["access"], "users"), "directory users"))
    for group, members in need(facts["access"], "groups").items():
        listed |= set(texts(members, f"directory group {group}"))
    items = []
    for name in sorted(people):
        if name in accounts:
            items.append(o.item(name, guarded(partial(_from_directory, accounts[name]))))
        elif name in listed:
            items.append(o.item(name, o.passed("directory")))
    items = [entry for entry in items if entry.status != o.NOT_APPLICABLE]
    joined = facts["joined"]
    if joined is not True and not items:
        return o.failed("not joined", "directory accounts", "the host takes no accounts from a directory")
    empty = o.unknown("none of the administrators is known on this host: whether the directory has them cannot be told")
    return o.combine(items, empty=empty, expected="every administrator's account comes from the directory")


def _from_directory(account: Mapping[str, Any]) -> Outcome:
    if need(account, "human", what=str(account.get("name"))) is False:
        return o.not_applicable("a service account")
    source = need(account, "source", what=str(account.get("name")))
    return o.passed(source) if source == "directory" else o.failed(source, None, "a local account administers the host")


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "lockout": lockout,
    "session_timeout": session_timeout,
    "directory_joined": directory_joined,
    "directory_access_restricted": directory_access_restricted,
    "accounts_from_directory": accounts_from_directory,
}
