# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text from a target, made fit to be shown: every reporter passes what it prints through here.

A VM name may hold NUL, escape sequences that rewrite a terminal, right-to-left overrides that make one value look like
another, lone surrogates that no encoder accepts, or 64 KiB of anything.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

# C0 and C1 controls, line and paragraph separators, zero-width and bidirectional controls, surrogates, non-characters.
_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_SCALAR = (str, int, float)
_REMEMBERED = 20_000
_MAX_NAMES = 5
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

STATUS_WORDS = {
    "pass": "Pass",
    "fail": "Fail",
    "unknown": "Unknown",
    "manual": "Manual",
    "excepted": "Excepted",
    "attested": "Attested",
    "not_applicable": "Not applicable",
    "not_evaluated": "Not evaluated",
}


class Remembered(dict[str, str]):
    """Texts and what a function makes of them, for the first 20,000: a fleet repeats its words a million times."""

    def __init__(self, function: Callable[[str], str]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> str:
        made = self._function(text)
        if len(self) < _REMEMBERED:
            self[text] = made
        return made


def visible(text: str) -> str:
    """Replace what cannot be seen, or would change how the rest is seen, by its escape: a newline becomes `\\n`."""
    return _UNFIT.sub(lambda found: _SHORT.get(found[0]) or _escape(ord(found[0])), text)


def several(entries: Sequence[str], between: str = ", ") -> str:
    """The first of them on one line, and how many more there are."""
    more = len(entries) - _MAX_NAMES
    shown = [visible(entry) for entry in entries[:_MAX_NAMES]]
    return between.join(shown) + (f" and {more:,} more" if more > 0 else "")


def _escape(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def plain(value: Any, limit: int = 300) -> str:
    """Any JSON value as one visible line of about `limit` characters at most; None is an empty string.

    Flat mappings and lists read as text (`UEFI: yes; banks: sha256, sha384`), nested ones as JSON. What was cut off is
    said: `… (65,536 characters)`.
    """
    if isinstance(value, str):
        # Nearly every text; a fleet has a million of them.
        if len(value) <= limit and value.isprintable():
            return value
        text = value
    elif isinstance(value, dict) and value and all(map(_flat, value.values())):
        text = "; ".join(f"{key}: {_in_words(entry)}" for key, entry in value.items())
    elif _flat(value):
        text = _in_words(value) if value is not None else ""
    else:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    length = len(text)
    shown = visible(text[: limit + 1])
    if length <= limit and len(shown) <= limit * 2:
        return shown
    return f"{shown[:limit]}… ({length:,} characters)"


def _flat(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(isinstance(entry, _SCALAR) for entry in value)
    return value is None or isinstance(value, _SCALAR)


def _in_words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_in_words, value)) or "(none)"
    if value is None:
        return "not read"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def width(text: str) -> int:
    """Columns a text takes in a terminal: wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def fit(text: str, columns: int) -> str:
    """Cut or pad a text to exactly `columns` terminal columns."""
    if width(text) > columns:
        kept = ""
        for char in text:
            if width(kept) + width(char) > columns - 1:
                break
            kept += char
        text = kept + "…"
    return text + " " * (columns - width(text))


def count(number: int, singular: str, plural: str = "") -> str:
    """`1 host`, `2 hosts`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
