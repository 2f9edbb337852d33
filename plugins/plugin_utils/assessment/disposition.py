# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measured result counts as, after exceptions and attestations. Pure: no I/O, no Ansible.

`measured` never changes. An exception turns exactly what was approved from fail into excepted, an attestation turns
manual into attested; neither touches unknown (design.md section 4). Records come from registers.py, already checked.
Whom a record is for is register_scope.py, what becomes of it over a whole run register_state.py.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.accepted import no_worse
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.register_scope import (
    approved_for,
    covers_item,
    covers_subject,
    names_items,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, Standard

Record = Mapping[str, Any]
Result = dict[str, Any]

# The floor of gold_attestation_max_age_days: no gold configuration makes a signature count for longer than a year.
GREATEST_AGE_DAYS = 366


def dispose(
    results: Iterable[Mapping[str, Any]],
    *,
    exceptions: Sequence[Record],
    attestations: Sequence[Record],
    subject: Mapping[str, Any],
    now: dt.datetime,
    standard: Standard,
    attestation_max_age_days: int = 365,
) -> tuple[list[MutableMapping[str, Any]], dict[str, Any], dict[str, Any]]:
    """Set status, exception and attestation of every result of one subject. The input is not changed; a result that no
    record is about is returned as it is.

    results: with every item that is not pass; a list cut for the report would hide items that no exception covers.
    now: the moment judged (of the evidence, when re-assessing); records count through the end of their last day, UTC.
    attestation_max_age_days: gold_attestation_max_age_days; an older attestation counts for nothing whatever it says.

    Returns the results; of the exceptions the ids that are {now_passing, expired, changed} on this subject (the first
    can be closed, the second fails again, the third meets something else than what was accepted); of the attestations
    what is {contradicted: [{id, checks}]}. Both also have `met`: what each record met here, for register_state.py.
    """
    day = today(now)
    mine = [record for record in exceptions if covers_subject(record, subject)]
    signed = [record for record in attestations if covers_subject(record, subject)]
    checks = standard.checks
    register, statements = _Register(), _Statements()
    judged: list[MutableMapping[str, Any]] = []
    for measured in results:
        if not _about(mine, measured) and not _about(signed, measured) and _undisposed(measured):
            judged.append(measured if isinstance(measured, MutableMapping) else dict(measured))
            continue
        result = {**measured, "status": measured["measured"], "exception": None, "attestation": None}
        check = checks[result["check"]]
        _except(result, _about(mine, result), day, check, register, subject)
        _attest(result, _about(signed, result), day, check, attestation_max_age_days, statements)
        judged.append(result)
    return judged, register.summary(), statements.summary()


def _undisposed(measured: Mapping[str, Any]) -> bool:
    return (
        measured["status"] == measured["measured"] and measured["exception"] is None and measured["attestation"] is None
    )


def excepted_from(
    records: Iterable[Record], subject: Mapping[str, Any], now: dt.datetime, check: Check
) -> list[Record]:
    """The exceptions in force that are about a check of a subject, whatever it would measure there.

    Where nobody could read a subject nothing tells whether an exception's items and value are met, so that all count.
    """
    about = {"check": check.id, "measure": check.measure}
    found = _about([record for record in records if covers_subject(record, subject)], about)
    day = today(now).isoformat()
    return [
        record
        for record in found
        if record["approved_on"] <= day <= record["expires_on"] and approved_for(record, subject)
    ]


def enforceable(drift: Iterable[Mapping[str, Any]], results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The drift that a role may correct: measured fail that also counts as fail, never what is excepted or unknown."""
    failing = {
        (result["subject"], result["check"])
        for result in results
        if result["measured"] == o.FAIL and result["status"] == o.FAIL
    }
    return [dict(entry) for entry in drift if (entry["subject"], entry["check"]) in failing]


def today(now: dt.datetime) -> dt.date:
    """The UTC day of a moment; a moment without a zone is UTC."""
    return (now if now.tzinfo is None else now.astimezone(dt.timezone.utc)).date()


def _about(records: Sequence[Record], result: Mapping[str, Any]) -> list[Record]:
    return [
        record
        for record in records
        if result["check"] in record.get("checks", ()) or result["measure"] == record.get("measure")
    ]


class _Met:
    """What the records of one register met over all the results of one subject, whether they were in force or not."""

    def __init__(self) -> None:
        self._met: dict[str, dict[str, Any]] = {}

    def meet(self, record: Record, result: Mapping[str, Any]) -> None:
        seen = self._met.setdefault(record["id"], {"measured": {}, "failing": [], "must": False})
        seen["measured"][result["measured"]] = seen["measured"].get(result["measured"], 0) + 1
        seen["must"] = seen["must"] or (result.get("tier") == 1 and result.get("obligation") == "must")
        if result["measured"] == o.FAIL:
            seen["failing"].append(result["check"])

    def met(self) -> dict[str, dict[str, Any]]:
        return self._met


class _Register(_Met):
    """What becomes of each exception on one subject."""

    def __init__(self) -> None:
        super().__init__()
        self.in_force: set[str] = set()
        self.expired: dict[str, None] = {}
        self.changed: dict[str, None] = {}

    def summary(self) -> dict[str, Any]:
        passing = [name for name, seen in self._met.items() if name in self.in_force and all_pass(seen["measured"])]
        return {
            "now_passing": passing,
            "expired": list(self.expired),
            "changed": list(self.changed),
            "met": self.met(),
        }


class _Statements(_Met):
    """What becomes of each attestation on one subject."""

    def __init__(self) -> None:
        super().__init__()
        self.contradicted: dict[str, list[str]] = {}

    def summary(self) -> dict[str, Any]:
        found = [{"id": name, "checks": checks} for name, checks in self.contradicted.items()]
        return {"contradicted": found, "met": self.met()}


def all_pass(measured: Mapping[str, int]) -> bool:
    """Whether what a record covers passes, as far as it applies: then there is nothing left to accept."""
    return o.PASS in measured and set(measured) <= {o.PASS, o.NOT_APPLICABLE}


def _except(
    result: Result, records: list[Record], day: dt.date, check: Check, register: _Register, subject: Mapping[str, Any]
) -> None:
    in_force = []
    for record in records:
        register.meet(record, result)
        if day < dt.date.fromisoformat(record["approved_on"]):
            _say(result, o.FAIL, f"Exception {record['id']} is approved from {record['approved_on']} only.")
        elif day > dt.date.fromisoformat(record["expires_on"]):
            _say(result, o.FAIL, f"Exception {record['id']} ({record['risk_ref']}) expired on {record['expires_on']}.")
            if result["measured"] == o.FAIL:
                register.expired[record["id"]] = None
        elif not approved_for(record, subject):
            _say(result, o.FAIL, f"Exception {record['id']} was approved when this subject was not in its scope.")
            if result["measured"] == o.FAIL:
                register.changed[record["id"]] = None
        else:
            in_force.append(record)
            register.in_force.add(record["id"])
    if result["measured"] == o.FAIL and in_force:
        _bind(result, in_force, check, register)


def _bind(result: Result, in_force: list[Record], check: Check, register: _Register) -> None:
    """Let the exceptions in force answer for this failing result, wholly or not at all."""
    failing = [item for item in result.get("items", ()) if item["status"] == o.FAIL]
    if not failing:
        _bind_whole(result, in_force, check, register)
        return
    cover = {number: _covering(in_force, item, check) for number, item in enumerate(failing)}
    result["items"] = _mark(result["items"], failing, cover)
    if all(cover.values()):
        _accept(result, [_longest(records) for records in cover.values()])
        return
    uncovered = [failing[number] for number, records in cover.items() if not records]
    names = ", ".join(str(item["id"])[:80] for item in uncovered[:5])
    more = f" and {len(uncovered) - 5} more" if len(uncovered) > 5 else ""
    for record in in_force:
        _say(result, o.FAIL, f"Exception {record['id']} does not cover {names}{more}.")
        register.changed[record["id"]] = None


def _bind_whole(result: Result, in_force: list[Record], check: Check, register: _Register) -> None:
    binding = []
    for record in in_force:
        if names_items(record):
            _say(result, o.FAIL, f"Exception {record['id']} is for single VMs or items, and this result names none.")
        elif "accepted_value" in record and not no_worse(result["actual"], record["accepted_value"], check):
            _say(result, o.FAIL, f"Exception {record['id']} accepted another value than this.")
            register.changed[record["id"]] = None
        else:
            binding.append(record)
    if binding:
        _accept(result, [_longest(binding)])


def _longest(records: list[Record]) -> Record:
    return max(records, key=lambda record: (record["expires_on"], record["id"]))


def _covering(in_force: list[Record], item: Mapping[str, Any], check: Check) -> list[Record]:
    """The exceptions that answer for one failing item."""
    return [record for record in in_force if covers_item(record, item) and _covers_value(record, item, check)]


def _covers_value(record: Record, item: Mapping[str, Any], check: Check) -> bool:
    """accepted_value on items: a mapping of item id to value, a list of item ids, or one value for every item."""
    if "accepted_value" not in record:
        return True
    accepted = record["accepted_value"]
    if isinstance(accepted, Mapping):
        return item["id"] in accepted and no_worse(item["actual"], accepted[item["id"]], check)
    if isinstance(accepted, list) and item["id"] in accepted:
        return True
    return no_worse(item["actual"], accepted, check)


def _mark(items: list[dict[str, Any]], failing: list[dict[str, Any]], cover: Mapping[int, list[Record]]) -> list[Any]:
    """Copies of the items in which what an exception covers says so."""
    covered = {id(item): cover[number] for number, item in enumerate(failing) if cover[number]}
    marked = []
    for item in items:
        records = covered.get(id(item))
        if records:
            note = f"Excepted by {_longest(records)['id']}."
            marked.append({**item, "status": o.EXCEPTED, "message": f"{item['message']} {note}".strip()})
        else:
            marked.append(dict(item))
    return marked


def _accept(result: Result, records: list[Record]) -> None:
    """Turn fail into excepted. Where several exceptions are needed, the one that ends first stands for all."""
    by_id = {record["id"]: record for record in records}
    named = ", ".join(
        f"{record['id']} ({record['risk_ref']}) until {record['expires_on']}" for record in by_id.values()
    )
    _say(result, o.FAIL, f"Excepted by {named}.")
    rest = o.worst(item["status"] for item in result.get("items", ()) if item["status"] in (o.UNKNOWN, o.MANUAL))
    if rest != o.NOT_EVALUATED:
        # An exception answers for what fails; it must not hide items behind it that nobody could read.
        result["status"] = rest
        _say(result, o.FAIL, f"Other items are {rest}, which no exception covers.")
        return
    shown = min(by_id.values(), key=lambda record: (record["expires_on"], record["id"]))
    result["status"] = o.EXCEPTED
    result["exception"] = {key: shown[key] for key in ("id", "risk_ref", "expires_on")}


def _attest(
    result: Result, records: list[Record], day: dt.date, check: Check, max_age_days: int, statements: _Statements
) -> None:
    allowed = {o.MANUAL}
    if check.data.get("attestation_may_override") == o.UNKNOWN:
        allowed.add(o.UNKNOWN)
    valid = []
    for record in records:
        statements.meet(record, result)
        signed, last = dt.date.fromisoformat(record["signed_on"]), attested_until(record, max_age_days)
        if result["measured"] == o.FAIL and signed <= day <= last:
            statements.contradicted.setdefault(record["id"], []).append(result["check"])
            _say(result, o.FAIL, f"Attestation {record['id']} says otherwise: the probe decides.")
        if result["measured"] not in allowed:
            continue
        if day < signed:
            _say(result, result["measured"], f"Attestation {record['id']} is signed on {signed}, after this evidence.")
        elif day > last:
            _say(result, result["measured"], f"Attestation {record['id']} ran out on {last}.")
        else:
            valid.append((last, record))
    if valid:
        last, record = max(valid, key=lambda entry: (entry[0], entry[1]["id"]))
        _accept_statement(result, record, last)


def _accept_statement(result: Result, record: Record, last: dt.date) -> None:
    result["status"] = o.ATTESTED
    result["attestation"] = {
        "id": record["id"],
        "signed_by": record["signed_by"],
        "accepted_by": record["accepted_by"],
        "signed_on": record["signed_on"],
        "expires_on": last.isoformat(),
        "satisfied_by": record.get("satisfied_by"),
        "evidence": evidence_of(record),
    }
    under = f" as satisfied by {record['satisfied_by']}" if "satisfied_by" in record else ""
    _say(
        result,
        result["measured"],
        f"Attested{under} by {record['signed_by']}, accepted by {record['accepted_by']} ({record['id']}) until {last}.",
    )


def evidence_of(record: Record) -> str:
    """Where the proof of an attestation is, in one line."""
    parts = [str(record[key]) for key in ("evidence_ref", "evidence_url", "evidence_file") if key in record]
    if "evidence_sha256" in record:
        parts.append(f"SHA-256 {record['evidence_sha256']}")
    return ", ".join(parts)


def attested_until(record: Record, max_age_days: int) -> dt.date:
    """The last day an attestation counts: its own expiry or its greatest age, whichever comes first."""
    oldest = dt.date.fromisoformat(record["signed_on"]) + dt.timedelta(days=min(max_age_days, GREATEST_AGE_DAYS))
    own = record.get("expires_on")
    return oldest if own is None else min(oldest, dt.date.fromisoformat(own))


def _say(result: Result, only_when: str, sentence: str) -> None:
    """Add a sentence to the message of a result that was measured as only_when."""
    if result["measured"] == only_when:
        message = str(result.get("message", "")).strip()
        stop = "" if not message or message.endswith((".", "!", "?")) else "."
        result["message"] = f"{message}{stop} {sentence}".strip()
