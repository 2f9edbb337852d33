# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every check of vSphere comes to pass, to fail and to be unknown on a target of its own: breaks/*.py."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import collector, session
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold, loader
from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted, seen
from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks import table
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks.steps import Break, Place
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

WANTED = (outcome.PASS, outcome.FAIL, outcome.UNKNOWN)
STANDARD = loader.load_standard()
CHECKS = [
    check for check in STANDARD.checks.values() if check.platform == "vsphere" and "manual" not in check.data
]
SITE = {name: value for name, value in hardening.SITE.items() if name.startswith("gold_")}


def measured(target: Target, entry: Break) -> dict[str, Any]:
    """The result of the entry's check, on the vCenter or on the entry's host."""
    denied = [{"principal": pair["principal"], "vm": pair["domain_uuid"]} for pair in SITE["gold_deny_map"]]
    with session.logged_in(target.endpoint()) as opened:
        facts = {found.name: found.facts for found in collector.collect(opened, denied)}
    of_controller = STANDARD.checks[entry.check].judged_on == "controller"
    name = target.name if of_controller else entry.host
    kind = "controller" if of_controller else "host"
    subject = {"id": name, "name": name, "slug": name, "platform": "vsphere", "kind": kind, "endpoint": target.name,
               "tags": {}}  # fmt: skip
    document = assess.assess(
        facts[name],
        standard=STANDARD,
        gold=gold.effective({**gold.defaults(), **SITE, **entry.gold}, subject),
        subject=subject,
        now=dt.datetime.now(dt.timezone.utc),
    )
    return booted.result_of(document, entry.check)


@pytest.mark.parametrize("entry", table.BREAKS, ids=table.names())
def test_seen(target_ready: None, entry: Break) -> None:
    target = Target.up(f"seen-{os.getpid()}")
    try:
        with hardening.administrator(target) as admin:
            place = Place(target, admin, entry.host)
            for status, steps in entry.states.items():
                for step in steps:
                    step(place)
                found = measured(target, entry)
                told = f"{found['message']} {found['items']}"
                assert found["measured"] == status, f"{found['measured']} instead of {status}: {told[:2000]}"
                assert status != outcome.FAIL or entry.why in told, f"{entry.why!r} is not in {told[:2000]!r}"
                seen.VSPHERE.status(entry.check, status, f"break {table.file_of(entry)}")
    finally:
        target.down()


@pytest.mark.parametrize("check", [check.id for check in CHECKS])
def test_every_check_is_in_the_table(check: str) -> None:
    """With each of the three, or the reason why it cannot occur."""
    entries = [entry for entry in table.BREAKS if entry.check == check]
    shown = {status for entry in entries for status in entry.states}
    never = {status for entry in entries for status in entry.never}
    assert shown | never >= set(WANTED)
    assert not shown & never
    assert all(entry.why for entry in entries if outcome.FAIL in entry.states)


def test_the_table_names_checks_only() -> None:
    assert {entry.check for entry in table.BREAKS} <= {check.id for check in CHECKS}
