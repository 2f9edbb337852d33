# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.accepted import no_worse
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check

AT_MOST, AT_LEAST = {"expect": {"at_most": 14}}, {"expect": {"at_least": {"gold": "gold_x"}}}
SUBSET, CONTAINS, EMPTY = (
    {"expect": {"subset_of": []}},
    {"expect": {"contains": ["a", "b", "c"]}},
    {"expect": {"empty": True}},
)
EQUALS, NAMED = {"expect": {"equals": "no"}}, {"test": "some_predicate"}


@pytest.mark.parametrize(
    "data, actual, accepted, good",
    [
        (AT_MOST, 30, 30, True),
        (AT_MOST, 20, 30, True),
        (AT_MOST, 31, 30, False),
        (AT_MOST, "20", 30, True),
        (AT_MOST, "nan", 30, False),
        (AT_MOST, None, 30, False),
        (AT_MOST, True, 30, False),
        (AT_MOST, "9" * 500, 30, False),
        (AT_LEAST, 5, 3, True),
        (AT_LEAST, 2, 3, False),
        (SUBSET, ["tcp/111"], ["tcp/111", "tcp/2049"], True),
        (SUBSET, ["tcp/111", "tcp/23"], ["tcp/111", "tcp/2049"], False),
        (EMPTY, ["a"], ["a", "b"], True),
        (EMPTY, ["c"], ["a", "b"], False),
        (CONTAINS, ["a", "b"], ["a"], True),
        (CONTAINS, ["a"], ["a", "b"], False),
        (EQUALS, "no", False, True),
        (EQUALS, False, "no", True),
        (EQUALS, "22", 22, True),
        (EQUALS, 22.0, 22, True),
        (EQUALS, "yes", False, False),
        (EQUALS, None, "", False),
        (EQUALS, ["b", "a"], ["a", "b"], True),
        (EQUALS, ["a", "a", "b"], ["a", "b", "b"], False),
        (EQUALS, ["a"], "a", False),
        (NAMED, 20, 30, False),
        (NAMED, {"b": 1, "a": ["x"]}, {"a": ["x"], "b": "1"}, True),
        (NAMED, {"a": 1, "b": 2}, {"a": 1}, False),
        (NAMED, {"a": 1}, {"a": 2}, False),
    ],
)
def test_what_is_as_good_as_the_accepted_value(data, actual, accepted, good):
    check = Check(
        id="kvm-11.4.6-a", measure="11.4.6", name="n", title="t", platform="kvm", tier=1, obligation="must",
        severity="high", evidence="host", probe="p", passes="p", fix="f", role="r", setting="s", data=data,
    )  # fmt: skip
    assert no_worse(actual, accepted, check) is good
