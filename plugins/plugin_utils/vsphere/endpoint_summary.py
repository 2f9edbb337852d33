# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit of an endpoint with many subjects returns: counts and paths, never a subject's facts or results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import rollup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.disposition import enforceable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import run_report

Document = dict[str, Any]


class Summary:
    """Takes the subject-results documents one after the other and keeps what is counted."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._subjects: list[Document] = []
        self._measures: Counter[tuple[str, str]] = Counter()
        self._failing: Counter[str] = Counter()
        self._drift: Counter[str] = Counter()
        self._enforce: set[str] = set()
        self._leave: dict[str, set[str]] = {}

    def add(self, document: Document) -> None:
        """One subject."""
        subject, results = document["subject"], document["results"]
        self._subjects.append({key: subject[key] for key in ("id", "kind", "verdict", "reachable", "collected_at")})
        self._measures.update((entry["obligation"], entry["status"]) for entry in document["measures"])
        self._failing.update(
            result["check"] for result in results if result["status"] == o.FAIL and result["tier"] == 1
        )
        self._drift.update(entry["check"] for entry in document["drift"])
        for entry in enforceable(document["drift"], results):
            self._enforce.add(entry["check"])
            if entry["excepted_items"]:
                self._leave.setdefault(entry["check"], set()).update(entry["excepted_items"])

    def result(self) -> Document:
        """The action's result. The first subject stands for the endpoint."""
        verdicts = Counter(subject["verdict"] for subject in self._subjects)
        first = self._subjects[0]
        worst = next(verdict for verdict in run_report.VERDICTS if verdicts[verdict])
        measures = [dict(zip(("obligation", "status"), entry)) for entry in self._measures.elements()]
        common = {"run_id": self._given["run_id"], "time": first["collected_at"]}
        compliance = {
            **common,
            "subject": first["id"],
            "reachable": first["reachable"],
            "subjects": len(self._subjects),
            "unreachable": sum(not subject["reachable"] for subject in self._subjects),
            "verdict": worst,
            "verdicts": dict(verdicts),
            "score": rollup.score(measures),
            "measures": dict(Counter(entry["status"] for entry in measures)),
            "failing_checks": dict(sorted(self._failing.items())),
            "report": str(Path(self._given["run_directory"]) / "report.html"),
            "results": str(Path(self._given["run_directory"]) / "subjects"),
        }
        drift = {**common, "total": sum(self._drift.values()), "checks": dict(sorted(self._drift.items()))}
        return {
            "changed": False,
            "subject": {**first, "verdict": worst},
            "enforce": {first["id"]: sorted(self._enforce)},
            "enforce_leave": {first["id"]: {check: sorted(items) for check, items in sorted(self._leave.items())}},
            "ansible_facts": {"hypervisor_compliance": compliance, "hypervisor_drift": drift},
        }
