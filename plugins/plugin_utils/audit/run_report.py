# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many subject-results documents in, one run document out (design.md section 5), its summary and the gate."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import rollup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import unreachable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import completeness, register_state, trend
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.evidence_wanted import wanted
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.evidence import slug
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import (
    PLATFORMS,
    SECTIONS,
    SEVERITIES,
    Standard,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest

SCHEMA = "dwp.hypervisor.results/1"
MODES = ("audit", "check", "harden", "reassess", "rollup")
LINES = ("first", "second", "external")
# A run document that nobody said more about: the keys of `run` that have a default.
_RUN = {"catalogue_sha256": None, "line": "first", "previous": None, "reassessment": None}
NOBODY = {"user": "unknown", "controller": "unknown", "job": None, "ansible": "unknown"}
VERDICTS = (rollup.NON_COMPLIANT, rollup.NOT_DEMONSTRATED, rollup.WITH_EXCEPTIONS, rollup.COMPLIANT)
CSF_FUNCTIONS = {"ID": "Identify", "PR": "Protect", "DE": "Detect", "RS": "Respond", "RC": "Recover"}
DEFAULT_MARKING = "OFFICIAL-SENSITIVE"
DEFAULT_FAIL_ON = (o.FAIL, o.UNKNOWN, o.MANUAL)
# A must that passes or does not apply is no reason to stop anything.
GATE_STATUSES = (o.FAIL, o.UNKNOWN, o.MANUAL, o.EXCEPTED, o.ATTESTED, o.NOT_EVALUATED)
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMED_MEASURES = 6


class RunReportError(ValueError):
    """The run cannot be reported: a bad run id, an unknown status to gate on, or two documents for one subject."""


def run_id(given: Any = None, *, awx_job_id: Any = None, now: dt.datetime) -> str:
    """The name of this run's directory: what was given, else the AWX job id, else the UTC time.

    :raises RunReportError: the name could leave the report directory or is no plain file name.
    """
    name = str(given or awx_job_id or now.astimezone(dt.timezone.utc).strftime("%Y%m%dT%H%M%SZ"))
    if not _RUN_ID.fullmatch(name) or name == "latest":
        raise RunReportError(
            f"run id {name[:80]!r} is not usable as a directory name: expected 1 to 64 letters, digits, '.', '_' or "
            "'-', beginning with a letter or digit, and not 'latest'"
        )
    return name


def merge(
    subject_documents: Iterable[Mapping[str, Any]],
    *,
    standard: Standard,
    run: Mapping[str, Any],
    marking: str = DEFAULT_MARKING,
    expected_subjects: Sequence[Mapping[str, Any]] = (),
    out_of_scope: Sequence[str] = (),
    unreadable: Sequence[Mapping[str, str]] = (),
    previous: Mapping[str, Any] | None = None,
    registers: Mapping[str, Any] | None = None,
    comparison: Mapping[str, Any] | None = None,
    earlier_points: Sequence[Mapping[str, Any]] = (),
    roll_up: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The run document.

    run: id, started, finished (ISO 8601), mode, collection. expected_subjects: {name, platform} and, where known, id,
    endpoint, kind, tags, reason; one without a document is added with every measure unknown, so that an absent host is
    counted and not dropped. out_of_scope: inventory hosts without a platform. unreadable: result files that could not
    be read, {file, reason}. previous: {run, subjects}, the run before this one and the slugs that only it has.
    registers: {exceptions, attestations} as register_files.state gives them. comparison: as compare.compare gives it.
    earlier_points: the trend of the run before. roll_up: what merge_runs.py knows of several report directories.

    :raises RunReportError: two documents for one subject, or an expected subject without a usable platform.
    """
    documents = [dict(found) for found in subject_documents]
    documents += absent(
        documents, expected_subjects, standard=standard, now=moment(run["finished"]), unreadable=unreadable
    )
    documents = [completeness.fill(document, standard) for document in documents]
    documents.sort(key=lambda document: document["subject"]["id"])
    ids = [document["subject"]["id"] for document in documents]
    twice = next((found for found, following in zip(ids, ids[1:]) if found == following), None)
    if twice is not None:
        raise RunReportError(f"two result documents for subject {twice[:200]!r}: one run assesses a subject once")
    results = [result for document in documents for result in document["results"]]
    for result in results:
        # In place: a thousand subjects have 90,000 of them. Whoever compared with the run before has set it.
        result.setdefault("failing_since", None)
    measures = [entry for document in documents for entry in document["measures"]]
    subjects = [{**document["subject"], "gold": document["gold"]} for document in documents]
    document = {
        "schema": SCHEMA,
        "marking": marking,
        "standard": {"id": standard.id, "version": standard.version},
        "run": {**_RUN, "by": NOBODY, "gold_sha256": gold_digest(documents), **run},
        "scope": {"out_of_scope": sorted(out_of_scope), "unreadable": list(unreadable), "previous": previous},
        "subjects": subjects,
        "results": results,
        "measures": measures,
        "drift": [entry for found in documents for entry in found["drift"]],
        "exceptions": {
            state: [
                {"subject": found["subject"]["id"], "id": record}
                for found in documents
                for record in found["exceptions"][state]
            ]
            for state in ("now_passing", "expired", "changed")
        },
        "attestations": {
            "contradicted": [
                {"subject": found["subject"]["id"], **entry}
                for found in documents
                for entry in found["attestations"]["contradicted"]
            ]
        },
        "registers": {"exceptions": None, "attestations": None, **(registers or {})},
        "evidence_wanted": wanted(results, standard),
        "comparison": comparison,
        "completeness": completeness.judge(subjects, measures, standard),
        "rollup": roll_up,
        "summary": summarise(subjects, measures, results, standard),
    }
    return {**document, "trend": trend.extend(earlier_points, document)}


def absent(
    documents: Sequence[Mapping[str, Any]],
    expected_subjects: Sequence[Mapping[str, Any]],
    *,
    standard: Standard,
    now: dt.datetime,
    unreadable: Sequence[Mapping[str, str]] = (),
) -> list[dict[str, Any]]:
    """A document with every measure unknown for each expected subject that no document is about.

    A subject expected by its id has to be there by that id; one expected by name only (a host whose hardware UUID
    nobody knows yet) is there when its endpoint has delivered anything.

    :raises RunReportError: an expected subject without name or with a platform nobody knows.
    """
    ids = {document["subject"]["id"] for document in documents}
    endpoints = {document["subject"]["endpoint"] for document in documents}
    files = ", ".join(found["file"] for found in unreadable)
    missing = []
    for entry in expected_subjects:
        subject = _expected(entry)
        if subject["id"] in ids if entry.get("id") else subject["endpoint"] in endpoints:
            continue
        reason = str(entry.get("reason") or "no result of this subject in this run")
        reason += f"; not readable: {files}" if files else ""
        missing.append(unreachable(subject, standard=standard, reason=reason, now=now))
    return missing


def _expected(entry: Mapping[str, Any]) -> dict[str, Any]:
    name = str(entry.get("name") or entry.get("id") or "")
    platform = entry.get("platform")
    if not name or platform not in PLATFORMS[1:]:
        hint = nearest(platform, PLATFORMS[1:])
        raise RunReportError(
            f"expected subject {name[:80]!r} has platform {platform!r}, expected one of {', '.join(PLATFORMS[1:])}"
            + (f"; did you mean {hint}?" if hint else "")
        )
    subject_id = str(entry.get("id") or name)
    return {
        "id": subject_id,
        "name": name,
        "slug": slug(subject_id),
        "platform": platform,
        "kind": entry.get("kind") or "host",
        "endpoint": str(entry.get("endpoint") or name),
        "tags": dict(entry.get("tags") or {}),
    }


def summarise(
    subjects: Sequence[Mapping[str, Any]],
    measures: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[str, Any]],
    standard: Standard,
) -> dict[str, Any]:
    """Counts of subjects, measures and checks; a measure is counted once per subject.

    by_section and by_csf count musts and advisories apart: `advisory` holds the advisory measures and, of a must
    measure, the roll-up of its should and advisory checks. A measure counts under every CSF function it names.
    """
    sections = {section: _apart() for section in SECTIONS}
    functions = {
        name: _apart() for name in CSF_FUNCTIONS if any(name in csf_functions(m) for m in standard.measures.values())
    }
    for entry in measures:
        groups = [sections[entry["section"]]]
        groups += [functions[name] for name in csf_functions(standard.measures[entry["measure"]])]
        for group in groups:
            group[entry["obligation"]][entry["status"]] += 1
            if entry["obligation"] == "must" and entry["advisory_status"]:
                group["advisory"][entry["advisory_status"]] += 1
    failing = [result["severity"] for result in results if result["status"] == o.FAIL and result["tier"] == 1]
    score = rollup.score(measures)
    return {
        "subjects": len(subjects),
        "unreachable": sum(not subject["reachable"] for subject in subjects),
        "by_verdict": {verdict: sum(s["verdict"] == verdict for s in subjects) for verdict in VERDICTS},
        "by_status": _tally(entry["status"] for entry in measures),
        "checks_by_status": _tally(result["status"] for result in results),
        "by_section": sections,
        "by_csf": functions,
        "failing_checks": {severity: failing.count(severity) for severity in SEVERITIES},
        "score": score["before_exceptions"],
        "score_after_exceptions": score["after_exceptions"],
        "needs_exception": sum(m["obligation"] == "must" and m["status"] == o.FAIL for m in measures),
        "advisory_failing": sum(
            o.FAIL
            in ((m["status"], m["advisory_status"]) if m["obligation"] == "advisory" else (m["advisory_status"],))
            for m in measures
        ),
    }


def csf_functions(measure: Any) -> list[str]:
    """The CSF functions of a measure, each once: PR.AC-3 and PR.DS-2 are both PR."""
    return list(dict.fromkeys(str(found).split(".", maxsplit=1)[0] for found in measure.nist_csf))


def names_of(run_document: Mapping[str, Any]) -> dict[str, str]:
    """Subject id -> what a register names it by: its name, or its id where two subjects share a name."""
    names = Counter(subject["name"] for subject in run_document["subjects"])
    return {
        subject["id"]: subject["name"] if names[subject["name"]] == 1 else subject["id"]
        for subject in run_document["subjects"]
    }


def loud(run_document: Mapping[str, Any]) -> list[str]:
    """What nobody may overlook about the registers of a run: banners first, then records that expire, are late …"""
    found = [run_document["registers"][kind] for kind in ("exceptions", "attestations")]
    banners = [register["signature"]["banner"] for register in found if register and register["signature"]["banner"]]
    return banners + register_state.loud(run_document["registers"])


def check_fail_on(fail_on: Any) -> list[str]:
    """The statuses to gate on, validated.

    :raises RunReportError: naming the unknown status and the nearest known one.
    """
    if not isinstance(fail_on, (list, tuple)):
        raise RunReportError(f"fail_on is {fail_on!r}, expected a list of statuses; [] never fails")
    for status in fail_on:
        if status not in GATE_STATUSES:
            hint = nearest(status, GATE_STATUSES)
            raise RunReportError(
                f"fail_on has {status!r}, expected any of {', '.join(GATE_STATUSES)}"
                + (f"; did you mean {hint}?" if hint else "")
            )
    return list(fail_on)


def gate(run_document: Mapping[str, Any], fail_on: Sequence[str] = DEFAULT_FAIL_ON) -> tuple[bool, list[str]]:
    """Whether the run fails, and why: one reason per subject that has a must in one of the statuses.

    A run without a subject, or with a result file that nobody could read, shows nothing and fails as well. An empty
    `fail_on` never fails.
    """
    statuses = check_fail_on(fail_on)
    if not statuses:
        return False, []
    reasons = [
        f"result file {found['file']} could not be read: {found['reason']}"
        for found in run_document["scope"]["unreadable"]
    ]
    if not run_document["subjects"]:
        reasons.append("no subject was assessed")
    found: dict[str, dict[str, list[str]]] = {}
    for entry in run_document["measures"]:
        if entry["obligation"] == "must" and entry["status"] in statuses:
            found.setdefault(entry["subject"], {}).setdefault(entry["status"], []).append(entry["measure"])
    for subject in run_document["subjects"]:
        if subject["id"] in found:
            musts = found[subject["id"]]
            counts = ", ".join(_named(status, musts[status]) for status in GATE_STATUSES if status in musts)
            reasons.append(f"{visible(subject['name'])[:80]}: {counts}")
    return bool(reasons), reasons


def _named(status: str, measures: Sequence[str]) -> str:
    more = f" and {len(measures) - _NAMED_MEASURES} more" if len(measures) > _NAMED_MEASURES else ""
    return f"{len(measures)} {status.replace('_', ' ')} ({', '.join(measures[:_NAMED_MEASURES])}{more})"


def _apart() -> dict[str, dict[str, int]]:
    return {"must": _tally(()), "advisory": _tally(())}


def _tally(statuses: Iterable[str]) -> dict[str, int]:
    counts = dict.fromkeys(o.WORST_FIRST, 0)
    for status in statuses:
        counts[status] += 1
    return counts


def gold_digest(documents: Sequence[Mapping[str, Any]]) -> str | None:
    """The gold configuration's digest; where subjects differ (gold_overrides), a digest over the sorted digests.

    An absent subject was judged by nothing, so it counts only when there is no other.
    """
    heard = [document for document in documents if document["subject"]["reachable"]] or documents
    digests = sorted({document["gold"]["sha256"] for document in heard})
    if len(digests) <= 1:
        return digests[0] if digests else None
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def moment(text: str) -> dt.datetime:
    """A point in time from ISO 8601; without a zone it is UTC.

    :raises ValueError: it is none.
    """
    # datetime.fromisoformat reads "Z" only from Python 3.11 on.
    found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=dt.timezone.utc)
