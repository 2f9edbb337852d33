# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of one subject: its verdict, what to do on it, its measures, and every check with what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import Once
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.markup import (
    Html,
    Row,
    badge,
    el,
    joined,
    p,
    section,
    table,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_frame import (
    PLATFORM_WORDS,
    VERDICTS,
    Site,
    in_words,
    page,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_measure import (
    UP,
    actual,
    since_day,
    why,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_tables import (
    SUBJECT_HEAD,
    subject_rows,
    tag_words,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_todo import effects_of, status_of
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import SEVERITIES
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import STATUS_WORDS, plain

NAV = (("#verdict", "Verdict"), ("#todo", "What to do"), ("#measures", "Measures"), ("#checks", "Checks"))


class SubjectPages:
    """Makes one page after the other; rows that subjects share are made once."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._todo: Once[Row] = Once(self._todo_row)
        self._checks: Once[Row] = Once(self._check_row)
        self._measures: dict[tuple[str, str, str], Row] = {}

    def page(
        self, subject: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
    ) -> bytes:
        """The page of a subject. entries: its measures; results: its checks."""
        body = [_verdict(subject), self._what_to_do(results), self._all_measures(entries), self._all_checks(results)]
        return page(self._site, self._site.names[subject["id"]], body, NAV, up=UP)

    def _what_to_do(self, results: Sequence[Mapping[str, Any]]) -> Html:
        failing = sorted(
            (result for result in results if result["status"] == o.FAIL),
            key=lambda result: (result["tier"], SEVERITIES.index(result["severity"])),
        )
        if not failing:
            return section("todo", "What to do", p("No check fails on this subject."))
        rows = [self._todo.of(result) for result in failing]
        head = ("Check|wide", "Severity", "How to put it right|wide", "Role", "Disturbs|wide")
        caption = "Failing checks, the most severe first"
        return section("todo", "What to do", table("todo", caption, head, rows, filter_by="Severity"))

    def _todo_row(self, result: Mapping[str, Any]) -> Row:
        return Row(
            [
                self._site.titled(result["measure"], result["title"], UP),
                result["severity"].capitalize(),
                self._site.text(result["fix"], 400),
                el("code", plain(result["role"], 60)),
                effects_of(result),
            ],
            result["severity"].capitalize(),
        )

    def _all_measures(self, entries: Sequence[Mapping[str, Any]]) -> Html:
        rows = [self._measure_row(entry) for entry in entries]
        head = ("Measure|wide", "Status", "Obligation")
        caption = "The measures on this subject"
        return section("measures", "Measures", table("measures", caption, head, rows, filter_by="Status"))

    def _measure_row(self, entry: Mapping[str, Any]) -> Row:
        measure, status, obligation = entry["measure"], entry["status"], entry["obligation"]
        found = self._measures.get((measure, status, obligation))
        if found is None:
            title = self._site.titled(measure, self._site.standard.measures[measure].title, UP)
            cells = [title, badge(status), "Mandatory" if obligation == "must" else "Advisory"]
            found = self._measures[measure, status, obligation] = Row(cells, STATUS_WORDS[status])
        return found

    def _all_checks(self, results: Sequence[Mapping[str, Any]]) -> Html:
        rows = [self._checks.of(result, own=since_day(result)) for result in results]
        head = ("Check|wide", "Status|wide", "Expected|wide", "Actual|wide", "Why|wide")
        told = p("What each check reads, and what it means, is on the page of its measure.")
        caption = "Everything that was checked"
        return section("checks", "Checks", told, table("checks", caption, head, rows, filter_by="Status"))

    def _check_row(self, result: Mapping[str, Any]) -> Row:
        return Row(
            [
                self._site.titled(result["measure"], result["title"], UP),
                status_of(result),
                self._site.text(result["expected"], 300),
                actual(self._site, result),
                self._site.text(why(result), 700),
            ],
            STATUS_WORDS[result["status"]],
        )


def _verdict(subject: Mapping[str, Any]) -> Html:
    word, look = VERDICTS[subject["verdict"]]
    score = subject["score"]
    about = [
        ("Verdict", badge(look, word)),
        ("Musts met", f"{score['before_exceptions']:.0%}; {score['after_exceptions']:.0%} with accepted exceptions"),
        ("Platform", f"{PLATFORM_WORDS[subject['platform']]} {subject['kind']}"),
        ("Product", plain(subject["product"], 200) or "not read"),
        ("Read through", el("bdi", plain(subject["endpoint"], 120))),
        ("Collected", in_words(subject["collected_at"])),
        ("Tags", tag_words(subject) or "none"),
        ("Id", el("code", plain(subject["id"], 200))),
        ("Facts and results as data", el("code", f"evidence/{subject['slug']}.json, subjects/{subject['slug']}.json")),
    ]
    if not subject["reachable"]:
        about.insert(1, ("Could not be read", plain(subject["unreachable_reason"], 400)))
    pairs = joined([el("div", el("dt", name), el("dd", value)) for name, value in about])
    return section("verdict", "Verdict", el("dl", pairs))


def all_subjects(site: Site) -> bytes:
    """The page with every subject of a large run."""
    shown = table(
        "subjects",
        "Verdict per subject, the worst first; numbers are mandatory measures",
        SUBJECT_HEAD,
        subject_rows(site, up="../"),
        filter_by="Verdict",
    )
    body = [section("subjects", f"All {len(site.subjects):,} subjects", shown)]
    return page(site, "Subjects", body, [("#subjects", "Subjects")], up="../")
