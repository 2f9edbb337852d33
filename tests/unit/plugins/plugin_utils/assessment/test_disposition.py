# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import disposition
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, Measure, Standard

NOW = dt.datetime(2026, 11, 23, 17, 0, tzinfo=dt.timezone.utc)
VM1 = "0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"
VM2 = "1b92f5b2-8403-7b23-c8d6-21ccc2f80d70"
SUBJECT = {"id": f"kvm1/{VM2}", "name": "kvm1", "endpoint": "kvm1.example.org", "platform": "kvm"}


def check(check_id="kvm-11.4.6-a", **data):
    return Check(
        id=check_id, measure="11.4.6", name="n", title="t", platform="kvm", tier=1, obligation="must", severity="high",
        evidence="host", probe="p", passes="p", fix="f", role="r", setting="s", data=data,
    )  # fmt: skip


def standard(*checks):
    measure = Measure(
        id="11.4.6", title="t", text="t", section="11.4", obligation="must", severity="high", kind="technical",
        role="r", nist_csf=[], nist_csf_2=[], cis_v8=[], interpretation="", limits={}, checks=list(checks) or [check()],
    )  # fmt: skip
    return Standard("SS-009", "2.0", {"11.4.6": measure}, {})


def result(measured="fail", *, check="kvm-11.4.6-a", actual="yes", items=(), message="it is yes"):
    return {
        "subject": SUBJECT["id"], "measure": "11.4.6", "check": check, "measured": measured, "status": measured,
        "actual": actual, "message": message, "exception": None, "attestation": None,
        "items": [{"id": name, "status": status, "actual": value, "message": ""} for name, status, value in items],
    }  # fmt: skip


def exception(**changes):
    record = {
        "id": "EX-1", "checks": ["kvm-11.4.6-a"], "subjects": ["kvm1"], "risk_ref": "RR-1",
        "approved_on": "2026-11-01", "expires_on": "2026-12-31", **changes,
    }  # fmt: skip
    return {key: value for key, value in record.items() if value is not None}


def attestation(**changes):
    record = {
        "id": "AT-1", "checks": ["kvm-11.4.6-a"], "subjects": ["kvm1"], "statement": "s", "evidence_ref": "e",
        "signed_by": "Bo", "accepted_by": "Cy", "signed_on": "2026-11-01", **changes,
    }  # fmt: skip
    return {key: value for key, value in record.items() if value is not None}


def dispose(results, exceptions=(), attestations=(), now=NOW, checks=(), **options):
    results = [results] if isinstance(results, dict) else results
    return disposition.dispose(
        results, exceptions=exceptions, attestations=attestations, subject=SUBJECT, now=now,
        standard=standard(*checks), **options,
    )  # fmt: skip


def one(measured, *records, **options):
    (found,), _register, _statements = dispose(measured, records, **options)
    return found


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, True),
        ({"checks": None, "measure": "11.4.6"}, True),
        ({"vms": [VM1]}, True),
        ({"accepted_value": "maybe"}, True),
        ({"checks": ["kvm-11.4.6-b"]}, False),
        ({"subjects": ["kvm2"]}, False),
        ({"approved_on": "2026-11-24"}, False),
        ({"expires_on": "2026-11-22"}, False),
        ({"subjects": ["kvm*"], "approved_subjects": ["kvm2"]}, False),
    ],
)
def test_what_a_subject_may_be_excepted_from_that_nobody_could_read(changes, there):
    found = disposition.excepted_from([exception(**changes)], SUBJECT, NOW, check())
    assert [record["id"] for record in found] == (["EX-1"] if there else [])


def test_an_exception_turns_fail_into_excepted_and_leaves_what_was_measured():
    before = result()
    found = one(before, exception())
    assert (found["measured"], found["status"]) == ("fail", "excepted")
    assert found["exception"] == {"id": "EX-1", "risk_ref": "RR-1", "expires_on": "2026-12-31"}
    assert found["message"] == "it is yes. Excepted by EX-1 (RR-1) until 2026-12-31."
    assert found["actual"] == "yes"
    assert before == result()


@pytest.mark.parametrize("measured", ["pass", "unknown", "manual", "not_applicable", "not_evaluated"])
def test_nothing_but_fail_is_ever_excepted(measured):
    found = one(result(measured), exception())
    assert found["status"] == measured
    assert found["exception"] is None
    assert found["message"] == "it is yes"


@pytest.mark.parametrize(
    "changes",
    [
        {"checks": ["kvm-11.4.6-b"]},
        {"checks": None, "measure": "11.4.7"},
        {"subjects": ["kvm2"]},
        {"subjects": ["kvm"]},
        {"subjects": ["kvm1.example.com"]},
        {"subjects": ["kvm1.example.org"]},
        {"subjects": ["kvm1?"]},
        {"subjects": ["[k]vm1"]},
    ],
)
def test_an_exception_for_something_else_changes_nothing(changes):
    assert one(result(), exception(**changes)) == result()


@pytest.mark.parametrize(
    "changes",
    [
        {"checks": None, "measure": "11.4.6"},
        {"subjects": ["other", SUBJECT["id"]]},
        {"subjects": ["KVM1"]},
        {"subjects": ["kvm?.example.*"]},
        {"subjects": ["kvm1/*"]},
    ],
)
def test_an_exception_names_its_subjects_by_id_name_or_pattern(changes):
    assert one(result(), exception(**changes))["status"] == "excepted"


def test_ipv6_endpoints_are_no_patterns():
    record = {"subjects": ["[fe80::1]*"]}
    assert disposition.covers_subject(record, {"id": "x", "name": "x", "endpoint": "[fe80::1]:16514"})
    assert not disposition.covers_subject(record, {"id": "x", "name": "x", "endpoint": "f"})


LAST = dt.datetime(2026, 12, 31, 23, 59, 59, tzinfo=dt.timezone.utc)
WEST = dt.timezone(dt.timedelta(hours=-5))


@pytest.mark.parametrize(
    "now, status",
    [
        (dt.datetime(2026, 10, 31, 23, 59, tzinfo=dt.timezone.utc), "fail"),
        (dt.datetime(2026, 11, 1, tzinfo=dt.timezone.utc), "excepted"),
        (LAST, "excepted"),
        (LAST.replace(tzinfo=None), "excepted"),
        (LAST + dt.timedelta(seconds=1), "fail"),
        (dt.datetime(2026, 12, 31, 18, 59, tzinfo=WEST), "excepted"),
        (dt.datetime(2026, 12, 31, 19, 0, tzinfo=WEST), "fail"),
    ],
)
def test_an_exception_counts_through_the_end_of_its_last_day_utc(now, status):
    assert one(result(), exception(), now=now)["status"] == status


def test_an_expired_exception_fails_again_and_says_so():
    (found,), register, _statements = dispose(result(), [exception(expires_on="2026-11-22")])
    assert found["status"] == "fail"
    assert found["message"].endswith("Exception EX-1 (RR-1) expired on 2026-11-22.")
    assert (register["now_passing"], register["expired"], register["changed"]) == ([], ["EX-1"], [])
    assert dispose(result("pass"), [exception(expires_on="2026-11-22")])[1]["expired"] == []


def test_an_exception_that_is_not_approved_yet_does_not_count():
    found = one(result(), exception(approved_on="2026-11-24"))
    assert found["status"] == "fail"
    assert "is approved from 2026-11-24 only" in found["message"]


def test_a_newer_exception_answers_where_the_old_one_expired():
    found = one(result(), exception(expires_on="2026-11-22"), exception(id="EX-2"))
    assert found["status"] == "excepted"
    assert found["exception"]["id"] == "EX-2"


def test_the_exception_that_lasts_longest_is_shown_where_one_suffices():
    found = one(result(), exception(), exception(id="EX-2", expires_on="2027-03-01"), exception(id="EX-3"))
    assert found["exception"]["id"] == "EX-2"


def test_every_failing_vm_has_to_be_covered():
    both = result(items=[(VM1, "fail", "a"), (f"{VM2}/net0", "fail", "b")])
    found = one(both, exception(vms=[VM1, VM2]))
    assert found["status"] == "excepted"
    assert [item["status"] for item in found["items"]] == ["excepted", "excepted"]
    (found,), register, _statements = dispose(both, [exception(vms=[VM1])])
    assert found["status"] == "fail"
    assert found["exception"] is None
    assert [item["status"] for item in found["items"]] == ["excepted", "fail"]
    assert f"EX-1 does not cover {VM2}/net0." in found["message"]
    assert register["changed"] == ["EX-1"]


def test_two_exceptions_together_cover_what_neither_does_alone():
    both = result(items=[(VM1, "fail", "a"), (VM2, "fail", "b")])
    found = one(both, exception(vms=[VM1]), exception(id="EX-2", vms=[VM2], expires_on="2026-11-30"))
    assert found["status"] == "excepted"
    assert found["exception"]["id"] == "EX-2"
    assert "EX-1 (RR-1) until 2026-12-31, EX-2 (RR-1) until 2026-11-30" in found["message"]


@pytest.mark.parametrize(
    "item_id", [f"evil {VM1}", f"{VM1}0", f"x/{VM1}", f"{VM1} x", "", f"net0/{VM1}", VM1[:-1], f"{VM1}\n"]
)
def test_a_vm_is_known_by_the_beginning_of_the_items_id_only(item_id):
    assert one(result(items=[(item_id, "fail", "a")]), exception(vms=[VM1]))["status"] == "fail"


def test_an_exception_for_vms_does_not_answer_for_the_host():
    found = one(result(), exception(vms=[VM1]))
    assert found["status"] == "fail"
    assert "is for single VMs" in found["message"]


@pytest.mark.parametrize("hidden", ["unknown", "manual"])
def test_an_exception_does_not_hide_items_that_could_not_be_judged(hidden):
    found = one(result(items=[(VM1, "fail", "a"), (VM2, hidden, None)]), exception(vms=[VM1]))
    assert found["status"] == hidden
    assert found["exception"] is None
    assert f"Other items are {hidden}" in found["message"]
    assert [item["status"] for item in found["items"]] == ["excepted", hidden]
    whole = one(result(items=[(VM2, hidden, None)]), exception())
    assert whole["status"] == hidden


def test_a_worse_value_than_the_accepted_one_fails():
    (found,), register, _statements = dispose(result(actual="yes"), [exception(accepted_value="prohibit-password")])
    assert found["status"] == "fail"
    assert "EX-1 accepted another value than this" in found["message"]
    assert register["changed"] == ["EX-1"]
    assert (
        one(result(actual="prohibit-password"), exception(accepted_value="prohibit-password"))["status"] == "excepted"
    )


@pytest.mark.parametrize(
    "accepted, status",
    [
        ({"alice": "ALL", "bob": "ALL"}, "excepted"),
        ({"alice": "ALL"}, "fail"),
        ({"alice": "ALL", "bob": "less"}, "fail"),
        (["alice", "bob", "carol"], "excepted"),
        (["alice"], "fail"),
        ("ALL", "excepted"),
        ("less", "fail"),
    ],
)
def test_accepted_value_of_a_check_that_looks_at_several_things(accepted, status):
    measured = result(items=[("alice", "fail", "ALL"), ("bob", "fail", "ALL")], actual={"alice": "ALL", "bob": "ALL"})
    assert one(measured, exception(accepted_value=accepted))["status"] == status


def test_a_new_match_fails_also_beyond_the_items_a_report_lists():
    items = [(f"{VM1}/{number}", "fail", 1) for number in range(200)]
    assert one(result(items=items), exception(vms=[VM1]))["status"] == "excepted"
    assert one(result(items=[*items, (VM2, "fail", 1)]), exception(vms=[VM1]))["status"] == "fail"


def test_an_exception_that_is_not_needed_any_more_is_reported():
    checks = [check(), check("kvm-11.4.6-b")]
    record = exception(checks=None, measure="11.4.6")
    passing = [result("pass"), result("not_applicable", check="kvm-11.4.6-b")]
    assert dispose(passing, [record], checks=checks)[1]["now_passing"] == ["EX-1"]
    for measured in ("fail", "unknown", "manual", "not_evaluated"):
        mixed = [result("pass"), result(measured, check="kvm-11.4.6-b")]
        assert dispose(mixed, [record], checks=checks)[1]["now_passing"] == []
    assert dispose([result("not_applicable")], [exception()])[1]["now_passing"] == []


def attested(measured, *records, **options):
    (found,), _register, _statements = dispose(measured, (), records, **options)
    return found


def test_an_attestation_turns_manual_into_attested():
    found = attested(result("manual", message="needs a statement"), attestation(expires_on="2026-12-31"))
    assert (found["measured"], found["status"]) == ("manual", "attested")
    assert found["attestation"] == {
        "id": "AT-1",
        "signed_by": "Bo",
        "accepted_by": "Cy",
        "signed_on": "2026-11-01",
        "expires_on": "2026-12-31",
        "satisfied_by": None,
        "evidence": "e",
    }
    assert found["message"] == "needs a statement. Attested by Bo, accepted by Cy (AT-1) until 2026-12-31."


@pytest.mark.parametrize("measured", ["pass", "fail", "unknown", "not_applicable", "not_evaluated"])
def test_an_attestation_overrides_nothing_that_was_measured(measured):
    found = attested(result(measured), attestation())
    if measured == "fail":
        assert found.pop("message") == "it is yes. Attestation AT-1 says otherwise: the probe decides."
        found["message"] = "it is yes"
    assert found == result(measured)


def test_a_check_may_let_an_attestation_answer_for_unknown():
    checks = [check(attestation_may_override="unknown")]
    assert attested(result("unknown"), attestation(), checks=checks)["status"] == "attested"
    assert attested(result("fail"), attestation(), checks=checks)["status"] == "fail"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"signed_on": "2026-11-24"}, "is signed on 2026-11-24, after this evidence"),
        ({"expires_on": "2026-11-22"}, "ran out on 2026-11-22"),
        ({"signed_on": "2025-11-22"}, "ran out on 2026-11-22"),
        ({"signed_on": "2025-11-22", "expires_on": "2030-01-01"}, "ran out on 2026-11-22"),
    ],
)
def test_an_attestation_out_of_date_leaves_manual_and_says_why(changes, words):
    found = attested(result("manual"), attestation(**changes))
    assert found["status"] == "manual"
    assert found["attestation"] is None
    assert words in found["message"]


def test_the_greatest_age_of_an_attestation_is_a_setting_with_a_ceiling():
    old = attestation(signed_on="2026-10-01")
    assert attested(result("manual"), old, attestation_max_age_days=53)["status"] == "attested"
    assert attested(result("manual"), old, attestation_max_age_days=52)["status"] == "manual"
    ancient = attestation(signed_on="2025-01-01")
    assert attested(result("manual"), ancient, attestation_max_age_days=10**9)["status"] == "manual"


def test_the_attestation_that_lasts_longest_is_shown():
    found = attested(
        result("manual"),
        attestation(expires_on="2026-12-01"),
        attestation(id="AT-2"),
        attestation(signed_on="2020-01-01"),
    )
    assert found["attestation"]["id"] == "AT-2"


def test_enforcement_leaves_alone_what_is_excepted_or_unknown():
    drift = [{"subject": "s", "check": name} for name in ("excepted", "fail", "unknown", "absent")]
    results = [
        {"subject": "s", "check": "excepted", "measured": "fail", "status": "excepted"},
        {"subject": "s", "check": "fail", "measured": "fail", "status": "fail"},
        {"subject": "s", "check": "unknown", "measured": "unknown", "status": "unknown"},
        {"subject": "other", "check": "absent", "measured": "fail", "status": "fail"},
    ]
    assert disposition.enforceable(drift, results) == [{"subject": "s", "check": "fail"}]


STATUSES = st.sampled_from(["pass", "fail", "unknown", "manual", "not_applicable", "not_evaluated"])
IDS = st.sampled_from([VM1, VM2, f"{VM1}/net0", "alice"]) | st.text(max_size=8)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.lists(st.text(max_size=3), max_size=3)
)
DECISIONS = [{}] + [
    {"expect": expect} for expect in ({"at_most": 1}, {"subset_of": []}, {"contains": ["a"]}, {"equals": "no"})
]
ITEMS = st.lists(st.tuples(IDS, st.sampled_from(["fail", "unknown", "manual"]), VALUES), max_size=4)
EXCEPTIONS = st.lists(
    st.builds(
        exception,
        vms=st.none() | st.lists(st.sampled_from([VM1, VM2]), min_size=1),
        accepted_value=st.none() | VALUES | st.dictionaries(IDS, VALUES, max_size=3),
        subjects=st.sampled_from([["kvm1"], ["kvm2"], ["kvm*"]]),
        expires_on=st.sampled_from(["2026-11-22", "2026-11-23", "2027-10-31"]),
    ),
    max_size=3,
)  # fmt: skip


@given(STATUSES, ITEMS, VALUES, EXCEPTIONS, st.sampled_from(DECISIONS))
def test_no_register_makes_a_result_better_than_it_may_be(measured, items, actual, records, data):
    before = result(measured, items=items, actual=actual)
    untouched = copy.deepcopy(before)
    (found,), register, _statements = dispose(before, records, [attestation()], checks=[check(**data)])
    assert before == untouched
    assert found["measured"] == measured
    assert found["actual"] is before["actual"]
    allowed = {"fail": {"fail", "excepted", "unknown", "manual"}, "manual": {"attested"}}
    assert found["status"] in allowed.get(measured, {measured})
    if found["status"] == "excepted":
        assert not any(status in ("unknown", "manual") for _id, status, _value in items)
        assert found["exception"]["expires_on"] >= "2026-11-23"
        assert any(record["expires_on"] >= "2026-11-23" and record["subjects"] != ["kvm2"] for record in records)
    else:
        assert found["exception"] is None
    assert set(register) == {"now_passing", "expired", "changed", "met"}
