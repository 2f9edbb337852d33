# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer, on one page for the risk owner: compliant or not, what is excepted, what expires, what changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import VERDICTS as VERDICT_ORDER
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
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_frame import VERDICTS, Site, day_in_words
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import count, plain

MAX_DUE = 5
NOT_SHOWN = (o.UNKNOWN, o.MANUAL, o.NOT_EVALUATED)
REASSESSED = {
    "collection": "another version of the collection",
    "standard": "another version of the standard",
    "gold": "another gold configuration",
    "exceptions": "another register of exceptions",
    "attestations": "another register of attestations",
}


def answer(site: Site) -> Html:
    """The section that begins the page."""
    summary = site.run["summary"]
    parts: list[Any] = [p(text, class_="lead" if number == 0 else None) for number, text in enumerate(sentences(site))]
    if site.subjects:
        parts += [_figures(summary), _verdicts(summary)]
    parts += [el("h3", "What fails without an exception"), *_failing(site)]
    parts += [el("h3", "What is excepted, and what expires"), *_excepted(site)]
    parts += [el("h3", "What is not known"), *_unknown(site)]
    parts += [el("h3", "What changed"), *_changed(site)]
    return section("answer", "The answer", *parts)


def banners(site: Site) -> Iterator[Html]:
    """What has to be read before anything else: unsigned registers, a re-assessment, a roll-up."""
    run = site.run["run"]
    if run["reassessment"]:
        changed = [REASSESSED[part] for part in run["reassessment"]["changed"]]
        told = f"with {', '.join(changed)}" if changed else "with nothing changed"
        yield note(
            el("strong", "Re-assessment, not an audit. "),
            f"Nothing was read from a host: the evidence of run {plain(run['reassessment']['of'], 80)} was judged "
            f"again, {told}.",
        )
    if site.run["rollup"]:
        yield note(
            el("strong", "Roll-up. "),
            f"This report merges {count(len(site.run['rollup']['sources']), 'source')}; "
            "the section on sources says how fresh each is.",
        )
    for register in site.run["registers"].values():
        if register and register["signature"]["banner"]:
            yield note(el("strong", "Register not verified. "), plain(register["signature"]["banner"], 400))


def sentences(site: Site) -> list[str]:
    """Verdict and score in words."""
    summary, total = site.run["summary"], len(site.subjects)
    if not total:
        return ["No subject was assessed, so nothing is demonstrated."]
    standard = f"{site.run['standard']['id']} v{site.run['standard']['version']}"
    verdicts = [(v, summary["by_verdict"][v]) for v in VERDICT_ORDER if summary["by_verdict"][v]]
    if len(verdicts) == 1:
        who = "The subject is" if total == 1 else f"All {total:,} subjects are"
        found = [f"{who} {_in_words(verdicts[0][0])} {standard}."]
    else:
        parts = ", ".join(f"{number:,} {'is' if number == 1 else 'are'} {verdict}" for verdict, number in verdicts)
        found = [f"Of {total:,} subjects assessed against {standard}, {parts}."]
    score = f"{summary['score']:.0%} of the mandatory measures that apply are met"
    if summary["score_after_exceptions"] != summary["score"]:
        score += f", {summary['score_after_exceptions']:.0%} when accepted exceptions are counted as met"
    return [*found, f"{score}."]


def _in_words(verdict: str) -> str:
    return "not demonstrated to comply with" if verdict == VERDICT_ORDER[1] else f"{verdict} with"


def _figures(summary: Mapping[str, Any]) -> Html:
    shown = (
        ("Musts met", f"{summary['score']:.0%}", "before exceptions"),
        ("Musts met", f"{summary['score_after_exceptions']:.0%}", "accepted exceptions counted as met"),
        ("Failing musts", f"{summary['needs_exception']:,}", "each is put right, or needs an exception"),
        ("Failing advisory parts", f"{summary['advisory_failing']:,}", "they need no exception"),
    )
    boxes = [el("div", el("dt", title), el("dd", value), el("dd", detail)) for title, value, detail in shown]
    return el("dl", *boxes, class_="figures")


def _verdicts(summary: Mapping[str, Any]) -> Html:
    total = summary["subjects"] or 1
    rows = [
        Row([badge(look, word), f"{summary['by_verdict'][verdict]:,}", f"{summary['by_verdict'][verdict] / total:.0%}"])
        for verdict, (word, look) in sorted(VERDICTS.items(), key=lambda entry: VERDICT_ORDER.index(entry[0]))
    ]
    return table(
        "verdicts", "Subjects by verdict, the worst first", ("Verdict|wide", "Subjects|number", "Share|number"), rows
    )


def _failing(site: Site) -> Iterator[Html]:
    failing: dict[str, int] = {}
    for entry in site.run["measures"]:
        if entry["obligation"] == "must" and entry["status"] == o.FAIL:
            failing[entry["measure"]] = failing.get(entry["measure"], 0) + 1
    if not failing:
        yield p("Nothing: no mandatory measure fails.")
        return
    ordered = sorted(failing, key=lambda measure: (-failing[measure], list(site.standard.measures).index(measure)))
    named = [el("span", site.measure(measure), f" ({failing[measure]:,})") for measure in ordered]
    yield p("Mandatory measures, with the number of subjects each fails on: ", joined(named, ", "), ".")
    yield p(link("#todo", "What to do first"), " says how to put them right, and in which order.")


def _excepted(site: Site) -> Iterator[Html]:
    excepted = {entry["subject"] for entry in site.run["measures"] if entry["status"] == o.EXCEPTED}
    cells = sum(entry["status"] == o.EXCEPTED for entry in site.run["measures"])
    if cells:
        yield p(
            f"{count(cells, 'failing measure')} on {count(len(excepted), 'subject')} {'is' if cells == 1 else 'are'} "
            "accepted by the Authority. They fail again the day after their exception expires."
        )
    else:
        yield p("Nothing: no exception is in force for what fails here.")
    records = _records(site)
    states = [("expired", "has expired: what it covered fails again"), ("expiring", "expires soon")]
    due = [(r, words) for state, words in states for r in records if r["state"] == state]
    if due:
        yield listed(_due(record, words) for record, words in due[:MAX_DUE])
        if len(due) > MAX_DUE:
            yield p(f"And {len(due) - MAX_DUE:,} more, under ", link("#registers", "Registers"), ".")
    elif records:
        yield p("None of the registered exceptions and attestations expires within 90 days.")
    yield from _to_look_at(site)


def _records(site: Site) -> list[Mapping[str, Any]]:
    found = [r for register in site.run["registers"].values() if register for r in register["records"]]
    return sorted(found, key=lambda record: (record["expires_on"], record["id"]))


def _due(record: Mapping[str, Any], words: str) -> Html:
    risk = f" ({plain(record['risk_ref'], 80)})" if record["risk_ref"] else ""
    left = "" if record["days_left"] < 0 else f", in {count(record['days_left'], 'day')}"
    return joined(
        [el("strong", plain(record["id"], 80)), f"{risk} {words}: {day_in_words(record['expires_on'])}{left}."]
    )


def _to_look_at(site: Site) -> Iterator[Html]:
    """Entries of the register that somebody has to look at, as the subjects met them."""
    told = {
        "now_passing": "can be closed: what it accepts passes now",
        "expired": "has expired, so what it covered fails again",
        "changed": "no longer covers what is found: the value or the subjects have changed since it was approved",
    }
    lines = []
    for state, words in told.items():
        by_id: dict[str, list[str]] = {}
        for entry in site.run["exceptions"][state]:
            by_id.setdefault(entry["id"], []).append(entry["subject"])
        lines += [
            joined([f"Exception {plain(found, 80)} {words}: ", site.some_subjects(subjects), "."])
            for found, subjects in by_id.items()
        ]
    if lines:
        yield listed(lines[: MAX_DUE * 4])
    if len(lines) > MAX_DUE * 4:
        yield p(f"And {len(lines) - MAX_DUE * 4:,} more, in results.json.")


def _unknown(site: Site) -> Iterator[Html]:
    summary, complete = site.run["summary"], site.run["completeness"]
    tally = {
        status: sum(e["obligation"] == "must" and e["status"] == status for e in site.run["measures"])
        for status in NOT_SHOWN
    }
    words = {
        o.UNKNOWN: "could not be read (unknown)",
        o.MANUAL: "need a signed statement and have none in date (manual)",
        o.NOT_EVALUATED: "were left out of this run (not evaluated)",
    }
    found = [f"{number:,} {words[status]}" for status, number in tally.items() if number]
    if found:
        yield p(f"Of the mandatory measures, each counted once per subject: {'; '.join(found)}.")
    elif site.subjects:
        yield p("Nothing: every mandatory measure of every subject has been decided.")
    if summary["unreachable"]:
        which = count(summary["unreachable"], "subject")
        yield p(
            f"{which} could not be read at all: every measure of it is unknown. ", link("#scope", "Scope"), " says why."
        )
    if complete["complete"]:
        yield p(f"The matrix is full: {complete['evaluated']:,} of {complete['expected']:,} cells were evaluated.")
    else:
        yield p(
            el("strong", "The matrix is not full: "),
            f"{complete['evaluated']:,} of {complete['expected']:,} cells (measures times subjects) were evaluated. A "
            "missing cell is never a pass.",
        )


def _changed(site: Site) -> Iterable[Html]:
    comparison = site.run["comparison"]
    if not comparison:
        return [p("There is no earlier run to compare with.")]
    counts = comparison["counts"]
    words = (
        ("newly_failing", "newly failing"),
        ("exception_expired", "failing again because an exception expired"),
        ("not_demonstrated", "no longer demonstrated"),
        ("fixed", "fixed"),
        ("demonstrated", "now demonstrated"),
        ("still_failing", "still failing"),
    )
    found = [f"{counts[name]:,} {text}" for name, text in words if counts.get(name)]
    told = "; ".join(found) or "no verdict of a check changed"
    return [
        p(
            f"Checks, against run {plain(comparison['with']['run'], 80)}: {told}. ",
            link("#changes", "Changes"),
            " has the list.",
        ),
        *([p("What judged has changed as well; such differences are counted apart.")] if comparison["content"] else []),
    ]
