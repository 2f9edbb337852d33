# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging, the summary, the gate and run ids."""

from __future__ import annotations

import datetime as dt

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import run_report
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import (
    RunReportError,
    absent,
    gate,
    merge,
    run_id,
)
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder

STANDARD = builder.a_standard()
KVM9 = {"name": "kvm9", "platform": "kvm"}


def test_the_run_document_has_every_subject_with_every_measure():
    documents = [builder.a_document(STANDARD, builder.a_subject(name)) for name in ("kvm2", "kvm1")]
    run = builder.a_run(STANDARD, documents)
    assert [subject["name"] for subject in run["subjects"]] == ["kvm1", "kvm2"]
    assert len(run["measures"]) == 2 * 36
    assert run["run"]["gold_sha256"] == "a" * 64
    assert run["summary"]["by_verdict"]["compliant"] == 2
    assert run["summary"]["score"] == 1.0


@pytest.mark.parametrize("expected", [[KVM9], [{**KVM9, "id": "kvm9/uuid", "endpoint": "kvm9"}]])
def test_an_expected_subject_without_results_is_36_times_unknown(expected):
    run = builder.a_run(STANDARD, [builder.a_document(STANDARD)], expected_subjects=expected)
    silent = next(subject for subject in run["subjects"] if subject["name"] == "kvm9")
    measures = [entry for entry in run["measures"] if entry["subject"] == silent["id"]]
    assert silent["reachable"] is False
    assert silent["verdict"] == "not demonstrated"
    assert [entry["status"] for entry in measures] == ["unknown"] * 36
    assert run["summary"]["unreachable"] == 1
    assert all(result["message"] for result in run["results"] if result["subject"] == silent["id"])


def test_an_expected_subject_is_found_by_id_or_by_endpoint_but_not_by_another_id():
    documents = [builder.a_document(STANDARD)]
    known = documents[0]["subject"]
    options = {"standard": STANDARD, "now": builder.NOW}
    assert absent(documents, [{"name": "kvm1", "platform": "kvm"}], **options) == []
    assert absent(documents, [{"name": "kvm1", "platform": "kvm", "id": known["id"]}], **options) == []
    other = absent(
        documents, [{"name": "esx2", "platform": "vsphere", "endpoint": "kvm1", "id": "kvm1/other"}], **options
    )
    assert [document["subject"]["id"] for document in other] == ["kvm1/other"]


def test_an_absent_subject_names_the_files_nobody_could_read():
    unreadable = [{"file": "subjects/kvm9-1a2b3c4d.json", "reason": "not JSON"}]
    [document] = absent([], [KVM9], standard=STANDARD, now=builder.NOW, unreadable=unreadable)
    assert "subjects/kvm9-1a2b3c4d.json" in document["subject"]["unreachable_reason"]


def test_a_misspelt_platform_is_refused_with_the_nearest():
    with pytest.raises(RunReportError, match=r"kvm9.*hyper-v.*did you mean hyperv"):
        absent([], [{"name": "kvm9", "platform": "hyper-v"}], standard=STANDARD, now=builder.NOW)


def test_two_documents_of_one_subject_are_refused():
    with pytest.raises(RunReportError, match="two result documents"):
        builder.a_run(STANDARD, [builder.a_document(STANDARD), builder.a_document(STANDARD)])


def test_the_gold_digest_covers_every_subject_that_was_judged():
    one = builder.a_document(STANDARD)
    other = builder.a_document(STANDARD, builder.a_subject("kvm2"), gold={"sha256": "d" * 64, "non_default": []})
    alone = builder.a_run(STANDARD, [one])["run"]["gold_sha256"]
    with_silent = builder.a_run(STANDARD, [one], expected_subjects=[KVM9])["run"]["gold_sha256"]
    both = builder.a_run(STANDARD, [one, other])["run"]["gold_sha256"]
    assert alone == with_silent == "a" * 64
    assert both not in ("a" * 64, "d" * 64)
    assert len(both) == 64


def test_the_summary_counts_measures_once_per_subject_and_advisories_apart():
    changes = {
        "11.4.6": {"status": "fail"},
        "kvm-11.4.7-check-0": {"obligation": "should", "status": "fail"},
        "kvm-11.4.8-check-2": {"status": "fail"},
    }
    summary = builder.a_run(STANDARD, [builder.a_document(STANDARD, changes=changes)])["summary"]
    assert summary["by_status"]["fail"] == 1, "a recommended and a supplementary check decide no must"
    assert summary["by_section"]["11.4"]["must"]["fail"] == 1
    assert summary["by_section"]["11.4"]["advisory"]["fail"] == 1
    assert sum(sum(group["must"].values()) for group in summary["by_section"].values()) == 36
    assert summary["checks_by_status"]["fail"] == 3 + 1 + 1
    assert sum(summary["failing_checks"].values()) == 3, "tier 2 is not among them"
    assert summary["score"] == pytest.approx(35 / 36, abs=1e-4)


def test_a_measure_counts_under_every_csf_function_it_names():
    summary = builder.a_run(STANDARD, [builder.a_document(STANDARD)])["summary"]
    expected = {"PR": 0, "DE": 0}
    for measure in STANDARD.measures.values():
        for name in run_report.csf_functions(measure):
            expected[name] += 1
    assert {name: sum(group["must"].values()) for name, group in summary["by_csf"].items()} == expected
    assert sum(expected.values()) > 36


def test_exceptions_count_in_the_second_score_only():
    exception = {"id": "EX-1", "risk_ref": "R-1", "expires_on": "2027-01-01"}
    changes = {"11.4.6": {"status": "excepted", "measured": "fail", "exception": exception}}
    summary = builder.a_run(STANDARD, [builder.a_document(STANDARD, changes=changes)])["summary"]
    assert summary["score"] < 1.0
    assert summary["score_after_exceptions"] == 1.0


@pytest.mark.parametrize(
    ("status", "fail_on", "fails"),
    [
        ("pass", ["fail", "unknown", "manual"], False),
        ("fail", ["fail", "unknown", "manual"], True),
        ("unknown", ["fail", "unknown", "manual"], True),
        ("manual", ["fail", "unknown", "manual"], True),
        ("unknown", ["fail"], False),
        ("not_evaluated", ["fail", "unknown", "manual"], False),
        ("not_evaluated", ["not_evaluated"], True),
        ("fail", [], False),
    ],
)
def test_the_gate_goes_by_the_status_of_musts(status, fail_on, fails):
    document = builder.a_document(STANDARD, changes={"11.4.6": {"status": status, "message": "why"}})
    failed, reasons = gate(builder.a_run(STANDARD, [document]), fail_on)
    assert failed is fails
    assert reasons == ([f"kvm1: 1 {status.replace('_', ' ')} (11.4.6)"] if fails else [])


def test_the_gate_ignores_what_is_only_recommended():
    document = builder.a_document(STANDARD, changes={"kvm-11.4.6-check-0": {"status": "fail", "obligation": "should"}})
    assert gate(builder.a_run(STANDARD, [document])) == (False, [])


def test_the_gate_fails_on_an_empty_run_and_on_an_unreadable_file():
    empty = merge([], standard=STANDARD, run=builder.RUN)
    assert gate(empty) == (True, ["no subject was assessed"])
    assert gate(empty, []) == (False, [])
    unreadable = [{"file": "subjects/x.json", "reason": "not JSON"}]
    failed, reasons = gate(builder.a_run(STANDARD, [builder.a_document(STANDARD)], unreadable=unreadable))
    assert failed
    assert "subjects/x.json" in reasons[0]


def test_the_gate_names_a_few_measures_and_counts_the_rest():
    document = builder.a_document(STANDARD, changes={"*": {"status": "fail"}})
    [reason] = gate(builder.a_run(STANDARD, [document]))[1]
    assert reason == "kvm1: 36 fail (11.1.1, 11.1.2, 11.1.3, 11.2.1, 11.2.2, 11.2.3 and 30 more)"


@pytest.mark.parametrize(
    ("fail_on", "message"),
    [(["failed"], "did you mean fail"), (["pass"], "expected any of"), ("fail", "expected a list")],
)
def test_fail_on_is_validated(fail_on, message):
    with pytest.raises(RunReportError, match=message):
        gate(builder.a_run(STANDARD), fail_on)


def test_a_run_is_named_by_what_is_given_then_by_awx_then_by_the_time():
    now = dt.datetime(2026, 11, 23, 18, 44, 1, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert run_id("nightly-7", awx_job_id=42, now=now) == "nightly-7"
    assert run_id(None, awx_job_id=42, now=now) == "42"
    assert run_id(None, now=now) == "20261123T174401Z"


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "-rf", "a b", "latest", "x" * 65, "a\n", "a\x00", "ü"])
def test_a_run_id_cannot_leave_the_report_directory(name):
    with pytest.raises(RunReportError, match="not usable as a directory name"):
        run_id(name, now=builder.NOW)
