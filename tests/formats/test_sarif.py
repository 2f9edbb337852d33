# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SARIF: its schema, Microsoft's sarif-multitool without an error or a warning, and the counts.

The multitool ends with 0 whatever it finds, and does not look at every word: what it prints is read, and the schema it
carries is held against the file as well.
"""

from __future__ import annotations

import json
import re
from collections import Counter

import jsonschema
import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import results_sarif
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.expired import Expired
from ansible_collections.dwp.hypervisor.tests.formats.programs import run

pytestmark = pytest.mark.timeout(500)


@pytest.fixture(scope="session")
def multitool(node_modules):
    """The program inside the package; npm without install scripts leaves it not executable."""
    program = node_modules / "@microsoft" / "sarif-multitool-linux" / "Sarif.Multitool"
    program.chmod(0o755)
    return str(program)


@pytest.fixture(scope="session")
def schema(node_modules):
    path = node_modules / "@microsoft" / "sarif-multitool-linux" / "sarif-2.1.0.json"
    found = json.loads(path.read_text(encoding="utf-8-sig"))
    return jsonschema.validators.validator_for(found)(found)


def complaints(printed):
    return sorted(set(re.findall(r"\b(?:error|warning) [A-Z]+\d+", printed)))


def test_the_multitool_accepts_it(report, multitool, tmp_path):
    command = [
        multitool,
        "validate",
        str(report.directory / "results.sarif"),
        "--output",
        str(tmp_path / "found.sarif"),
    ]
    printed = run(command, cwd=tmp_path)
    assert complaints(printed) == []
    assert "1 file" in printed, "it has looked at it"


def test_it_is_what_the_schema_says(report, schema):
    assert [error.message[:300] for error in schema.iter_errors(report.read("results.sarif"))] == []


def test_what_is_wrong_is_refused(reports, multitool, schema, tmp_path):
    text = (reports["every status"].directory / "results.sarif").read_text()
    assert not schema.is_valid(json.loads(text.replace('"kind":"fail"', '"kind":"failed"', 1)))
    (tmp_path / "broken.sarif").write_text(text.replace('"ruleIndex":0', '"ruleIndex":9999', 1))
    command = [multitool, "validate", str(tmp_path / "broken.sarif"), "--output", str(tmp_path / "found.sarif")]
    assert complaints(run(command, cwd=tmp_path)) == ["error SARIF1009"]


def test_it_counts_what_results_json_counts(report):
    [sarif] = report.read("results.sarif")["runs"]
    results = report.read("results.json")["results"]
    statuses = Counter(entry["status"] for entry in results)
    notifications = sarif["invocations"][0]["toolExecutionNotifications"]
    assert len(notifications) == statuses.pop("unknown", 0)
    assert Counter(entry["properties"]["status"] for entry in sarif["results"]) == statuses
    ran_out = Expired(report.run)
    expected = Counter(
        "open" if entry["status"] == "manual" and ran_out.of(entry) else results_sarif.KINDS[entry["status"]][0]
        for entry in results
        if entry["status"] != "unknown"
    )
    assert Counter(entry["kind"] for entry in sarif["results"]) == expected
    suppressed = [entry for entry in sarif["results"] if entry.get("suppressions")]
    assert len(suppressed) == statuses["excepted"]
    assert {entry["kind"] for entry in suppressed} <= {"fail"}
    rules = [rule["id"] for rule in sarif["tool"]["driver"]["rules"]]
    assert all(rules[entry["ruleIndex"]] == entry["ruleId"] for entry in sarif["results"])
