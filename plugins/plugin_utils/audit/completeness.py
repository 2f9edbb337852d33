# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Completeness is a verdict: 36 measures times subjects is full, a missing cell is "not evaluated" and never a pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import rollup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard


def fill(document: dict[str, Any], standard: Standard) -> dict[str, Any]:
    """A document with an entry for every measure. Where some were missing, verdict and score are judged anew."""
    present = {entry["measure"] for entry in document["measures"]}
    if len(present) == len(standard.measures):
        return document
    subject = document["subject"]
    missing = [
        {
            "subject": subject["id"],
            "measure": measure.id,
            "section": measure.section,
            "severity": measure.severity,
            "obligation": "must",
            "status": o.NOT_EVALUATED,
            "advisory_status": None,
        }
        for measure in standard.measures.values()
        if measure.id not in present
    ]
    measures = [*document["measures"], *missing]
    verdict, score = rollup.verdict(measures), rollup.score(measures)
    return {**document, "measures": measures, "subject": {**subject, "verdict": verdict, "score": score}}


def judge(
    subjects: Sequence[Mapping[str, Any]], measures: Iterable[Mapping[str, Any]], standard: Standard
) -> dict[str, Any]:
    """The `completeness` part of the run document. Unknown was evaluated: somebody looked, and could not see."""
    missing: dict[str, list[str]] = {}
    for entry in measures:
        if entry["status"] == o.NOT_EVALUATED:
            missing.setdefault(entry["subject"], []).append(entry["measure"])
    expected, left_out = len(standard.measures) * len(subjects), sum(map(len, missing.values()))
    return {
        "complete": bool(subjects) and not left_out,
        "expected": expected,
        "evaluated": expected - left_out,
        "not_evaluated": left_out,
        "missing": [{"subject": subject, "measures": found} for subject, found in missing.items()],
    }
