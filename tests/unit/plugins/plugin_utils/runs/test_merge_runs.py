# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Report directories put together: the worst line counts, what has expired is taken back, doubts are refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import merge as run_document
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import merge_runs
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder

STANDARD = builder.a_standard(1)
NOW = dt.datetime(2026, 11, 23, 17, 44, tzinfo=dt.timezone.utc)
CHECK = "kvm-11.4.6-check-0"
EXCEPTED = {"status": "excepted", "measured": "fail"}
ATTESTED = {"status": "attested", "measured": "manual"}
EXCEPTION = {"id": "EX-1", "risk_ref": "RR-1", "expires_on": "2026-11-22"}
ATTESTATION = {
    "id": "AT-1", "signed_by": "a", "accepted_by": "b", "signed_on": "2026-01-01", "expires_on": "2026-11-22",
    "satisfied_by": None, "evidence": "e",
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_manifest(monkeypatch):
    monkeypatch.setattr(merge_runs.pack_verify, "file_digest", lambda _path: "f" * 64)


def source(changes=None, line="first", name="kvm1", run="r", version="2.0", records=(), **subject):
    document = builder.a_document(STANDARD, builder.a_subject(name, **subject), {CHECK: changes or {}})
    if records:
        document["exceptions"]["met"] = {record["id"]: {} for record in records}
    register = {"file": "x", "sha256": "a" * 64, "signature": {}, "records": list(records)} if records else None
    about = {
        "run": {
            "id": run, "finished": "2026-11-20T10:00:00Z", "collection": "1.0.0", "gold_sha256": "a" * 64, "line": line,
        },
        "standard": {"id": "SS-009", "version": version},
        "registers": {"exceptions": register, "attestations": None},
    }  # fmt: skip
    signature = {"state": "unsigned", "signer": None}
    return merge_runs.Source(Path(f"/archive/{run}"), line, about, signature, [document], [])


def merged(*sources, fresh_days=31):
    return merge_runs.merge(sources, STANDARD, NOW, fresh_days)


def result(document):
    return next(found for found in document["results"] if found["check"] == CHECK)


@pytest.mark.parametrize("order", [("first", "external"), ("external", "first")])
def test_the_worst_of_several_lines_counts_and_all_are_shown(order):
    failing = {"status": "fail", "actual": "yes", "message": "root can log in"}
    sides = {"first": source(line="first", run="a"), "external": source(failing, "external", run="b")}
    (document,), part = merged(*(sides[line] for line in order))
    assert result(document)["status"] == "fail"
    assert result(document)["message"] == "root can log in (Seen by the external line.)"
    assert document["subject"]["verdict"] == "non-compliant"
    assert [entry["check"] for entry in document["drift"]] == [CHECK]
    assert len(part["lines"]) == 36
    (row,) = [entry for entry in part["lines"] if entry["disagree"]]
    assert (row["measure"], row["first"]["status"], row["second"], row["external"]["status"]) == (
        "11.4.6", "pass", None, "fail",
    )  # fmt: skip


def test_one_line_shows_nothing_side_by_side():
    documents, part = merged(source(), source(name="kvm2", run="b"))
    assert (len(documents), part["lines"]) == (2, [])


def test_a_measure_left_out_is_no_disagreement():
    _documents, part = merged(source(), source({"status": "not_evaluated"}, "second", run="b"))
    assert not any(entry["disagree"] for entry in part["lines"])


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({**EXCEPTED, "exception": EXCEPTION}, "fail", "Exception EX-1 has expired on 2026-11-22"),
        ({**ATTESTED, "attestation": ATTESTATION}, "manual", "Attestation AT-1 has expired"),
        ({**EXCEPTED, "exception": {**EXCEPTION, "expires_on": "2026-11-23"}}, "excepted", ""),
    ],
)  # fmt: skip
def test_what_has_expired_since_the_run_counts_no_more(changes, status, words):
    (document,), _part = merged(source(changes))
    found = result(document)
    assert (found["status"], found["measured"]) == (status, changes["measured"])
    assert words in found["message"]
    measure = next(entry for entry in document["measures"] if entry["measure"] == "11.4.6")
    assert measure["status"] == status
    verdicts = {"fail": "non-compliant", "manual": "not demonstrated", "excepted": "compliant with exceptions"}
    assert document["subject"]["verdict"] == verdicts[status]


def test_freshness_and_what_is_due_by_supplier():
    record = {"id": "EX-1", "from": "2026-01-01", "expires_on": "2026-11-30", "state": "active", "notes": []}
    old = {"collected_at": "2026-10-01T00:00:00Z", "tags": {"supplier": "Old Ltd"}}
    _documents, part = merged(source(records=[record]), source(name="kvm2", run="b", **old), fresh_days=31)
    by_name = {entry["supplier"]: entry for entry in part["suppliers"]}
    assert (by_name["Example Ltd"]["fresh"], by_name["Example Ltd"]["exceptions_due"]) == (True, 1)
    assert (by_name["Old Ltd"]["fresh"], by_name["Old Ltd"]["age_days"], by_name["Old Ltd"]["exceptions_due"]) == (
        False, 53, 0,
    )  # fmt: skip
    register = part["sources"][0]["exceptions"]
    assert (register["records"][0]["state"], register["records"][0]["due_within"]) == ("expiring", 7)
    assert [entry["fresh"] for entry in merged(source(), fresh_days=2)[1]["sources"]] == [False]


def test_what_cannot_be_put_together_is_refused():
    with pytest.raises(merge_runs.RollUpError, match=r"kvm1 was assessed twice by the first line: in /archive/r and"):
        merged(source(), source(run="b"))
    silent = source(run="b", id="kvm1", reachable=False, unreachable_reason="no route")
    with pytest.raises(merge_runs.RollUpError, match="assessed twice"):
        merged(source(), silent)
    with pytest.raises(merge_runs.RollUpError, match=r"mixed standards: /archive/r is SS-009 2\.0, /archive/b is SS"):
        merged(source(), source(run="b", version="2.1"))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (3, "neither a directory nor a mapping"),
        ({"line": "first"}, "neither a directory nor a mapping"),
        ({"directory": "x", "lime": "first"}, "did you mean line"),
        ({"directory": "x", "line": "outside"}, "expected one of first, second, external"),
        ("/absent", "not as it was sealed: .*there is no MANIFEST"),
    ],
)
def test_a_source_that_is_none_is_refused(entry, words):
    with pytest.raises(merge_runs.RollUpError, match=words):
        merge_runs.read(entry, None)


def test_a_missing_cell_is_not_evaluated_and_never_a_pass():
    document = builder.a_document(STANDARD)
    document["measures"] = [entry for entry in document["measures"] if entry["measure"] != "11.4.6"]
    found = run_document([document], standard=STANDARD, run=builder.RUN)
    assert found["completeness"] == {
        "complete": False, "expected": 36, "evaluated": 35, "not_evaluated": 1,
        "missing": [{"subject": document["subject"]["id"], "measures": ["11.4.6"]}],
    }  # fmt: skip
    assert found["subjects"][0]["verdict"] == "not demonstrated"
    assert found["summary"]["score"] < 1
    assert run_document([], standard=STANDARD, run=builder.RUN)["completeness"]["complete"] is False
    whole = run_document([builder.a_document(STANDARD)], standard=STANDARD, run=builder.RUN)
    assert whole["completeness"]["complete"] is True
