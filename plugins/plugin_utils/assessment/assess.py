# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts in, results out: a pure function on plain data (design.md section 4).

No I/O and no Ansible import, so that it runs by the thousand in tests and years later on stored evidence.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import inheritance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.alike import Alike
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.disposition import dispose
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.evaluate import outcome_of, scope_of
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.rollup import roll_up, score, verdict
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import bounded, plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest

SCHEMA = "dwp.hypervisor.subject-results/1"
MAX_ITEMS = 50


class SelectionError(ValueError):
    """A measure id that the standard does not have."""


def assess(
    facts: Mapping[str, Any],
    *,
    standard: Standard,
    gold: Mapping[str, Any],
    now: dt.datetime,
    subject: Mapping[str, Any],
    exceptions: Sequence[Mapping[str, Any]] = (),
    attestations: Sequence[Mapping[str, Any]] = (),
    measures: Iterable[str] | None = None,
    inherited: Iterable[Mapping[str, Any]] = (),
    alike: Alike | None = None,
) -> dict[str, Any]:
    """Judge one subject. Returns its subject-results document.

    facts: the collector's document; gold: the effective gold configuration; now: the moment the verdict is for (of the
    evidence, when re-assessing); subject: id, name, slug, platform, kind, endpoint, tags, and where it has one the id
    of its controller; measures: a subset by id, the others become not_evaluated; inherited: the results of the
    controller's own document, from which a host takes what is judged there (inheritance.py); alike: what subjects
    before this one have had too; facts and gold are then what it made of them.

    :raises SelectionError: an unknown measure id.
    """
    document = plain(facts) if alike is None else dict(facts)
    values = plain(gold) if alike is None else gold
    about_gold = gold_config.about(values) if alike is None else alike.gold(gold).about
    # What is known of this assessment and not of the host: measure 11.4.7 asks whether the host was compared with what.
    document["assessment"] = {"gold_sha256": about_gold["sha256"]}
    selected = select(standard, measures)
    scope = scope_of(document)
    measured: list[MutableMapping[str, Any]] = []

    def take() -> dict[str, dict[str, Any]]:
        return inheritance.taken(inherited, subject, standard)

    taken: Mapping[str, MutableMapping[str, Any]] = (
        take() if alike is None else alike.taken(inherited, subject["id"], take)
    )

    def judged(check: Check) -> dict[str, Any]:
        return _result(check, outcome_of(check, scope, values, standard.gold), subject["id"], standard, values)

    for measure in standard.measures.values():
        for check in measure.checks:
            if check.platform not in ("all", subject["platform"]) or check.id in taken:
                continue
            found: Outcome | None
            if measure.id not in selected:
                found = Outcome(o.NOT_EVALUATED, message="left out of this run")
            else:
                found = inheritance.elsewhere(check, subject)
            if found is not None:
                measured.append(_result(check, found, subject["id"], standard, values))
            elif alike is None:
                measured.append(judged(check))
            else:
                measured.append(alike.result(check, document, values, subject["id"], partial(judged, check)))
    return _document(measured, standard, values, about_gold, subject, now, exceptions, attestations, taken, alike)


def unreachable(
    subject: Mapping[str, Any],
    *,
    standard: Standard,
    reason: str,
    now: dt.datetime,
    measures: Iterable[str] | None = None,
    gold: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of a subject that could not be read: 36 measures, every check unknown with the reason."""
    values = plain(gold) if gold is not None else gold_config.defaults()
    selected = select(standard, measures)
    measured = [
        _result(
            check,
            o.unknown(reason) if measure.id in selected else Outcome(o.NOT_EVALUATED),
            subject["id"],
            standard,
            values,
        )
        for measure in standard.measures.values()
        for check in measure.checks
        if check.platform in ("all", subject["platform"])
    ]
    silent = {**subject, "reachable": False, "unreachable_reason": reason}
    return _document(measured, standard, values, gold_config.about(values), silent, now, (), ())


def select(standard: Standard, measures: Iterable[str] | None) -> set[str]:
    """The measure ids of a run.

    :raises SelectionError: naming the unknown id and the nearest known one.
    """
    wanted = {str(measure) for measure in measures} if measures else set(standard.measures)
    for measure in sorted(wanted - set(standard.measures)):
        hint = nearest(measure, standard.measures)
        raise SelectionError(f"{measure} is not a measure of SS-009" + (f"; did you mean {hint}?" if hint else ""))
    return wanted


def _document(
    measured: Sequence[Mapping[str, Any]],
    standard: Standard,
    gold: Mapping[str, Any],
    about_gold: Mapping[str, Any],
    subject: Mapping[str, Any],
    now: dt.datetime,
    exceptions: Sequence[Mapping[str, Any]],
    attestations: Sequence[Mapping[str, Any]],
    inherited: Mapping[str, MutableMapping[str, Any]] = MappingProxyType({}),
    alike: Alike | None = None,
) -> dict[str, Any]:
    about = {
        "reachable": True,
        "unreachable_reason": None,
        "tags": {},
        "product": "",
        "collected_at": now.isoformat(),
        **subject,
    }
    results, accepted, attested = dispose(
        measured,
        exceptions=exceptions,
        attestations=attestations,
        subject=about,
        now=now,
        standard=standard,
        attestation_max_age_days=gold["gold_attestation_max_age_days"],
    )
    drift = []
    for result in results:
        check = standard.checks[result["check"]]
        if _drifts(result, check):
            drifted = partial(_drift, result, check)
            drift.append(drifted() if alike is None else alike.drift(result, drifted))
    # Disposed already, by the registers as they count for the controller; what a role would set is set there, once.
    if inherited:
        results = inheritance.in_order([*results, *inherited.values()], standard)
    for result in results:
        # Only now: an exception has to answer for every failing item, also for those the report does not list.
        if len(result["items"]) > MAX_ITEMS:
            result["items"] = result["items"][:MAX_ITEMS]
    advisory = gold.get("gold_section_11_3") == "advisory"
    by_measure: dict[str, list[MutableMapping[str, Any]]] = {measure: [] for measure in standard.measures}
    for result in results:
        by_measure[result["measure"]].append(result)
    rolled_up = [
        roll_up(measure, by_measure[measure.id], about["id"], advisory) for measure in standard.measures.values()
    ]
    measures = rolled_up if alike is None else list(map(alike.measure, rolled_up))
    about["verdict"] = verdict(measures)
    about["score"] = score(measures)
    return {
        "schema": SCHEMA,
        "subject": about,
        "results": results,
        "measures": measures,
        "drift": drift,
        "gold": about_gold,
        "exceptions": accepted,
        "attestations": attested,
    }


def _result(
    check: Check, found: Outcome, subject_id: str, standard: Standard, gold: Mapping[str, Any]
) -> dict[str, Any]:
    items = [entry for entry in found.items if entry.status != o.PASS]
    return {
        "subject": subject_id,
        "measure": check.measure,
        "check": check.id,
        "name": check.name,
        "title": check.title,
        "platform": check.platform,
        "tier": check.tier,
        "obligation": obligation(check, gold),
        "severity": check.severity,
        "measured": found.status,
        "status": found.status,
        "expected": bounded(found.expected if found.expected is not None else check.passes),
        "actual": bounded(found.actual),
        "persistent": found.persistent,
        "message": found.message[:500],
        "items": [
            {"id": entry.id, "status": entry.status, "actual": bounded(entry.actual), "message": entry.message[:300]}
            for entry in items
        ],
        "items_total": len(found.items),
        "exception": None,
        "attestation": None,
        "role": check.role,
        "threshold_source": _threshold_source(check, standard),
        "probe": check.probe,
        "fix": check.fix,
        "disruption": check.disruption,
    }


def obligation(check: Check, gold: Mapping[str, Any]) -> str:
    """Section 11.3 counts as must unless the Authority's recorded position says advisory (amendments.md)."""
    if check.obligation == "advisory":
        return "advisory" if gold.get("gold_section_11_3") == "advisory" else "must"
    return check.obligation


def _threshold_source(check: Check, standard: Standard) -> str | None:
    if "threshold_source" in check.data:
        return str(check.data["threshold_source"])
    sources = [standard.gold[name].threshold_source for name in check.gold]
    return "; ".join(dict.fromkeys(sources)) or None


def _drifts(result: Mapping[str, Any], check: Check) -> bool:
    """A setting that a role would set differently: measured fail, whatever it counts as."""
    return result["measured"] == o.FAIL and bool(check.data.get("enforced"))


def _drift(result: Mapping[str, Any], check: Check) -> dict[str, Any]:
    """excepted_items: what enforcement leaves alone, where an exception covers some of what fails and not all."""
    return {
        "subject": result["subject"],
        "measure": result["measure"],
        "check": result["check"],
        "setting": check.setting,
        "actual": result["actual"],
        "gold": result["expected"],
        "role": result["role"],
        "reboot": check.disruption["reboot"],
        "lockout": check.disruption["lockout"],
        "excepted_items": [item["id"] for item in result["items"] if item["status"] == o.EXCEPTED],
    }
