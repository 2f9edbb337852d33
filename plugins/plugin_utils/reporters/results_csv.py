# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.csv: one line per result, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.text import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import Standard

# A spreadsheet holds 32,767 characters in a cell and splits the row past that.
CELL_LIMIT = 8000
# What Excel, LibreOffice and Google Sheets take for the beginning of a formula, with their full-width forms
# (OWASP "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Column = Callable[[Mapping[str, Any], Mapping[str, Any], Standard], Any]


def _of_result(key: str, inner: str = "") -> Column:
    def value(result: Mapping[str, Any], _subject: Mapping[str, Any], _standard: Standard) -> Any:
        found = result.get(key)
        return (found or {}).get(inner) if inner else found

    return value


def _of_subject(key: str) -> Column:
    return lambda _result, subject, _standard: subject.get(key)


def _of_measure(key: str) -> Column:
    return lambda result, _subject, standard: getattr(standard.measures[result["measure"]], key)


COLUMNS: dict[str, Column] = {
    "subject": _of_result("subject"),
    "subject_name": _of_subject("name"),
    "endpoint": _of_subject("endpoint"),
    "platform": _of_subject("platform"),
    "collected_at": _of_subject("collected_at"),
    "measure": _of_result("measure"),
    "measure_title": _of_measure("title"),
    "nist_csf": _of_measure("nist_csf"),
    "check": _of_result("check"),
    "name": _of_result("name"),
    "title": _of_result("title"),
    "tier": _of_result("tier"),
    "obligation": _of_result("obligation"),
    "severity": _of_result("severity"),
    "status": _of_result("status"),
    "measured": _of_result("measured"),
    "expected": _of_result("expected"),
    "actual": _of_result("actual"),
    "persistent": _of_result("persistent"),
    "message": _of_result("message"),
    "items_not_passing": _of_result("items_total"),
    "exception": _of_result("exception", "id"),
    "risk_ref": _of_result("exception", "risk_ref"),
    "exception_expires_on": _of_result("exception", "expires_on"),
    "attestation": _of_result("attestation", "id"),
    "attestation_expires_on": _of_result("attestation", "expires_on"),
    "threshold_source": _of_result("threshold_source"),
    "role": _of_result("role"),
    "fix": _of_result("fix"),
    "probe": _of_result("probe"),
}


def cell(value: Any) -> str:
    """One cell on one line; a leading quote keeps a spreadsheet from running it as a formula."""
    text = plain(value, CELL_LIMIT)
    return "'" + text if text.lstrip().startswith(FORMULA) or text.startswith(("\\t", "\\r")) else text


def render(run: Mapping[str, Any], standard: Standard) -> bytes:
    """All results of the run document, in its order, with a header line. UTF-8, CRLF as RFC 4180 has it."""
    subjects = {subject["id"]: subject for subject in run["subjects"]}
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(COLUMNS)
    for result in run["results"]:
        subject = subjects[result["subject"]]
        writer.writerow([cell(column(result, subject, standard)) for column in COLUMNS.values()])
    return out.getvalue().encode("utf-8")
