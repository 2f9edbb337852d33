# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are alike are judged once and say what they would say alone: evidence and results, to the byte."""

from __future__ import annotations

import copy
import datetime as dt
import json
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.alike import Alike
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import Repeated
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.timezone.utc)
FACTS = Path(__file__).parents[1] / "vsphere_facts"
STANDARD, GOLD = load_standard(), gold_config.defaults()
EXCEPTION = {
    "id": "EX-1", "risk_ref": "RISK-1", "checks": ["vsphere-11.4.6-services"], "subjects": ["esx2"],
    "approved_on": "2026-11-01", "expires_on": "2026-12-31", "approved_subjects": ["esx2"],
}  # fmt: skip


def stored(name):
    return json.loads((FACTS / f"{name}.json").read_text())


def changed(facts, path, value):
    found = copy.deepcopy(facts)
    place = found
    *above, last = path.split(".")
    for step in above:
        place = place[step]
    place[last] = value
    return found


def fleet():
    """Hosts of three releases, each twice; some differ in one thing only."""
    seven, eight, nine = (stored(f"esxi-{release}") for release in ("7.0", "8.0", "9.0"))
    errors = [*eight["collector"]["errors"], {"path": "remote_access.services", "reason": "no permission"}]
    return [
        seven, eight, nine, copy.deepcopy(seven), copy.deepcopy(eight), copy.deepcopy(nine),
        changed(eight, "collector.errors", errors),
        changed(eight, "remote_access.services", None),
        changed(nine, "host.community", "a secret that no collector foresaw"),
        changed(nine, "logging.note", "password=hunter2"),
        # To Python these two are equal, and to JSON they are not.
        changed(nine, "secure", 1), changed(nine, "secure", True),
        changed(nine, "boot.time", float("inf")),
    ]  # fmt: skip


def judged(facts, number, alike, values):
    """(evidence, results) of one host, encoded, and the results."""
    name = f"esx{number}"
    subject = {"id": name, "name": name, "slug": f"{name}-0", "platform": "vsphere", "kind": "host", "endpoint": "vc1",
               "tags": {}}  # fmt: skip
    gold = values if alike is None else alike.gold(values).values
    sources = gold_config.sources(values) if alike is None else alike.gold(values).sources
    record = evidence.build(
        subject, facts, collected_at=NOW, collection="1.0.0", gold=gold, gold_sources=sources, alike=alike
    )
    document = assess(
        record["facts"], standard=STANDARD, gold=gold, now=NOW, subject=subject, exceptions=[EXCEPTION], alike=alike
    )
    lines = () if alike is None else (alike,)
    return evidence.encode(record, *lines), evidence.encode(document, *lines), document["results"]


def test_a_fleet_says_what_its_hosts_say_alone():
    alike = Alike()
    shared = 0
    for number, facts in enumerate(fleet()):
        before = copy.deepcopy(facts)
        alone, together = judged(facts, number, None, GOLD), judged(facts, number, alike, GOLD)
        assert together[0] == alone[0], number
        assert together[1] == alone[1], number
        assert b"hunter2" not in together[0] and b"foresaw" not in together[0]
        assert facts == before, "what the collector read is not changed"
        shared += sum(isinstance(result, Repeated) and result.common is not None for result in together[2])
    assert shared > 500


def test_another_gold_configuration_is_judged_anew():
    alike, facts = Alike(), stored("esxi-9.0")
    stricter = {**GOLD, "gold_remote_admins": ["alice"], "gold_dcui_timeout": 60}
    stricter = {name: value for name, value in stricter.items() if name in GOLD}
    for number, values in enumerate((GOLD, stricter, dict(GOLD))):
        assert judged(facts, number, alike, values)[:2] == judged(facts, number, None, values)[:2]


@pytest.mark.parametrize("check", sorted(check for check in STANDARD.checks if check.startswith("vsphere-")))
def test_a_check_sees_nothing_that_it_does_not_name(check):
    """What tells two hosts apart: each part of the facts that a rule or a predicate of the check can reach."""
    found = STANDARD.checks[check]
    named = {path.rstrip("?").split(".")[0] for path in found.data.get("facts", {}).values()}
    named |= {rule["fact"].split(".")[0] for rule in found.data.get("not_applicable", [])}
    named |= {found.data[key].split(".")[0] for key in ("each", "fact") if key in found.data}
    if "each" not in found.data:
        named |= {rule["fact"].split(".")[0] for rule in found.data.get("all", [])}
    assert named <= {part for part, _entry in found.reads}
