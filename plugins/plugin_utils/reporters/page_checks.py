# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second half of report.html as plain data: what fails first, and everything that was checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_summary import some
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.text import count, plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import SEVERITIES, Measure, Standard

# 1 MB of page is the aim: about 1,500 rows of 500 bytes beside the fixed parts. Subjects that agree share a row, so a
# fleet of equal hosts costs one row a check; what is left out is counted on the page and complete in results.json.
MAX_ROWS = 1500
MAX_ITEMS = 5
_OUTCOME = ("status", "measured", "expected", "actual", "message", "items", "exception", "attestation", "persistent")
LOCKOUT = ("none", "low", "medium", "high")


def failures(run: Mapping[str, Any], standard: Standard, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Failing checks by severity: [{severity, checks: [...]}], in the order of the standard; each check once."""
    order = {measure: index for index, measure in enumerate(standard.measures)}
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for result in run["results"]:
        if result["status"] == o.FAIL:
            groups.setdefault(result["check"], []).append(result)
    limit = max(3, MAX_ROWS // 4 // max(len(groups), 1))
    found: dict[str, list[dict[str, Any]]] = {severity: [] for severity in SEVERITIES}
    for check, results in sorted(groups.items(), key=lambda entry: (order[entry[1][0]["measure"]], entry[0])):
        first = results[0]
        rows, left_out = outcomes(results, names, limit)
        found[first["severity"]].append(
            {
                "check": check,
                "measure": first["measure"],
                "measure_title": standard.measures[first["measure"]].title,
                "title": plain(first["title"], 200),
                "weight": _weight(first),
                "rows": rows,
                "left_out": left_out,
                **how(first),
            }
        )
    return [{"severity": severity, "checks": checks} for severity, checks in found.items() if checks]


def _weight(result: Mapping[str, Any]) -> str:
    """How much a failure counts, in words; empty for a must that decides."""
    if result["tier"] != 1:
        return "Supplementary: it informs and does not decide the measure."
    return "" if result["obligation"] == "must" else "Recommended, not mandatory: it does not decide the verdict."


def how(result: Mapping[str, Any]) -> dict[str, str]:
    """How a check is read and put right, and what putting it right disturbs."""
    disruption = result["disruption"]
    effects = []
    if disruption.get("restart"):
        effects.append(f"restarts {plain(disruption['restart'], 80)}")
    effects += [
        words
        for key, words in (
            ("reboot", "needs a reboot"),
            ("maintenance", "needs maintenance mode"),
            ("vm_power", "needs VMs to be powered off and on"),
        )
        if disruption.get(key)
    ]
    if disruption.get("lockout"):
        effects.append(f"{LOCKOUT[disruption['lockout']]} risk of locking administrators out")
    return {
        "probe": plain(result["probe"], 300),
        "fix": plain(result["fix"], 400),
        "role": plain(result["role"], 60),
        "effects": ", ".join(effects) or "no disruption",
        "rollback": plain(disruption.get("rollback"), 200),
        "source": plain(result["threshold_source"], 120),
    }


def outcomes(
    results: Iterable[Mapping[str, Any]], names: Mapping[str, str], limit: int
) -> tuple[list[dict[str, Any]], int]:
    """Results of one check, subjects that agree in one row, the worst first. Returns (rows, rows left out)."""
    groups: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for result in results:
        key = json.dumps([result[part] for part in _OUTCOME], sort_keys=True, default=str)
        groups.setdefault(key, (result, []))[1].append(names[result["subject"]])
    ranked = sorted(groups.values(), key=lambda found: (o.WORST_FIRST.index(found[0]["status"]), found[1][0]))
    return [_row(result, subjects) for result, subjects in ranked[:limit]], max(len(ranked) - limit, 0)


def _row(result: Mapping[str, Any], subjects: list[str]) -> dict[str, Any]:
    items = result["items"]
    return {
        "subjects": some(subjects),
        "status": result["status"],
        "expected": plain(result["expected"], 400),
        "actual": plain(result["actual"], 300),
        "message": plain(result["message"], 300),
        "items": [
            {"id": plain(item["id"], 80), "message": plain(item["message"] or item["actual"], 160)}
            for item in items[:MAX_ITEMS]
        ],
        "items_total": f"{len(items)} of {max(result['items_total'], len(items))}",
        "more_items": max(len(items) - MAX_ITEMS, 0),
        "notes": _notes(result),
    }


def _notes(result: Mapping[str, Any]) -> list[str]:
    """What the message does not say; it names the exception or attestation itself."""
    notes = []
    if result["persistent"] is False:
        notes.append("Running and configured values differ: a restart changes it.")
    if result["status"] != result["measured"]:
        notes.append(f"Measured: {result['measured'].replace('_', ' ')}.")
    return notes


def everything(run: Mapping[str, Any], standard: Standard, names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every measure with every check and what it found, in the order of the standard."""
    by_measure: dict[str, dict[str, list[Mapping[str, Any]]]] = {measure: {} for measure in standard.measures}
    silent = {subject["id"] for subject in run["subjects"] if not subject["reachable"]}
    # A silent subject is one fact, told in the scope; its row under each check would say the same a hundred times.
    shown = (
        run["results"]
        if len(silent) == len(run["subjects"])
        else [r for r in run["results"] if r["subject"] not in silent]
    )
    for result in shown:
        by_measure[result["measure"]].setdefault(result["check"], []).append(result)
    statuses: dict[str, list[Mapping[str, Any]]] = {measure: [] for measure in standard.measures}
    for entry in run["measures"]:
        statuses[entry["measure"]].append(entry)
    limit = max(3, MAX_ROWS // max(sum(map(len, by_measure.values())), 1))
    return [
        _measure(standard.measures[measure], checks, statuses[measure], names, limit)
        for measure, checks in by_measure.items()
    ]


def _measure(
    measure: Measure,
    checks: Mapping[str, list[Mapping[str, Any]]],
    entries: list[Mapping[str, Any]],
    names: Mapping[str, str],
    limit: int,
) -> dict[str, Any]:
    found = []
    for check, results in checks.items():
        rows, left_out = outcomes(results, names, limit)
        first = results[0]
        found.append(
            {
                "check": check,
                "title": plain(first["title"], 200),
                "weight": _weight(first),
                "rows": rows,
                "left_out": left_out,
                **how(first),
            }
        )
    tally = {status: [entry for entry in entries if entry["status"] == status] for status in o.WORST_FIRST}
    return {
        "id": measure.id,
        "anchor": "m-" + measure.id.replace(".", "-"),
        "title": measure.title,
        "text": measure.text,
        "obligation": " and ".join(
            sorted({"mandatory" if entry["obligation"] == "must" else "advisory" for entry in entries})
        ),
        "csf": ", ".join(map(str, measure.nist_csf)),
        "csf_2": ", ".join(map(str, measure.nist_csf_2)),
        "cis": ", ".join(map(str, measure.cis_v8)),
        "worst": o.worst(entry["status"] for entry in entries),
        "tally": [
            {"status": status, "subjects": count(len(group), "subject")} for status, group in tally.items() if group
        ],
        "checks": found,
    }
