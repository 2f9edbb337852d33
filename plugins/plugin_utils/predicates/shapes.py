# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading facts in the shape a predicate expects: what has another shape was not read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import MAPPING


def mappings(value: Any, what: str = "the list") -> list[Mapping[str, Any]]:
    """A list of mappings.

    :raises MissingFact: it is something else, or one entry is.
    """
    if not isinstance(value, list) or any(not isinstance(entry, MAPPING) for entry in value):
        raise MissingFact(f"{what} holds an entry that was not read")
    return value


def texts(value: Any, what: str) -> list[str]:
    """A list of texts.

    :raises MissingFact: it is something else, or one entry is.
    """
    if not isinstance(value, list) or any(not isinstance(entry, str) for entry in value):
        raise MissingFact(f"{what} was not read")
    return value


def guarded(test: Callable[..., Outcome], *args: Any) -> Outcome:
    """test(*args), unknown where it misses a fact: an item that cannot be judged must not hide another that fails."""
    try:
        return test(*args)
    except MissingFact as error:
        return o.unknown(str(error))
