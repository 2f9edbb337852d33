# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.csv: one line per result, for a spreadsheet (RFC 4180)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import Once
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import Remembered, plain

FILE = "results.csv"
# A spreadsheet holds 32,767 characters in a cell and splits the row past that.
CELL_LIMIT = 8000
# What Excel, LibreOffice and Google Sheets take for the beginning of a formula, with their full-width forms
# (OWASP "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_QUOTED = re.compile('[",\r\n]')
_PIECE = 500  # lines

# column: (what it is read from, key)
COLUMNS: dict[str, tuple[str, str]] = {
    "subject": ("subject", "id"),
    "subject_name": ("subject", "name"),
    "endpoint": ("subject", "endpoint"),
    "platform": ("subject", "platform"),
    "collected_at": ("subject", "collected_at"),
    "measure": ("result", "measure"),
    "measure_title": ("measure", "title"),
    "nist_csf": ("measure", "nist_csf"),
    "check": ("result", "check"),
    "name": ("result", "name"),
    "title": ("result", "title"),
    "tier": ("result", "tier"),
    "obligation": ("result", "obligation"),
    "severity": ("result", "severity"),
    "status": ("result", "status"),
    "measured": ("result", "measured"),
    "expected": ("result", "expected"),
    "actual": ("result", "actual"),
    "persistent": ("result", "persistent"),
    "message": ("result", "message"),
    "items_not_passing": ("result", "items_total"),
    "exception": ("exception", "id"),
    "risk_ref": ("exception", "risk_ref"),
    "exception_expires_on": ("exception", "expires_on"),
    "attestation": ("attestation", "id"),
    "attestation_expires_on": ("attestation", "expires_on"),
    "threshold_source": ("result", "threshold_source"),
    "role": ("result", "role"),
    "fix": ("result", "fix"),
    "probe": ("result", "probe"),
}
# What is told of the subject comes first.
_OF_SUBJECT = tuple(key for source, key in COLUMNS.values() if source == "subject")
_OF_RESULT = tuple(COLUMNS.values())[len(_OF_SUBJECT) :]
_NOTHING: dict[str, Any] = {}


def cell(value: Any) -> str:
    """One cell on one line; a leading quote keeps a spreadsheet from running it as a formula."""
    text = plain(value, CELL_LIMIT)
    return "'" + text if text.lstrip().startswith(FORMULA) or text.startswith(("\\t", "\\r")) else text


def files(run: Mapping[str, Any], standard: Standard) -> Iterator[tuple[str, Iterator[bytes]]]:
    """results.csv, in pieces."""
    yield FILE, chunks(run, standard)


def chunks(run: Mapping[str, Any], standard: Standard) -> Iterator[bytes]:
    """All results of the run document, in its order, with a header line. UTF-8, CRLF as RFC 4180 has it."""
    measures = {measure.id: vars(measure) for measure in standard.measures.values()}
    texts = Remembered(lambda text: field(cell(text)))

    def line(found: Iterable[Any]) -> str:
        return ",".join(
            ["" if value is None else texts[value] if isinstance(value, str) else field(cell(value)) for value in found]
        )

    def of_result(result: Mapping[str, Any]) -> str:
        sources = {
            "result": result,
            "measure": measures[result["measure"]],
            "exception": result["exception"] or _NOTHING,
            "attestation": result["attestation"] or _NOTHING,
        }
        return line(sources[source].get(key) for source, key in _OF_RESULT)

    about = {subject["id"]: line(subject.get(key) for key in _OF_SUBJECT) for subject in run["subjects"]}
    told = Once(of_result)
    lines = [",".join(COLUMNS)]
    for result in run["results"]:
        lines.append(f"{about[result['subject']]},{told.of(result)}")
        if len(lines) == _PIECE:
            yield _text(lines)
            lines.clear()
    if lines:
        yield _text(lines)


def field(text: str) -> str:
    """A cell between commas: quoted where RFC 4180 asks for it (the csv module takes twice as long)."""
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


def _text(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")


def render(run: Mapping[str, Any], standard: Standard) -> bytes:
    """The whole file."""
    return b"".join(chunks(run, standard))
