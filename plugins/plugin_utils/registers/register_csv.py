# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A register as a CSV file, the way a risk register imports and exports it.

One record a row, one key a column. Lists of names are separated by ; or a new line, lists of sentences by a new line. A
cell that a spreadsheet would run as a formula is written with a leading quote, which reading takes off again.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.register_fields import Field
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import MAX_BYTES, DataError, nearest

# What Excel, LibreOffice and Google Sheets take for the beginning of a formula (OWASP "CSV Injection").
_FORMULA = re.compile("'*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_QUOTED_FORMULA = re.compile("'+[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20]")


class CsvLines:
    """Line numbers of the records of a CSV file; a record with line breaks in its cells counts from its first line."""

    def __init__(self, starts: Sequence[int]) -> None:
        self._starts = starts

    def line(self, path: Iterable[Any]) -> int:
        first = next(iter(path), None)
        return self._starts[first] if isinstance(first, int) and first < len(self._starts) else 1


def read(path: str, fields: Mapping[str, Field]) -> tuple[list[dict[str, Any]], CsvLines]:
    """The records of a CSV file as YAML would give them, and their lines.

    :raises DataError: not readable, not UTF-8, or with columns that the register does not have.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as exc:
        raise DataError(f"cannot be read: {exc.strerror or exc}", file=path) from None
    if len(raw) > MAX_BYTES:
        raise DataError(f"is larger than {MAX_BYTES // 1024 // 1024} MiB", file=path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise DataError("is not UTF-8 text", file=path, line=raw.count(b"\n", 0, exc.start) + 1) from None
    return parse(text, path, fields)


def parse(text: str, name: str, fields: Mapping[str, Field]) -> tuple[list[dict[str, Any]], CsvLines]:
    """See read; name stands for the file in messages."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] = []
    records: list[dict[str, Any]] = []
    starts: list[int] = []
    before = 0
    try:
        for row in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in row):
                continue
            if not columns:
                columns = _header(row, name, line, fields)
                continue
            if len(row) > len(columns):
                raise DataError(
                    "has more cells than columns", file=name, line=line, found=len(row), expected=str(len(columns))
                )
            records.append({key: _value(cell, fields[key]) for key, cell in zip(columns, row) if cell.strip()})
            starts.append(line)
    except csv.Error as exc:
        raise DataError(f"is not CSV: {exc}", file=name, line=reader.line_num) from None
    return records, CsvLines(starts)


def _header(row: Sequence[str], name: str, line: int, fields: Mapping[str, Field]) -> list[str]:
    columns: list[str] = []
    for cell in row:
        key = re.sub(r"[\s-]+", "_", cell.strip().casefold())
        if key not in fields:
            raise DataError(
                f'unknown column "{cell.strip()}"', file=name, line=line, key=key,
                expected="columns named as the keys of the register", nearest=nearest(key, fields),
            )  # fmt: skip
        if key in columns:
            raise DataError(f'column "{key}" appears twice', file=name, line=line, key=key)
        columns.append(key)
    return columns


def _value(cell: str, field: Field) -> Any:
    text = cell.replace("\r\n", "\n")
    text = text[1:] if _QUOTED_FORMULA.match(text) else text
    if field.many is not None:
        parts = re.split(f"[\n{re.escape(field.many)}]", text)
        return [part.strip() for part in parts if part.strip()]
    if "not" in field.schema:  # the accepted value may be anything, as JSON
        try:
            return json.loads(text, parse_constant=_refuse)
        except ValueError:
            return text
    return text


def _refuse(word: str) -> Any:
    """NaN is text, not a number."""
    raise ValueError(word)


def render(records: Iterable[Mapping[str, Any]], fields: Mapping[str, Field]) -> bytes:
    """Records as CSV: all columns, CRLF as RFC 4180 has it, UTF-8 with the mark by which a spreadsheet knows it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(fields)
    for record in records:
        writer.writerow([_cell(record[key], field) if key in record else "" for key, field in fields.items()])
    return out.getvalue().encode("utf-8-sig")


def _cell(value: Any, field: Field) -> str:
    if field.many is not None:
        text = "\n".join(" ".join(entry.splitlines()) for entry in value)
    elif "not" in field.schema and not (isinstance(value, str) and not _is_json(value)):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return "'" + text if _FORMULA.match(text) else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except ValueError:
        return False
    return True
