# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts from the enterprise directory, and whom it lets in (11.4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import people, plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.access_accounts import named
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.access_sessions import KERBEROS, UNVERIFIED

CONF = "/etc/sssd/sssd.conf"
PACKAGES = {
    "debian": "apt-get install realmd sssd sssd-tools adcli",
    "rhel": "dnf install realmd sssd sssd-tools adcli",
}


def joined(situation: Situation) -> list[Row]:
    """kvm-11.4.1-joined: joining needs a password that is used once and that nobody writes down."""
    wanted = str(situation.gold["gold_directory_domain"])
    if not wanted:
        raise Refusal("gold_directory_domain is empty: name the domain of the enterprise directory")
    identity = situation.facts["identity"]
    if identity["joined"] is not True:
        return [
            plan.by_hand(
                f"join the directory with a one-time password: {PACKAGES[situation.family]}; "
                f"realm discover {wanted}; realm join --one-time-password=<password> {wanted}; then realm deny --all "
                "and run "
                "this again, which lets gold_authorised_groups in; keep a local break-glass account at hand"
            )
        ]
    rows: list[Row] = [plan.access(CONF, mode="0600", owner="root", group="root")]
    sssd = identity["sssd"]
    domain = _named(sssd["domains"], wanted)
    if domain is None:
        return [
            *rows,
            plan.by_hand(f"the host is joined to {identity['domain']}, not to {wanted}: leave it, then join"),
        ]
    if sssd["in_force"] is not True:
        rows.append(plan.activate([plan.run("sssctl", "config-check"), plan.restart("sssd.service")]))
    if domain["id_provider"] == "ldap" and str(domain["ldap_tls_reqcert"]).lower() in UNVERIFIED:
        rows.append(plan.by_hand(_CERTIFICATE.format(domain=domain["name"])))
    plain = [uri for uri in domain["ldap_uri"] if not uri.startswith(("ldaps://", "ldapi://"))]
    if domain["id_provider"] == "ldap" and plain and str(domain["ldap_id_use_start_tls"]).lower() != "true":
        rows.append(plan.by_hand(f"{plain[0]} is clear text: " + _CERTIFICATE.format(domain=domain["name"])))
    if domain["id_provider"] in KERBEROS and not any(
        n.startswith("host/") for n in identity["krb5"]["principals"] or []
    ):
        rows.append(
            plan.by_hand(
                "the keytab holds no host principal: realm leave, then realm join with a new one-time password"
            )
        )
    if domain.get("online") == "offline":
        rows.append(plan.by_hand(f"sssd cannot reach {wanted}: sssctl domain-status {domain['name']}"))
    return rows


# The certificate of the directory has to be trusted first, or nobody of the directory logs in.
_CERTIFICATE = (
    "put the directory's authority on the host (ldap_tls_cacert), then set ldap_uri to ldaps:// or "
    "ldap_id_use_start_tls "
    "true, and ldap_tls_reqcert demand in [domain/{domain}]; try sssctl user-checks before anybody logs out"
)


def _named(domains: list[Mapping[str, Any]], wanted: str) -> Mapping[str, Any] | None:
    low = wanted.lower()
    return next((d for d in domains if low in (str(d["name"]).lower(), str(d["krb5_realm"]).lower())), None)


def access_filter(situation: Situation) -> list[Row]:
    """kvm-11.4.1-access-filter: a list of groups and people, for every domain that lets in more."""
    identity = situation.facts["identity"]
    if identity["joined"] is not True:
        return joined(situation)
    groups = [str(name) for name in situation.gold["gold_authorised_groups"]]
    if not groups and not situation.gold["gold_hypervisor_admins"]:
        raise Refusal(
            "gold_authorised_groups and gold_hypervisor_admins are empty: nobody of the directory could log in"
        )
    rows: list[Row] = []
    for domain in identity["sssd"]["domains"]:
        if domain["access_provider"] == "deny":
            continue
        users = _users(situation, domain)
        _connecting_account(situation, groups, users)
        values = {
            "access_provider": "simple",
            "simple_allow_groups": ", ".join(groups) or None,
            "simple_allow_users": ", ".join(users) or None,
        }
        then = [plan.run("sssctl", "config-check"), plan.restart("sssd.service")]
        section = f"domain/{domain['name']}"
        rows.append(
            plan.keys(CONF, values, syntax="ini", section=section, create=False, then=then, mode="0600", secret=True)
        )
    if rows:
        people.two_people(situation, _shut_out(situation, groups))
        rows.append(plan.access(CONF, mode="0600", owner="root", group="root"))
    return rows


def _users(situation: Situation, domain: Mapping[str, Any]) -> list[str]:
    """People named one by one: those the host names now and gold declares, and declared people of the directory."""
    declared = named(
        situation.gold, "gold_hypervisor_admins", "gold_hypervisor_operators", "gold_authorised_accounts",
        "gold_automation_accounts",
    )  # fmt: skip
    known = people.accounts(situation)
    listed = [name for name in domain["simple_allow_users"] if name in declared]
    return listed + sorted(
        name for name in declared if name not in listed and known.get(name, {}).get("source") == "directory"
    )


def _connecting_account(situation: Situation, groups: list[str], users: list[str]) -> None:
    account = people.accounts(situation).get(situation.account)
    if account is None or account["source"] != "directory" or situation.account in users:
        return
    if not set(account["groups"]) & set(groups):
        raise Refusal(
            f"{situation.account}, the account this run logs in as, comes from the directory and is in none of "
            f"gold_authorised_groups ({', '.join(groups) or 'empty'}): add a group of it, or name it in "
            "gold_automation_accounts"
        )


def _shut_out(situation: Situation, groups: list[str]) -> list[str]:
    """People of the directory that the new list would leave out."""
    declared = named(situation.gold, "gold_hypervisor_admins")
    known = people.accounts(situation)
    listed = (situation.facts["identity"].get("access") or {}).get("groups") or {}
    inside = {name for group in groups for name in listed.get(group, [])} | declared
    return [name for name, account in known.items() if account["source"] == "directory" and name not in inside]


PLANS: dict[str, Planner] = {
    "kvm-11.4.1-joined": joined,
    "kvm-11.4.1-access-filter": access_filter,
}
