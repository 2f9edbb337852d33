# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an enforcement takes from an assessment."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.verdicts import Verdicts

RESULTS = [
    {"check": "a", "measured": "fail", "status": "fail",
     "items": [{"id": "x", "status": "excepted"}, {"id": "y", "status": "fail"}]},
    {"check": "b", "measured": "fail", "status": "excepted", "items": [{"id": "x", "status": "excepted"}]},
    {"check": "c", "measured": "unknown", "status": "unknown", "items": []},
    {"check": "d", "measured": "pass", "status": "pass", "items": []},
]  # fmt: skip


def test_failing_leaves_unknown_and_excepted_out():
    assert Verdicts.of(RESULTS).failing == {"a"}


def test_what_is_unknown_was_not_judged():
    assert Verdicts.of(iter(RESULTS)).judged == {"a", "b", "d"}


def test_exceptions_cover_checks_and_items():
    found = Verdicts.of(RESULTS)
    assert found.excepted == {"b"}
    assert found.items == {"a": {"x"}, "b": {"x"}, "c": set(), "d": set()}
