# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From results to the status of a measure, the verdict on a subject and its score (design.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Measure

COMPLIANT = "compliant"
WITH_EXCEPTIONS = "compliant with exceptions"
NOT_DEMONSTRATED = "not demonstrated"
NON_COMPLIANT = "non-compliant"


def roll_up(measure: Measure, results: Sequence[Mapping[str, Any]], subject_id: str, advisory: bool) -> dict[str, Any]:
    """Fold the tier-1 results of one measure on one subject; musts decide, should and advisory are shown apart.

    advisory: the Authority's recorded position makes section 11.3 advisory.
    """
    deciding = [result for result in results if result["tier"] == 1]
    musts = [result["status"] for result in deciding if result["obligation"] == "must"]
    others = [result["status"] for result in deciding if result["obligation"] != "must"]
    is_advisory = (measure.obligation == "advisory" and advisory) or not musts
    status = o.worst(musts if musts else others)
    if not deciding:
        status = o.UNKNOWN
    return {
        "subject": subject_id,
        "measure": measure.id,
        "section": measure.section,
        "severity": measure.severity,
        "obligation": "advisory" if is_advisory and deciding else "must",
        "status": status,
        "advisory_status": o.worst(others) if others else None,
    }


def verdict(measures: Sequence[Mapping[str, Any]]) -> str:
    """One of four words; compliant only when every must is pass, attested or not_applicable."""
    statuses = {entry["status"] for entry in measures if entry["obligation"] == "must"}
    if o.FAIL in statuses:
        return NON_COMPLIANT
    if statuses & {o.UNKNOWN, o.MANUAL, o.NOT_EVALUATED}:
        return NOT_DEMONSTRATED
    return WITH_EXCEPTIONS if o.EXCEPTED in statuses else COMPLIANT


def score(measures: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Musts that pass or are attested, divided by musts that apply; after exceptions an excepted must counts too."""
    applicable = [
        entry["status"] for entry in measures if entry["obligation"] == "must" and entry["status"] != o.NOT_APPLICABLE
    ]
    good = sum(status in (o.PASS, o.ATTESTED) for status in applicable)
    excepted = sum(status == o.EXCEPTED for status in applicable)
    total = len(applicable) or 1
    return {"before_exceptions": round(good / total, 4), "after_exceptions": round((good + excepted) / total, 4)}
