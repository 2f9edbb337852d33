# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the front page: by section, by CSF function, by measure with what a pass proves, by subject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import CSF_FUNCTIONS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import VERDICTS as VERDICT_ORDER
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.markup import (
    BR,
    EMPTY,
    Html,
    Row,
    badge,
    el,
    joined,
    link,
    p,
    section,
    table,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_frame import (
    ALL_SUBJECTS,
    PLATFORM_WORDS,
    VERDICTS,
    Site,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import coverage
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import PLATFORMS, SECTIONS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import STATUS_WORDS, plain

FRONT_SUBJECTS = 50
NOT_SHOWN = (o.UNKNOWN, o.MANUAL, o.NOT_EVALUATED)


def totals(site: Site) -> Html:
    """Measures by section of the standard and by CSF function: only the columns that hold anything."""
    summary = site.run["summary"]
    sections = [(f"{name} {SECTIONS[name]}", group) for name, group in summary["by_section"].items()]
    functions = [(f"{CSF_FUNCTIONS[name]} ({name})", group) for name, group in summary["by_csf"].items()]
    used = [s for s in STATUS_WORDS if any(tally[s] for _name, group in sections for tally in group.values())]
    parts: list[Any] = [
        p(
            "A measure counts once per subject, by the worst of its deciding checks; a measure that names several CSF "
            "functions counts under each. Score: mandatory measures that pass or are attested, divided by those that "
            "apply."
        ),
        _totals("sections-must", "Mandatory measures by section of the standard", "Section", sections, "must", used),
        _totals(
            "functions-must", "Mandatory measures by NIST CSF 1.1 function", "CSF function", functions, "must", used
        ),
    ]
    if any(any(group["advisory"].values()) for _name, group in sections):
        caption = "Recommended and advisory parts by section of the standard"
        parts.append(_totals("sections-advisory", caption, "Section", sections, "advisory", used))
    return section("totals", "By section and by CSF function", *parts)


def _totals(
    anchor: str,
    caption: str,
    head: str,
    groups: Iterable[tuple[str, Mapping[str, Any]]],
    obligation: str,
    used: Sequence[str],
) -> Html:
    titles = (f"{head}|wide", *(f"{STATUS_WORDS[status]}|number" for status in used))
    return table(
        anchor,
        caption,
        titles,
        [Row([name, *(f"{group[obligation][status]:,}" for status in used)]) for name, group in groups],
    )


def measures(site: Site) -> Html:
    """One row per measure: how it stands, and what a pass of it proves on each platform."""
    tallies: dict[str, Counter[str]] = {measure: Counter() for measure in site.standard.measures}
    obligations: dict[str, set[str]] = {measure: set() for measure in site.standard.measures}
    for entry in site.run["measures"]:
        tallies[entry["measure"]][entry["status"]] += 1
        obligations[entry["measure"]].add("Mandatory" if entry["obligation"] == "must" else "Advisory")
    rows = []
    for measure in site.standard.measures.values():
        tally = tallies[measure.id]
        worst = o.worst(tally)
        rows.append(
            Row(
                [
                    joined([site.measure(measure.id), f" {measure.title}"]),
                    badge(worst) if tally else "No subject",
                    " and ".join(sorted(obligations[measure.id])) or "-",
                    f"{tally[o.FAIL]:,}",
                    f"{sum(tally[status] for status in NOT_SHOWN):,}",
                    f"{tally[o.EXCEPTED]:,}",
                    f"{tally[o.PASS] + tally[o.ATTESTED]:,}",
                    f"{tally[o.NOT_APPLICABLE]:,}",
                ],
                STATUS_WORDS[worst] if tally else None,
            )
        )
    numbers = ("Fail", "Not demonstrated", "Excepted", "Met", "Not applicable")
    head = ("Measure|wide", "Worst status", "Obligation", *(f"{word}|number" for word in numbers))
    return section(
        "measures",
        "By measure",
        p("Each measure has a page: what was asked, looked at and found, what it means, what to do and who owns it."),
        table("measures", "The measures of the standard; numbers are subjects", head, rows, filter_by="Worst status"),
    )


def matrix(site: Site) -> Html:
    """The coverage matrix."""
    platforms = site.platforms or list(PLATFORMS[1:])
    rows = [
        Row(
            [
                joined([site.measure(measure.id), f" {measure.title}"]),
                *(_cell(coverage.coverage(measure, name)) for name in platforms),
            ]
        )
        for measure in site.standard.measures.values()
    ]
    words = joined([el("div", el("dt", word.capitalize()), el("dd", told)) for word, told in coverage.WORDS.items()])
    return section(
        "coverage",
        "What a pass proves",
        p("Numbers are deciding checks: read from the system, and stated by people or another system."),
        table(
            "coverage",
            "Coverage of each measure by platform",
            ("Measure|wide", *(f"{PLATFORM_WORDS[name]}|wide" for name in platforms)),
            rows,
        ),
        el("dl", words),
    )


def _cell(found: coverage.Coverage) -> str:
    counts = [f"{number} {word}" for number, word in ((found.read, "read"), (found.stated, "stated")) if number]
    return f"{found.word.capitalize()}{': ' + ', '.join(counts) if counts else ''}"


def subjects(site: Site) -> Html:
    """The subjects, the worst first; past 50 they are on a page of their own."""
    rows = subject_rows(site, FRONT_SUBJECTS)
    if not rows:
        return section("subjects", "By subject", p("No subject was assessed."))
    total = len(site.subjects)
    more: Any = EMPTY
    if total > FRONT_SUBJECTS:
        which = f"All {total:,} subjects, to search and filter"
        more = p(f"The {FRONT_SUBJECTS} worst are shown here. ", link(ALL_SUBJECTS, which), ".")
    shown = table(
        "subjects",
        "Verdict per subject, the worst first; numbers are mandatory measures",
        SUBJECT_HEAD,
        rows,
        filter_by="Verdict",
    )
    return section("subjects", "By subject", more, shown)


SUBJECT_HEAD = (
    "Subject|wide",
    "Verdict|wide",
    "Met|number",
    "Fail|number",
    "Not demonstrated|number",
    "Excepted|number",
    "Product|wide",
)


def subject_rows(site: Site, limit: int | None = None, up: str = "") -> list[Row]:
    """The rows of a table of subjects, the worst verdict first and within it the most failures."""
    tallies: dict[str, Counter[str]] = {subject: Counter() for subject in site.subjects}
    for entry in site.run["measures"]:
        if entry["obligation"] == "must":
            tallies[entry["subject"]][entry["status"]] += 1
    ordered = sorted(
        site.subjects.values(),
        key=lambda found: (
            VERDICT_ORDER.index(found["verdict"]),
            -tallies[found["id"]][o.FAIL],
            site.names[found["id"]],
        ),
    )
    return [_subject_row(site, subject, tallies[subject["id"]], up) for subject in ordered[:limit]]


def _subject_row(site: Site, subject: Mapping[str, Any], tally: Counter[str], up: str) -> Row:
    word, look = VERDICTS[subject["verdict"]]
    applicable = sum(number for status, number in tally.items() if status != o.NOT_APPLICABLE)
    tags = tag_words(subject)
    name = joined(
        [
            el("strong", site.subject(subject["id"], up)),
            "" if subject["reachable"] else " (could not be read)",
            *([BR, el("span", tags, class_="small")] if tags else []),
        ]
    )
    return Row(
        [
            name,
            badge(look, word),
            f"{tally[o.PASS] + tally[o.ATTESTED]} of {applicable}",
            tally[o.FAIL],
            sum(tally[status] for status in NOT_SHOWN),
            tally[o.EXCEPTED],
            plain(subject["product"], 120) or PLATFORM_WORDS[subject["platform"]],
        ],
        word,
    )


def tag_words(subject: Mapping[str, Any]) -> str:
    """`owner: A. Owner, supplier: Example Ltd`."""
    return ", ".join(f"{plain(k, 40)}: {plain(value, 60)}" for k, value in sorted(subject["tags"].items()) if value)
