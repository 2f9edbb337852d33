# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of the registers: how each is read and checked, its JSON Schema, and what it means.

One table for the loader, the published schemas, the columns of a CSV file and the tables in docs/.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import PLATFORMS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest

MAX_TEXT = 4000
MAX_LINE = 200
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")
# The standards to which SS-009 hands a part of its measures (its appendix B).
OTHER_STANDARDS = ("SS-001", "SS-002", "SS-007", "SS-012", "SS-025", "SS-033")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_URL = re.compile(r"https?://[^\s<>\"]+")


class WrongValue(ValueError):
    """A value of the wrong kind; its text says what was expected."""

    def __init__(self, expected: str, found: Any, hint: str | None = None) -> None:
        super().__init__(expected)
        self.found = found
        self.hint = hint


@dataclass(frozen=True)
class Field:
    """One key of a record.

    read: checks and normalises a value, raising WrongValue. schema: its JSON Schema. meaning: for the documentation.
    many: separates the entries of a list in one cell of a CSV file, None for a single value.
    """

    read: Callable[[Any], Any]
    schema: Mapping[str, Any]
    meaning: str
    required: bool = False
    many: str | None = None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongValue("text (put it in quotes)", value)
    if not value.strip() or len(value) > MAX_TEXT:
        raise WrongValue(f"text of 1 to {MAX_TEXT} characters", value)
    return value.strip()


def _line(value: Any) -> str:
    """Text that fits into one line of a report."""
    text = _text(value)
    if len(text) > MAX_LINE or not text.isprintable():
        raise WrongValue(f"one line of at most {MAX_LINE} characters", value)
    return text


def _identifier(value: Any) -> str:
    if not ID.fullmatch(_text(value)):
        raise WrongValue("up to 64 letters, digits and . _ / -, beginning with a letter or digit", value)
    return _text(value)


def _lines(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise WrongValue("a list with at least one entry", value)
    return [_line(entry) for entry in value]


def _controls(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise WrongValue('a list with at least one entry (["none"] says so)', value)
    return [_text(entry) for entry in value]


def _patterns(value: Any) -> list[str]:
    """Names, ids or patterns. A pattern of wildcards alone would cover what nobody has approved."""
    names = _lines(value)
    for name in names:
        if not name.strip("*?"):
            raise WrongValue("names, ids or patterns that say which ones are meant", name)
    return names


def _exact(value: Any) -> list[str]:
    names = _lines(value)
    for name in names:
        if is_pattern(name):
            raise WrongValue("names or ids without * and ?", name)
    return names


def _platforms(value: Any) -> list[str]:
    names = _lines(value)
    for name in names:
        if name not in PLATFORMS[1:]:
            raise WrongValue("some of " + ", ".join(PLATFORMS[1:]), name, nearest(name, PLATFORMS[1:]))
    return names


def _uuids(value: Any) -> list[str]:
    found = []
    for entry in _lines(value):
        try:
            found.append(str(uuid.UUID(entry)))
        except ValueError:
            raise WrongValue("the UUIDs of VMs", entry) from None
    return found


def _sha256(value: Any) -> str:
    if not _SHA256.fullmatch(_text(value).lower()):
        raise WrongValue("a SHA-256 in 64 hexadecimal digits", value)
    return _text(value).lower()


def _url(value: Any) -> str:
    if not _URL.fullmatch(_line(value)):
        raise WrongValue("an address that begins with https:// or http://", value)
    return _line(value)


def _other_standard(value: Any) -> str:
    if value not in OTHER_STANDARDS:
        raise WrongValue("one of " + ", ".join(OTHER_STANDARDS), value, nearest(value, OTHER_STANDARDS))
    return str(value)


def _date(value: Any) -> str:
    """A calendar date as YYYY-MM-DD. A time of day is refused: a record counts through the end of a day, UTC."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        day = value
    elif isinstance(value, str) and _DATE.fullmatch(value):
        try:
            day = dt.date.fromisoformat(value)
        except ValueError:
            raise WrongValue("a date that exists", value) from None
    else:
        raise WrongValue("a date as YYYY-MM-DD, without a time", value)
    if not 2000 <= day.year <= 2199:
        raise WrongValue("a date from 2000 to 2199", day.isoformat())
    return day.isoformat()


def _value(value: Any) -> Any:
    if value is None:
        raise WrongValue("the value that was accepted (leave the key out to accept any)", value)
    return value.isoformat() if isinstance(value, dt.date) else value


def is_pattern(name: str) -> bool:
    """Only * and ? are special: square brackets belong to IPv6 addresses."""
    return "*" in name or "?" in name


_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": r"\S"}
_LINE = {"type": "string", "minLength": 1, "maxLength": MAX_LINE, "pattern": r"\S"}
_DAY = {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
_NOT_ALL = {**_LINE, "pattern": r"[^*?\s]"}
_WHOLE = {**_LINE, "pattern": r"^[^*?]*[^*?\s][^*?]*$"}
_UUID = {"type": "string", "pattern": r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"}
_TOKENS = ";,"


def _list_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": entry}


_SCOPE: Mapping[str, Field] = {
    "id": Field(
        _identifier, {"type": "string", "pattern": f"^{ID.pattern}$"},
        "unique in the file; up to 64 letters, digits and `. _ / -`", required=True,
    ),
    "measure": Field(_text, {"type": "string", "pattern": r"^11\.\d+\.\d+$"},
                     "the id of one measure, which stands for all its checks. Either this or `checks`"),
    "checks": Field(_lines, _list_of(_LINE), "ids of checks. Either this or `measure`", many=_TOKENS),
    "subjects": Field(
        _patterns, _list_of(_NOT_ALL),
        "inventory names, subject ids, or patterns with `*` and `?` on endpoint, name or id. `*` alone is refused. "
        "This or `groups`, or both: then either will do", many=_TOKENS,
    ),
    "groups": Field(_patterns, _list_of(_NOT_ALL), "inventory groups, or patterns of their names", many=_TOKENS),
    "platforms": Field(
        _platforms, _list_of({"enum": list(PLATFORMS[1:])}), "narrows the scope to these platforms", many=_TOKENS
    ),
}  # fmt: skip
EXCEPTION_FIELDS: Mapping[str, Field] = {
    **_SCOPE,
    "approved_subjects": Field(
        _exact, _list_of(_WHOLE),
        "names or ids of the subjects the scope stood for when it was approved. Needed with a pattern or a group: a "
        "subject that matches later is not covered", many=_TOKENS,
    ),
    "vms": Field(_uuids, _list_of(_UUID), "UUIDs of the VMs that the approval covers", many=_TOKENS),
    "items": Field(
        _patterns, _list_of(_NOT_ALL),
        "ids of the accounts, rules, interfaces … that the approval covers, as the report shows them, or patterns",
        many="",
    ),
    "approved_items": Field(
        _exact, _list_of(_WHOLE), "what the patterns of `items` stood for when it was approved; needed with a pattern",
        many="",
    ),
    "accepted_value": Field(_value, {"not": {"type": "null"}}, "what was accepted; needs exactly one check"),
    "risk_ref": Field(_line, _LINE, "the entry on the risk register", required=True),
    "justification": Field(_text, _TEXT, "why the measure cannot be met", required=True),
    "residual_risk": Field(_text, _TEXT, "the risk that stays and is accepted", required=True),
    "compensating_controls": Field(_controls, _list_of(_TEXT), 'list; `["none"]` says so', required=True, many=""),
    "requested_by": Field(_line, _LINE, "who asked for it", required=True),
    "approved_by": Field(
        _line, _LINE, "who accepted the risk: not who requested it; an e-mail address decides where there is one",
        required=True,
    ),
    "approved_by_role": Field(_line, _LINE, "in which role", required=True),
    "approved_on": Field(_date, _DAY, "the exception does not count before this day", required=True),
    "review_on": Field(_date, _DAY, "a day between approval and expiry"),
    "expires_on": Field(
        _date, _DAY, "the last day on which it counts, at most 12 months after `approved_on`", required=True
    ),
}  # fmt: skip
ATTESTATION_FIELDS: Mapping[str, Field] = {
    **_SCOPE,
    "statement": Field(_text, _TEXT, "what is attested", required=True),
    "satisfied_by": Field(
        _other_standard, {"enum": list(OTHER_STANDARDS)},
        "another DWP standard under which the measure is met: " + ", ".join(OTHER_STANDARDS),
    ),
    "evidence_ref": Field(
        _line, _LINE, "where the proof can be found, in words. One of the three `evidence_` keys is needed"
    ),
    "evidence_url": Field(_url, {**_LINE, "pattern": r"^https?://\S+$"}, "its address"),
    "evidence_file": Field(
        _line, _LINE,
        "its file, relative to the register. It is hashed when the run begins, and the run stops when it is not there",
    ),
    "evidence_sha256": Field(
        _sha256, {"type": "string", "pattern": "^[0-9A-Fa-f]{64}$"},
        "SHA-256 of the proof. A file that no longer has it stops the run",
    ),
    "signed_by": Field(_line, _LINE, "who states it", required=True),
    "accepted_by": Field(_line, _LINE, "another person, who has looked at the proof", required=True),
    "signed_on": Field(_date, _DAY, "when it was signed", required=True),
    "expires_on": Field(_date, _DAY, "the last day on which it counts"),
}  # fmt: skip
