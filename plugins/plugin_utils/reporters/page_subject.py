# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of one subject: its verdict, what to do on it, its measures, and every check with what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
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
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_measure import UP, actual, why
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_tables import (
    SUBJECT_HEAD,
    subject_rows,
    tag_words,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_todo import effects_of, status_of
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import SEVERITIES
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import STATUS_WORDS, plain

NAV = (("#verdict", "Verdict"), ("#todo", "What to do"), ("#measures", "Measures"), ("#checks", "Checks"))


def subject_page(
    site: Site,
    subject: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
) -> bytes:
    """The page. entries: its measures; results: its checks."""
    body = [_verdict(subject), _todo(site, results), _measures(site, entries), _checks(site, results)]
    return page(site, site.names[subject["id"]], body, NAV, up=UP)


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


def _todo(site: Site, results: Sequence[Mapping[str, Any]]) -> Html:
    failing = sorted(
        (result for result in results if result["status"] == o.FAIL),
        key=lambda result: (result["tier"], SEVERITIES.index(result["severity"])),
    )
    if not failing:
        return section("todo", "What to do", p("No check fails on this subject."))
    rows = [
        Row(
            [
                site.titled(result["measure"], result["title"], UP),
                result["severity"].capitalize(),
                site.text(result["fix"], 400),
                el("code", plain(result["role"], 60)),
                effects_of(result),
            ],
            result["severity"].capitalize(),
        )
        for result in failing
    ]
    head = ("Check|wide", "Severity", "How to put it right|wide", "Role", "Disturbs|wide")
    return section(
        "todo", "What to do", table("todo", "Failing checks, the most severe first", head, rows, filter_by="Severity")
    )


def _measures(site: Site, entries: Sequence[Mapping[str, Any]]) -> Html:
    rows = [
        Row(
            [
                site.titled(entry["measure"], site.standard.measures[entry["measure"]].title, UP),
                badge(entry["status"]),
                "Mandatory" if entry["obligation"] == "must" else "Advisory",
            ],
            STATUS_WORDS[entry["status"]],
        )
        for entry in entries
    ]
    head = ("Measure|wide", "Status", "Obligation")
    return section(
        "measures", "Measures", table("measures", "The measures on this subject", head, rows, filter_by="Status")
    )


def _checks(site: Site, results: Sequence[Mapping[str, Any]]) -> Html:
    rows = [
        Row(
            [
                site.titled(result["measure"], result["title"], UP),
                status_of(result),
                site.text(result["expected"], 300),
                actual(site, result),
                site.text(why(result), 700),
            ],
            STATUS_WORDS[result["status"]],
        )
        for result in results
    ]
    head = ("Check|wide", "Status|wide", "Expected|wide", "Actual|wide", "Why|wide")
    told = p("What each check reads, and what it means, is on the page of its measure.")
    return section(
        "checks", "Checks", told, table("checks", "Everything that was checked", head, rows, filter_by="Status")
    )


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
