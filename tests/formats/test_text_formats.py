# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JUnit before the schema of Jenkins' xUnit plugin, CSV before the grammar of RFC 4180, Markdown before a CommonMark
parser; and what they count."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from markdown_it import MarkdownIt

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import results_csv, results_junit
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.expired import Expired
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import STATUS_WORDS

# RFC 4180 section 2, with the text of RFC 7111: any character but the separators, quoted or not.
FIELD = r'(?:"(?:[^"]|"")*"|[^",\r\n]*)'
RFC_4180 = re.compile(rf"(?:{FIELD}(?:,{FIELD})*\r\n)*")


@pytest.fixture(scope="module")
def schema(junit_schema):
    return xmlschema.XMLSchema(junit_schema)


def test_junit_is_what_its_schema_says(report, schema):
    assert [str(error)[:500] for error in schema.iter_errors(str(report.directory / "results.junit.xml"))] == []


def test_the_junit_schema_refuses_what_is_wrong(reports, schema):
    text = (reports["every status"].directory / "results.junit.xml").read_text()
    assert not schema.is_valid(text.replace('tests="', 'amount="', 1))
    assert not schema.is_valid(text.replace("<system-out>", "<properties></properties><system-out>", 1))


def test_junit_counts_what_results_json_counts(report):
    root = ET.parse(report.directory / "results.junit.xml").getroot()
    results = report.read("results.json")["results"]
    ran_out = Expired(report.run)
    kinds = Counter(
        "failure" if ran_out.of(entry) else results_junit.OUTCOMES.get(entry["status"], "success") for entry in results
    )
    found = Counter(
        next((part.tag for part in case if part.tag != "system-out"), "success") for case in root.iter("testcase")
    )
    assert found == kinds
    told = [
        dict(line.split(": ", 1) for line in out.text.splitlines() if ": " in line) for out in root.iter("system-out")
    ]
    assert Counter(entry["status"] for entry in told) == Counter(entry["status"] for entry in results)
    assert Counter(entry["measured"] for entry in told) == Counter(entry["measured"] for entry in results)
    assert len([failure for failure in root.iter("failure") if failure.get("type") == "expired"]) == sum(
        bool(ran_out.of(entry)) for entry in results
    )
    types = Counter(failure.get("type") for failure in root.iter("failure"))
    assert types["excepted"] == Counter(entry["status"] for entry in results)["excepted"]


def test_csv_is_what_the_rfc_says_and_counts_the_same(report):
    data = (report.directory / "results.csv").read_bytes()
    text = data.decode("utf-8")
    assert RFC_4180.fullmatch(text)
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    results = report.read("results.json")["results"]
    assert len(rows) == len(results)
    assert not [row for row in rows if None in row or None in row.values()], "every row has every field"
    # Not from results.json: there a pair of lone surrogates becomes one character when it is read.
    expected = Counter((results_csv.cell(entry["subject"]), entry["status"]) for entry in report.run["results"])
    assert Counter((row["subject"], row["status"]) for row in rows) == expected
    assert Counter(row["measured"] for row in rows) == Counter(entry["measured"] for entry in results)


@pytest.mark.parametrize("text", ["a,b\n", 'a"b,c\r\n', 'a,"b\r\n', "a,b"])
def test_the_grammar_refuses_what_is_no_csv(text):
    assert not RFC_4180.fullmatch(text)


def tables(tokens):
    """The tables of a parsed document as lists of rows of texts."""
    found, row = [], None
    for number, token in enumerate(tokens):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            row = []
            found[-1].append(row)
        elif token.type in ("td_open", "th_open"):
            row.append("".join(child.content for child in tokens[number + 1].children))
    return found


def test_markdown_is_read_as_text_and_tables_and_counts_the_same(report):
    text = (report.directory / "summary.md").read_bytes().decode("utf-8")
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    kinds = {child.type for token in tokens for child in (token.children or [token])}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "code_inline", "fence", "code_block"}
    verdicts, sections, checks, *_rest = tables(tokens)
    summary = report.read("results.json")["summary"]
    assert {row[0].lower(): int(row[1]) for row in verdicts[1:]} == summary["by_verdict"]
    words = {word: status for status, word in STATUS_WORDS.items()}
    assert {words[row[0]]: int(row[1]) for row in checks[1:]} == summary["checks_by_status"]
    for row in sections[1:]:
        counted = dict(zip(sections[0][1:], map(int, row[1:])))
        assert {words[word]: number for word, number in counted.items()} == summary["by_section"][row[0]]["must"]
    assert len(text) < 20_000, "it has to fit into a ticket"


def test_what_ran_out_is_a_failure_of_its_own_type_in_junit(reports):
    root = ET.parse(reports["expired"].directory / "results.junit.xml").getroot()
    found = {
        case.get("name").split(":")[0]
        for case in root.iter("testcase")
        for f in case.findall("failure")
        if f.get("type") == "expired"
    }
    assert found == {f"kvm-{measure}-check-{number}" for measure in ("11.4.6", "11.1.3") for number in range(3)}
