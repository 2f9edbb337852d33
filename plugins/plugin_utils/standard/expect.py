# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plainly named predicates a measure file may use in `expect`, `where`, `not_applicable` and `floor`.

An expectation is a mapping with exactly one key, the predicate: `{equals: "no"}`, `{at_most: {gold: gold_patch_days}}`.
A predicate says True, False, or raises MissingFact where the value holds a null: a null never passes and never fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import MAPPING


class ExpectationError(ValueError):
    """The expectation itself is malformed: unknown predicate, or an operand of the wrong type."""


def _listed(value: Any) -> list[Any]:
    if isinstance(value, (str, int, float, bool)):
        return [value]
    if not isinstance(value, (list, tuple, set, dict)):
        raise MissingFact(f"expected a list, found {type(value).__name__}")
    entries = list(value)
    if any(entry is None for entry in entries):
        raise MissingFact("the list holds an entry that was not read")
    return entries


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise MissingFact("expected a number, found a truth value")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise MissingFact(f"expected a number, found {str(value)[:40]!r}") from None


def _same(value: Any, operand: Any) -> bool:
    if isinstance(value, bool) or isinstance(operand, bool):
        return value is operand
    if isinstance(value, list) and isinstance(operand, list):
        return value == operand
    return value == operand


def _subset(value: Any, operand: Any) -> bool:
    return {str(entry) for entry in _listed(value)} <= {str(entry) for entry in _listed(operand)}


def _range(value: Any, operand: Any) -> bool:
    low, high = operand
    return float(low) <= _number(value) <= float(high)


# name: (test(value, operand), how people read it)
PREDICATES: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "equals": (_same, "{}"),
    "not_equals": (lambda value, operand: not _same(value, operand), "anything but {}"),
    "in": (lambda value, operand: any(_same(value, entry) for entry in _listed(operand)), "one of {}"),
    "not_in": (lambda value, operand: not any(_same(value, entry) for entry in _listed(operand)), "none of {}"),
    "at_least": (lambda value, operand: _number(value) >= _number(operand), "at least {}"),
    "at_most": (lambda value, operand: _number(value) <= _number(operand), "at most {}"),
    # Zero means disabled in many settings (P5), so an upper bound alone would pass it: both ends are tested.
    "between": (_range, "between {}"),
    "subset_of": (_subset, "nothing beyond {}"),
    # pylint: disable-next=arguments-out-of-order
    "contains": (lambda value, operand: _subset(operand, value), "contains {}"),
    "excludes": (
        lambda value, operand: not set(map(str, _listed(value))) & set(map(str, _listed(operand))),
        "none of {}",
    ),
    "matches": (lambda value, operand: re.search(operand, str(value)) is not None, "matches {}"),
    "empty": (lambda value, operand: (len(_listed(value)) == 0) is bool(operand), "empty: {}"),
}


def check_expectation(expectation: Any) -> None:
    """Refuse a malformed expectation. Called when a measure file is loaded, never in an audit.

    :raises ExpectationError: naming what was found and what was expected.
    """
    if not isinstance(expectation, MAPPING) or len(expectation) != 1:
        raise ExpectationError(f"an expectation is a mapping with one predicate, found {expectation!r}")
    name, operand = next(iter(expectation.items()))
    if name not in PREDICATES:
        raise ExpectationError(f"unknown predicate {name!r}")
    if name == "between" and not (isinstance(operand, list) and len(operand) == 2):
        raise ExpectationError(f"between takes [low, high], found {operand!r}")
    if name == "matches":
        re.compile(str(operand))


def gold_names(expectation: Mapping[str, Any]) -> list[str]:
    """The gold settings an expectation refers to."""
    return [operand["gold"] for operand in expectation.values() if isinstance(operand, MAPPING) and "gold" in operand]


def resolve(expectation: Mapping[str, Any], gold: Mapping[str, Any]) -> dict[str, Any]:
    """Put the effective gold values in the place of the references."""
    return {
        name: gold[operand["gold"]] if isinstance(operand, MAPPING) and "gold" in operand else operand
        for name, operand in expectation.items()
    }


def holds(value: Any, expectation: Mapping[str, Any]) -> bool:
    """Test a value against a resolved expectation.

    :raises MissingFact: the value is null, holds a null, or has a type the predicate cannot judge.
    """
    if value is None:
        raise MissingFact("not read")
    name, operand = next(iter(expectation.items()))
    if operand is None:
        raise MissingFact(f"{name}: no value to compare with")
    return PREDICATES[name][0](value, operand)


def describe(expectation: Mapping[str, Any]) -> str:
    """An expectation in words, e.g. `one of no, prohibit-password`."""
    name, operand = next(iter(expectation.items()))
    text = ", ".join(map(str, operand)) if isinstance(operand, (list, tuple)) else str(operand)
    return PREDICATES[name][1].format(text or "(nothing)")
