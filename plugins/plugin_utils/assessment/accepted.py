# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what was measured is as good as what an exception accepted. Pure: no I/O, no Ansible."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check

_NEW_MATCH_IS_WORSE = ("subset_of", "excludes", "empty", "not_in")


def no_worse(actual: Any, accepted: Any, check: Check) -> bool:
    """True when actual equals accepted, or is better in the direction of the check's own predicate.

    at_least: a greater number; at_most: a smaller one; subset_of, excludes, empty: nothing beyond the accepted list;
    contains: nothing of the accepted list gone. Every other kind of check (and every named test) has no direction that
    could be known here, so only the same value is as good.
    """
    if _same(actual, accepted):
        return True
    if actual is None:
        return False
    predicate = next(iter(check.data.get("expect", {})), "")
    if predicate in ("at_least", "at_most"):
        found, limit = _number(actual), _number(accepted)
        if found is None or limit is None:
            return False
        return found >= limit if predicate == "at_least" else found <= limit
    if predicate in _NEW_MATCH_IS_WORSE and isinstance(actual, list):
        return _entries(actual) <= _entries(accepted)
    if predicate == "contains" and isinstance(actual, list):
        return _entries(accepted) <= _entries(actual)
    return False


def _same(actual: Any, accepted: Any) -> bool:
    """Equality as an author of YAML means it: `no` is read as false and a port as a number, sshd says "no" and "22"."""
    if isinstance(actual, Mapping) and isinstance(accepted, Mapping):
        return set(map(str, actual)) == set(map(str, accepted)) and all(
            _same(value, accepted[key]) for key, value in actual.items() if key in accepted
        )
    if isinstance(actual, list) and isinstance(accepted, list):
        return sorted(map(_word, actual)) == sorted(map(_word, accepted))
    if isinstance(actual, (Mapping, list)) or isinstance(accepted, (Mapping, list)):
        return False
    if _is_number(actual) and _is_number(accepted):
        return bool(actual == accepted)
    return _word(actual) == _word(accepted)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, sort_keys=True, default=str) if isinstance(value, (Mapping, list)) else str(value)


def _entries(value: Any) -> set[str]:
    return {_word(entry) for entry in (value if isinstance(value, list) else [value])}


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
