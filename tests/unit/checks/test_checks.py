# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A check is done when it has been seen to pass, to fail, and to be unknown where its facts are missing."""

from __future__ import annotations

import copy
import re

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import lookup, steps
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.checks.case_files import all_cases, leaves, replaced

CASES = all_cases()
DECIDED = [case for case in CASES if case.expect in ("pass", "fail")]
HOSTILE = [
    "\U0001f480" * 50,
    "<script>alert(1)</script>",
    "x" * 70000,
    -1,
    10**30,
    True,
    [],
    {},
    [[[None]]],
    {"a": {"b": [None]}},
]


def host_paths(check):
    """Every fact path of the whole document that the check reads, without the optional ones."""
    data = check.data
    paths = [str(path) for path in data.get("facts", {}).values()]
    if "each" in data:
        paths.append(data["each"])
    else:
        paths += [rule["fact"] for rule in (data, data.get("persistent", {}), *data.get("all", [])) if "fact" in rule]
    paths += [rule["fact"] for rule in data.get("not_applicable", [])]
    return [path for path in paths if not path.endswith("?")]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_verdict(case, seen):
    found = case.evaluate()
    assert found.status == case.expect, f"{found.status}: {found.message} (actual {found.actual})"
    assert found.message or found.status == "pass", "a verdict other than pass says why"
    if case.message:
        assert re.search(case.message, found.message), found.message
    seen.add(case.check, found.status)


@pytest.mark.parametrize("case", [case for case in CASES if case.expect == "pass"], ids=str)
def test_missing_or_unreadable_fact_is_unknown(case, seen):
    check = load_standard().checks[case.check]
    paths = host_paths(check)
    assert paths, "a check that reads no fact cannot be unknown"
    for path in paths:
        path_steps = steps(path)
        if lookup(case.facts, path) is None:
            continue
        missing = replaced(case.facts, path_steps, None)
        found = case.evaluate(missing)
        assert found.status == "unknown", f"without {path}: {found.status} {found.message}"
        broken = copy.deepcopy(case.facts)
        broken.setdefault("collector", {})["errors"] = [{"path": path, "reason": "planted reason"}]
        found = case.evaluate(broken)
        assert found.status == "unknown", f"with {path} in collector.errors: {found.status} {found.message}"
        assert "planted reason" in found.message
        seen.add(case.check, "unknown")


@pytest.mark.parametrize("case", DECIDED, ids=str)
def test_a_lost_leaf_never_improves_nor_accuses(case):
    """Nulling any leaf of a pass leaves pass or unknown; of a fail, fail or unknown."""
    for path in leaves(case.facts):
        if not path or ".".join(map(str, path)).startswith(case.unused or ("\0",)):
            continue
        found = case.evaluate(replaced(case.facts, path, None))
        assert found.status in (case.expect, "unknown"), f"without {path}: {found.status} {found.message}"


@pytest.mark.parametrize("case", DECIDED, ids=str)
def test_hostile_facts_never_crash_and_never_turn_a_fail_into_exempt(case):
    for path in leaves(case.facts):
        for hostile in HOSTILE:
            if path:
                found = case.evaluate(replaced(case.facts, path, hostile))
                assert found.status in ("pass", "fail", "unknown", "not_applicable", "manual")


def test_every_check_has_cases():
    """Every check that a machine decides has a pass and a fail case."""
    seen_cases = {}
    for case in CASES:
        seen_cases.setdefault(case.check, set()).add(case.expect)
    lacking = [
        check.id
        for check in load_standard().checks.values()
        if "manual" not in check.data and not {"pass", "fail"} <= seen_cases.get(check.id, set())
    ]
    assert not lacking, f"without a pass and a fail case: {', '.join(lacking)}"
