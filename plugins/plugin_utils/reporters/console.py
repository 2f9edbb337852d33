# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary on the console: plain lines of at most 100 columns, no colour, no escape sequence of a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.text import count, fit, plain, width
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.run_report import VERDICTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import SECTIONS, SEVERITIES, Standard

COLUMNS = 100
MAX_FAILING = 20
MAX_SUBJECTS = 20
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
    ordered = sorted(run["subjects"], key=lambda subject: (VERDICTS.index(subject["verdict"]), subject["name"]))
    shown = ordered[:MAX_SUBJECTS]
    name_width = min(max((width(plain(subject["name"], 60)) for subject in shown), default=0), 36)
    found = []
    for subject in shown:
        if subject["reachable"]:
            detail = f"{subject['score']['before_exceptions']:4.0%} of the applicable musts met"
        else:
            detail = plain(subject["unreachable_reason"], 60)
        found.append(f"{fit(plain(subject['name'], 60), name_width)}  {subject['verdict']:<25}  {detail}")
    if len(ordered) > len(shown):
        by_verdict = ", ".join(f"{number} {verdict}" for verdict, number in run["summary"]["by_verdict"].items() if number)
        found.append(f"and {len(ordered) - len(shown)} more; all: {by_verdict}")
    return found


def _sections(run: Mapping[str, Any]) -> list[str]:
    """Measures per section, one row for musts and, where there are any, one for advisories."""
    rows = []
    for section, groups in run["summary"]["by_section"].items():
        for obligation, tally in groups.items():
            if obligation == "must" or any(tally.values()):
                name = f"{section} {SECTIONS[section]}" if obligation == "must" else "     should and advisory"
                rows.append((name, tally))
    used = [status for status in _TALLY if any(tally[status] for _name, tally in rows)]
    widths = {status: max(len(_TALLY[status]), 5) for status in used}
    name_width = COLUMNS - sum(size + 2 for size in widths.values())
    name_width = min(name_width, max(width(name) for name, _tally in rows))
    header = fit("Measures", name_width) + "".join(f"  {_TALLY[status]:>{widths[status]}}" for status in used)
    return [header] + [
        fit(name, name_width) + "".join(f"  {tally[status] or '-':>{widths[status]}}" for status in used)
        for name, tally in rows
    ]


def _failing(run: Mapping[str, Any], standard: Standard) -> list[str]:
    """One line per failing check, the same failure of several subjects in one, the most severe first."""
    names = {subject["id"]: plain(subject["name"], 40) for subject in run["subjects"]}
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for result in run["results"]:
        if result["status"] == o.FAIL and result["tier"] == 1:
            groups.setdefault((SEVERITIES.index(result["severity"]), result["check"]), []).append(result)
    if not groups:
        return []
    order = list(standard.measures)
    ranked = sorted(groups.items(), key=lambda found: (found[0][0], order.index(found[1][0]["measure"]), found[0][1]))
    severities = run["summary"]["failing_checks"]
    found = ["Failing checks: " + ", ".join(f"{severities[name]} {name}" for name in SEVERITIES if severities[name])]
    for (_rank, check), results in ranked[:MAX_FAILING]:
        first = results[0]
        where = names[first["subject"]] if len(results) == 1 else count(len(results), "subject")
        lead = f"  {first['severity']:<8}  {first['measure']:<7}  "
        told = f"{plain(first['title'], 120)}" if len(run["subjects"]) == 1 else f"{where}: {plain(first['title'], 120)}"
        found.append(f"{lead}{told}  [{check}]" if width(f"{lead}{told}  [{check}]") <= COLUMNS else lead + told)
    if len(ranked) > MAX_FAILING:
        found.append(f"  and {len(ranked) - MAX_FAILING} more")
    return found


def _gate(reasons: Sequence[str]) -> list[str]:
    if not reasons:
        return []
    more = [f"  and {len(reasons) - MAX_SUBJECTS} more"] if len(reasons) > MAX_SUBJECTS else []
    return ["The gate fails:"] + [f"  {plain(reason, 200)}" for reason in reasons[:MAX_SUBJECTS]] + more
