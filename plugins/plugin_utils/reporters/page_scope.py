# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scope, the sources of a roll-up, and what the report says about itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.markup import (
    Html,
    Row,
    badge,
    el,
    joined,
    link,
    listed,
    note,
    p,
    section,
    table,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_frame import (
    ASSUMPTIONS,
    PLATFORM_WORDS,
    Site,
    some,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_registers import SIGNATURES
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import count, plain

MAX_ROWS = 60


def scope(site: Site) -> Html:
    """What was and was not looked at."""
    found = site.run["scope"]
    kinds = Counter(f"{PLATFORM_WORDS[s['platform']]} {s['kind']}" for s in site.subjects.values())
    assessed = ", ".join(count(number, kind) for kind, number in sorted(kinds.items()))
    parts: list[Any] = [
        p(
            f"Assessed: {assessed}. " if assessed else "Nothing was assessed. ",
            f"Each subject is judged on all {len(site.standard.measures)} measures.",
        ),
        *_silent(site),
    ]
    if found["unreadable"]:
        files = [
            joined([el("code", plain(entry["file"])), f": {plain(entry['reason'])}"])
            for entry in found["unreadable"][:MAX_ROWS]
        ]
        parts += [el("h3", "Result files that could not be read"), listed(files)]
    if found["previous"] and found["previous"]["subjects"]:
        names = some([plain(name, 80) for name in found["previous"]["subjects"]])
        told = (
            f"Run {plain(found['previous']['run'], 80)} has results of these subjects, this one has none. They are not "
            f"counted here: {names}."
        )
        parts += [el("h3", "Only in the run before"), p(told)]
    left_out = sorted({entry["measure"] for entry in site.run["measures"] if entry["status"] == o.NOT_EVALUATED})
    if left_out:
        told = (
            f"Not evaluated on some or all subjects: {', '.join(left_out)}. A subject is never compliant on a subset."
        )
        parts += [el("h3", "Measures left out of this run"), p(told)]
    if found["out_of_scope"]:
        names = some([plain(name, 80) for name in found["out_of_scope"]])
        told = p(
            "These inventory hosts declare no ", el("code", "hypervisor_platform"), f" and were not looked at: {names}."
        )
    else:
        told = p("No inventory host was left out for want of a declared platform.")
    return section("scope", "Scope", *parts, el("h3", "Out of scope"), told)


def _silent(site: Site) -> Iterator[Html]:
    silent: dict[str, list[str]] = {}
    for subject in site.subjects.values():
        if not subject["reachable"]:
            silent.setdefault(plain(subject["unreachable_reason"], 300), []).append(subject["id"])
    if silent:
        ordered = sorted(silent.items(), key=lambda entry: (-len(entry[1]), entry[0]))
        yield el("h3", "Could not be read")
        yield p("Every measure of these subjects counts as unknown.")
        yield listed(
            joined([el("strong", site.some_subjects(who)), f": {reason}"]) for reason, who in ordered[:MAX_ROWS]
        )
        if len(ordered) > MAX_ROWS:
            yield p(f"{len(ordered) - MAX_ROWS:,} more reasons are in results.json.")


def sources(site: Site) -> Html:
    """Only in a roll-up: where the results come from, how fresh they are, and where the lines of defence disagree."""
    found = site.run["rollup"]
    rows = [
        Row(
            [
                plain(entry["directory"], 80),
                plain(entry["run"], 64),
                f"{entry['line'].capitalize()} line" if entry["line"] != "external" else "External",
                ", ".join(plain(name, 60) for name in entry["suppliers"]),
                f"{entry['subjects']:,}",
                f"{entry['finished'][:10]} ({count(entry['age_days'], 'day')} ago)",
                "Fresh" if entry["fresh"] else badge("fail", "Stale"),
                SIGNATURES[entry["signature"]["state"]].capitalize(),
            ]
        )
        for entry in found["sources"][:MAX_ROWS]
    ]
    head = (
        "Directory|wide",
        "Run",
        "Line of defence",
        "Suppliers|wide",
        "Subjects|number",
        "Finished|wide",
        "Freshness",
        "Signature",
    )
    parts: list[Any] = [
        p(f"Results older than {count(found['fresh_days'], 'day')} are stale."),
        table("sources", "Report directories merged here", head, rows),
        _suppliers(found),
        *_lines(site, found),
    ]
    return section("sources", "Sources of this roll-up", *parts)


def _suppliers(found: Mapping[str, Any]) -> Html:
    rows = [
        Row(
            [
                plain(entry["supplier"], 80) or "(no supplier)",
                f"{entry['subjects']:,}",
                f"{entry['score']:.0%}",
                f"{entry['score_after_exceptions']:.0%}",
                f"{entry['last_assured'][:10]}; oldest {entry['oldest'][:10]}",
                "Fresh" if entry["fresh"] else badge("fail", "Stale"),
                f"{entry['exceptions_due']:,}",
            ]
        )
        for entry in found["suppliers"][:MAX_ROWS]
    ]
    head = (
        "Supplier|wide",
        "Subjects|number",
        "Met|number",
        "With exceptions|number",
        "Last assured|wide",
        "Freshness",
        "Exceptions due|number",
    )
    return table("suppliers", "By supplier; exceptions due have expired or expire within 90 days", head, rows)


def _lines(site: Site, found: Mapping[str, Any]) -> Iterator[Html]:
    if not found["lines"]:
        yield p("No measure of any subject was assessed by more than one line of defence.")
        return
    ordered = sorted(found["lines"], key=lambda entry: not entry["disagree"])
    disagreeing = sum(entry["disagree"] for entry in found["lines"])
    yield p(
        f"{count(len(ordered), 'cell')} assessed by more than one line of defence; they disagree on {disagreeing:,}. "
        "The worst counts."
    )
    rows = [
        Row(
            [
                joined(
                    [
                        site.measure(entry["measure"]),
                        " on ",
                        site.subject(entry["subject"])
                        if entry["subject"] in site.subjects
                        else plain(entry["subject"], 80),
                    ]
                ),
                *(_line(entry[line]) for line in ("first", "second", "external")),
                badge("fail", "Disagree") if entry["disagree"] else "Agree",
            ],
            "Disagree" if entry["disagree"] else "Agree",
        )
        for entry in ordered[:MAX_ROWS]
    ]
    head = ("Measure and subject|wide", "First line", "Second line", "External", "Agreement")
    yield table("lines", "Lines of defence side by side, disagreements first", head, rows, filter_by="Agreement")
    if len(ordered) > MAX_ROWS:
        yield p(f"{len(ordered) - MAX_ROWS:,} more are in results.json.")


def _line(said: Mapping[str, Any] | None) -> Any:
    return joined([badge(said["status"]), f" {said['collected_at'][:10]}"]) if said else "-"


def marking(site: Site) -> Html:
    """The protective marking and what it asks for."""
    told = (
        "This report names weaknesses of live systems. Handle, store and share it, and the files beside it, as this "
        "marking requires."
    )
    return section("marking", "Protective marking", note(el("strong", site.marking), " ", told))


def about(site: Site) -> Html:
    """What made the report, what the words mean, and where else the results are."""
    run = site.run["run"]
    by = run["by"]
    job = f", job {plain(by['job'], 80)}" if by["job"] else ""
    told = (
        f"Run by {plain(by['user'], 80)} on {plain(by['controller'], 80)}{job}, "
        f"ansible-core {plain(by['ansible'], 40)}, dwp.hypervisor {plain(run['collection'], 40)}, "
        f"{run['line']} line of defence."
    )
    digests = [("Gold configuration", run["gold_sha256"]), ("Catalogue of checks", run["catalogue_sha256"])]
    if run["previous"]:
        digests.append(
            (f"Manifest of the run before, {plain(run['previous']['run'], 80)}", run["previous"]["manifest_sha256"])
        )
    return section(
        "about",
        "About this report",
        p(told),
        listed(joined([f"{what}: ", el("code", digest or "none"), " (SHA-256)"]) for what, digest in digests),
        p(
            el("code", "sha256sum -c MANIFEST.sha256"),
            " in the folder of this report shows whether any file has been altered since.",
        ),
        p(
            "Statuses: pass, fail; unknown: could not be read; manual: needs a signed statement and has none in date; "
            "attested: has one; excepted: fails, and the Authority has accepted that until a date; not applicable: the "
            "facts show that it cannot apply; not evaluated: left out of this run."
        ),
        p(
            "Settings that differ from the defaults, substitute thresholds and how each measure is read: ",
            link(ASSUMPTIONS, "Interpretations and assumptions in force"),
            ".",
        ),
        p(
            "The same results as data: results.json and results.csv. If you cannot use this page, or need it in "
            "another format, ask the team that sent it to you."
        ),
        p(
            "Wording of the measures: DWP Security Standard SS-009, Crown copyright, used under the Open Government "
            "Licence v3.0."
        ),
    )
