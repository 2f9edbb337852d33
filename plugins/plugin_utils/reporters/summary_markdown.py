# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""summary.md: what fits into a ticket or a chat. CommonMark with tables; counts are whole, lists are cut and say so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import VERDICTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import SEVERITIES, Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import STATUS_WORDS, count, plain

FILE = "summary.md"
MAX_ROWS = 25
# Whatever CommonMark, a table or a chat's mentions (@all) could take for more than text.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&@:$=])")


def files(run: Mapping[str, Any], standard: Standard) -> Iterator[tuple[str, bytes]]:
    """summary.md."""
    yield FILE, render(run, standard)


def text(value: Any, limit: int = 120) -> str:
    """A value as one line of Markdown that shows it and does nothing else."""
    return _SPECIAL.sub(r"\\\1", plain(value, limit))


def render(run: Mapping[str, Any], standard: Standard) -> bytes:
    """The whole file, UTF-8."""
    summary = run["summary"]
    marking = f"**{text(run['marking'])}**"
    head = [
        f"# {standard.id} v{standard.version}: run {text(run['run']['id'])}",
        marking,
        f"{count(summary['subjects'], 'subject')}, {text(run['run']['finished'])}. "
        f"{summary['score']:.0%} of the mandatory measures that apply are met, "
        f"{summary['score_after_exceptions']:.0%} with accepted exceptions.",
    ]
    if summary["unreachable"]:
        head.append(f"{count(summary['unreachable'], 'subject')} could not be read: every measure of it is unknown.")
    verdicts = [(text(verdict.capitalize()), summary["by_verdict"][verdict]) for verdict in VERDICTS]
    checks = [(word, summary["checks_by_status"][status]) for status, word in STATUS_WORDS.items()]
    sections = [
        (text(section), *(group["must"][status] for status in STATUS_WORDS))
        for section, group in summary["by_section"].items()
    ]
    blocks = [
        *head,
        "## Verdicts",
        _table(("Verdict", "Subjects"), verdicts),
        "## Mandatory measures by section",
        _table(("Section", *STATUS_WORDS.values()), sections),
        "## Checks",
        _table(("Status", "Checks"), checks),
        "## Failing checks",
        *_failing(run["results"]),
        "## Subjects",
        *_subjects(run["subjects"]),
        marking,
    ]
    return ("\n\n".join(blocks) + "\n").encode("utf-8")


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def _failing(results: Iterable[Mapping[str, Any]]) -> list[str]:
    """Deciding checks that fail, the most severe first, and in each severity the most frequent."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        if result["status"] == o.FAIL and result["tier"] == 1:
            groups.setdefault(result["check"], []).append(result)
    if not groups:
        return ["No deciding check fails."]
    ordered = sorted(
        groups.values(), key=lambda found: (SEVERITIES.index(found[0]["severity"]), -len(found), found[0]["check"])
    )
    rows = [
        (found[0]["severity"], text(found[0]["measure"]), text(found[0]["title"]), len(found), text(found[0]["role"]))
        for found in ordered[:MAX_ROWS]
    ]
    return [_table(("Severity", "Measure", "Check", "Subjects", "Role"), rows), *_more(len(ordered))]


def _subjects(subjects: Sequence[Mapping[str, Any]]) -> list[str]:
    if not subjects:
        return ["No subject was assessed."]
    ordered = sorted(subjects, key=lambda found: (VERDICTS.index(found["verdict"]), found["name"]))
    rows = [
        (text(found["name"]), found["verdict"], f"{found['score']['before_exceptions']:.0%}", text(found["product"]))
        for found in ordered[:MAX_ROWS]
    ]
    return [_table(("Subject", "Verdict", "Musts met", "Product"), rows), *_more(len(ordered))]


def _more(total: int) -> list[str]:
    return [f"And {total - MAX_ROWS} more, in report.html and results.csv."] if total > MAX_ROWS else []
