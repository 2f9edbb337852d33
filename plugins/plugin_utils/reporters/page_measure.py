# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of one measure: what was asked, looked at and found, what it means, what to do, who owns it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import Once
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.markup import (
    BR,
    Html,
    Row,
    badge,
    el,
    joined,
    listed,
    p,
    section,
    table,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_frame import PLATFORM_WORDS, Site, page
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_todo import effects_of, status_of, weight
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import coverage
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import PLATFORMS, Check, Measure
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import STATUS_WORDS, count, plain

UP = "../../"
# The order of keys is no difference: subjects may have been judged by different versions.
_ENCODE = json.JSONEncoder(sort_keys=True, default=str).encode
# Rows of one check; subjects that agree share one. What is left out is on the pages of its subjects.
MAX_ROWS = 100
MAX_ITEMS = 5
_OUTCOME = ("status", "measured", "expected", "actual", "message", "items", "exception", "attestation", "persistent")
MEANS = {
    o.FAIL: "The measure is not met there. It is put right, or the Authority accepts it until a date.",
    o.UNKNOWN: "Nobody can say: something could not be read. It counts as not demonstrated, never as met.",
    o.MANUAL: "No machine can see it, and there is no signed statement in date.",
    o.EXCEPTED: "It is not met, and the Authority has accepted that until the exception expires.",
    o.ATTESTED: "A person states that it is met, and another has accepted the statement.",
    o.PASS: "It was measured and is met.",
    o.NOT_APPLICABLE: "The facts show that it cannot apply.",
    o.NOT_EVALUATED: "It was left out of this run.",
}
NAV = (
    ("#asked", "What was asked"),
    ("#looked", "What we looked at"),
    ("#found", "What we found"),
    ("#means", "What it means"),
    ("#todo", "What to do"),
    ("#owner", "Who owns it"),
)


def measure_page(
    site: Site, measure: Measure, entries: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]
) -> bytes:
    """The page. entries: the measure on each subject; results: its checks on each subject."""
    body = [
        _asked(measure, entries),
        _looked(site, measure),
        _found(site, entries, results),
        _means(site, measure, entries),
        _todo(site, measure, results),
        _owner(site, measure, entries),
    ]
    return page(site, f"{measure.id} {measure.title}", body, NAV, up=UP)


def _asked(measure: Measure, entries: Iterable[Mapping[str, Any]]) -> Html:
    kinds = sorted({"mandatory" if entry["obligation"] == "must" else "advisory" for entry in entries})
    related = [
        ("NIST CSF 1.1", measure.nist_csf),
        ("related CSF 2.0", measure.nist_csf_2),
        ("related CIS v8", measure.cis_v8),
    ]
    told = "; ".join(f"{name}: {', '.join(map(str, ids)) or 'none'}" for name, ids in related)
    return section(
        "asked",
        "What was asked",
        el("blockquote", p(measure.text)),
        p(
            f"{(' and '.join(kinds) or measure.obligation).capitalize()}, {measure.severity} severity. {told}.",
            class_="small",
        ),
        p("How it is read here: ", measure.interpretation),
    )


def _looked(site: Site, measure: Measure) -> Html:
    platforms = site.platforms or list(PLATFORMS[1:])
    shown = [check for check in measure.checks if check.platform in ("all", *platforms)]
    words = [
        joined([el("strong", PLATFORM_WORDS[name]), f": {covered.word}. {coverage.WORDS[covered.word]}"])
        for name in platforms
        for covered in (coverage.coverage(measure, name),)
    ]
    limits = [
        f"{PLATFORM_WORDS.get(key, 'All platforms')}: {measure.limits[key]}"
        for key in sorted(measure.limits)
        if key in ("all", *platforms)
    ]
    parts: list[Any] = [listed(words)]
    if limits:
        parts += [p("Limits:"), listed(limits)]
    if shown:
        head = ("Check|wide", "Platform", "Read by|wide", "Passes when|wide", "Counts")
        parts.append(table("looked", f"Checks of {measure.id}", head, [_looked_row(check) for check in shown]))
    return section("looked", "What we looked at", *parts)


def _looked_row(check: Check) -> Row:
    counts = (
        "Decides"
        if check.tier == 1 and check.obligation != "should"
        else "Recommended"
        if check.tier == 1
        else "Informs"
    )
    platform = "All" if check.platform == "all" else PLATFORM_WORDS[check.platform]
    return Row([joined([check.title, BR, el("code", check.id)]), platform, check.probe, check.passes, counts])


def _found(site: Site, entries: Sequence[Mapping[str, Any]], results: Iterable[Mapping[str, Any]]) -> Html:
    tally = Counter(entry["status"] for entry in entries)
    parts: list[Any] = [
        listed(
            joined([badge(status), f" on {count(tally[status], 'subject')}"])
            for status in o.WORST_FIRST
            if tally[status]
        )
        if tally
        else p("No subject was assessed.")
    ]
    by_check: dict[str, list[Mapping[str, Any]]] = {}
    silent: list[str] = []
    for result in results:
        # A silent subject is one fact, told in a sentence; its row under each check would say the same again and again.
        if site.subjects[result["subject"]]["reachable"]:
            by_check.setdefault(result["check"], []).append(result)
        elif result["subject"] not in silent[-1:]:
            silent.append(result["subject"])
    if silent:
        parts.append(p("Could not be read, so every check is unknown: ", site.some_subjects(silent, UP), "."))
    rows: list[Row] = []
    left_out = 0
    for found in by_check.values():
        groups = outcomes(found)
        left_out += max(len(groups) - MAX_ROWS, 0)
        rows += [_found_row(site, result, subjects) for result, subjects in groups[:MAX_ROWS]]
    if rows:
        head = ("Check|wide", "Status|wide", "Subjects|wide", "Expected|wide", "Actual|wide", "Why|wide")
        caption = "Outcomes by check, the worst first; subjects that agree share a row"
        parts.append(table("found", caption, head, rows, filter_by="Status"))
    if left_out:
        parts.append(p(f"{left_out:,} more different outcomes are on the pages of their subjects and in results.csv."))
    return section("found", "What we found", *parts)


def outcomes(results: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], list[str]]]:
    """Results of one check as (result, subjects), subjects that agree together, the worst first."""
    groups: dict[tuple[Any, ...], tuple[Mapping[str, Any], list[str]]] = {}
    keys = Once(lambda result: tuple([_hashable(result[part]) for part in _OUTCOME]))
    for result in results:
        groups.setdefault(keys.of(result), (result, []))[1].append(result["subject"])
    return sorted(groups.values(), key=lambda found: (o.WORST_FIRST.index(found[0]["status"]), -len(found[1])))


def _hashable(value: Any) -> Any:
    return _ENCODE(value) if isinstance(value, (dict, list)) else value


def _found_row(site: Site, result: Mapping[str, Any], subjects: Sequence[str]) -> Row:
    return Row(
        [
            plain(result["title"], 200),
            status_of(result),
            site.some_subjects(subjects, UP),
            site.text(result["expected"], 300),
            actual(site, result),
            why(result),
        ],
        STATUS_WORDS[result["status"]],
    )


def actual(site: Site, result: Mapping[str, Any]) -> Any:
    """What was found: the items that do not pass where a check looks at several, else the value."""
    items = result["items"]
    if not items:
        return site.text(result["actual"], 300) or "-"
    shown = [
        joined([el("bdi", plain(item["id"], 80)), f": {plain(item['message'] or item['actual'], 160)}"])
        for item in items[:MAX_ITEMS]
    ]
    more = [f"and {len(items) - MAX_ITEMS} more in results.json"] if len(items) > MAX_ITEMS else []
    return joined([f"{len(items)} of {max(result['items_total'], len(items))}:", listed([*shown, *more])])


def why(result: Mapping[str, Any]) -> str:
    """The message, and what it does not say; it names the exception or statement itself."""
    told = plain(result["message"], 300)
    if result["persistent"] is False:
        told += " Running and configured values differ: a restart changes it."
    if result["failing_since"]:
        told += f" Failing since {since_day(result)}, as far as the archive goes."
    return told.strip()


def since_day(result: Mapping[str, Any]) -> str:
    """The day from which on a result fails; empty where it does not."""
    return (result["failing_since"] or "")[:10]


def _means(site: Site, measure: Measure, entries: Iterable[Mapping[str, Any]]) -> Html:
    seen = {entry["status"] for entry in entries}
    lines = [joined([badge(status), f" {MEANS[status]}"]) for status in o.WORST_FIRST if status in seen]
    words = {coverage.coverage(measure, name).word for name in site.platforms}
    proof = [f"What a pass proves here: {coverage.WORDS[word]}" for word in sorted(words)]
    return section("means", "What it means", listed(lines), *(p(text) for text in proof))


def _todo(site: Site, measure: Measure, results: Iterable[Mapping[str, Any]]) -> Html:
    failing: dict[str, list[Mapping[str, Any]]] = {}
    for result in results:
        if result["status"] in (o.FAIL, o.EXCEPTED):
            failing.setdefault(result["check"], []).append(result)
    parts: list[Any] = []
    for found in failing.values():
        first = found[0]
        rollback = plain(first["disruption"].get("rollback"), 200)
        parts.append(
            el(
                "div",
                el("h3", plain(first["title"], 200)),
                p(f"{weight(first)} Not met on ".lstrip(), site.some_subjects([r["subject"] for r in found], UP), "."),
                p(plain(first["fix"], 400)),
                p(
                    "Role: ",
                    el("code", plain(first["role"], 60)),
                    f"; {effects_of(first)}{f'; to undo: {rollback}' if rollback else ''}.",
                ),
                class_="case",
            )
        )
    parts += _ask(site, measure)
    unknown = [r for r in results if r["status"] == o.UNKNOWN and site.subjects[r["subject"]]["reachable"]]
    if unknown:
        reasons = Counter(plain(r["message"], 200) for r in unknown)
        shown = [
            f"{reason or 'no reason given'} ({count(number, 'result')})" for reason, number in reasons.most_common(10)
        ]
        parts += [
            el("h3", "What could not be read"),
            p("Give the auditing account what it lacks, or see why the answer was not understood:"),
            listed(shown),
        ]
    return section("todo", "What to do", *(parts or [p("Nothing: no check of this measure fails or is open.")]))


def _ask(site: Site, measure: Measure) -> Iterator[Html]:
    wanted = [entry for entry in site.run["evidence_wanted"] if entry["measure"] == measure.id]
    for entry in wanted:
        yield el(
            "div",
            el("h3", f"Ask for evidence: {plain(entry['title'], 200)}"),
            p(plain(entry["ask"], 400)),
            p(f"Good enough when: {plain(entry['passes'], 400)}."),
            p(
                "Subjects: ",
                site.some_subjects(entry["subjects"], UP),
                ". A stub to fill in is in attestation-stubs.yml.",
            ),
            class_="case",
        )


def _owner(site: Site, measure: Measure, entries: Iterable[Mapping[str, Any]]) -> Html:
    """Who has to act: by the tags owner, supplier and service of the subjects where it is not met."""
    open_on = [
        site.subjects[e["subject"]] for e in entries if e["status"] not in (o.PASS, o.ATTESTED, o.NOT_APPLICABLE)
    ]
    parts: list[Any] = [
        p(
            "The settings of this measure belong to the role ",
            el("code", measure.role),
            "; the acceptance of a failure belongs to the Authority's risk owner.",
        )
    ]
    if open_on:
        tally = Counter(
            tuple(plain(s["tags"].get(key), 60) or "-" for key in ("owner", "supplier", "service")) for s in open_on
        )
        rows = [
            Row([owner if owner != "-" else "No owner declared", supplier, service, f"{number:,}"])
            for (owner, supplier, service), number in sorted(tally.items(), key=lambda e: (-e[1], e[0]))[:MAX_ROWS]
        ]
        parts.append(
            table(
                "owner",
                "Subjects where it is not met, by their owner",
                ("Owner|wide", "Supplier", "Service", "Subjects|number"),
                rows,
            )
        )
        if any(subject["tags"].get("owner") is None for subject in open_on):
            parts.append(p("Owners are declared with ", el("code", "hypervisor_tags"), " (owner, supplier, service)."))
    return section("owner", "Who owns it", *parts)
