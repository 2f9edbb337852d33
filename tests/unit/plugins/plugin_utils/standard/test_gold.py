# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import GoldError


def given(**values):
    return {**gold.defaults(), **values}


def test_defaults_are_in_force_when_nothing_is_given():
    values = gold.effective(gold.defaults())
    assert values == gold.defaults()
    assert gold.non_default(values) == []


def test_an_undefined_setting_is_named():
    values = gold.defaults()
    del values["gold_ssh_permit_root"]
    with pytest.raises(GoldError, match=r"undefined: gold_ssh_permit_root\. List dwp\.hypervisor\.gold"):
        gold.effective(values)


def test_a_misspelt_setting_is_refused_with_the_nearest():
    with pytest.raises(GoldError, match="did you mean gold_ssh_permit_root"):
        gold.effective(given(gold_ssh_permit_rot="no"))


@pytest.mark.parametrize("value", ["365", True, None, [365]])
def test_a_wrong_type_is_refused(value):
    with pytest.raises(GoldError, match=r"gold_attestation_max_age_days is .*expected int"):
        gold.effective(given(gold_attestation_max_age_days=value))


def test_a_choice_is_checked():
    with pytest.raises(GoldError, match="expected one of must, advisory; did you mean advisory"):
        gold.effective(given(gold_section_11_3="advisry"))


def test_overrides_apply_to_matching_subjects_only():
    overrides = [{"subjects": ["esx-a*"], "gold": {"gold_attestation_max_age_days": 90}}]
    values = given(gold_overrides=overrides)
    assert gold.effective(values, {"id": "vc/1", "name": "esx-a1"})["gold_attestation_max_age_days"] == 90
    assert gold.effective(values, {"id": "vc/2", "name": "esx-b1"})["gold_attestation_max_age_days"] == 365


def test_non_default_values_are_listed_with_floor_and_source():
    listed = gold.non_default(gold.effective(given(gold_attestation_max_age_days=9000)))
    assert listed == [
        {
            "name": "gold_attestation_max_age_days",
            "value": 9000,
            "default": 365,
            "floor_ok": False,
            "threshold_source": gold.load_settings()["gold_attestation_max_age_days"].threshold_source,
        }
    ]


def test_digest_changes_with_any_value():
    assert gold.digest(given()) != gold.digest(given(gold_attestation_max_age_days=90))
    assert gold.digest(given()) == gold.digest(dict(reversed(list(given().items()))))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gold_admin_cidrs", [["10.0.0.0/8"]]),
        ("gold_admin_cidrs", [{"net": "10"}]),
        ("gold_firewall_services", ["ssh"]),
    ],
)
def test_elements_of_a_wrong_type_are_refused(name, value):
    with pytest.raises(GoldError, match=f"{name} holds .*expected a list of"):
        gold.effective(given(**{name: value}))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("esx", "gold_overrides is 'esx', expected a list"),
        (["esx"], "entry 1 of gold_overrides is 'esx'"),
        ([{"subjects": "esx", "golds": {}}], "entry 1 of gold_overrides is .*expected"),
        ([{"subjects": [1], "gold": {}}], r"subjects of entry 1 of gold_overrides is \[1\]"),
        ([{"subjects": "none", "gold": {"gold_section_11_3": "advisry"}}], "entry 1 of gold_overrides: .*advisory"),
        (
            [{"subjects": "none", "gold": {"gold_section": 1}}],
            "entry 1 of gold_overrides: gold_section is not",
        ),
    ],
)
def test_an_override_that_matches_nobody_is_checked_too(overrides, message):
    with pytest.raises(GoldError, match=message):
        gold.effective(given(gold_overrides=overrides), {"id": "host", "name": "host", "endpoint": "host"})
