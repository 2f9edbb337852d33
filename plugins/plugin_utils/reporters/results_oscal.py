# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.oscal.json: OSCAL assessment results, one result per subject; and with it results.poam.json.

One observation per check, one finding per measure that applies, one risk per deciding check that fails. An exception
leaves the finding not satisfied and the risk open as `deviation-approved` with the expiry as its deadline.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import Once
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import oscal, oscal_poam
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.expired import Expired
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.json_text import compact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.oscal import Node
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import Remembered

FILE = "results.oscal.json"
# status: (state, reason); what is left out has no finding, only its observation
STATES = {
    o.PASS: ("satisfied", "pass"),
    o.ATTESTED: ("satisfied", "pass"),
    o.FAIL: ("not-satisfied", "fail"),
    o.EXCEPTED: ("not-satisfied", "fail"),
    o.UNKNOWN: ("not-satisfied", "other"),
    o.MANUAL: ("not-satisfied", "other"),
}
METHODS = {o.ATTESTED: ["INTERVIEW", "EXAMINE"], o.MANUAL: ["EXAMINE"]}
# Stands where a subject's own is put in: no text that `oscal.line` has made fit to be shown holds it.
_OWN = "\x00"
RISK_STATUS = {o.FAIL: "open", o.EXCEPTED: "deviation-approved"}


def files(run: Mapping[str, Any], standard: Standard) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The assessment results and the plan of action and milestones."""
    yield FILE, chunks(run, standard)
    yield oscal_poam.FILE, oscal_poam.chunks(run, standard)


def chunks(run: Mapping[str, Any], standard: Standard) -> Iterator[bytes]:
    """The assessment results, in pieces: a result per subject."""
    plan = oscal.uid("plan", standard.id, standard.version)
    head = {
        "uuid": oscal.uid("assessment-results", run["run"]["id"], run["run"]["finished"], _digest(run)),
        "metadata": oscal.metadata(f"{standard.id} v{standard.version}: results of run {run['run']['id']}", run),
        "import-ap": {"href": f"#{plan}"},
    }
    back = {
        "resources": [
            {
                "uuid": plan,
                "title": "What was assessed, and how",
                "description": "There is no separate assessment plan: what every check reads and expects is in the run "
                "document of the same run.",
                "rlinks": [{"href": "results.json", "media-type": "application/json"}],
            }
        ]
    }
    yield f'{{"assessment-results":{compact(head)[:-1]},"results":'.encode("ascii")
    before = "[\n"
    for text in _results(run, standard):
        yield f"{before}{text}".encode("ascii")
        before = ",\n"
    yield f'],"back-matter":{compact(back)}}}}}\n'.encode("ascii")


def _digest(run: Mapping[str, Any]) -> str:
    """What the document's own UUID depends on besides the run: the verdicts it tells."""
    return compact([run["summary"]["checks_by_status"], [[s["id"], s["verdict"]] for s in run["subjects"]]])


def _results(run: Mapping[str, Any], standard: Standard) -> Iterator[str]:
    """One encoded result per subject."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    measures: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for result in run["results"]:
        found[result["subject"]].append(result)
    for entry in run["measures"]:
        measures[entry["subject"]].append(entry)
    writer = _Writer(run, standard)
    for number, subject in enumerate(run["subjects"]):
        yield writer.result(subject, found[subject["id"]], measures[subject["id"]], first=number == 0)
    if not run["subjects"]:
        yield compact(
            {
                "uuid": oscal.uid("result", run["run"]["id"]),
                "title": "No subject was assessed",
                "description": "No subject was assessed, so nothing is demonstrated.",
                "start": oscal.time(run["run"]["started"]),
                "reviewed-controls": {"control-selections": [{"include-all": {}}]},
            }
        )


class _Writer:
    """Writes the result of one subject after the other; what subjects share is encoded once, in the pieces between
    which their own stands."""

    def __init__(self, run: Mapping[str, Any], standard: Standard) -> None:
        self._run, self._standard = run, standard
        self._name, self._expired = run["run"]["id"], Expired(run)
        self._origins = oscal.origins()
        self._repeated: dict[tuple[Any, ...], str] = {}
        self._observed = Once(self._observation)
        self._risked = Once(self._risk)
        self._found: dict[tuple[str, str, str], tuple[str, str]] = {}
        self._controls = {
            "control-selections": [
                {"include-controls": [{"control-id": oscal.control_id(measure)} for measure in standard.measures]}
            ]
        }

    def result(
        self,
        subject: Mapping[str, Any],
        results: Sequence[Mapping[str, Any]],
        measures: Sequence[Mapping[str, Any]],
        *,
        first: bool,
    ) -> str:
        """One subject, encoded. The first result defines the tool, for a UUID may be defined once in a document."""
        about = {
            "verdict": subject["verdict"],
            "score": subject["score"]["before_exceptions"],
            "score-after-exceptions": subject["score"]["after_exceptions"],
            "reachable": subject["reachable"],
            "unreachable-reason": subject["unreachable_reason"],
        }
        platform = oscal.uid("platform", self._name, subject["id"])
        local: Node = {
            "inventory-items": [oscal.inventory_item(subject)],
            "assessment-assets": {
                "assessment-platforms": [
                    {"uuid": platform, "title": "Controller of the run", "uses-components": [_uses()]}
                ]
            },
        }
        if first:
            local = {"components": [oscal.tool()], **local}
        node: Node = {
            "uuid": oscal.uid("result", self._name, subject["id"]),
            "title": oscal.line(f"{subject['name']}: {subject['verdict']}"),
            "description": oscal.line(
                f"{subject['name']} ({subject['platform']}) assessed against {self._standard.id} "
                f"v{self._standard.version}: {subject['verdict']}"
            ),
            "start": oscal.time(subject["collected_at"]),
            "end": oscal.time(subject["collected_at"]),
            "props": oscal.props(about),
            "local-definitions": local,
            "reviewed-controls": self._controls,
        }
        ids = _Ids(self._name, subject["id"])
        parts = {
            "observations": self._observations(subject, results, ids),
            "risks": self._risks(results, ids),
            "findings": self._findings(subject, results, measures, ids),
        }
        made = [f',"{name}":[{",".join(texts)}]' for name, texts in parts.items() if texts]
        return f"{compact(node)[:-1]}{''.join(made)}}}"

    def _observations(self, subject: Mapping[str, Any], results: Iterable[Mapping[str, Any]], ids: _Ids) -> list[str]:
        where = {"subjects": [{"subject-uuid": oscal.item_id(subject["id"]), "type": "inventory-item"}]}
        about = compact({**where, "collected": oscal.time(subject["collected_at"])})[1:]
        href = compact(f"evidence/{subject['slug']}.json")
        made = []
        for result in results:
            begin, rest = self._observed.of(result)
            made.append(f'{{"uuid":"{ids.observation[result["check"]]}",{begin}{href}{rest},{about}')
        return made

    def _observation(self, result: Mapping[str, Any]) -> Sequence[str]:
        """An observation from its description to the path of the evidence, and from there on."""
        found = oscal.line(result["actual"], "nothing")
        told: Node = {
            "description": oscal.line(result["message"], f"Measured: {result['measured']}."),
            "relevant-evidence": [
                {"href": _OWN, "description": f"Expected: {oscal.line(result['expected'])}. Found: {found}."}
            ],
        }
        expires = (result["attestation"] or {}).get("expires_on")
        if expires:
            told["expires"] = oscal.end_of(expires)
        return f"{compact(told)[1:-1]},{self._in_state(result)}".split(compact(_OWN))

    def _in_state(self, result: Mapping[str, Any]) -> str:
        """What an observation says of a check in a state, wherever it was found; the inside of a JSON object."""
        attestation = result["attestation"] or {}
        about = {
            "check": result["check"],
            "status": result["status"],
            "measured": result["measured"],
            "obligation": result["obligation"],
            "severity": result["severity"],
            "tier": result["tier"],
            "attestation": attestation.get("id"),
            "attested-by": attestation.get("signed_by"),
        }
        key = (result["title"], *about.values())
        if key not in self._repeated:
            node = {
                "title": oscal.line(result["title"]),
                "props": oscal.props(about),
                "methods": METHODS.get(result["status"], ["TEST"]),
                "origins": self._origins,
            }
            self._repeated[key] = compact(node)[1:-1]
        return self._repeated[key]

    def _findings(
        self,
        subject: Mapping[str, Any],
        results: Sequence[Mapping[str, Any]],
        measures: Sequence[Mapping[str, Any]],
        ids: _Ids,
    ) -> list[str]:
        by_measure: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for result in results:
            by_measure[result["measure"]].append(result)
        told = Remembered(lambda status: compact(oscal.line(f"{subject['name']}: {status.replace('_', ' ')}")))
        return [
            self._finding(entry, told[entry["status"]], by_measure[entry["measure"]], ids)
            for entry in measures
            if entry["status"] in STATES
        ]

    def _finding(self, entry: Mapping[str, Any], told: str, results: Sequence[Mapping[str, Any]], ids: _Ids) -> str:
        """told: its description, encoded."""
        key = (entry["measure"], entry["status"], entry["obligation"])
        if key not in self._found:
            self._found[key] = self._of_measure(entry)
        title, rest = self._found[key]
        observations = [f'{{"observation-uuid":"{ids.observation[r["check"]]}"}}' for r in results]
        risks = [f'{{"risk-uuid":"{ids.risk[r["check"]]}"}}' for r in results if _risky(r)]
        made = f'{{"uuid":"{ids.finding(entry["measure"])}","title":{title},"description":{told},{rest}'
        if observations:
            made += f',"related-observations":[{",".join(observations)}]'
        if risks:
            made += f',"related-risks":[{",".join(risks)}]'
        return made + "}"

    def _of_measure(self, entry: Mapping[str, Any]) -> tuple[str, str]:
        """What a finding says of a measure on whatever subject: its title, and what follows its description."""
        measure = self._standard.measures[entry["measure"]]
        state, reason = STATES[entry["status"]]
        told = {
            "props": oscal.props({"status": entry["status"], "obligation": entry["obligation"]}),
            "origins": self._origins,
            "target": {
                "type": "statement-id",
                "target-id": oscal.statement_id(measure.id),
                "status": {"state": state, "reason": reason},
            },
        }
        return compact(oscal.line(f"{measure.id} {measure.title}")), compact(told)[1:-1]

    def _risks(self, results: Iterable[Mapping[str, Any]], ids: _Ids) -> list[str]:
        made = []
        for result in results:
            if _risky(result):
                first, second, third, rest = self._risked.of(result)
                check = result["check"]
                remediation = ids.remediation(f"{check}\x1f{result['status']}")
                expired = self._expired.of(result)
                made.append(
                    f'{first}"{ids.risk[check]}"{second}"{remediation}"{third}"{ids.observation[check]}"{rest}'
                    f"{_risk_log(expired, ids.risk_log(check)) if expired else ''}}}"
                )
        return made

    def _risk(self, result: Mapping[str, Any]) -> Sequence[str]:
        """A risk in the pieces between its UUID, that of its remediation and that of its observation, left open."""
        node = {
            "uuid": _OWN,
            **_risk_of(result, self._standard),
            "related-observations": [{"observation-uuid": _OWN}],
        }
        return compact(node)[:-1].split(compact(_OWN))


class _Ids:
    """UUIDs of what is told of one subject, by check or measure; remembered where they are needed several times."""

    def __init__(self, run: str, subject: str) -> None:
        self.observation = Remembered(oscal.uids("observation", run, subject))
        self.risk = Remembered(oscal.uids("risk", run, subject))
        self.risk_log = oscal.uids("risk-log", run, subject)
        self.finding = oscal.uids("finding", run, subject)
        # Of the check and what it counts as.
        self.remediation = oscal.uids("remediation", subject)


def _risky(result: Mapping[str, Any]) -> bool:
    return result["tier"] == 1 and result["status"] in RISK_STATUS


def _risk_log(expired: Mapping[str, Any], identifier: str) -> str:
    told = f"Exception {oscal.line(expired['id'])} expired on {expired['expires_on']}"
    entry = {"title": told, "start": oscal.end_of(expired["expires_on"]), "status-change": "open"}
    return f',"risk-log":{compact({"entries": [{"uuid": identifier, **entry}]})}'


def _risk_of(result: Mapping[str, Any], standard: Standard) -> Node:
    """What a failing check risks, without its observations."""
    measure = standard.measures[result["measure"]]
    exception = result["exception"] or {}
    node: Node = {
        "title": oscal.line(result["title"]),
        "description": oscal.line(result["message"], f"{result['title']}: not met"),
        "statement": oscal.line(measure.text),
        "props": oscal.props(
            {
                "check": result["check"],
                "status": result["status"],
                "severity": result["severity"],
                "obligation": result["obligation"],
                "exception": exception.get("id"),
                "risk-ref": exception.get("risk_ref"),
            }
        ),
        "status": RISK_STATUS[result["status"]],
    }
    if exception.get("expires_on"):
        node["deadline"] = oscal.end_of(exception["expires_on"])
    node["remediations"] = [
        {
            "uuid": _OWN,
            "lifecycle": "recommendation",
            "title": oscal.line(f"Role {result['role']}"),
            "description": oscal.line(result["fix"]),
        }
    ]
    return node


def _uses() -> Node:
    return {"component-uuid": oscal.TOOL}
