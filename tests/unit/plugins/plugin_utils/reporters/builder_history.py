# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has beside its results: registers, a run before it, a trend, the sources of a roll-up."""

from __future__ import annotations

from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import VERDICTS
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder

SUBJECT = builder.a_subject()["id"]
DIGEST = "d" * 64


def a_record(identity: str, state: str, **changes: Any) -> dict[str, Any]:
    """A record of a register of exceptions."""
    days = {"pending": 300, "active": 200, "expiring": 8, "expired": -3}[state]
    return {
        "id": identity, "measure": "11.4.6", "checks": [], "scope": "subjects kvm1", "text": "Vendor appliance",
        "risk_ref": f"RISK-{identity}", "residual_risk": "medium", "compensating_controls": ["bastion"],
        "requested_by": "C. Engineer", "approved_by": "D. Owner", "approved_by_role": "Risk owner", "signed_by": None,
        "accepted_by": None, "satisfied_by": None, "evidence": None, "from": "2026-01-10", "review_on": None,
        "expires_on": "2026-12-01" if days > 0 else "2026-11-20", "days_left": days, "state": state,
        "due_within": 30 if state == "expiring" else None, "notes": [], "subjects": [SUBJECT], "failing_since": None,
        **changes,
    }  # fmt: skip


def a_statement(identity: str, **changes: Any) -> dict[str, Any]:
    """A record of a register of attestations."""
    return a_record(
        identity, changes.pop("state", "active"), risk_ref=None, residual_risk=None, compensating_controls=[],
        requested_by=None, approved_by=None, approved_by_role=None, signed_by="A. Owner", accepted_by="B. Auditor",
        satisfied_by="SS-025", evidence="Access review 2026-11", text="Reviewed every six months", **changes,
    )  # fmt: skip


def registers(hostile: str = "") -> dict[str, Any]:
    """An unsigned register in which every state and note occurs, and a signed one."""
    notes = ["unused", "not_in_this_run", "closable", "late", "changed", "review_due", "contradicted", "not_needed"]
    records = [
        a_record(f"EX-{number}", state, notes=[notes[number], notes[number + 4]])
        for number, state in enumerate(("pending", "active", "expiring", "expired"))
    ]
    if hostile:
        records.append(a_record(hostile, "active", text=hostile, scope=hostile, approved_by=hostile, risk_ref=hostile))
    return {
        "exceptions": {
            "file": "registers/exceptions.yml", "sha256": DIGEST, "records": records,
            "signature": {
                "state": "unsigned", "signer": None, "banner": "The register is not signed by the Authority.",
            },
        },
        "attestations": {
            "file": "registers/attestations.yml", "sha256": DIGEST, "records": [a_statement("AT-3")],
            "signature": {"state": "verified", "signer": "owner@authority.example", "banner": None},
        },
    }  # fmt: skip


def comparison(hostile: str = "") -> dict[str, Any]:
    """A comparison in which every class occurs."""
    classes = (
        "newly_failing exception_expired not_demonstrated still_failing fixed demonstrated evidence_changed "
        "scope_changed content_changed"
    ).split()
    side = {"status": "pass", "measured": "pass", "actual": hostile or "no"}
    changes = [
        {
            "class": name, "subject": SUBJECT if number else hostile or "gone/0", "measure": "11.4.6",
            "check": "kvm-11.4.6-check-0", "obligation": "must", "severity": "critical", "before": side,
            "after": {**side, "status": "fail", "measured": "fail"}, "reason": hostile or f"because {name}",
        }
        for number, name in enumerate(classes)
    ]  # fmt: skip
    return {
        "with": {"run": "20261122T174400Z", "finished": "2026-11-22T17:44:00Z", "manifest_sha256": DIGEST},
        "content": [{"what": "gold", "before": "a" * 64, "after": "b" * 64}],
        "scope": {"added": [hostile or "kvm2"], "removed": ["kvm7"]},
        "counts": {**dict.fromkeys(classes, 1), "unchanged": 99},
        "changes": changes,
    }


def points(number: int = 6) -> list[dict[str, Any]]:
    """Earlier points of a trend; before the third one another catalogue judged."""
    return [
        {
            "run": f"202611{day + 1:02}T174400Z", "finished": f"2026-11-{day + 1:02}T17:44:00Z", "subjects": 1,
            "unreachable": 0, "score": 0.5 + day / 30, "score_after_exceptions": 0.6 + day / 30,
            "by_verdict": {**dict.fromkeys(VERDICTS, 0), VERDICTS[0]: 1}, "musts": dict.fromkeys(
                "fail unknown manual excepted attested pass not_applicable not_evaluated".split(), 4
            ),
            "content": "c1" if day < 2 else "c2", "content_changed": day == 2, "scope": "s1", "scope_changed": day == 4,
        }
        for day in range(number)
    ]  # fmt: skip


def rollup(hostile: str = "") -> dict[str, Any]:
    """Two sources, one of them stale, whose lines of defence disagree."""
    source = {
        "directory": hostile or "north", "run": "20261123T174400Z", "line": "first", "suppliers": ["Example Ltd"],
        "subjects": 1, "finished": "2026-11-23T17:44:00Z", "age_days": 0, "fresh": True, "collection": "1.0.0",
        "gold_sha256": DIGEST, "manifest_sha256": DIGEST, "signature": {"state": "verified", "signer": "x"},
        "exceptions": None,
    }  # fmt: skip
    stale = {**source, "directory": "audit", "line": "external", "age_days": 90, "fresh": False,
             "signature": {"state": "unsigned", "signer": None}}  # fmt: skip
    supplier = {
        "supplier": hostile or "Example Ltd", "subjects": 1, "last_assured": "2026-11-23T17:44:00Z",
        "oldest": "2026-08-25T17:44:00Z", "age_days": 90, "fresh": False, "score": 0.5, "score_after_exceptions": 0.75,
        "by_verdict": {**dict.fromkeys(VERDICTS, 0), VERDICTS[0]: 1}, "exceptions_due": 2,
    }  # fmt: skip
    good = {"status": "pass", "collected_at": "2026-11-23T17:43:58Z"}
    line = {
        "subject": SUBJECT,
        "measure": "11.4.6",
        "first": good,
        "second": None,
        "external": {**good, "status": "fail"},
    }
    return {
        "fresh_days": 31, "sources": [source, stale], "suppliers": [supplier, {**supplier, "supplier": ""}],
        "lines": [{**line, "disagree": True}, {**line, "measure": "11.4.7", "external": good, "disagree": False}],
    }  # fmt: skip


def everything(hostile: str = "") -> dict[str, Any]:
    """All of it, as options of builder.a_run."""
    return {
        "registers": registers(hostile),
        "comparison": comparison(hostile),
        "earlier_points": points(),
        "roll_up": rollup(hostile),
    }
