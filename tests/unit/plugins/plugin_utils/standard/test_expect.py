# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.expect import (
    PREDICATES,
    ExpectationError,
    check_expectation,
    describe,
    gold_names,
    holds,
    resolve,
)

TRUTHS = [
    ("equals", "no", "no", "yes"),
    ("not_equals", "none", "tls", "none"),
    ("in", ["a", "b"], "a", "c"),
    ("not_in", ["a", "b"], "c", "a"),
    ("at_least", 2, 2, 1),
    ("at_most", 14, 14, 15),
    ("between", [1, 600], 600, 0),
    ("subset_of", ["a", "b"], ["a"], ["a", "c"]),
    ("contains", ["polkit"], ["polkit", "x"], ["x"]),
    ("excludes", ["none"], ["publickey"], ["none", "publickey"]),
    ("matches", "^RFC5424", "RFC5424x", "bsd"),
    ("empty", True, [], ["x"]),
]


@pytest.mark.parametrize(("name", "operand", "good", "bad"), TRUTHS, ids=[entry[0] for entry in TRUTHS])
def test_each_predicate_holds_and_fails(name, operand, good, bad):
    assert holds(good, {name: operand}) is True
    assert holds(bad, {name: operand}) is False


def test_every_predicate_is_tested():
    assert {entry[0] for entry in TRUTHS} == set(PREDICATES)


@pytest.mark.parametrize("name", sorted(PREDICATES))
def test_null_is_never_judged(name):
    with pytest.raises(MissingFact):
        holds(None, {name: ["x", "y"] if name == "between" else "x"})


@pytest.mark.parametrize("name", ["subset_of", "contains", "excludes", "empty"])
def test_a_null_inside_a_list_is_never_judged(name):
    with pytest.raises(MissingFact):
        holds(["a", None], {name: ["a", "b"]})


@pytest.mark.parametrize("name", ["at_least", "at_most", "between"])
@pytest.mark.parametrize("value", [True, "many", [], {}])
def test_no_number_is_not_compared(name, value):
    with pytest.raises(MissingFact):
        holds(value, {name: [0, 1] if name == "between" else 1})


def test_a_truth_value_is_not_a_number_nor_a_word():
    assert holds(1, {"equals": True}) is False
    assert holds("True", {"equals": True}) is False
    assert holds(True, {"equals": True}) is True


def test_gold_is_put_in_place():
    expectation = {"at_most": {"gold": "gold_days"}}
    assert gold_names(expectation) == ["gold_days"]
    assert resolve(expectation, {"gold_days": 14}) == {"at_most": 14}
    assert describe({"at_most": 14}) == "at most 14"


@pytest.mark.parametrize(
    ("expectation", "complaint"),
    [
        ({"equal": 1}, "unknown predicate 'equal'"),
        ({}, "one predicate"),
        ({"equals": 1, "in": [1]}, "one predicate"),
        ("no", "one predicate"),
        ({"between": 3}, "between takes"),
    ],
)
def test_malformed_expectations_are_refused(expectation, complaint):
    with pytest.raises(ExpectationError, match=complaint):
        check_expectation(expectation)
