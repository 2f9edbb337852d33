# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every class of change is produced here, and the ones that are no posture never count as such."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import compare, failing_since
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder

STANDARD = builder.a_standard(1)
CHECK = "kvm-11.4.6-check-0"
RUN = {
    "standard": {"id": "SS-009", "version": "2.0"},
    "run": {
        "id": "r", "finished": "2026-11-23T17:44:00Z", "collection": "1", "catalogue_sha256": "a", "gold_sha256": "g",
    },
    "registers": {"exceptions": None, "attestations": None},
}  # fmt: skip
EXCEPTION = {"id": "EX-1", "risk_ref": "RR-1", "expires_on": "2026-11-20"}
EXCEPTED = {"status": "excepted", "measured": "fail", "exception": EXCEPTION}


def document(changes=None, name="kvm1", gold="a", **subject):
    found = builder.a_document(STANDARD, builder.a_subject(name, **subject), {CHECK: changes or {}})
    return {**found, "gold": {"sha256": gold * 64, "non_default": []}}


def compared(before, after, runs=(RUN, RUN), **options):
    before = [before] if isinstance(before, dict) else before
    after = [after] if isinstance(after, dict) else after
    return compare.compare(before, after, runs=runs, **options)


def classes(found):
    return [(entry["class"], entry["check"]) for entry in found["changes"]]


FAIL, PASS = {"status": "fail", "actual": "yes"}, {"status": "pass"}
UNKNOWN, MANUAL = {"status": "unknown", "actual": None}, {"status": "manual", "actual": None}
ATTESTED = {"status": "attested", "measured": "manual", "actual": None}


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        (PASS, FAIL, "newly_failing"),
        (UNKNOWN, FAIL, "newly_failing"),
        (ATTESTED, FAIL, "newly_failing"),
        ({"status": "excepted", "measured": "fail", "exception": {**EXCEPTION, "expires_on": "2027-01-01"}}, FAIL,
         "newly_failing"),
        (EXCEPTED, FAIL, "exception_expired"),
        (FAIL, FAIL, "still_failing"),
        (FAIL, {**FAIL, "actual": "prohibit"}, "still_failing"),
        (FAIL, EXCEPTED, "still_failing"),
        (EXCEPTED, EXCEPTED, "still_failing"),
        (FAIL, PASS, "fixed"),
        (EXCEPTED, PASS, "fixed"),
        (FAIL, {"status": "not_applicable", "message": "m"}, "fixed"),
        (FAIL, ATTESTED, "fixed"),
        (FAIL, UNKNOWN, "not_demonstrated"),
        (PASS, UNKNOWN, "not_demonstrated"),
        (ATTESTED, MANUAL, "not_demonstrated"),
        (UNKNOWN, PASS, "demonstrated"),
        (MANUAL, ATTESTED, "demonstrated"),
        (PASS, {"status": "pass", "actual": "other"}, "evidence_changed"),
        (PASS, {"status": "not_applicable", "message": "m", "actual": "no"}, "evidence_changed"),
        (UNKNOWN, MANUAL, "evidence_changed"),
        (PASS, {"status": "not_evaluated"}, "scope_changed"),
        ({"status": "not_evaluated"}, FAIL, "scope_changed"),
    ],
)  # fmt: skip
def test_the_class_of_a_change(before, after, name):
    found = compared(document(before), document(after))
    assert classes(found) == [(name, CHECK)]
    assert found["counts"] == {**dict.fromkeys(compare.CLASSES, 0), name: 1, "unchanged": 35}
    assert found["changes"][0]["before"]["measured"] == before.get("measured", before["status"])


@pytest.mark.parametrize("same", [PASS, UNKNOWN, MANUAL, ATTESTED, {"status": "not_evaluated"}])
def test_nothing_changed(same):
    assert compared(document(same), document(same))["changes"] == []


def test_the_order_of_lists_and_keys_is_no_change():
    one = document({"status": "pass", "actual": {"a": ["x", "y"], "b": 1}})
    other = document({"status": "pass", "actual": {"b": 1, "a": ["y", "x"]}})
    assert compared(one, other)["changes"] == []
    item = {"id": "vm-1", "status": "fail", "actual": 1, "message": ""}
    assert compared(document(FAIL), document({**FAIL, "items": [item]}))["changes"][0]["reason"] != ""


def test_subjects_that_only_one_run_has_are_scope():
    found = compared([document(FAIL, "old"), document()], [document(), document(FAIL, "new")])
    assert [entry["class"] for entry in found["changes"]] == ["scope_changed", "scope_changed"]
    assert (found["scope"]["added"][0][:3], found["scope"]["removed"][0][:3]) == ("new", "old")
    assert not any(found["counts"][name] for name in compare.POSTURE)


def test_a_host_that_could_not_be_read_is_the_same_host():
    silent = document(id="kvm1", reachable=False, unreachable_reason="no route")
    found = compared(document(), silent)
    assert classes(found) == [("not_demonstrated", None)]
    assert found["changes"][0]["reason"] == "could not be read in this run: no route"
    assert found["scope"] == {"added": [], "removed": []}
    assert compared(silent, silent)["changes"] == []


def test_a_failure_that_could_not_be_seen_for_a_while_is_not_new():
    since = {document()["subject"]["id"]: {CHECK: "2026-10-01T00:00:00Z"}}
    found = compared(document(UNKNOWN), document(FAIL), known_failing=since)
    assert classes(found) == [("still_failing", CHECK)]
    assert "fails since 2026-10-01" in found["changes"][0]["reason"]


OTHER = {**RUN, "run": {**RUN["run"], "collection": "2", "catalogue_sha256": "b"}}


@pytest.mark.parametrize(("runs", "gold"), [((RUN, OTHER), "a"), ((RUN, RUN), "b")], ids=["catalogue", "gold"])
def test_another_judge_is_content_and_only_the_rest_is_posture(runs, gold):
    def judged_as(measured):
        return lambda _old, _new: {
            check: {"measured": measured if check == CHECK else "pass", "actual": "no"} for check in STANDARD.checks
        }

    after = document(FAIL, gold=gold)
    # The old evidence fails under the new content as well: nothing happened on the host.
    found = compared(document(PASS), after, runs, rejudge=judged_as("fail"))
    assert classes(found) == [("still_failing", CHECK), ("content_changed", CHECK)]
    assert found["counts"]["newly_failing"] == 0
    # It passes under the new content: the host itself changed.
    assert classes(compared(document(PASS), after, runs, rejudge=judged_as("pass"))) == [("newly_failing", CHECK)]
    # Nobody can tell: never posture.
    assert classes(compared(document(PASS), after, runs)) == [("content_changed", CHECK)]


def test_checks_that_came_and_went_are_content():
    after, before = document(), document()
    before["results"][0]["check"] = "kvm-11.1.1-gone"
    found = compared(before, after)
    assert found["counts"]["content_changed"] == 2
    reasons = {entry["reason"] for entry in found["changes"]}
    assert reasons == {"this check is new", "this check does not exist any more"}


def test_what_judged_differently_is_listed():
    registers = {"exceptions": {"sha256": "e"}, "attestations": None}
    other = {**OTHER, "standard": {"id": "SS-009", "version": "2.1"}, "registers": registers}
    assert [entry["what"] for entry in compare.content_changes(RUN, other)] == [
        "standard", "collection", "catalogue", "exceptions",
    ]  # fmt: skip


def test_since_when_it_fails_outlives_what_nobody_saw():
    first = document(FAIL, collected_at="2026-10-01T00:00:00Z")
    since = failing_since.update({}, [first])
    for blind in (UNKNOWN, MANUAL, {"status": "not_evaluated"}):
        since = failing_since.update(since, [document(blind, collected_at="2026-10-02T00:00:00Z")])
    since = failing_since.update(since, [document(FAIL, "other")])
    again = document(FAIL, collected_at="2026-10-09T00:00:00Z")
    since = failing_since.update(since, [again])
    result = next(found for found in again["results"] if found["check"] == CHECK)
    assert result["failing_since"] == "2026-10-01T00:00:00Z"
    since = failing_since.update(since, [document(PASS)])
    assert list(since) == [document(name="other")["subject"]["id"]]


def test_what_was_kept_is_read_again(tmp_path):
    since = failing_since.update({}, [document(FAIL)])
    (tmp_path / failing_since.FILE).write_bytes(failing_since.encode(since))
    assert failing_since.load(tmp_path) == since
    (tmp_path / failing_since.FILE).write_text("[]")
    assert failing_since.load(tmp_path) == {}
