# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registers and what became of each record, and the evidence that people have to be asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.markup import (
    BR,
    EMPTY,
    Html,
    Row,
    badge,
    el,
    joined,
    p,
    section,
    table,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.page_frame import Site
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import count, plain

MAX_RECORDS = 100
MAX_WANTED = 60
# state: the status whose look it has
STATES = {"pending": "manual", "active": "pass", "expiring": "unknown", "expired": "fail"}
NOTES = {
    "unused": "matches nothing",
    "not_in_this_run": "what it matches was not looked at",
    "closable": "can be closed: all it covers passes",
    "late": "approved after the first run that saw the failure",
    "changed": "something else fails than was accepted",
    "review_due": "review is due",
    "contradicted": "contradicted: a probe says otherwise",
    "not_needed": "not needed: covers no mandatory measure",
}
SIGNATURES = {"verified": "signature verified", "unsigned": "not signed", "unchecked": "signed, but not checked"}


def registers(site: Site) -> Html:
    """Exceptions and attestations with their life cycle."""
    parts: list[Any] = []
    for kind, register in site.run["registers"].items():
        parts.append(el("h3", kind.capitalize()))
        if register is None:
            parts.append(p(f"No register of {kind} was given to this run."))
            continue
        signer = f" by {plain(register['signature']['signer'], 120)}" if register["signature"]["signer"] else ""
        parts.append(
            p(
                el("code", plain(register["file"], 200)),
                f": {count(len(register['records']), 'record')}, {SIGNATURES[register['signature']['state']]}{signer}. "
                "A record counts through the end of its last day, UTC.",
            )
        )
        if register["records"]:
            parts += _records(site, kind, register["records"])
    parts += _contradicted(site)
    return section("registers", "Registers: exceptions and attestations", *parts)


def _records(site: Site, kind: str, records: list[Mapping[str, Any]]) -> Iterator[Html]:
    order = list(STATES)[::-1]
    ordered = sorted(records, key=lambda r: (order.index(r["state"]), r["expires_on"], r["id"]))
    people = (
        ("Approved by|wide", "Risk reference")
        if kind == "exceptions"
        else ("Signed and accepted by|wide", "Evidence|wide")
    )
    head = ("Record|wide", "State", "Until|short", "Covers|wide", *people, "Subjects met|number", "To look at|wide")
    yield table(
        f"register-{kind}",
        f"{kind.capitalize()}, the expired and the first to expire first",
        head,
        [_record(site, kind, record) for record in ordered[:MAX_RECORDS]],
        filter_by="State",
    )
    if len(ordered) > MAX_RECORDS:
        yield p(f"{len(ordered) - MAX_RECORDS:,} more records are in results.json.")


def _record(site: Site, kind: str, record: Mapping[str, Any]) -> Row:
    covers = joined([site.measure(record["measure"]), ". "]) if record["measure"] else EMPTY
    checks = f"{', '.join(plain(check, 80) for check in record['checks'][:6])}. " if record["checks"] else ""
    if kind == "exceptions":
        role = f", {plain(record['approved_by_role'], 80)}" if record["approved_by_role"] else ""
        people = [plain(record["approved_by"], 80) + role, plain(record["risk_ref"], 80)]
    else:
        both = [plain(record[key], 80) for key in ("signed_by", "accepted_by") if record[key]]
        other = f"Satisfied by {plain(record['satisfied_by'], 40)}. " if record["satisfied_by"] else ""
        people = ["; ".join(both), other + plain(record["evidence"], 160)]
    left = record["days_left"]
    until = joined([record["expires_on"], BR, f"{count(left, 'day')} left"]) if left >= 0 else record["expires_on"]
    about = joined([el("strong", plain(record["id"], 80)), BR, plain(record["text"], 200)])
    return Row(
        [
            about,
            badge(STATES[record["state"]], record["state"].capitalize()),
            until,
            joined([covers, checks, plain(record["scope"], 160)]),
            *people,
            f"{len(record['subjects']):,}",
            "; ".join(NOTES[found] for found in record["notes"]),
        ],
        record["state"].capitalize(),
    )


def _contradicted(site: Site) -> Iterator[Html]:
    found = site.run["attestations"]["contradicted"]
    if found:
        yield el("h3", "Contradicted attestations")
        yield p("A statement says one thing and a probe measured another. The probe decides.")
        rows = [
            Row([plain(entry["id"], 80), site.subject(entry["subject"]), ", ".join(entry["checks"])])
            for entry in found[:MAX_RECORDS]
        ]
        yield table(
            "contradicted", "Attestations that a probe contradicts", ("Attestation", "Subject", "Checks|wide"), rows
        )
        if len(found) > MAX_RECORDS:
            yield p(f"{len(found) - MAX_RECORDS:,} more are in results.json.")


def wanted(site: Site) -> Html:
    """What evidence to ask people for."""
    entries = site.run["evidence_wanted"]
    if not entries:
        return section("wanted", "Evidence to ask for", p("None: nothing here needs a signed statement."))
    rows = [
        Row(
            [
                joined([site.measure(entry["measure"]), f" {plain(entry['title'], 120)}"]),
                entry["obligation"].capitalize(),
                plain(entry["ask"], 220),
                site.some_subjects(entry["subjects"])
                if len(entry["subjects"]) <= 3
                else f"{len(entry['subjects']):,} subjects",
            ],
            entry["obligation"].capitalize(),
        )
        for entry in entries[:MAX_WANTED]
    ]
    return section(
        "wanted",
        "Evidence to ask for",
        p(
            "No machine can read these. Ready-to-fill stubs are in ",
            el("code", "attestation-stubs.yml"),
            " beside this page.",
        ),
        table(
            "wanted",
            "Checks that need a signed statement and have none in date",
            ("Check|wide", "Obligation", "Ask for|wide", "Subjects|wide"),
            rows,
            filter_by="Obligation",
        ),
        *([p(f"{len(entries) - MAX_WANTED:,} more are in results.json.")] if len(entries) > MAX_WANTED else []),
    )
