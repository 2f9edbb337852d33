# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches an ESXi host directly, and how people log in to a vCenter (11.2.4, 11.2.5, 11.4.1, 11.4.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded, mappings
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import entries, flag, text
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import (
    names_of,
    only_named,
    option,
)

# Of the console itself and of vCenter: nobody logs in as them.
AGENTS = ("dcui", "vpxuser")
SYSTEM_ACCOUNTS = ("root", *AGENTS)
LOCKDOWN = ("lockdownDisabled", "lockdownNormal", "lockdownStrict")
DEFAULT_GROUP = "ESX Admins"
SHELLS = ("TSM", "TSM-SSH")
# Kinds of identity provider by which people log in elsewhere (vSphere Automation API, vcenter/identity/providers).
FEDERATED = ("oidc", "oauth2")


def host_accounts(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Local accounts are those of ESXi and the declared ones, and few. facts: accounts."""
    allowed = [
        *SYSTEM_ACCOUNTS,
        *gold["gold_authorised_accounts"],
        *gold["gold_breakglass_accounts"],
        *gold["gold_automation_accounts"],
    ]
    found = [text(account, "name") for account in entries(facts, "accounts")]
    if "root" not in found:
        raise MissingFact("accounts does not even hold root")
    judged = only_named(found, allowed, "is not a declared account")
    own, most = [name for name in found if name not in SYSTEM_ACCOUNTS], gold["gold_max_host_accounts"]
    if judged.status == o.PASS and len(own) > most:
        return o.failed(own, f"at most {most}", f"{len(own)} accounts besides those of ESXi, more than {most}")
    return judged


def lockdown(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Lockdown mode is on, at least as strict as declared. facts: mode."""
    mode, least = text(facts, "mode"), gold["gold_lockdown_mode"]
    if mode not in LOCKDOWN:
        raise MissingFact(f"{mode[:40]!r} is no lockdown mode")
    if LOCKDOWN.index(mode) >= LOCKDOWN.index(least):
        return o.passed(mode, least, persistent=True)
    return o.failed(mode, least, f"lockdown mode is {mode}: people can log in past vCenter")


def default_group(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """No group of the directory becomes administrator by its name (CVE-2024-37085). facts: options.

    An unjoined host may be joined later, so it counts too.
    """
    prefix = "Config.HostAgent.plugins.hostsvc."
    group, auto = (
        option(facts["options"], f"{prefix}esxAdminsGroup"),
        option(facts["options"], f"{prefix}esxAdminsGroupAutoAdd"),
    )
    actual, wanted = {"esxAdminsGroup": group, "esxAdminsGroupAutoAdd": auto}, gold["gold_esx_admins_group"]
    expected = {"esxAdminsGroup": wanted or f"anything but {DEFAULT_GROUP}", "esxAdminsGroupAutoAdd": False}
    faults = []
    # The group may be written with its domain before it.
    if str(group).rpartition("\\")[2].strip().casefold() == DEFAULT_GROUP.casefold():
        faults.append(f"the group is the default one, {DEFAULT_GROUP}")
    elif wanted and str(group).casefold() != wanted.casefold():
        faults.append(f"the group is {str(group)[:60]!r}, not {wanted!r}")
    if auto is not False:
        faults.append("members of the group become administrators by themselves (esxAdminsGroupAutoAdd)")
    return o.failed(actual, expected, "; ".join(faults)) if faults else o.passed(actual, expected)


def access_entries(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Few principals administer the host itself. facts: entries."""
    by_mode: dict[str, list[str]] = {}
    for entry in mappings(facts["entries"], "access entries"):
        by_mode.setdefault(text(entry, "mode"), []).append(text(entry, "principal"))
    found = by_mode.get("accessAdmin")
    if not found:
        raise MissingFact("no principal with access as administrator was read, not even root")
    allowed = [*SYSTEM_ACCOUNTS, *gold["gold_host_admin_principals"]]
    judged = only_named(found, allowed, "administers the host directly and is not in gold_host_admin_principals")
    # A role of the host's own, or several: it may be all that an administrator has.
    other = only_named(
        by_mode.get("accessOther", []), allowed, "holds a role of the host's own, whose reach is not told"
    )
    if judged.status == o.PASS and other.status != o.PASS:
        return o.unknown(other.message, other.actual, judged.expected)
    return judged


def lockout(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Accounts are locked after failed attempts, for long enough. facts: options. Zero failures is off (P5)."""
    failures, seconds = (
        option(facts["options"], "Security.AccountLockFailures"),
        option(facts["options"], "Security.AccountUnlockTime"),
    )
    most, least = gold["gold_lockout_attempts"], gold["gold_lockout_seconds"]
    actual = {"AccountLockFailures": failures, "AccountUnlockTime": seconds}
    expected = f"locked after 1 to {most} failures for {least} s or longer"
    if not all(isinstance(value, int) and not isinstance(value, bool) for value in actual.values()):
        raise MissingFact("the lock-out options are not numbers")
    faults = []
    if not 1 <= failures <= most:
        faults.append(
            "accounts are never locked" if failures <= 0 else f"accounts are locked after {failures} failures only"
        )
    if seconds < least:
        faults.append(f"a locked account opens again after {seconds} s")
    return o.failed(actual, expected, "; ".join(faults)) if faults else o.passed(actual, expected)


def directory_mode(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """People reach the host through the directory. facts: joined, domain, status, mode.

    Through vCenter alone: the host is not joined, and lockdown mode closes every other way. Or it is joined itself.
    """
    joined, domain, mode = facts["joined"], text(facts, "domain"), text(facts, "mode")
    actual = {"joined": joined, "domain": domain, "status": text(facts, "status"), "lockdown": mode}
    if gold["gold_vsphere_directory_mode"] == "vcenter":
        expected = "not joined, and in lockdown mode: people come through vCenter"
        if joined is not False:
            return o.failed(actual, expected, f"the host is joined to {domain or 'a domain'}")
        if mode not in LOCKDOWN[1:]:
            return o.failed(actual, expected, "local accounts can log in past vCenter: lockdown mode is off")
        return o.passed(actual, expected)
    wanted = gold["gold_directory_domain"]
    expected = f"joined to {wanted or 'the directory'}, membership ok"
    if not wanted:
        return o.failed(actual, expected, "gold_directory_domain is empty")
    if joined is not True or domain.casefold() != wanted.casefold():
        return o.failed(actual, expected, f"the host is {'joined to ' + domain if joined else 'not joined'}")
    if actual["status"] != "ok":
        return o.failed(actual, expected, f"membership in the domain is {actual['status']}")
    return o.passed(actual, expected)


def bypasses_closed(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Nobody gets round vCenter and its identity provider. facts: mode, exceptions, services, accounts.

    Nobody logs in as the console or as vCenter's agent; whoever else is exempt, root too, needs a password alone.
    """
    mode = text(facts, "mode")
    closed = (
        o.passed(mode)
        if mode in LOCKDOWN[1:]
        else o.failed(mode, "on", "lockdown mode is off: a password alone is enough")
    )
    exempt = [name for name in names_of(facts, "exceptions") if name.casefold() not in AGENTS]
    people = o.failed(exempt, [], f"{', '.join(exempt[:5])} is exempt from lockdown mode") if exempt else o.passed([])
    items = [o.item("lockdown mode", closed), o.item("exempt accounts", people)]
    services = {text(service, "id"): service for service in mappings(facts["services"], "services")}
    for name in SHELLS:
        items.append(o.item(name, guarded(_shell_off, name, services.get(name))))
    return o.combine(items, empty=o.unknown("nothing was read"), expected="lockdown mode on, nobody exempt, shells off")


def _shell_off(name: str, service: Mapping[str, Any] | None) -> Outcome:
    if service is None:
        raise MissingFact(f"the host does not list the service {name}")
    if flag(service, "running"):
        return o.failed("running", "off", f"{name} is running: it asks for a password alone")
    return o.passed("stopped")


def federated(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """The default identity provider of a vCenter is a federated one. facts: providers."""
    expected = "a federated identity provider (OIDC, OAuth 2) as the default"
    found = entries(facts, "providers")
    actual = [f"{text(entry, 'name')[:60]} ({text(entry, 'kind')})" for entry in found]
    chosen = [entry for entry in found if flag(entry, "default")]
    if not chosen:
        return o.failed(
            actual or "none",
            expected,
            "people log in to vCenter's own single sign-on: no identity provider is the default",
        )
    kind = text(chosen[0], "kind")
    if kind.casefold() in FEDERATED:
        return o.passed(actual, expected)
    return o.failed(actual, expected, f"the default identity provider is of kind {kind}")


def directory_protocol(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Accounts come over a safe protocol. facts: providers. Sources of vCenter's own single sign-on cannot be read."""
    judged = federated(facts, gold)
    if judged.status == o.PASS:
        return judged
    if any(
        text(entry, "kind").casefold() in ("iwa", "integratedwindowsauthentication")
        for entry in entries(facts, "providers")
    ):
        return o.failed(
            judged.actual, judged.expected, "Integrated Windows Authentication is no longer supported after 8.0 U3"
        )
    return o.manual(
        "no federated identity provider: show that every source of single sign-on is LDAPS",
        judged.actual,
        judged.expected,
    )


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vsphere_host_accounts": host_accounts,
    "vsphere_lockdown": lockdown,
    "vsphere_default_group": default_group,
    "vsphere_access_entries": access_entries,
    "vsphere_lockout": lockout,
    "vsphere_directory_mode": directory_mode,
    "vsphere_bypasses_closed": bypasses_closed,
    "vsphere_federated": federated,
    "vsphere_directory_protocol": directory_protocol,
}
