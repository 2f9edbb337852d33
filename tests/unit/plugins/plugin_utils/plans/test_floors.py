# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gold value below its floor accuses nobody of what was not read, and is never written."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.evaluate import evaluate
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import Floored, GoldSetting, WeakGold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.vsphere.vsphere_side import situation

STANDARD = load_standard()
# Weaker than these is only what asks for nothing, as their defaults do: planners say what is to be declared.
FLOORED = {name: one for name, one in STANDARD.gold.items() if one.floor not in (None, {"empty": False})}
WRITING = [
    (check.id, name)
    for check in STANDARD.checks.values()
    for name in check.gold
    if name in FLOORED and check.id in planners("vsphere")
]


def weak(setting: GoldSetting) -> Any:
    """A value that the standard does not allow."""
    ((kind, bound),) = setting.floor.items()
    return {
        "excludes": lambda: [*setting.default, bound[0]],
        "subset_of": lambda: [*setting.default, "anything"],
        "contains": type(setting.default),
        "between": lambda: bound[1] + 1,
        "at_least": lambda: bound - 1,
        "in": lambda: next((value for value in setting.choices if value not in (*bound, setting.default)), "anything"),
        "not_in": lambda: bound[0],
        "matches": lambda: "0",
    }[kind]()


@pytest.mark.parametrize("name", FLOORED)
def test_who_writes_is_given_no_weak_value(name):
    values = Floored({"gold_log_servers": [], name: weak(FLOORED[name])})
    for ask in (values.__getitem__, values.get):
        with pytest.raises(WeakGold, match=f"{name} is .*, weaker than the standard allows"):
            ask(name)
    assert values["gold_log_servers"] == [] and values.get("gold_no_such") is None


def test_what_is_not_declared_yet_is_for_the_planners_to_ask_for():
    values = Floored({"gold_admin_cidrs": [], "gold_kvm_type_position": ""})
    assert values["gold_admin_cidrs"] == [] and values.get("gold_kvm_type_position") == ""


@pytest.mark.parametrize("check", [check for check in STANDARD.checks.values() if FLOORED.keys() & set(check.gold)])
def test_what_nobody_could_read_stays_unknown(check):
    usual = evaluate(check, {}, gold.defaults(), STANDARD.gold).status
    for name in FLOORED.keys() & set(check.gold):
        found = evaluate(check, {}, {**gold.defaults(), name: weak(FLOORED[name])}, STANDARD.gold)
        assert usual != "unknown" or (found.status, name in found.message) == ("unknown", True)


def _nothing_set(facts):
    """Options that were never set, and services that nobody stopped."""
    for name, value in facts["advanced_options"].items():
        if type(value) in (int, bool):
            facts["advanced_options"][name] = type(value)(0)
    for service in facts.get("remote_access", {}).get("services", ()):
        service.update(running=True, policy="on")


@pytest.mark.parametrize(("check", "name"), WRITING)
@pytest.mark.parametrize("release", ["7.0", "8.0", "9.0", "vcenter"])
@pytest.mark.parametrize("change", [None, _nothing_set])
def test_a_weak_value_is_not_planned(check, name, release, change):
    usual = replace(situation(change, release=release), checks=frozenset({check}))
    weaker = replace(usual, facts=copy.deepcopy(usual.facts), gold={**usual.gold, name: weak(FLOORED[name])})
    area = STANDARD.checks[check].role
    before, after = (proposal.propose(area, one, STANDARD, "vsphere") for one in (usual, weaker))
    written = [row for row in after.rows if row["kind"] != "by_hand"]
    assert not written or after.rows == before.rows
    if after.rows != before.rows:
        assert f"nothing of {check} is set, as {name} is " in after.rows[0]["what"]
