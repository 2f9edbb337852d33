# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain, bounded data: what leaves the assessor holds no Ansible types and no unbounded text of a target."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 2000
MAX_ENTRIES = 100
MAX_BYTES = 8000
# Classes of what is a plain value whatever it says; a text can be too long, or hold a secret.
SCALARS = frozenset((bool, int, float, type(None)))
# For isinstance: to ask an abstract class takes five times as long as to ask dict, which nearly all are.
MAPPING = (dict, Mapping)
_EXACT = SCALARS | {str}
_ENCODE = json.JSONEncoder(default=str).encode


def plain(value: Any) -> Any:
    """Copy to exact dict, list, str, int, float, bool and None.

    ansible-core 2.19 tags containers and scalars as subclasses on which C extensions and strict libraries choke.
    """
    kind = value.__class__
    if kind in _EXACT:
        return value
    if kind is dict:
        return {key if key.__class__ is str else _key(key): plain(entry) for key, entry in value.items()}
    if kind is list:
        return [plain(entry) for entry in value]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {_key(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry) for entry in value]
    return str(value)


def _key(key: Any) -> str:
    return str.__str__(key) if isinstance(key, str) else str(key)


def bounded(value: Any) -> Any:
    """Cut long texts and lists, and say so: results are kept for every check of every subject."""
    cut = _cut(value)
    if isinstance(cut, (dict, list)):
        text = _ENCODE(cut)
        if len(text) > MAX_BYTES:
            return f"{text[:MAX_TEXT]} … (cut, {len(text)} characters; see the evidence)"
    return cut


def _cut(value: Any) -> Any:
    if value.__class__ in SCALARS:
        return value
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]} … (cut, {len(value)} characters)"
    if isinstance(value, MAPPING):
        kept = {str(key)[:200]: _cut(entry) for key, entry in list(value.items())[:MAX_ENTRIES]}
        if len(value) > MAX_ENTRIES:
            kept["…"] = f"{len(value) - MAX_ENTRIES} more"
        return kept
    if isinstance(value, (list, tuple)):
        kept_list = [_cut(entry) for entry in value[:MAX_ENTRIES]]
        return kept_list + [f"… {len(value) - MAX_ENTRIES} more"] if len(value) > MAX_ENTRIES else kept_list
    return value
