# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life cycle of a record: every state and every note is produced here, and not produced where it is not due."""

from __future__ import annotations

import datetime as dt

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import register_state

NOW = dt.datetime(2026, 11, 23, 17, 0, tzinfo=dt.timezone.utc)
CHECK = "kvm-11.4.6-ssh-root"


def exception(**changes):
    record = {
        "id": "EX-1", "checks": [CHECK], "subjects": ["kvm1"], "risk_ref": "RR-1", "justification": "j",
        "residual_risk": "r", "compensating_controls": ["none"], "requested_by": "a", "approved_by": "b",
        "approved_by_role": "owner", "approved_on": "2026-11-01", "expires_on": "2027-10-31", **changes,
    }  # fmt: skip
    return {key: value for key, value in record.items() if value is not None}


def attestation(**changes):
    return {
        "id": "AT-1", "checks": [CHECK], "subjects": ["kvm1"], "statement": "s", "evidence_ref": "e", "signed_by": "a",
        "accepted_by": "b", "signed_on": "2026-11-01", "expires_on": "2027-10-31", **changes,
    }  # fmt: skip


def document(measured="fail", name="kvm1", since="2026-10-01T00:00:00Z", met=("EX-1", "AT-1"), must=True, **parts):
    """One subject of a run, as disposition leaves it."""
    seen = {"measured": {measured: 1}, "failing": [CHECK] if measured == "fail" else [], "must": must}
    return {
        "subject": {"id": name, "name": name, "endpoint": name, "platform": "kvm", "reachable": True},
        "results": [{"subject": name, "check": CHECK, "failing_since": since if measured == "fail" else None}],
        "exceptions": {"now_passing": [], "expired": [], "changed": [], "met": dict.fromkeys(met, seen)},
        "attestations": {"contradicted": [], "met": dict.fromkeys(met, seen)},
        **parts,
    }  # fmt: skip


def one(record, *documents, kind="exceptions", **options):
    (found,) = register_state.records(kind, [record], documents, NOW, **options)
    return found


@pytest.mark.parametrize(
    ("first", "last", "state", "due", "left"),
    [
        ("2026-11-24", "2027-10-31", "pending", None, 342),
        ("2026-11-23", "2027-10-31", "active", None, 342),
        ("2026-11-01", "2027-02-22", "active", None, 91),
        ("2026-11-01", "2027-02-21", "expiring", 90, 90),
        ("2026-11-01", "2026-12-23", "expiring", 30, 30),
        ("2026-11-01", "2026-11-30", "expiring", 7, 7),
        ("2026-11-01", "2026-11-23", "expiring", 7, 0),
        ("2026-11-01", "2026-11-22", "expired", None, -1),
    ],
)
def test_the_calendar(first, last, state, due, left):
    found = one(exception(approved_on=first, expires_on=last), document())
    assert (found["state"], found["due_within"], found["days_left"]) == (state, due, left)
    signed = one(attestation(signed_on=first, expires_on=last), document("manual"), kind="attestations")
    assert signed["state"] == state


def test_an_attestation_ends_with_its_greatest_age():
    found = one(attestation(), document("manual"), kind="attestations", attestation_max_age_days=25)
    assert (found["expires_on"], found["state"], found["due_within"]) == ("2026-11-26", "expiring", 7)


def test_in_force_and_needed_has_no_note():
    found = one(exception(approved_on="2026-09-30"), document())
    assert found["notes"] == []
    assert found["subjects"] == ["kvm1"]
    assert found["failing_since"] == "2026-10-01T00:00:00Z"


def test_unused_matches_nothing():
    assert one(exception(), document(met=()))["notes"] == ["unused"]
    assert one(attestation(), document(met=()), kind="attestations")["notes"] == ["unused"]


def test_what_was_not_looked_at_is_not_unused():
    assert one(exception(), outside=["EX-1"])["notes"] == ["not_in_this_run"]
    unread = document(met=(), subject={"id": "kvm1", "name": "kvm1", "endpoint": "kvm1", "reachable": False})
    assert one(exception(), unread)["notes"] == ["not_in_this_run"]
    assert one(exception(), document("not_evaluated"))["notes"] == ["not_in_this_run"]


@pytest.mark.parametrize(("measured", "closable"), [("pass", True), ("fail", False), ("unknown", False)])
def test_closable_when_all_it_covers_passes(measured, closable):
    assert ("closable" in one(exception(), document("pass"), document(measured, "kvm2"))["notes"]) is closable


def test_not_closable_while_a_host_is_missing_or_before_it_began():
    assert "closable" not in one(exception(), document("pass"), outside=["EX-1"])["notes"]
    assert "closable" not in one(exception(approved_on="2026-11-24"), document("pass"))["notes"]
    assert "closable" not in one(exception(), document("not_applicable"))["notes"]


@pytest.mark.parametrize(("approved", "late"), [("2026-10-01", False), ("2026-09-01", False), ("2026-10-02", True)])
def test_late_when_approved_after_the_first_run_that_saw_the_failure(approved, late):
    assert ("late" in one(exception(approved_on=approved), document())["notes"]) is late


def test_changed_review_due_not_needed_and_contradicted():
    states = {"now_passing": [], "expired": [], "changed": ["EX-1"]}
    met = document()["exceptions"]["met"]
    assert "changed" in one(exception(), document(exceptions={**states, "met": met}))["notes"]
    assert "review_due" in one(exception(review_on="2026-11-23"), document())["notes"]
    assert "review_due" not in one(exception(review_on="2026-11-24"), document())["notes"]
    assert "not_needed" in one(exception(), document(must=False))["notes"]
    against = {"contradicted": [{"id": "AT-1", "checks": [CHECK]}], "met": met}
    assert "contradicted" in one(attestation(), document(attestations=against), kind="attestations")["notes"]


def test_what_nobody_may_overlook_is_said_loudly():
    def said(found, kind="exceptions"):
        return register_state.loud({kind: {"records": [found]}})

    expired = one(exception(expires_on="2026-11-22"), document())
    assert said(expired)[0] == "Exception EX-1 (RR-1) expired on 2026-11-22: what it covered counts as fail again"
    assert "within 7 days" in said(one(exception(expires_on="2026-11-25", approved_on="2026-09-01"), document()))[0]
    assert "after the run of 2026-10-01" in said(one(exception(), document()))[0]
    assert said(one(exception(approved_on="2026-09-01"), document())) == []
    assert said(one(exception(expires_on="2026-11-22"), document(met=()))) == []


def test_the_scope_in_words():
    record = exception(groups=["lab"], platforms=["kvm"], items=["alice"], accepted_value="no")
    assert register_state.scope_in_words(record) == (
        "subjects kvm1; groups lab; platforms kvm; items alice; accepted value no"
    )
