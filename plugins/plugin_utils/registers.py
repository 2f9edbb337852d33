# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registers: exceptions accepted by the Authority, and signed attestations.

One YAML (or JSON) file each, a list of records. A register that is malformed in any way stops the run before a host is
contacted: an exception that is silently ignored costs hours, one that is silently applied hides a failing measure
(SS-009 section 5; InSpec pull request 6644 tells the same story).
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import DataError, LineMap, load, nearest

_MAX_TEXT = 4000
_MAX_LINE = 200
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class RegisterError(DataError):
    """A register that cannot be used: file, line, key, what was found, what was expected, the nearest valid name."""


class _Wrong(ValueError):
    """A value of the wrong kind; its text says what was expected."""

    def __init__(self, expected: str, found: Any) -> None:
        super().__init__(expected)
        self.found = found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong("text (put it in quotes)", value)
    if not value.strip() or len(value) > _MAX_TEXT:
        raise _Wrong(f"text of 1 to {_MAX_TEXT} characters", value)
    return value.strip()


def _line(value: Any) -> str:
    """Text that fits into one line of a report."""
    text = _text(value)
    if len(text) > _MAX_LINE or not text.isprintable():
        raise _Wrong(f"one line of at most {_MAX_LINE} characters", value)
    return text


def _identifier(value: Any) -> str:
    if not _ID.fullmatch(_text(value)):
        raise _Wrong("up to 64 letters, digits and . _ / -, beginning with a letter or digit", value)
    return _text(value)


def _lines(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise _Wrong("a list with at least one entry", value)
    return [_line(entry) for entry in value]


def _controls(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise _Wrong('a list with at least one entry (["none"] says so)', value)
    return [_text(entry) for entry in value]


def _subjects(value: Any) -> list[str]:
    """Names, ids or patterns. A pattern of wildcards alone would cover hosts that nobody has approved."""
    names = _lines(value)
    for name in names:
        if not name.strip("*?"):
            raise _Wrong("names, ids or patterns that say which subjects are meant", name)
    return names


def _uuids(value: Any) -> list[str]:
    found = []
    for entry in _lines(value):
        try:
            found.append(str(uuid.UUID(entry)))
        except ValueError:
            raise _Wrong("the UUIDs of VMs", entry) from None
    return found


def _sha256(value: Any) -> str:
    if not _SHA256.fullmatch(_text(value).lower()):
        raise _Wrong("a SHA-256 in 64 hexadecimal digits", value)
    return _text(value).lower()


def _date(value: Any) -> str:
    """A calendar date as YYYY-MM-DD. A time of day is refused: a record counts through the end of a day, UTC."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        day = value
    elif isinstance(value, str) and _DATE.fullmatch(value):
        try:
            day = dt.date.fromisoformat(value)
        except ValueError:
            raise _Wrong("a date that exists", value) from None
    else:
        raise _Wrong("a date as YYYY-MM-DD, without a time", value)
    if not 2000 <= day.year <= 2199:
        raise _Wrong("a date from 2000 to 2199", day.isoformat())
    return day.isoformat()


def _value(value: Any) -> Any:
    if value is None:
        raise _Wrong("the value that was accepted (leave the key out to accept any)", value)
    return value.isoformat() if isinstance(value, dt.date) else value


# key: (reads and checks the value, required)
Fields = Mapping[str, tuple[Callable[[Any], Any], bool]]
_SCOPE: Fields = {
    "id": (_identifier, True),
    "checks": (_lines, False),
    "measure": (_text, False),
    "subjects": (_subjects, True),
}
EXCEPTION_FIELDS: Fields = {
    **_SCOPE,
    "vms": (_uuids, False),
    "accepted_value": (_value, False),
    "risk_ref": (_line, True),
    "justification": (_text, True),
    "compensating_controls": (_controls, True),
    "requested_by": (_line, True),
    "approved_by": (_line, True),
    "approved_on": (_date, True),
    "expires_on": (_date, True),
    "review_on": (_date, False),
}
ATTESTATION_FIELDS: Fields = {
    **_SCOPE,
    "statement": (_text, True),
    "evidence_ref": (_line, True),
    "evidence_sha256": (_sha256, False),
    "signed_by": (_line, True),
    "signed_on": (_date, True),
    "expires_on": (_date, False),
}


def load_exceptions(path: str, standard: Standard | None = None) -> list[dict[str, Any]]:
    """The records of an exceptions register, checked and normalised (dates as YYYY-MM-DD, UUIDs in lower case).

    standard: check and measure ids are compared with it when given. An empty file is an empty register.

    :raises RegisterError: the file cannot be read or any record is malformed.
    """
    return check_exceptions(_load(path), path, standard, LineMap(path))


def load_attestations(path: str, standard: Standard | None = None) -> list[dict[str, Any]]:
    """The records of an attestations register. See load_exceptions."""
    return check_attestations(_load(path), path, standard, LineMap(path))


def check_exceptions(
    records: Any, name: str, standard: Standard | None = None, lines: LineMap | None = None
) -> list[dict[str, Any]]:
    """The same for records that are already in memory; name stands for the file in messages.

    :raises RegisterError: any record is malformed.
    """
    return _check(records, _Register(name, "exception", EXCEPTION_FIELDS, standard, lines), _exception_rules)


def check_attestations(
    records: Any, name: str, standard: Standard | None = None, lines: LineMap | None = None
) -> list[dict[str, Any]]:
    """The same for attestations. See check_exceptions."""
    return _check(records, _Register(name, "attestation", ATTESTATION_FIELDS, standard, lines), _attestation_rules)


def _load(path: str) -> Any:
    try:
        return load(path)
    except DataError as exc:
        found = {} if exc.found is None else {"found": exc.found}
        raise RegisterError(
            exc.message, file=exc.file, line=exc.line, key=exc.key, expected=exc.expected, **found
        ) from exc


class _Register:
    """One register under inspection: knows where a record stands and complains about it."""

    def __init__(self, name: str, kind: str, fields: Fields, standard: Standard | None, lines: LineMap | None) -> None:
        self.name = name
        self.kind = kind
        self.fields = fields
        self.measures = None if standard is None else set(standard.measures)
        self.check_ids = None if standard is None else set(standard.checks)
        self._lines = lines

    def refuse(self, where: tuple[Any, ...], message: str, **details: Any) -> RegisterError:
        key = where[1] if len(where) > 1 else None
        line = self._lines.line(where) if self._lines else None
        if line is None and where:
            message = f"record {where[0] + 1}: {message}"
        return RegisterError(message, file=self.name, line=line, key=key, **details)

    def label(self, record: Mapping[str, Any]) -> str:
        found = record.get("id")
        return f"{self.kind} {found}" if isinstance(found, str) and _ID.fullmatch(found) else self.kind


def _check(
    records: Any, register: _Register, rules: Callable[[_Register, int, dict[str, Any]], None]
) -> list[dict[str, Any]]:
    if records is None:
        return []
    if not isinstance(records, list):
        found = list(records)[:3] if isinstance(records, Mapping) else records
        raise register.refuse(
            (), f"an {register.kind}s register is a list of records", found=found, expected='"- id: …"'
        )
    checked: list[dict[str, Any]] = []
    places: dict[str, int] = {}
    for index, raw in enumerate(records):
        record = _record(register, index, raw)
        if record["id"] in places:
            raise register.refuse(
                (index, "id"),
                f"the id {record['id']} is already used by record {places[record['id']] + 1}",
                expected="an id of its own for every record",
            )
        places[record["id"]] = index
        _check_scope(register, index, record)
        rules(register, index, record)
        checked.append(record)
    return checked


def _record(register: _Register, index: int, raw: Any) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise register.refuse((index,), f"an {register.kind} is a mapping", found=raw, expected='keys such as "id"')
    label = register.label(raw)
    record: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in register.fields:
            raise register.refuse(
                (index, key), f'unknown key "{key}" in {label}', nearest=nearest(key, register.fields)
            )
        try:
            record[key] = register.fields[key][0](value)
        except _Wrong as wrong:
            message = f'"{key}" of {label} is wrong'
            raise register.refuse((index, key), message, found=wrong.found, expected=str(wrong)) from None
    for key, (_read, required) in register.fields.items():
        if required and key not in record:
            raise register.refuse((index,), f'{label} lacks "{key}"')
    return record


def _check_scope(register: _Register, index: int, record: Mapping[str, Any]) -> None:
    label = register.label(record)
    if ("checks" in record) == ("measure" in record):
        found = "both" if "checks" in record else "neither"
        raise register.refuse((index,), f"{label} has a scope", found=found, expected='either "checks" or "measure"')
    if register.measures is not None and "measure" in record and record["measure"] not in register.measures:
        raise register.refuse(
            (index, "measure"),
            f"{label} names a measure that the standard does not have",
            found=record["measure"],
            nearest=nearest(record["measure"], register.measures),
        )
    for number, check in enumerate(record.get("checks", [])):
        if register.check_ids is not None and check not in register.check_ids:
            raise register.refuse(
                (index, "checks", number),
                f"{label} names a check that does not exist",
                found=check,
                nearest=nearest(check, register.check_ids),
            )


def _exception_rules(register: _Register, index: int, record: dict[str, Any]) -> None:
    label = register.label(record)
    if _person(record["requested_by"]) == _person(record["approved_by"]):
        raise register.refuse(
            (index, "approved_by"),
            f"{label} was approved by the person who requested it",
            found=record["approved_by"],
            expected="somebody else, with the authority to accept the risk",
        )
    approved, expires = dt.date.fromisoformat(record["approved_on"]), dt.date.fromisoformat(record["expires_on"])
    if expires < approved:
        raise register.refuse(
            (index, "expires_on"), f"{label} expires before it was approved", found=record["expires_on"]
        )
    latest = twelve_months_after(approved)
    if expires > latest:
        raise register.refuse(
            (index, "expires_on"),
            f"{label} runs for more than 12 months from its approval on {approved}",
            found=record["expires_on"],
            expected=f"{latest} at the latest",
        )
    review = record.get("review_on")
    if review is not None and not record["approved_on"] <= review <= record["expires_on"]:
        raise register.refuse(
            (index, "review_on"),
            f"{label} is reviewed outside its term",
            found=review,
            expected=f"a date from {approved} to {expires}",
        )
    if "accepted_value" in record and len(record.get("checks", [])) != 1:
        raise register.refuse(
            (index, "accepted_value"), f"{label} accepts one value for several checks", expected="exactly one check"
        )


def _attestation_rules(register: _Register, index: int, record: dict[str, Any]) -> None:
    if record.get("expires_on", record["signed_on"]) < record["signed_on"]:
        raise register.refuse(
            (index, "expires_on"), f"{register.label(record)} expires before it was signed", found=record["expires_on"]
        )


def _person(name: str) -> str:
    """What tells one person from another: the e-mail address if there is one, else the name, however spaced."""
    address = re.search(r"[^\s<>@]+@[^\s<>@]+", name)
    return (address[0] if address else " ".join(name.split())).casefold()


def twelve_months_after(day: dt.date) -> dt.date:
    """The last day on which an exception may count: the same day of the next year, 28 February for 29 February."""
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return day.replace(year=day.year + 1, day=28)
