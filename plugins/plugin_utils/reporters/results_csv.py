# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.csv: one line per result, for a spreadsheet (RFC 4180)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

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
    "subject": ("result", "subject"),
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
_SOURCES = tuple(COLUMNS.values())
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
    subjects = {subject["id"]: subject for subject in run["subjects"]}
    measures = {measure.id: vars(measure) for measure in standard.measures.values()}
    texts = Remembered(lambda text: field(cell(text)))
    lines = [",".join(COLUMNS)]
    for result in run["results"]:
        sources = {
            "result": result,
            "subject": subjects[result["subject"]],
            "measure": measures[result["measure"]],
            "exception": result["exception"] or _NOTHING,
            "attestation": result["attestation"] or _NOTHING,
        }
        found = [sources[source].get(key) for source, key in _SOURCES]
        lines.append(
            ",".join(
                [
                    "" if value is None else texts[value] if isinstance(value, str) else field(cell(value))
                    for value in found
                ]
            )
        )
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
