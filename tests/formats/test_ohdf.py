# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OHDF: read by the MITRE SAF tools, which have to count what results.json counts."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest

from ansible_collections.dwp.hypervisor.tests.formats.programs import run

pytestmark = pytest.mark.timeout(500)
# what SAF counts each status as
COUNTED = {
    "pass": "passed",
    "attested": "passed",
    "fail": "failed",
    "excepted": "failed",
    "unknown": "error",
    "manual": "skipped",
    "not_evaluated": "skipped",
    "not_applicable": "no_impact",
}


def summary(files, node_modules, folder):
    command = ["node", str(node_modules / ".bin" / "saf"), "view", "summary", "--format", "json", "--stdout"]
    printed = run([*command, "-i", *map(str, files)], cwd=folder)
    [found] = json.loads(printed[printed.index("[") :])
    return Counter({kind: found[kind]["total"] for kind in set(COUNTED.values())})


def test_saf_reads_every_subject_and_counts_the_same(report, node_modules, tmp_path):
    files = sorted((report.directory / "ohdf").glob("*.json"))
    assert {path.stem for path in files} == {subject["slug"] for subject in report.run["subjects"]}
    if not files:
        return
    expected = Counter(COUNTED[result["status"]] for result in report.read("results.json")["results"])
    assert summary(files, node_modules, tmp_path) == expected


def test_saf_sees_a_result_that_is_lost(reports, node_modules, tmp_path):
    """The comparison above can fail: one control less is one less counted."""
    [path] = (reports["all good"].directory / "ohdf").glob("*.json")
    document = json.loads(path.read_bytes())
    document["profiles"][0]["controls"].pop()
    (tmp_path / "less.json").write_text(json.dumps(document))
    found = summary([tmp_path / "less.json"], node_modules, tmp_path)
    assert found["passed"] == len(reports["all good"].run["results"]) - 1


def test_saf_converts_an_accepted_failure_as_a_failure(reports, node_modules, tmp_path):
    path = reports["every status"].directory / "ohdf" / "kvm0-1a2b3c4d.json"
    command = ["node", str(node_modules / ".bin" / "saf"), "convert", "hdf2csv", "-i", str(path), "-o"]
    run([*command, str(tmp_path / "out.csv")], cwd=tmp_path)
    with (tmp_path / "out.csv").open(newline="") as handle:
        rows = {row["ID"]: row["Status"] for row in csv.DictReader(handle)}
    assert rows["kvm-11.2.6-check-0"] == "Failed"
    assert rows["kvm-11.3.9-check-0"] == "Not Applicable"
    assert rows["kvm-11.2.5-check-0"] == "Passed"
    assert len(rows) == 108


def test_exceptions_and_attestations_are_where_the_format_has_them(reports):
    document = reports["every status"].read("ohdf/kvm0-1a2b3c4d.json")
    controls = {control["id"]: control for control in document["profiles"][0]["controls"]}
    waiver = controls["kvm-11.2.6-check-0"]["waiver_data"]
    assert (waiver["run"], waiver["skipped_due_to_waiver"], waiver["expiration_date"]) == (True, False, "2026-12-01")
    assert "waiver_data" not in controls["kvm-11.4.6-check-0"], "an empty one would hide the failure"
    attested = controls["kvm-11.2.5-check-0"]
    assert attested["attestation_data"]["updated_by"] == "A. Owner"
    assert [found["status"] for found in attested["results"]] == ["skipped", "passed"]
    assert controls["kvm-11.3.9-check-0"]["impact"] == 0
    assert min(control["impact"] for name, control in controls.items() if "11.3.9" not in name) > 0


def test_what_ran_out_says_so_and_hides_nothing(reports):
    document = reports["expired"].read("ohdf/kvm1-1a2b3c4d.json")
    controls = {control["id"]: control for control in document["profiles"][0]["controls"]}
    failing = controls["kvm-11.4.6-check-0"]
    assert failing["results"][0]["status"] == "failed"
    assert failing["waiver_data"]["message"] == "Expired on 2026-11-20, evaluated normally"
    stated = controls["kvm-11.1.3-check-0"]
    assert [found["status"] for found in stated["results"]] == ["skipped", "skipped"]
    assert "AT-9 expired on 2026-11-20" in stated["results"][1]["skip_message"]
