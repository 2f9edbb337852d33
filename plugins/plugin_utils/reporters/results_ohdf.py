# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ohdf/<subject>.json: OHDF (Heimdall Data Format, InSpec's exec-json), one file per subject.

One file per subject, because a viewer folds the results of several hosts in one control into one. One control per
check. An exception never makes a failure anything else: `waiver_data` says `run: true` and nothing was skipped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import Once
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.expired import Expired
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.json_text import compact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import plain

FOLDER = "ohdf"
TEXT_LIMIT = 2000
# An impact of 0 means "not applicable" in this format, whatever was found.
IMPACTS = {"critical": 1.0, "high": 0.7, "medium": 0.5, "low": 0.3}
# status: what InSpec's summary counts it as
COUNTED = {
    o.PASS: "passed",
    o.ATTESTED: "passed",
    o.FAIL: "failed",
    o.EXCEPTED: "failed",
    o.UNKNOWN: "failed",
    o.MANUAL: "skipped",
    o.NOT_APPLICABLE: "skipped",
    o.NOT_EVALUATED: "skipped",
}

Node = dict[str, Any]


def files(run: Mapping[str, Any], standard: Standard) -> Iterator[tuple[str, bytes]]:
    """One file per subject, named as its result file is."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for result in run["results"]:
        found[result["subject"]].append(result)
    writer = _Writer(run, standard)
    for subject in run["subjects"]:
        yield f"{FOLDER}/{subject['slug']}.json", writer.document(subject, found[subject["id"]])


# What of a control is the same on every subject, as long as these are.
_CONSTANT = (
    "check",
    "measure",
    "title",
    "probe",
    "fix",
    "obligation",
    "tier",
    "role",
    "severity",
    "status",
    "measured",
)
# Stands where the moment of a subject will be: no text that `plain` has made fit to be shown holds it.
_MOMENT = "\x00"
_ABOUT = ("id", "name", "platform", "kind", "endpoint", "product", "verdict", "score")


class _Writer:
    """Writes one document after the other; controls, or the part of them, that a fleet repeats are encoded once."""

    def __init__(self, run: Mapping[str, Any], standard: Standard) -> None:
        self._run, self._standard = run, standard
        self._expired = Expired(run)
        self._constants: dict[tuple[Any, ...], str] = {}
        self._controls = Once(lambda result: self._control(result, None))

    def document(self, subject: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> bytes:
        """The file of one subject."""
        kinds = [COUNTED[result["status"]] for result in results]
        head = {
            "platform": {
                "name": "dwp.hypervisor",
                "release": self._run["run"]["collection"],
                "target_id": plain(subject["name"], TEXT_LIMIT),
            },
            "version": self._run["run"]["collection"],
            "statistics": {
                "duration": 0.0,
                "controls": {kind: {"total": kinds.count(kind)} for kind in ("passed", "failed", "skipped")},
            },
            # Viewers keep what they do not know.
            "passthrough": {
                "marking": self._run["marking"],
                "run": self._run["run"],
                "subject": {key: subject[key] for key in _ABOUT},
            },
        }
        moment = compact(subject["collected_at"])
        controls = ",".join([moment.join(self._pieces(result)) for result in results])
        profile = compact(self._profile(subject, results))[:-1]
        return f'{compact(head)[:-1]},"profiles":[{profile},"controls":[{controls}]}}]}}\n'.encode("ascii")

    def _profile(self, subject: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> Node:
        by_measure: dict[str, list[str]] = defaultdict(list)
        for result in results:
            by_measure[result["measure"]].append(result["check"])
        return {
            "name": "dwp-ss-009",
            "version": self._standard.version,
            "title": f"{self._standard.id} v{self._standard.version} Hypervisor Security Standard",
            "summary": f"{plain(self._run['marking'], 120)}. {plain(subject['name'], 200)}: {subject['verdict']}.",
            "maintainer": "dwp.hypervisor contributors",
            "license": "GPL-3.0-or-later",
            "sha256": subject["gold"]["sha256"],
            "status": "loaded",
            "supports": [{"platform": subject["platform"]}],
            "attributes": [],
            "depends": [],
            "groups": [
                {"id": measure, "title": self._standard.measures[measure].title, "controls": checks}
                for measure, checks in by_measure.items()
            ],
        }

    def _pieces(self, result: Mapping[str, Any]) -> list[str]:
        """A control in the pieces between which the subject's moment stands."""
        expired = self._expired.of(result)
        return self._control(result, expired) if expired else self._controls.of(result)

    def _control(self, result: Mapping[str, Any], expired: Mapping[str, Any] | None) -> list[str]:
        key = tuple(result[name] for name in _CONSTANT)
        constant = self._constants.get(key)
        if constant is None:
            constant = self._constants[key] = compact(self._constant(result))[:-1]
        return f"{constant},{compact(_variable(result, expired))[1:]}".split(compact(_MOMENT))

    def _constant(self, result: Mapping[str, Any]) -> Node:
        measure = self._standard.measures[result["measure"]]
        return {
            "id": result["check"],
            "title": plain(result["title"], TEXT_LIMIT),
            "desc": measure.text,
            "descriptions": [
                {"label": "rationale", "data": measure.interpretation},
                {"label": "check", "data": plain(result["probe"], TEXT_LIMIT)},
                {"label": "fix", "data": plain(result["fix"], TEXT_LIMIT)},
            ],
            "impact": 0.0 if result["status"] == o.NOT_APPLICABLE else IMPACTS[result["severity"]],
            "refs": [],
            "tags": {
                "measure": measure.id,
                "measure_title": measure.title,
                "section": measure.section,
                "nist_csf": measure.nist_csf,
                "cis_v8": measure.cis_v8,
                "obligation": result["obligation"],
                "tier": result["tier"],
                "role": result["role"],
                "status": result["status"],
                "measured": result["measured"],
            },
            "code": "",
            "source_location": {"ref": f"plugins/plugin_utils/measures/{measure.id}.yml", "line": 1},
        }


def _variable(result: Mapping[str, Any], expired: Mapping[str, Any] | None) -> Node:
    node: Node = {"results": _outcomes(result)}
    exception, attestation = result["exception"], result["attestation"]
    if exception:
        node["waiver_data"] = {
            "justification": f"{plain(exception['risk_ref'], 120)} ({plain(exception['id'], 120)})",
            "expiration_date": exception["expires_on"],
            "run": True,
            "skipped_due_to_waiver": False,
            "message": "",
        }
    elif expired and result["status"] == o.FAIL:
        node["waiver_data"] = {
            "justification": f"{plain(expired['risk_ref'], 120)} ({plain(expired['id'], 120)})",
            "expiration_date": expired["expires_on"],
            "run": True,
            "skipped_due_to_waiver": False,
            "message": f"Expired on {expired['expires_on']}, evaluated normally",
        }
    if expired and result["status"] == o.MANUAL:
        told = f"Attestation {plain(expired['id'], 120)} expired on {expired['expires_on']}."
        node["results"].append({**node["results"][0], "code_desc": "Signed statement", "skip_message": told})
    if attestation and result["status"] == o.ATTESTED:
        node["attestation_data"] = {
            "control_id": result["check"],
            "explanation": plain(result["message"], TEXT_LIMIT),
            "frequency": "annually",
            "status": "passed",
            "updated": f"{attestation['signed_on']}T00:00:00Z",
            "updated_by": plain(attestation["signed_by"], 200),
        }
    return node


def _outcomes(result: Mapping[str, Any]) -> list[Node]:
    """The results of one control: one, or for an attested check what was measured and what was stated."""
    about = {"code_desc": plain(result["title"], TEXT_LIMIT), "run_time": 0.0, "start_time": _MOMENT}
    told = plain(result["message"], TEXT_LIMIT)
    status = result["status"]
    if status == o.PASS:
        return [{**about, "status": "passed", "message": told}]
    if status in (o.FAIL, o.EXCEPTED):
        actual = plain(result["actual"], TEXT_LIMIT) or "nothing"
        found = f"expected: {plain(result['expected'], TEXT_LIMIT)}\ngot: {actual}"
        return [{**about, "status": "failed", "message": f"{told}\n{found}".strip()}]
    if status == o.UNKNOWN:
        why = told or "could not be read"
        return [{**about, "status": "error", "message": why, "exception": "unknown", "backtrace": [why]}]
    skipped = {**about, "status": "skipped", "skip_message": told or status.replace("_", " ")}
    if status == o.ATTESTED:
        return [skipped, {**about, "code_desc": "Signed statement", "status": "passed", "message": told}]
    return [skipped]
