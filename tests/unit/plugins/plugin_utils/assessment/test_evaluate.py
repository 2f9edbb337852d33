# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of design.md section 4, each on a check made for it."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.evaluate import evaluate
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import GoldSetting
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check

FLOORED = GoldSetting("gold_days", "int", 14, {"at_most": 14}, "", "substitute: test", "Days.", "test")


def check(**data):
    about = dict.fromkeys(("name", "title", "probe", "passes", "fix", "role", "setting"), "x")
    fixed = {"id": "kvm-1.1.1-x", "measure": "1.1.1", "platform": "kvm", "tier": 1}
    return Check(**about, **fixed, obligation="must", severity="high", evidence="host", data=data)


def judge(facts, gold=None, **data):
    return evaluate(check(**data), facts, gold or {"gold_days": 14}, {"gold_days": FLOORED})


def errors(*paths):
    return {"collector": {"errors": [{"path": path, "reason": "denied"} for path in paths]}}


def test_a_gold_value_weaker_than_its_floor_fails_whatever_the_facts_say():
    data = {"fact": "age", "expect": {"at_most": {"gold": "gold_days"}}}
    assert judge({"age": 10}, **data).status == "pass"
    weak = judge({"age": 10}, {"gold_days": 400}, **data)
    assert weak.status == "fail"
    assert "gold_days is 400, weaker than the standard allows (at most 14)" in weak.message


def test_a_weak_gold_value_says_nothing_of_what_nobody_could_read():
    data = {"fact": "age", "expect": {"at_most": {"gold": "gold_days"}}}
    hidden = judge({}, {"gold_days": 400}, **data)
    assert hidden.status == "unknown"
    assert hidden.message == "age was not read; gold_days is 400, weaker than the standard allows (at most 14)"


def test_a_test_that_stumbles_over_a_weak_gold_value_fails():
    data = {"fact": "age", "expect": {"at_most": {"gold": "gold_days"}}}
    assert judge({"age": 10}, {"gold_days": "many"}, **data).status == "fail"


def test_a_gold_value_stricter_than_its_floor_is_the_bar():
    data = {"fact": "age", "expect": {"at_most": {"gold": "gold_days"}}}
    assert judge({"age": 10}, {"gold_days": 7}, **data).status == "fail"
    assert judge({"age": 5}, {"gold_days": 7}, **data).status == "pass"


def test_running_only_fails_and_says_so():
    data = {"fact": "now", "expect": {"equals": "y"}, "persistent": {"fact": "conf", "expect": {"equals": "y"}}}
    assert judge({"now": "y", "conf": "y"}, **data).persistent is True
    running_only = judge({"now": "y", "conf": "n"}, **data)
    assert (running_only.status, running_only.persistent) == ("fail", False)
    assert "not configured to survive a restart" in running_only.message
    assert judge({"now": "y"}, **data).status == "unknown"
    assert judge({"now": "n"}, **data).status == "fail"


EACH = {
    "each": "vms",
    "fact": "label",
    "expect": {"equals": "ok"},
    "empty": {"status": "not_applicable", "reason": "none"},
}


def test_each_item_is_judged_and_the_worst_decides():
    found = judge({"vms": [{"id": "a", "label": "ok"}, {"id": "b", "label": "no"}, {"id": "c"}]}, **EACH)
    assert found.status == "fail"
    assert [(entry.id, entry.status) for entry in found.items] == [("a", "pass"), ("b", "fail"), ("c", "unknown")]
    assert "b" in found.message


def test_a_null_item_is_unknown_not_dropped():
    assert judge({"vms": [{"id": "a", "label": "ok"}, {"id": "b", "label": None}]}, **EACH).status == "unknown"
    assert judge({"vms": [None]}, **EACH).status == "unknown"


def test_an_empty_list_says_what_it_means_and_an_unread_one_is_unknown():
    assert judge({"vms": []}, **EACH).status == "not_applicable"
    assert judge({}, **EACH).status == "unknown"
    assert judge({"vms": "gone"}, **EACH).status == "unknown"
    assert judge({"vms": [], **errors("vms")}, **EACH).status == "unknown"


def test_where_selects_and_an_unknown_selector_is_unknown():
    data = {**EACH, "where": [{"fact": "power", "expect": {"equals": "on"}}]}
    vms = [{"id": "a", "power": "off", "label": "no"}, {"id": "b", "power": "on", "label": "ok"}]
    assert judge({"vms": vms}, **data).status == "pass"
    assert judge({"vms": [*vms, {"id": "c", "label": "ok"}]}, **data).status == "unknown"
    assert judge({"vms": vms[:1]}, **data).status == "not_applicable"


def test_an_error_of_one_item_makes_that_item_unknown():
    vms = [{"id": "a", "label": "ok"}, {"id": "b", "label": "ok"}]
    found = judge({"vms": vms, **errors("vms[b].label")}, **{**EACH})
    assert found.status == "unknown"


def test_all_rules_must_hold_and_a_fail_beats_an_unknown():
    data = {"all": [{"fact": "a", "expect": {"equals": 1}}, {"fact": "b", "expect": {"equals": 2}}]}
    assert judge({"a": 1, "b": 2}, **data).status == "pass"
    assert judge({"a": 1}, **data).status == "unknown"
    assert judge({"b": 3}, **data).status == "fail"


def test_not_applicable_comes_from_a_fact_with_its_reason():
    rule = {"fact": "joined", "expect": {"equals": False}, "reason": "no directory"}
    data = {"fact": "x", "expect": {"equals": 1}, "not_applicable": [rule]}
    found = judge({"joined": False}, **data)
    assert (found.status, found.message, found.actual) == ("not_applicable", "no directory", {"joined": False})
    assert judge({"x": 1}, **data).status == "unknown"
    assert judge({"joined": True, "x": 1}, **data).status == "pass"


@pytest.mark.parametrize("facts", [{}, {"collector": None}, {"collector": {"errors": "x"}}, {"vms": [[], 3, "x"]}])
def test_nonsense_is_unknown(facts):
    assert judge(facts, **EACH).status == "unknown"
