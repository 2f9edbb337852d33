# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts without a second factor: automation and break-glass, each bound to a source and an exception (11.4.3)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded, mappings

KEYS = ("account", "sources", "exception")
# Where nobody comes over the network: a break-glass account at the machine itself.
CONSOLE = "console"
# The widest source of an automation account.
WIDEST = {4: 24, 6: 64}


def record_fault(record: Any) -> str:
    """Say what is wrong with a record of gold_mfa_exempt, or an empty string."""
    if not isinstance(record, Mapping):
        return "a record is {account, sources, exception}"
    if set(record) != set(KEYS):
        return f"a record has exactly account, sources and exception, found {', '.join(map(str, record))}"
    account, sources, exception = (record[key] for key in KEYS)
    if not isinstance(account, str) or not account.strip() or "*" in account:
        return f"account {account!r} is not the name of one account"
    if not isinstance(exception, str) or not exception.strip():
        return f"{account} has no exception id"
    if not isinstance(sources, list) or not sources:
        return f"{account} has no source: it could come from everywhere"
    if account == "root" and sources != [CONSOLE]:
        return "root may be exempt at the console only"
    wide = [source for source in sources if not _bounded(source)]
    return f"{account}: {wide[0]!r} is neither console nor an address or network of at most 256" if wide else ""


def _bounded(source: Any) -> bool:
    if source == CONSOLE:
        return True
    try:
        network = ipaddress.ip_network(str(source), strict=False)
    except ValueError:
        return False
    return network.prefixlen >= WIDEST[network.version]


class Exemptions:
    """The well-formed records of gold_mfa_exempt; a malformed one excuses nobody."""

    def __init__(self, records: Any):
        self._sources = {record["account"]: record["sources"] for record in records if not record_fault(record)}

    def names(self, account: str) -> bool:
        return account in self._sources

    def accounts(self) -> list[str]:
        return list(self._sources)

    def at_console(self, account: str) -> bool:
        return CONSOLE in self._sources.get(account, [])

    def covers(self, account: str, address: str) -> bool:
        """Whether the account may come from the address without a second factor."""
        try:
            came = ipaddress.ip_address(str(address))
        except ValueError:
            return False
        networks = [
            ipaddress.ip_network(entry, strict=False) for entry in self._sources.get(account, []) if entry != CONSOLE
        ]
        return any(came in network for network in networks)


def exemptions_bounded(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`accounts`: [{name, password}]. Every record is bounded, and no account that comes by network has a password."""
    known = {need(account, "name"): account for account in mappings(facts["accounts"], "accounts")}
    items = []
    for number, record in enumerate(gold["gold_mfa_exempt"]):
        fault = record_fault(record)
        if fault:
            items.append(o.item(f"record {number + 1}", o.failed(record, list(KEYS), fault)))
        else:
            name = record["account"]
            items.append(o.item(name, guarded(_not_interactive, record, known.get(name))))
    return o.combine(items, empty=o.passed([], list(KEYS), "no account is exempt"), expected=list(KEYS))


def _not_interactive(record: Mapping[str, Any], account: Mapping[str, Any] | None) -> Outcome:
    name = record["account"]
    if account is None:
        return o.passed("the host has no such account")
    if record["sources"] == [CONSOLE]:
        return o.passed("break-glass at the console")
    found = need(account, "password", what=name)
    if found == "locked":
        return o.passed("password: locked")
    return o.failed(f"password: {found}", "locked", f"{name} has a password: a person can use the account")
