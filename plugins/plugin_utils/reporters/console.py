# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary on the console: plain lines of at most 100 columns, no colour, no escape sequence of a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import VERDICTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import SEVERITIES, Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import count, fit, plain, width

COLUMNS = 100
MAX_FAILING = 20
MAX_SUBJECTS = 20
MAX_REASONS = 3
# The standard's own titles of its sections take half a line.
SECTIONS = {
    "11.1": "Platform architecture",
    "11.2": "Devices and access control",
    "11.3": "VM management",
    "11.4": "Administration",
}
_OPEN = (o.FAIL, o.UNKNOWN, o.MANUAL, o.EXCEPTED, o.NOT_EVALUATED)
_TALLY = {
    o.PASS: "pass",
    o.FAIL: "fail",
    o.UNKNOWN: "unknown",
    o.MANUAL: "manual",
    o.EXCEPTED: "excepted",
    o.ATTESTED: "attested",
    o.NOT_APPLICABLE: "n/a",
    o.NOT_EVALUATED: "not run",
}


def lines(run: Mapping[str, Any], standard: Standard, report_path: str, reasons: Sequence[str] = ()) -> list[str]:
    """The whole summary. report_path: shown last, where the eye is; reasons: why the gate fails, if it does."""
    summary = run["summary"]
    head = [
        f"{run['standard']['id']} v{run['standard']['version']}: {count(summary['subjects'], 'subject')}, "
        f"run {run['run']['id']} ({plain(run['marking'], 40)})",
        "",
    ]
    blocks = [_subjects(run), _sections(run), _failing(run, standard), _gate(reasons)]
    body = [line for block in blocks if block for line in [*block, ""]]
    found = [line if width(line) <= COLUMNS else fit(line, COLUMNS) for line in head + body]
    # Never cut: a path that is cut off leads nowhere.
    return [*(line.rstrip() for line in found), f"Report: {plain(report_path, 4096)}"]


def _subjects(run: Mapping[str, Any]) -> list[str]:
    """One line per subject, the worst verdict first: verdict, score, and how many musts are not met and why."""
    tallies: dict[str, dict[str, int]] = {subject["id"]: dict.fromkeys(_TALLY, 0) for subject in run["subjects"]}
    for entry in run["measures"]:
        tallies[entry["subject"]][entry["status"]] += entry["obligation"] == "must"
    ordered = sorted(run["subjects"], key=lambda subject: (VERDICTS.index(subject["verdict"]), subject["name"]))
    shown = ordered[:MAX_SUBJECTS]
    name_width = min(max((width(plain(subject["name"], 60)) for subject in shown), default=0), 30)
    found = []
    for subject in shown:
        if subject["reachable"]:
            tally = tallies[subject["id"]]
            open_musts = [f"{tally[status]} {_TALLY[status]}" for status in _OPEN if tally[status]]
            detail = ", ".join([f"{subject['score']['before_exceptions']:.0%} of musts met", *open_musts])
        else:
            detail = plain(subject["unreachable_reason"], 80)
        found.append(f"{fit(plain(subject['name'], 60), name_width)}  {subject['verdict']:<15}  {detail}")
    if len(ordered) > len(shown):
        by_verdict = ", ".join(
            f"{number} {verdict}" for verdict, number in run["summary"]["by_verdict"].items() if number
        )
        found.append(f"and {len(ordered) - len(shown)} more; all: {by_verdict}")
    return found


def _sections(run: Mapping[str, Any]) -> list[str]:
    """Measures per section, one row for musts and, where there are any, one for advisories."""
    rows = []
    for section, groups in run["summary"]["by_section"].items():
        for obligation, tally in groups.items():
            if obligation == "must" or any(tally.values()):
                rows.append(
                    (f"{section} {SECTIONS[section]}" if obligation == "must" else "     should and advisory", tally)
                )
    used = [status for status in _TALLY if any(tally[status] for _name, tally in rows)]
    widths = {status: max(len(_TALLY[status]), 4) for status in used}
    name_width = max(width(name) for name, _tally in rows)
    header = fit("Musts per section", name_width) + "".join(f"  {_TALLY[status]:>{widths[status]}}" for status in used)
    return [header] + [
        fit(name, name_width) + "".join(f"  {tally[status] or '-':>{widths[status]}}" for status in used)
        for name, tally in rows
    ]


def _failing(run: Mapping[str, Any], standard: Standard) -> list[str]:
    """One line per failing check, the same failure of several subjects in one, the most severe first."""
    names = {subject["id"]: plain(subject["name"], 30) for subject in run["subjects"]}
    groups: dict[tuple[int, int, str], list[Mapping[str, Any]]] = {}
    order = list(standard.measures)
    for result in run["results"]:
        if result["status"] == o.FAIL and result["tier"] == 1:
            rank = (SEVERITIES.index(result["severity"]), order.index(result["measure"]), result["check"])
            groups.setdefault(rank, []).append(result)
    if not groups:
        return []
    severities = run["summary"]["failing_checks"]
    found = [
        "Failing checks (what is asked: what was found): "
        + ", ".join(f"{severities[name]} {name}" for name in SEVERITIES if severities[name])
    ]
    for _rank, results in sorted(groups.items())[:MAX_FAILING]:
        first = results[0]
        where = names[first["subject"]] if len(results) == 1 else count(len(results), "subject")
        told = [] if len(run["subjects"]) == 1 else [where]
        told += [plain(first["title"], 120), *([plain(first["message"], 200)] if first["message"] else [])]
        found.append(f"  {first['severity']:<8}  {first['measure']:<7}  {': '.join(told)}")
    if len(groups) > MAX_FAILING:
        found.append(f"  and {len(groups) - MAX_FAILING} more")
    return found


def _gate(reasons: Sequence[str]) -> list[str]:
    if not reasons:
        return []
    more = [f"  and {len(reasons) - MAX_REASONS} more"] if len(reasons) > MAX_REASONS else []
    return ["The gate fails:"] + [f"  {plain(reason, 200)}" for reason in reasons[:MAX_REASONS]] + more
