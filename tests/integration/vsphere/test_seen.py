# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check of vSphere comes to pass, to fail and to be unknown on targets of its own: breaks/*.py."""

from __future__ import annotations

import os

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome
from ansible_collections.dwp.hypervisor.tests.integration.kvm import seen
from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening, judged
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks import table
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks.steps import Break, Place
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

WANTED = {outcome.PASS, outcome.FAIL, outcome.UNKNOWN}


@pytest.mark.parametrize("entry", table.BREAKS, ids=table.names())
def test_seen(target_ready: None, entry: Break) -> None:
    # The pid keeps two test runs on one machine apart.
    target = Target.up(f"seen-{os.getpid()}")
    subject = target.name if judged.CHECKS[entry.check].judged_on == "controller" else entry.host
    try:
        with hardening.administrator(target) as admin:
            place = Place(target, admin, entry.host)
            for status, steps in entry.states.items():
                for step in steps:
                    step(place)
                facts = judged.facts_of(target)[subject]
                found = judged.results_of(target, facts, subject, **entry.gold)[entry.check]
                told = f"{found['message']} {found['items']}"
                assert found["measured"] == status, f"{found['measured']} instead of {status}: {told[:2000]}"
                assert status != outcome.FAIL or entry.why in told, f"{entry.why!r} is not in {told[:2000]!r}"
                seen.VSPHERE.status(entry.check, status, f"break {table.place_of(entry)}")
    finally:
        target.down()


@pytest.mark.parametrize("check", judged.CHECKS)
def test_every_check_is_in_the_table(target_ready: None, check: str) -> None:
    """With each status, or the reason why it cannot occur."""
    entries = [entry for entry in table.BREAKS if entry.check == check]
    shown = {status for entry in entries for status in entry.states}
    assert shown | set(table.never(check)) == WANTED
    assert not shown & set(table.never(check))
    assert all(entry.why for entry in entries if outcome.FAIL in entry.states)
    for status, reason in table.never(check).items():
        seen.VSPHERE.status(check, status, f"never: {reason}")


def test_the_table_names_checks_only() -> None:
    assert {entry.check for entry in table.BREAKS} == set(judged.CHECKS)
