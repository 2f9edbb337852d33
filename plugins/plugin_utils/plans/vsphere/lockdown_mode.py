# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lockdown mode of an ESXi host, who is exempt from it, and who opens it at the console (11.2.4, 11.2.5, 11.4.*)."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.access import AGENTS, LOCKDOWN

DISABLED, NORMAL, STRICT = LOCKDOWN
CONSOLE = "DCUI.Access"


def on(situation: Situation, mode: str = NORMAL, exempt: Iterable[str] = (), console: Iterable[str] = ()) -> list[Row]:
    """Rows that put the host into lockdown mode, unless it is as strict already.

    exempt, console: who is exempt and who may leave lockdown mode at the console once the plan is done.

    :raises Refusal: nobody could reach a host that has lost its vCenter.
    """
    facts = situation.facts
    now = facts["remote_access"]["lockdown"]["mode"]
    if now not in LOCKDOWN:
        raise Refusal(f"lockdown mode is {str(now)[:40]!r}, expected one of {', '.join(LOCKDOWN)}")
    if LOCKDOWN.index(now) >= LOCKDOWN.index(mode):
        return []
    if not facts["host"]["controller"]:
        return [
            plan.by_hand(
                "this host has no vCenter: in lockdown mode nobody could administer it. Add it to a vCenter, and "
                "enforce this through that"
            )
        ]
    # Strict mode stops the console (pitfall P4), so neither it nor whoever uses it is a way in any more.
    if mode == STRICT and not situation.options.get("console_confirmed"):
        return [
            plan.by_hand(
                "gold_lockdown_mode is lockdownStrict, which stops the console: a host that loses its vCenter then has "
                "to be installed anew. Confirm it by hypervisor_options: {console_confirmed: true}"
            )
        ]
    if mode == NORMAL and not people([*exempt, *console]):
        raise Refusal(
            f"nobody would be exempt from lockdown mode and {CONSOLE} names nobody who logs in: without its vCenter "
            f"nobody could reach the host; expected root in {CONSOLE}"
        )
    return [host_rows.lockdown(mode)]


def people(names: Iterable[str]) -> list[str]:
    """Those accounts as whom somebody can log in."""
    return [name for name in names if name.casefold() not in AGENTS]


def exempt(situation: Situation) -> list[str]:
    """Who is exempt from lockdown mode now."""
    return [str(name) for name in situation.facts["remote_access"]["lockdown"]["exceptions"]]


def console(situation: Situation) -> list[str]:
    """Who may leave lockdown mode at the console now."""
    return [str(name) for name in situation.facts["remote_access"]["lockdown"]["console_access"]]


def narrowed_exempt(situation: Situation, allowed: Iterable[str]) -> tuple[list[Row], list[str]]:
    """(rows, who stays exempt): nobody but those allowed, whatever the case of their names.

    :raises Refusal: strict lockdown mode would have no exempt account left, and has no console.
    """
    known = {str(name).casefold() for name in allowed}
    now = exempt(situation)
    extra = [name for name in now if name.casefold() not in known]
    stay = [name for name in now if name not in extra]
    strict = situation.facts["remote_access"]["lockdown"]["mode"] == STRICT
    if extra and strict and not people(stay) and not situation.options.get("console_confirmed"):
        raise Refusal(
            "lockdown mode is strict, and nobody would be exempt from it any more: a host that loses its vCenter then "
            "has to be installed anew. Confirm it by hypervisor_options: {console_confirmed: true}"
        )
    return ([host_rows.not_exempt(extra)] if extra else []), stay


def narrowed_console(situation: Situation, allowed: Iterable[str]) -> tuple[list[Row], list[str]]:
    """(rows, who stays): DCUI.Access names nobody but those allowed, and root where nobody would be left."""
    known = {str(name).casefold() for name in allowed}
    now = console(situation)
    kept = [name for name in now if name.casefold() in known] or ["root"]
    extra = [name for name in now if name not in kept]
    if kept == ["root"] and "root" not in now:
        return [host_rows.console(kept)], kept
    return ([host_rows.not_at_console(extra)] if extra else []), kept
