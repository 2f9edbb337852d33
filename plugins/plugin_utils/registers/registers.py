# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registers: exceptions accepted by the Authority, and signed attestations.

One YAML, JSON or CSV file each, a list of records. A register that is malformed in any way stops the run before a host
is contacted: an exception that is silently ignored costs hours, one that is silently applied hides a failing measure
(SS-009 section 5; InSpec pull request 6644 tells the same story).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.register_fields import (
    ATTESTATION_FIELDS,
    EXCEPTION_FIELDS,
    ID,
    Field,
    WrongValue,
    is_pattern,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import DataError, LineMap, load, nearest

_EVIDENCE_KEYS = ("evidence_ref", "evidence_url", "evidence_file")


class RegisterError(DataError):
    """A register that cannot be used: file, line, key, what was found, what was expected, the nearest valid name."""


def load_exceptions(path: str, standard: Standard | None = None) -> list[dict[str, Any]]:
    """The records of an exceptions register, checked and normalised (dates as YYYY-MM-DD, UUIDs in lower case).

    standard: check and measure ids are compared with it when given. An empty file is an empty register.

    :raises RegisterError: the file cannot be read or any record is malformed.
    """
    records, lines = _load(path, EXCEPTION_FIELDS)
    return check_exceptions(records, path, standard, lines)


def load_attestations(path: str, standard: Standard | None = None) -> list[dict[str, Any]]:
    """The records of an attestations register; evidence_sha256 of each evidence_file is set. See load_exceptions."""
    found, lines = _load(path, ATTESTATION_FIELDS)
    records = check_attestations(found, path, standard, lines)
    _hash_evidence(records, _Register(path, "attestation", ATTESTATION_FIELDS, standard, lines))
    return records


def check_exceptions(
    records: Any, name: str, standard: Standard | None = None, lines: Lines | None = None
) -> list[dict[str, Any]]:
    """The same for records that are already in memory; name stands for the file in messages.

    :raises RegisterError: any record is malformed.
    """
    return _check(records, _Register(name, "exception", EXCEPTION_FIELDS, standard, lines), _exception_rules)


def check_attestations(
    records: Any, name: str, standard: Standard | None = None, lines: Lines | None = None
) -> list[dict[str, Any]]:
    """The same for attestations. See check_exceptions."""
    return _check(records, _Register(name, "attestation", ATTESTATION_FIELDS, standard, lines), _attestation_rules)


def _load(path: str, fields: Mapping[str, Field]) -> tuple[Any, Lines]:
    """The raw records of a file, and the map of its lines."""
    try:
        if path.endswith(".csv"):
            from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers import register_csv

            return register_csv.read(path, fields)
        return load(path), LineMap(path)
    except DataError as exc:
        found = {} if exc.found is None else {"found": exc.found}
        raise RegisterError(
            exc.message, file=exc.file, line=exc.line, key=exc.key, expected=exc.expected, nearest=exc.nearest, **found
        ) from None


class Lines(Protocol):
    """Says in which line of a file a key of a record stands: a LineMap, or the one of a CSV file."""

    def line(self, path: Iterable[Any]) -> int:
        """The line, counted from 1."""


class _Register:
    """One register under inspection: knows where a record stands and complains about it."""

    def __init__(
        self, name: str, kind: str, fields: Mapping[str, Field], standard: Standard | None, lines: Lines | None
    ) -> None:
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
        return f"{self.kind} {found}" if isinstance(found, str) and ID.fullmatch(found) else self.kind


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
            record[key] = register.fields[key].read(value)
        except WrongValue as wrong:
            message = f'"{key}" of {label} is wrong'
            raise register.refuse(
                (index, key), message, found=wrong.found, expected=str(wrong), nearest=wrong.hint
            ) from None
    for key, field in register.fields.items():
        if field.required and key not in record:
            raise register.refuse((index,), f'{label} lacks "{key}"', expected=field.meaning)
    return record


def _check_scope(register: _Register, index: int, record: Mapping[str, Any]) -> None:
    label = register.label(record)
    if ("checks" in record) == ("measure" in record):
        found = "both" if "checks" in record else "neither"
        raise register.refuse((index,), f"{label} has a scope", found=found, expected='either "checks" or "measure"')
    if "subjects" not in record and "groups" not in record:
        raise register.refuse(
            (index,), f"{label} says for whom it is", found="nothing", expected='"subjects" or "groups"'
        )
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
    _check_binding(register, index, record)
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


def _check_binding(register: _Register, index: int, record: Mapping[str, Any]) -> None:
    """A pattern or a group covers whatever matches one day; what was approved is what matched on that day."""
    label = register.label(record)
    wide = [name for name in record.get("subjects", ()) if is_pattern(name)] + record.get("groups", [])
    if wide and "approved_subjects" not in record:
        raise register.refuse(
            (index,),
            f'{label} is for a pattern or a group and lacks "approved_subjects"',
            found=wide[0],
            expected="the names of the subjects it stood for when it was approved",
        )
    items = [name for name in record.get("items", ()) if is_pattern(name)]
    if items and "approved_items" not in record:
        raise register.refuse(
            (index, "items"),
            f'{label} has a pattern of items and lacks "approved_items"',
            found=items[0],
            expected="the ids it stood for when it was approved",
        )


def _attestation_rules(register: _Register, index: int, record: dict[str, Any]) -> None:
    label = register.label(record)
    if record.get("expires_on", record["signed_on"]) < record["signed_on"]:
        raise register.refuse(
            (index, "expires_on"), f"{label} expires before it was signed", found=record["expires_on"]
        )
    if _person(record["signed_by"]) == _person(record["accepted_by"]):
        raise register.refuse(
            (index, "accepted_by"),
            f"{label} was accepted by the person who signed it",
            found=record["accepted_by"],
            expected="another person, who has looked at the proof",
        )
    if not any(key in record for key in _EVIDENCE_KEYS):
        raise register.refuse(
            (index,), f"{label} names no evidence", found="nothing", expected="one of " + ", ".join(_EVIDENCE_KEYS)
        )


def _hash_evidence(records: list[dict[str, Any]], register: _Register) -> None:
    """Set evidence_sha256 of every record that names a file.

    :raises RegisterError: the file is not there, or is not what was signed.
    """
    for index, record in enumerate(records):
        if "evidence_file" not in record:
            continue
        label = register.label(record)
        try:
            data = (Path(register.name).parent / record["evidence_file"]).read_bytes()
        except OSError as exc:
            raise register.refuse(
                (index, "evidence_file"),
                f"the evidence of {label} cannot be read: {exc.strerror or exc}",
                found=record["evidence_file"],
                expected="a file, named relative to the register",
            ) from None
        digest = hashlib.sha256(data).hexdigest()
        if record.get("evidence_sha256", digest) != digest:
            raise register.refuse(
                (index, "evidence_sha256"),
                f"the evidence of {label} is not the file that was signed",
                found=digest,
                expected=record["evidence_sha256"],
            )
        record["evidence_sha256"] = digest


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
