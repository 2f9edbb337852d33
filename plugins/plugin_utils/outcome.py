# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one test of one check says: the vocabulary shared by the engine and the named predicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import MAPPING

PASS = "pass"
FAIL = "fail"
UNKNOWN = "unknown"
MANUAL = "manual"
NOT_APPLICABLE = "not_applicable"
NOT_EVALUATED = "not_evaluated"
EXCEPTED = "excepted"
ATTESTED = "attested"

# The worst first. not_evaluated is weaker than everything that was measured: it only shows where nothing else was.
WORST_FIRST = (FAIL, UNKNOWN, MANUAL, EXCEPTED, ATTESTED, PASS, NOT_APPLICABLE, NOT_EVALUATED)


class MissingFact(Exception):
    """A fact that a test needs is absent or null. The engine turns it into `unknown` with this reason."""


@dataclass
class Outcome:
    """The verdict of one test.

    status: pass, fail, unknown, manual or not_applicable.
    expected, actual: plain data, shown to people and kept as evidence.
    message: one sentence that says why, without the values.
    items: one Outcome per examined thing (VM, rule, account) when the test looks at several; `id` names it.
    persistent: whether the setting also survives a restart; None where the question does not arise.
    """

    status: str
    actual: Any = None
    expected: Any = None
    message: str = ""
    items: list[Outcome] = field(default_factory=list)
    persistent: bool | None = None
    id: str = ""


def worst(statuses: Iterable[str]) -> str:
    """Return the worst status, or not_evaluated when there is none."""
    seen = set(statuses)
    return next((status for status in WORST_FIRST if status in seen), NOT_EVALUATED)


def passed(actual: Any = None, expected: Any = None, message: str = "", persistent: bool | None = None) -> Outcome:
    return Outcome(PASS, actual, expected, message, persistent=persistent)


def failed(actual: Any = None, expected: Any = None, message: str = "", persistent: bool | None = None) -> Outcome:
    return Outcome(FAIL, actual, expected, message, persistent=persistent)


def unknown(message: str, actual: Any = None, expected: Any = None) -> Outcome:
    return Outcome(UNKNOWN, actual, expected, message)


def manual(message: str, actual: Any = None, expected: Any = None) -> Outcome:
    return Outcome(MANUAL, actual, expected, message)


def not_applicable(reason: str, actual: Any = None) -> Outcome:
    return Outcome(NOT_APPLICABLE, actual, None, reason)


def item(item_id: str, outcome: Outcome) -> Outcome:
    """Name an outcome as one item of a larger one."""
    outcome.id = str(item_id)
    return outcome


def combine(items: list[Outcome], *, empty: Outcome, expected: Any = None, message: str = "") -> Outcome:
    """Fold item outcomes into one: the worst decides; `empty` is the verdict when there is no item at all.

    An empty list never passes by itself (amendments.md): the caller has to say what it means.
    """
    if not items:
        return empty
    status = worst(entry.status for entry in items)
    deciding = [entry for entry in items if entry.status == status]
    flags = [entry.persistent for entry in items if entry.persistent is not None]
    if expected is None:
        expected = next((entry.expected for entry in items if entry.expected is not None), None)
    if status in (PASS, NOT_APPLICABLE):
        text = message or deciding[0].message
    else:
        text = message or _why(deciding)
    actual = {entry.id: entry.actual for entry in deciding[:20] if entry.id} if status != PASS else None
    return Outcome(status, actual, expected, text, items, all(flags) if flags else None)


def _why(deciding: list[Outcome]) -> str:
    first = deciding[0]
    text = f"{first.id}: {first.message}" if first.id else first.message
    return text if len(deciding) == 1 else f"{text} (and {len(deciding) - 1} more)"


def need(mapping: Mapping[str, Any], *keys: str, what: str = "") -> Any:
    """Walk `keys` and return the value; raise MissingFact where one is absent or null."""
    value: Any = mapping
    for key in keys:
        value = value.get(key) if isinstance(value, MAPPING) else None
        if value is None:
            raise MissingFact(f"{what + ': ' if what else ''}{'.'.join(keys)} was not read")
    return value


def need_list(mapping: Mapping[str, Any], *keys: str, what: str = "") -> list[Any]:
    """Like need, for a list that is whole: a null in it is an entry nobody could read, and what is missing may
    matter."""
    value = need(mapping, *keys, what=what)
    if not isinstance(value, list) or any(entry is None for entry in value):
        raise MissingFact(f"{what + ': ' if what else ''}{'.'.join(keys)} was not read whole")
    return value
