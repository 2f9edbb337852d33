# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of whole subjects: 36 measures, verdicts, scores, drift, and no facts that crash or pass by accident."""

from __future__ import annotations

import datetime as dt
import json
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import rollup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import (
    SelectionError,
    assess,
    unreachable,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import WORST_FIRST, worst
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import steps
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)
SUBJECT = {"id": "kvm1", "name": "kvm1", "slug": "kvm1-0", "platform": "kvm", "kind": "host", "endpoint": "kvm1"}


def document(facts, **options):
    options = {"standard": load_standard(), "gold": gold_config.defaults(), "now": NOW, "subject": SUBJECT, **options}
    return assess(facts, **options)


def test_no_facts_at_all_pass_nothing():
    found = document({})
    assert len(found["measures"]) == 36
    assert {entry["status"] for entry in found["results"]} <= {"unknown", "manual", "fail"}
    assert found["subject"]["verdict"] in ("not demonstrated", "non-compliant")
    assert found["subject"]["score"] == {"before_exceptions": 0.0, "after_exceptions": 0.0}


def test_a_failure_without_facts_comes_from_the_gold_configuration_alone():
    """Nothing was read, so only a gold setting below its floor (nothing authorised yet) may fail."""
    standard = load_standard()
    for result in document({})["results"]:
        if result["measured"] == "fail":
            faults = [
                standard.gold[name].floor_fault(standard.gold[name].default)
                for name in standard.checks[result["check"]].gold
            ]
            assert any(faults), result


def test_unreachable_is_36_times_unknown_with_the_reason():
    found = unreachable(SUBJECT, standard=load_standard(), reason="no route to host", now=NOW)
    assert [entry["status"] for entry in found["measures"]] == ["unknown"] * 36
    assert all("no route to host" in entry["message"] for entry in found["results"])
    assert found["subject"]["reachable"] is False
    assert found["subject"]["verdict"] == "not demonstrated"


def test_a_subset_leaves_the_other_measures_not_evaluated():
    found = document({}, measures=["11.4.6"])
    statuses = {entry["measure"]: entry["status"] for entry in found["measures"]}
    assert len(statuses) == 36
    assert {status for measure, status in statuses.items() if measure != "11.4.6"} == {"not_evaluated"}
    assert statuses["11.4.6"] != "not_evaluated"


def test_an_unknown_measure_is_refused_with_the_nearest():
    with pytest.raises(SelectionError, match=r"11\.4\.66 is not a measure of SS-009; did you mean 11\.4\.6"):
        document({}, measures=["11.4.66"])


def test_drift_lists_only_what_a_role_can_set():
    checks = load_standard().checks
    facts = {"remote_access": {"ssh": {"effective_root": {"permitrootlogin": "yes"}}}}
    drift = document(facts)["drift"]
    assert all(checks[entry["check"]].data.get("enforced") for entry in drift)


def entry(status, obligation="must"):
    return {"status": status, "obligation": obligation, "tier": 1}


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["pass", "attested", "not_applicable"], "compliant"),
        (["pass", "excepted"], "compliant with exceptions"),
        (["pass", "excepted", "unknown"], "not demonstrated"),
        (["pass", "manual"], "not demonstrated"),
        (["pass", "not_evaluated"], "not demonstrated"),
        (["unknown", "fail"], "non-compliant"),
    ],
)
def test_verdict(statuses, expected):
    assert rollup.verdict([entry(status) for status in statuses]) == expected


def test_an_advisory_failure_does_not_decide_the_verdict():
    assert rollup.verdict([entry("pass"), entry("fail", "advisory")]) == "compliant"


def test_score_before_and_after_exceptions():
    measures = [
        entry("pass"),
        entry("attested"),
        entry("excepted"),
        entry("fail"),
        entry("not_applicable"),
        entry("fail", "advisory"),
    ]
    assert rollup.score(measures) == {"before_exceptions": 0.5, "after_exceptions": 0.75}


def test_worst_of():
    for index, status in enumerate(WORST_FIRST):
        assert worst(WORST_FIRST[index:]) == status
    assert worst([]) == "not_evaluated"


def test_should_and_must_are_rolled_up_apart():
    measure = load_standard().measures["11.4.6"]
    results = [{**entry("pass"), "measure": "11.4.6"}, {**entry("fail", "should"), "measure": "11.4.6"}]
    found = rollup.roll_up(measure, results, "kvm1", advisory=False)
    assert (found["status"], found["advisory_status"]) == ("pass", "fail")


def test_tier_2_informs_and_never_decides():
    measure = load_standard().measures["11.4.6"]
    results = [entry("pass"), {**entry("fail"), "tier": 2}]
    assert rollup.roll_up(measure, results, "kvm1", advisory=False)["status"] == "pass"


def test_section_11_3_is_must_unless_the_authority_said_otherwise():
    def obligations(gold):
        return {m["measure"]: m["obligation"] for m in document({}, gold=gold)["measures"]}

    assert set(obligations(gold_config.defaults()).values()) == {"must"}
    advisory = obligations({**gold_config.defaults(), "gold_section_11_3": "advisory"})
    assert {measure for measure, obligation in advisory.items() if obligation == "advisory"} == {
        f"11.3.{number}" for number in range(1, 11)
    }


def known_paths():
    """Every fact path that some check reads."""
    found = set()
    for check in load_standard().checks.values():
        data = check.data
        found.update(path.rstrip("?") for path in data.get("facts", {}).values())
        rules = (data, *data.get("all", []), *data.get("not_applicable", []))
        found.update(rule["fact"] for rule in rules if "fact" in rule and "each" not in data)
        if "each" in data:
            found.add(data["each"])
    return sorted(found)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.printable, max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_lowercase, max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_facts_document_crashes_or_makes_a_compliant_subject(data):
    facts = {}
    for path in data.draw(st.lists(st.sampled_from(known_paths()), max_size=12)):
        target = facts
        keys = [step for step in steps(path) if isinstance(step, str)]
        for key in keys[:-1]:
            target = target.setdefault(key, {}) if isinstance(target, dict) else {}
        if isinstance(target, dict):
            target[keys[-1]] = data.draw(VALUES)
    found = document(facts)
    assert len(found["measures"]) == 36
    assert found["subject"]["verdict"] in ("not demonstrated", "non-compliant")
    json.dumps(found)
