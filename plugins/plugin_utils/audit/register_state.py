# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life cycle of the records of a register over a whole run. Pure: no I/O, no Ansible.

`state` goes by the calendar alone: pending, active, expiring (within 90, 30 or 7 days), expired. `notes` say what the
run found about the record: unused, closable, late and so on (schemas/results.json has all of them).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.disposition import (
    all_pass,
    attested_until,
    evidence_of,
    today,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.register_scope import covers_subject

Record = Mapping[str, Any]
PENDING, ACTIVE, EXPIRING, EXPIRED = "pending", "active", "expiring", "expired"
WARN_DAYS = (7, 30, 90)
KINDS = ("exceptions", "attestations")


def calendar(first: str, last: str, day: dt.date) -> tuple[str, int | None, int]:
    """(state, the warning it is within or None, days until its last day)."""
    left = (dt.date.fromisoformat(last) - day).days
    if left < 0:
        return EXPIRED, None, left
    if day < dt.date.fromisoformat(first):
        return PENDING, None, left
    due = next((days for days in WARN_DAYS if left <= days), None)
    return (ACTIVE if due is None else EXPIRING), due, left


def records(
    kind: str,
    register: Iterable[Record],
    documents: Sequence[Mapping[str, Any]],
    now: dt.datetime,
    *,
    outside: Collection[str] = (),
    attestation_max_age_days: int = 365,
) -> list[dict[str, Any]]:
    """Each record of a register and where it stands, in the order of the register.

    kind: exceptions or attestations. documents: the subject-results documents of the run; their results may hold
    failing_since. outside: ids of records that match inventory hosts which are not in this run.
    """
    day = today(now)
    since = _failing_since(documents)
    return [_record(kind, record, documents, day, outside, since, attestation_max_age_days) for record in register]


def plain_records(kind: str, register: Iterable[Record], now: dt.datetime) -> list[dict[str, Any]]:
    """The same without a run: only what the calendar says, for somebody who checks registers alone."""
    day = today(now)
    return [_shown(kind, record, day, 365) for record in register]


def _record(
    kind: str,
    record: Record,
    documents: Sequence[Mapping[str, Any]],
    day: dt.date,
    outside: Collection[str],
    since: Mapping[tuple[str, str], str],
    max_age: int,
) -> dict[str, Any]:
    shown = _shown(kind, record, day, max_age)
    met = {
        document["subject"]["id"]: document[kind]["met"][record["id"]]
        for document in documents
        if record["id"] in document[kind].get("met", {})
    }
    blind = any(covers_subject(record, found["subject"]) and not found["subject"]["reachable"] for found in documents)
    shown["subjects"] = sorted(met)
    failing = [
        since[subject, check] for subject, seen in met.items() for check in seen["failing"] if (subject, check) in since
    ]
    shown["failing_since"] = min(failing, default=None)
    elsewhere = blind or record["id"] in outside
    shown["notes"] += _notes(kind, record, shown, met, documents, elsewhere)
    return shown


def _notes(
    kind: str,
    record: Record,
    shown: Mapping[str, Any],
    met: Mapping[str, Mapping[str, Any]],
    documents: Sequence[Mapping[str, Any]],
    elsewhere: bool,
) -> list[str]:
    measured: dict[str, int] = {}
    for seen in met.values():
        for status, number in seen["measured"].items():
            measured[status] = measured.get(status, 0) + number
    looked_at = {status: number for status, number in measured.items() if status != o.NOT_EVALUATED}
    notes = []
    if not looked_at:
        notes.append("not_in_this_run" if elsewhere or measured else "unused")
    if kind == "attestations":
        if any(entry["id"] == record["id"] for found in documents for entry in found[kind]["contradicted"]):
            notes.append("contradicted")
        return notes
    # One host of several that passes closes nothing, and what was not looked at may still need it.
    if shown["state"] != PENDING and not elsewhere and all_pass(measured):
        notes.append("closable")
    if any(record["id"] in found[kind]["changed"] for found in documents):
        notes.append("changed")
    if shown["failing_since"] is not None and record["approved_on"] > shown["failing_since"][:10]:
        notes.append("late")
    if looked_at and not any(seen["must"] for seen in met.values()):
        notes.append("not_needed")
    return notes


def _shown(kind: str, record: Record, day: dt.date, max_age: int) -> dict[str, Any]:
    """A record as the report shows it, before a run says anything about it."""
    exception = kind == "exceptions"
    first = record["approved_on"] if exception else record["signed_on"]
    last = record["expires_on"] if exception else attested_until(record, max_age).isoformat()
    state, due, left = calendar(first, last, day)
    review = record.get("review_on")
    return {
        "id": record["id"],
        "measure": record.get("measure"),
        "checks": list(record.get("checks", [])),
        "scope": scope_in_words(record),
        "text": record["justification"] if exception else record["statement"],
        "risk_ref": record.get("risk_ref"),
        "residual_risk": record.get("residual_risk"),
        "compensating_controls": list(record.get("compensating_controls", [])),
        "requested_by": record.get("requested_by"),
        "approved_by": record.get("approved_by"),
        "approved_by_role": record.get("approved_by_role"),
        "signed_by": record.get("signed_by"),
        "accepted_by": record.get("accepted_by"),
        "satisfied_by": record.get("satisfied_by"),
        "evidence": None if exception else evidence_of(record),
        "from": first,
        "review_on": review,
        "expires_on": last,
        "days_left": left,
        "state": state,
        "due_within": due,
        "notes": ["review_due"] if review is not None and review <= day.isoformat() and state != EXPIRED else [],
        "subjects": [],
        "failing_since": None,
    }


def scope_in_words(record: Record) -> str:
    """`subjects kvm1, kvm2; groups lab; VM 0a81…`."""
    parts = []
    for key in ("subjects", "groups", "platforms", "vms", "items"):
        if key in record:
            names = record[key]
            more = f" and {len(names) - 8} more" if len(names) > 8 else ""
            parts.append(f"{'VMs' if key == 'vms' else key} {', '.join(names[:8])}{more}")
    if "accepted_value" in record:
        parts.append(f"accepted value {str(record['accepted_value'])[:80]}")
    return "; ".join(parts)


def _failing_since(documents: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """(subject, check) -> the first run that saw it fail, for what an exception covers."""
    wanted = {
        (document["subject"]["id"], check)
        for document in documents
        for seen in document["exceptions"].get("met", {}).values()
        for check in seen["failing"]
    }
    return {
        (result["subject"], result["check"]): result["failing_since"]
        for document in documents
        if document["exceptions"].get("met")
        for result in document["results"]
        if (result["subject"], result["check"]) in wanted and result.get("failing_since")
    }


def loud(registers: Mapping[str, Any]) -> list[str]:
    """What nobody may overlook: a sentence per record that has expired, is late, contradicted or met something else."""
    sentences = []
    for kind in KINDS:
        for record in (registers.get(kind) or {}).get("records", []):
            name = f"{kind[:-1].capitalize()} {record['id']}" + (
                f" ({record['risk_ref']})" if record["risk_ref"] else ""
            )
            if record["state"] == EXPIRED and "unused" not in record["notes"]:
                again = "counts as fail again" if kind == "exceptions" else "counts for nothing"
                sentences.append(f"{name} expired on {record['expires_on']}: what it covered {again}")
            elif record["state"] == EXPIRING:
                sentences.append(f"{name} expires on {record['expires_on']}, within {record['due_within']} days")
            if "late" in record["notes"]:
                sentences.append(
                    f"{name} was approved on {record['from']}, after the run of {record['failing_since'][:10]} had "
                    "seen the failure"
                )
            if "changed" in record["notes"]:
                sentences.append(f"{name} does not cover all that fails now")
            if "contradicted" in record["notes"]:
                sentences.append(f"{name} is contradicted by a probe, which decides")
    return sentences
