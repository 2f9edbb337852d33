# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the facts of vSphere: every virtual machine of a host, advanced options, versions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.visibility import unseen
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import listed, machines, one, text

NO_VM = "no virtual machine is registered on this host"
SYSTEM_VM = "left out: vSphere makes and configures this machine itself"

Judge = Callable[[Mapping[str, Any]], Outcome]


def each_vm(facts: Mapping[str, Any], judge: Judge, *, empty: str = NO_VM, expected: Any = None) -> Outcome:
    """Judge each machine of the host; the worst decides. facts: vms and visibility.

    Machines of vSphere itself (vCLS, agents) are left out where everybody can see it: their settings are vSphere's, and
    it puts them back. What the account may not see (visibility) is unknown.
    """
    items = unseen(facts["visibility"])
    for vm in machines(facts):
        items.append(one(vm, lambda vm=vm: _left_out(vm) or judge(vm)))  # type: ignore[misc]
    return o.combine(items, empty=o.not_applicable(empty), expected=expected)


def _left_out(vm: Mapping[str, Any]) -> Outcome | None:
    system = text(vm, "system")
    return o.not_applicable(f"{SYSTEM_VM} ({system[:60]})", system) if system else None


def user_machines(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The machines of people: without those that vSphere makes itself."""
    return [vm for vm in machines(facts) if not text(vm, "system")]


def named(vm: Mapping[str, Any], names: list[Any]) -> bool:
    """Whether a gold list names a machine, by UUID or by name."""
    return vm["id"] in names or text(vm, "name") in names


def option(options: Mapping[str, Any], name: str) -> Any:
    """An advanced option.

    :raises MissingFact: the host has no such option, or it was not read.
    """
    return need(options, name, what="advanced option")


def version(value: Any) -> tuple[int, ...]:
    """`8.0.3` as numbers that compare.

    :raises MissingFact: it is something else.
    """
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,4}(\.\d{1,9}){1,3}", value):
        raise MissingFact(f"{str(value)[:40]!r} is no version")
    return tuple(int(part) for part in value.split("."))


def known(
    mapping: Mapping[str, Any], key: str, since: tuple[int, ...], running: tuple[int, ...], default: bool
) -> bool:
    """A flag that hosts older than `since` do not have, where it means `default` (pitfall P2).

    :raises MissingFact: the host is new enough, and it was not read.
    """
    if running < since and mapping.get(key) is None:
        return default
    found = need(mapping, key)
    if not isinstance(found, bool):
        raise MissingFact(f"{key} is neither true nor false")
    return found


def number(mapping: Mapping[str, Any], key: str) -> int:
    """A whole number, negative ones included: -1 is vSphere's "no limit" (pitfall P5)."""
    found = need(mapping, key)
    if isinstance(found, bool) or not isinstance(found, int):
        raise MissingFact(f"{key} is not a number")
    return found


def only_named(found: list[str], allowed: list[Any], what: str, expected: Any = None) -> Outcome:
    """Nothing beyond a list of names; names of accounts are the same in either case."""
    names = {str(name).casefold() for name in allowed}
    extra = sorted(name for name in found if name.casefold() not in names)
    wanted = sorted(map(str, allowed)) if expected is None else expected
    if extra:
        return o.failed(extra, wanted, f"{', '.join(extra[:10])} {what}")
    return o.passed(sorted(found), wanted)


def names_of(mapping: Mapping[str, Any], key: str) -> list[str]:
    """A list of texts.

    :raises MissingFact: it is something else.
    """
    found = listed(mapping, key)
    if not all(isinstance(entry, str) for entry in found):
        raise MissingFact(f"{key} holds an entry that was not read")
    return found
