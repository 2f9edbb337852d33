# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""History: the trend as a picture with its numbers in a table, and what changed against the run before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import VERDICTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.markup import (
    Html,
    Row,
    el,
    joined,
    p,
    section,
    table,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_frame import Site, some
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import plain

MAX_CHANGES = 60
WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 16, 14, 40
# class: (word, what it means); posture first
CLASSES = {
    "newly_failing": ("Newly failing", "passed or was not seen to fail before"),
    "exception_expired": ("Exception expired", "fails again because its exception ran out"),
    "not_demonstrated": ("No longer demonstrated", "was shown before, could not be shown now"),
    "still_failing": ("Still failing", "failed before and fails now"),
    "fixed": ("Fixed", "failed before and no longer does"),
    "demonstrated": ("Demonstrated", "could not be shown before, is shown now"),
    "evidence_changed": ("Evidence changed", "another value, the same verdict"),
    "unchanged": ("Unchanged", "the same verdict and the same value"),
    "scope_changed": ("Scope changed", "only one of the two runs looked; no change of posture"),
    "content_changed": ("Content changed", "another catalogue or gold configuration judged; no change of posture"),
}
CONTENT = {
    "standard": "version of the standard",
    "collection": "version of the collection",
    "catalogue": "catalogue of checks",
    "gold": "gold configuration",
    "exceptions": "register of exceptions",
    "attestations": "register of attestations",
}


def trend(site: Site) -> Html:
    """The score of the last runs."""
    points = site.run["trend"]
    head = (
        "Run|short",
        "Finished|short",
        "Subjects|number",
        "Met|number",
        "With exceptions|number",
        *(f"{verdict.capitalize()}|number" for verdict in VERDICTS),
        "Not to be compared|wide",
    )
    rows = [
        Row(
            [
                plain(point["run"], 64),
                point["finished"][:10],
                f"{point['subjects']:,}",
                f"{point['score']:.1%}",
                f"{point['score_after_exceptions']:.1%}",
                *(f"{point['by_verdict'].get(verdict, 0):,}" for verdict in VERDICTS),
                _break_words(point) or "-",
            ]
        )
        for point in points
    ]
    numbers = table("trend", "The last runs, oldest first: mandatory measures met, subjects by verdict", head, rows)
    if len(points) < 2:
        return section(
            "trend", "Trend", p("This is the only run on record; the picture begins with the second."), numbers
        )
    region = el(
        "div", _picture(points), class_="scroll", role="region", tabindex="0", aria_label="Picture of the trend"
    )
    return section(
        "trend",
        "Trend",
        p(
            "Share of mandatory measures met over the last runs. A dotted upright line stands where another catalogue "
            "or gold configuration judged, or other subjects were looked at: its two sides are not to be compared."
        ),
        el("figure", region, el("figcaption", "Solid: before exceptions. Dashed: accepted exceptions counted as met.")),
        numbers,
    )


def _break_words(point: Mapping[str, Any]) -> str:
    found = [
        words for key, words in (("content_changed", "other content"), ("scope_changed", "other scope")) if point[key]
    ]
    return ", ".join(found)


def _picture(points: Sequence[Mapping[str, Any]]) -> Html:
    step = (WIDTH - LEFT - RIGHT) / (len(points) - 1)

    def at(number: int, value: float) -> tuple[str, str]:
        return f"{LEFT + number * step:.1f}", f"{TOP + (1 - value) * (HEIGHT - TOP - BOTTOM):.1f}"

    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        _x, y = at(0, share)
        parts.append(el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid" if share else "axis"))
        parts.append(el("text", f"{share:.0%}", x=LEFT - 6, y=float(y) + 4, text_anchor="end"))
    for number, point in enumerate(points):
        x, _y = at(number, 0)
        if _break_words(point):
            middle = f"{float(x) - step / 2:.1f}"
            parts.append(el("line", x1=middle, x2=middle, y1=TOP, y2=HEIGHT - BOTTOM, class_="break"))
        if _labelled(number, len(points)):
            anchor = "start" if number == 0 else "end" if number == len(points) - 1 else "middle"
            parts.append(el("text", point["finished"][:10], x=x, y=HEIGHT - BOTTOM + 20, text_anchor=anchor))
    for key, look in (("score_after_exceptions", "after"), ("score", "before")):
        dots = [at(number, point[key]) for number, point in enumerate(points)]
        parts.append(el("polyline", points=" ".join(f"{x},{y}" for x, y in dots), class_=look))
        parts += [el("circle", cx=x, cy=y, r=4, class_=f"dot-{look}") for x, y in dots]
    first, last = points[0], points[-1]
    told = (
        f"Mandatory measures met: {first['score']:.0%} on {first['finished'][:10]}, {last['score']:.0%} on "
        f"{last['finished'][:10]}. The table below has every number."
    )
    return el("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=told)


def _labelled(number: int, total: int) -> bool:
    """Whether a point has its date below it: the first, the last, and a few that leave these room."""
    every = -(-total // 5)
    return number in (0, total - 1) or (number % every == 0 and total - 1 - number >= every)


def changes(site: Site) -> Html:
    """Against the run before: counts by class, what judged, and what got worse or better."""
    comparison = site.run["comparison"]
    if not comparison:
        return section("changes", "Changes", p("There is no earlier run to compare with."))
    counts = comparison["counts"]
    rows = [Row([word, f"{counts.get(name, 0):,}", told]) for name, (word, told) in CLASSES.items()]
    parts: list[Any] = [
        p(f"Against run {plain(comparison['with']['run'], 80)}, check by check."),
        table("changes-counts", "Checks by what became of them", ("Class|wide", "Checks|number", "Means|wide"), rows),
        *_content(comparison),
        *_list(site, comparison),
    ]
    return section("changes", "Changes", *parts)


def _content(comparison: Mapping[str, Any]) -> Iterator[Html]:
    if comparison["content"]:
        rows = [
            Row(
                [
                    CONTENT[entry["what"]].capitalize(),
                    plain(entry["before"], 70) or "none",
                    plain(entry["after"], 70) or "none",
                ]
            )
            for entry in comparison["content"]
        ]
        yield p("What judged is not the same. What differs for that reason is no change of posture.")
        yield table("changes-content", "What judged then and now", ("What", "Before|wide", "Now|wide"), rows)
    for kind, words in (("added", "Looked at now, not then"), ("removed", "Looked at then, not now")):
        found = comparison["scope"][kind]
        if found:
            yield p(f"{words}: {some([plain(name, 80) for name in found])}.")


def _list(site: Site, comparison: Mapping[str, Any]) -> Iterator[Html]:
    """One row per class and check, the subjects together."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    order = list(CLASSES)
    for change in comparison["changes"]:
        key = (change["class"], change["measure"] or "", change["check"] or "")
        groups.setdefault(key, []).append(change)
    ordered = sorted(groups.items(), key=lambda entry: (order.index(entry[0][0]), -len(entry[1]), entry[0]))
    rows = []
    for (name, measure, check), found in ordered[:MAX_CHANGES]:
        known = [entry["subject"] for entry in found if entry["subject"] in site.subjects]
        gone = [plain(entry["subject"], 80) for entry in found if entry["subject"] not in site.subjects]
        about = (
            joined([site.measure(measure), " ", el("code", check)])
            if measure in site.standard.measures
            else "The whole subject"
        )
        who = joined(part for part in (site.some_subjects(known), some(gone)) if part)
        rows.append(Row([about, CLASSES[name][0], who, plain(found[0]["reason"], 200)], CLASSES[name][0]))
    if rows:
        yield table(
            "changes", "What changed", ("Check|wide", "Class", "Subjects|wide", "Reason|wide"), rows, filter_by="Class"
        )
    if len(ordered) > MAX_CHANGES:
        yield p(f"{len(ordered) - MAX_CHANGES:,} more are in results.json.")
