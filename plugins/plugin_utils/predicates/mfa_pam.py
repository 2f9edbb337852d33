# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PAM asks for, service by service (11.4.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.mfa_exempt import Exemptions
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.pam_verdict import unenforced
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded, mappings

EXPECTED = "a second factor that nobody passes by"


def services(pam: Mapping[str, Any], names: Iterable[str], gold: Mapping[str, Any]) -> Outcome:
    """Judge the stacks of some services together. A service whose program is not installed cannot be used."""
    items = [o.item(name, guarded(service, pam, name, gold)) for name in names]
    if items and all(entry.status == o.NOT_APPLICABLE for entry in items):
        return o.not_applicable("none of the programs is installed", {entry.id: "not installed" for entry in items})
    return o.combine(items, empty=o.unknown("no service was examined"), expected=EXPECTED)


def service(pam: Mapping[str, Any], name: str, gold: Mapping[str, Any]) -> Outcome:
    """Judge the stack of one service.

    :raises MissingFact: it was not read.
    """
    if need(pam, name, "program") is not True:
        return o.not_applicable("its program is not installed")
    lines = need(pam, name, "lines")
    if not isinstance(lines, list):
        raise MissingFact(f"the stack of {name} was not read")
    if not lines:
        return o.failed([], EXPECTED, "PAM has no stack for it")
    why = unenforced(lines, gold["gold_mfa_pam_modules"], Exemptions(gold["gold_mfa_exempt"]).accounts())
    shown = [f"{line['control']} {line['module']}" for line in lines]
    return o.failed(shown, EXPECTED, why) if why else o.passed(shown, EXPECTED)


def console(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`pam` and `accounts` [{name, usable, password}]: at the console, or over a management processor, a password alone
    is not enough, or nobody but declared break-glass accounts has one."""
    stack = guarded(service, facts["pam"], "login", gold)
    if stack.status != o.FAIL:
        return stack
    exempt = Exemptions(gold["gold_mfa_exempt"])
    items = []
    for account in mappings(facts["accounts"], "accounts"):
        name = need(account, "name")
        if exempt.at_console(name):
            continue
        items.append(o.item(name, guarded(_without_password, account, name, stack.message)))
    return o.combine(items, empty=o.passed([], EXPECTED, "no account has a password"), expected=EXPECTED)


def _without_password(account: Mapping[str, Any], name: str, why: str) -> Outcome:
    password = need(account, "password", what=name)
    if password == "locked" or need(account, "usable", what=name) is False:
        return o.passed(f"password: {password}", EXPECTED)
    return o.failed(f"password: {password}", EXPECTED, f"{name} logs in at the console by password alone: {why}")


def cockpit(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`protocols` and `pam`: the web console asks for a second factor, where there is one."""
    found = next((entry for entry in mappings(facts["protocols"], "protocols") if entry.get("name") == "cockpit"), None)
    if found is None:
        raise MissingFact("whether cockpit answers was not read")
    states = {key: found.get(key) for key in ("enabled", "active", "listening")}
    if all(value is False for value in states.values()):
        return o.not_applicable("cockpit neither answers nor starts at boot", {"cockpit": states})
    if not any(value is True for value in states.values()):
        raise MissingFact("whether cockpit answers was not read")
    verdict = service({"cockpit": {**_mapping(facts["pam"].get("cockpit")), "program": True}}, "cockpit", gold)
    return verdict if verdict.status == o.PASS else o.failed(verdict.actual, EXPECTED, f"cockpit: {verdict.message}")


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise MissingFact("the stack of cockpit was not read")
    return value


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "mfa_console": console,
    "mfa_cockpit": cockpit,
}
