# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JMESPath into the facts document, limited to key paths and indexes.

Projections, filters and functions are refused when a measure file is loaded: `vms[].label` silently drops a null and
`rules[?enabled]` drops an unknown, and both would turn unknown into pass (design.md section 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import MAPPING

try:
    import jmespath
    from jmespath.exceptions import JMESPathError
except ImportError:  # Ansible lists and documents plugins where their dependencies are not installed
    jmespath = None  # type: ignore[assignment]

_ALLOWED = {"field", "subexpression", "index", "index_expression", "identity"}


class PathError(ValueError):
    """The expression is not a plain path of keys and indexes."""


@lru_cache(maxsize=None)
def steps(expression: str) -> tuple[str | int, ...]:
    """Parse a path into its keys and indexes, e.g. `boot.tpm.version` -> ("boot", "tpm", "version")."""
    if jmespath is None:
        raise PathError("the Python package jmespath is missing on the controller: pip install jmespath")
    try:
        tree = jmespath.compile(expression).parsed
    except JMESPathError as error:
        raise PathError(f"not a JMESPath expression: {error}") from None
    found: list[str | int] = []
    _walk(tree, expression, found)
    return tuple(found)


def _walk(node: Mapping[str, Any], expression: str, found: list[str | int]) -> None:
    kind = node["type"]
    if kind not in _ALLOWED:
        raise PathError(f"{kind.replace('_', ' ')} in {expression!r}: only key paths and indexes are allowed")
    if kind in ("field", "index"):
        found.append(node["value"])
    for child in node["children"]:
        _walk(child, expression, found)


def lookup(document: Any, expression: str) -> Any:
    """Return the value at the path, or None where a key or index on the way is missing."""
    value = document
    for step in steps(expression):
        if isinstance(value, MAPPING) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


class Errors:
    """The collector's list of what could not be read, searchable by path.

    `errors` entries are {path, reason}. A path is dotted; a list item is written as `vms[<item id>].security`.
    """

    def __init__(self, errors: list[Mapping[str, Any]]):
        self._reasons = [(_dotted(str(entry.get("path", ""))), str(entry.get("reason", ""))) for entry in errors]

    def reason(self, path: str, item_id: str | None = None) -> str | None:
        """Why `path` (inside item `item_id` of its list, when given) cannot be trusted, or None.

        An error at the path, above it, or below it counts: a container that is partly unreadable is not whole. But an
        error of one item says nothing of its list: the item holds a null, and what the other items prove stays proven.
        """
        wanted = _dotted(path)
        for broken, reason in self._reasons:
            of_item = "[" in broken
            if of_item and (item_id is None or f"[{item_id}]" not in broken):
                continue
            if _covers(broken, wanted) or _covers(wanted, broken):
                return f"{broken}: {reason}"
        return None


def _dotted(path: str) -> str:
    return path.strip(".")


def _covers(upper: str, lower: str) -> bool:
    bare_upper, bare_lower = _bare(upper), _bare(lower)
    return bare_lower == bare_upper or bare_lower.startswith(bare_upper + ".")


@lru_cache(maxsize=4096)
def _bare(path: str) -> str:
    """Drop the item ids: `vms[one].security` -> `vms.security`."""
    out, depth = [], 0
    for char in path:
        if char == "[":
            depth += 1
        elif char == "]":
            depth = max(depth - 1, 0)
        elif not depth:
            out.append(char)
    return "".join(out)
