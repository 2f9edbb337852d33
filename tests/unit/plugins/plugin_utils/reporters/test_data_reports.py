# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every machine-readable report has to hold: results.json and its schema, CSV, JUnit, the console."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import unreachable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import run_report
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import (
    console,
    results_csv,
    results_json,
    results_junit,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import plain, visible, width
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder

STANDARD = builder.a_standard()
SCHEMA = json.loads((Path(run_report.__file__).parents[1] / "schemas/results.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
UNFIT = [chr(code) for code in (*range(32), 0x7F, 0x9B, 0x202E, 0x2066, 0x200B, 0xFEFF, 0xD800)]


def runs():
    """A run of every kind: each status, hostile text, an absent subject, none at all."""
    expected = [{"name": "kvm9", "platform": "kvm"}]
    return {
        "every status": builder.a_run(STANDARD),
        "hostile": builder.hostile_run(STANDARD),
        "absent": builder.a_run(
            STANDARD, expected_subjects=expected, previous={"run": "1", "subjects": ["kvm7-00000000"]}
        ),
        "empty": builder.a_run(STANDARD, []),
    }


@pytest.fixture(params=list(runs()))
def run(request):
    return runs()[request.param]


def test_results_json_is_what_its_schema_says(run):
    data = results_json.render(run)
    assert data.isascii()
    VALIDATOR.validate(json.loads(data))


def test_the_schema_itself_is_valid():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_real_documents_of_the_assessor_are_what_the_schema_says():
    standard = load_standard()
    subject = {
        "id": "kvm1",
        "name": "kvm1",
        "slug": "kvm1-00000000",
        "platform": "kvm",
        "kind": "host",
        "endpoint": "kvm1",
        "tags": {},
    }
    document = unreachable(subject, standard=standard, reason="unreachable: no route to host", now=builder.NOW)
    VALIDATOR.validate(json.loads(results_json.render(builder.a_run(standard, [document]))))


@pytest.mark.parametrize(
    "change",
    [
        {"status": "pass", "measured": "fail"},
        {"status": "excepted", "measured": "fail", "exception": None},
        {
            "status": "excepted",
            "measured": "unknown",
            "exception": {"id": "E", "risk_ref": "R", "expires_on": "2027-01-01"},
        },
        {
            "status": "attested",
            "measured": "fail",
            "attestation": {"id": "A", "signed_by": "x", "signed_on": "2026-01-01", "expires_on": "2027-01-01"},
        },
        {"status": "not_applicable", "message": ""},
        {"status": "skipped"},
        {"tier": 3},
        {"unexpected": 1},
    ],
)
def test_the_schema_refuses_what_would_mislead(change):
    document = json.loads(results_json.render(builder.a_run(STANDARD, [builder.a_document(STANDARD)])))
    document["results"][0].update(change)
    if "measured" not in change and "status" in change:
        document["results"][0]["measured"] = change["status"]
    assert not VALIDATOR.is_valid(document)


def test_csv_has_one_line_per_result(run):
    lines = results_csv.render(run, STANDARD).decode("utf-8").split("\r\n")
    assert len(lines) == len(run["results"]) + 2, "a header, the results and the end of the last line"
    rows = list(csv.DictReader(io.StringIO("\r\n".join(lines))))
    assert [row["check"] for row in rows] == [result["check"] for result in run["results"]]
    assert Counter(row["status"] for row in rows) == Counter(result["status"] for result in run["results"])


def test_no_csv_cell_begins_a_formula():
    text = results_csv.render(builder.hostile_run(STANDARD), STANDARD).decode("utf-8")
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.lstrip().startswith(results_csv.FORMULA)]
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)
    assert max(map(len, cells)) < 32767


@pytest.mark.parametrize("value", ["=1", "+1", "-1", "@x", "  =1", "\t=1", "\r=1", "\n=1", "\uff1d1", -5])
def test_cells_are_neutralised(value):
    assert results_csv.cell(value)[0] in "'\\"


def test_junit_has_a_suite_per_subject_and_no_false_success(run):
    root = ET.fromstring(results_junit.render(run, STANDARD))
    suites = root.findall("testsuite")
    assert len(suites) == len(run["subjects"])
    expected = Counter(result["status"] for result in run["results"])
    bare = [case for case in root.iter("testcase") if [part.tag for part in case] == ["system-out"]]
    assert len(bare) == expected["pass"] + expected["attested"]
    failures = expected["fail"] + expected["excepted"]
    assert int(root.get("failures")) == len(list(root.iter("failure"))) == failures
    assert int(root.get("errors")) == len(list(root.iter("error"))) == expected["unknown"]
    assert int(root.get("tests")) == len(run["results"]) == sum(int(suite.get("tests")) for suite in suites)


def test_junit_keeps_an_accepted_failure_a_failure_and_says_until_when():
    root = ET.fromstring(results_junit.render(builder.a_run(STANDARD), STANDARD))
    case = next(case for case in root.iter("testcase") if case.get("name").startswith("kvm-11.2.6-check-0"))
    assert case.find("failure").get("type") == "excepted"
    assert case.find("failure").get("message").startswith("excepted: ")
    told = case.find("system-out").text.splitlines()
    assert "exception_expires_on: 2026-12-01" in told
    assert "measured: fail" in told


def test_the_console_fits_a_terminal_and_cannot_be_hijacked(run):
    failed, reasons = run_report.gate(run)
    lines = console.lines(run, STANDARD, "/srv/report.html", reasons)
    assert not [line for line in lines if width(line) > 100]
    assert not [char for line in lines for char in line if char in UNFIT]
    assert len(lines) < 80
    assert lines[-1] == "Report: /srv/report.html"
    assert failed == ("The gate fails:" in lines)


def test_the_console_tells_verdict_sections_and_failures_by_severity():
    run = builder.a_run(STANDARD)
    text = "\n".join(console.lines(run, STANDARD, "/srv/report.html", run_report.gate(run)[1]))
    assert "kvm1  non-compliant" in text
    assert "2 fail, 1 unknown, 1 manual, 1 excepted" in text
    assert "root can log in" in text
    assert text.index("  high ") < text.index("  medium ")
    assert "11.4 Administration " in text


def test_the_console_bounds_failing_checks_and_subjects():
    documents = [
        builder.a_document(STANDARD, builder.a_subject(f"kvm{n:03}"), {"*": {"status": "fail"}}) for n in range(30)
    ]
    run = builder.a_run(STANDARD, documents)
    lines = console.lines(run, STANDARD, "/srv/report.html", run_report.gate(run)[1])
    assert "  and 52 more" in lines, "36 measures of two deciding checks, 20 of them shown"
    assert "and 10 more; all: 30 non-compliant" in lines


@pytest.mark.parametrize("text", builder.HOSTILE.values(), ids=builder.HOSTILE)
def test_text_of_a_target_is_one_visible_line(text):
    shown = plain(text)
    assert not [char for char in shown if char in UNFIT]
    assert len(shown) < 700
    shown.encode("utf-8")


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec=None)) | st.recursive(st.none() | st.text() | st.floats(), st.lists))
def test_no_text_at_all_gets_through_unseen(value):
    shown, cell = plain(value), results_csv.cell(value)
    assert not [char for char in shown if char in UNFIT]
    assert not cell.lstrip().startswith(results_csv.FORMULA)
    assert ET.fromstring(f"<x>{escape(shown)}</x>").text == (shown or None)
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (0, "0"),
        ([], "(none)"),
        (["a", 1, False], "a, 1, no"),
        ({"UEFI": True, "banks": ["sha256"], "pcr": None}, "UEFI: yes; banks: sha256; pcr: not read"),
        ({"a": {"b": 1}}, '{"a": {"b": 1}}'),
        ([{"b": None}], '[{"b": null}]'),
        ({}, "{}"),
        ("x" * 400, "x" * 300 + "… (400 characters)"),
    ],
)
def test_values_read_as_text(value, shown):
    assert plain(value) == shown


def test_visible_keeps_what_is_readable():
    assert visible("Gäste-VM № 1 中文 \U0001f480") == "Gäste-VM № 1 中文 \U0001f480"
    assert visible("a\nb\x1b[2J\u202e") == "a\\nb\\x1b[2J\\u202e"
