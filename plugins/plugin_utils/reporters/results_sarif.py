# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.sarif: SARIF 2.1.0, for code-scanning dashboards. One rule per check, one result per check and subject.

What could not be read is no result but a notification of the invocation, as the format has it. An accepted failure is
a failure with an accepted suppression. Several places that are not files are logical locations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import moment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.expired import Expired
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.json_text import array, compact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.oscal import uid
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import plain

FILE = "results.sarif"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
HOMEPAGE = "https://github.com/dwp/ansible-collection-hypervisor"
TEXT_LIMIT = 1000
# status: (kind, level)
KINDS = {
    o.PASS: ("pass", "none"),
    o.ATTESTED: ("pass", "none"),
    o.FAIL: ("fail", "error"),
    o.EXCEPTED: ("fail", "error"),
    o.MANUAL: ("review", "none"),
    o.NOT_APPLICABLE: ("notApplicable", "none"),
    o.NOT_EVALUATED: ("open", "none"),
}

Node = dict[str, Any]


def files(run: Mapping[str, Any], standard: Standard) -> Iterator[tuple[str, Iterator[bytes]]]:
    """results.sarif, in pieces."""
    yield FILE, chunks(run, standard)


def chunks(run: Mapping[str, Any], standard: Standard) -> Iterator[bytes]:
    """One run of SARIF, in pieces."""
    rules = {check: number for number, check in enumerate(dict.fromkeys(r["check"] for r in run["results"]))}
    subjects = {subject["id"]: subject for subject in run["subjects"]}
    driver = {
        "name": "dwp.hypervisor",
        "version": run["run"]["collection"],
        "informationUri": HOMEPAGE,
        "rules": _rules(run["results"], standard),
    }
    automation = {"id": f"{standard.id}/{run['run']['id']}", "guid": uid("sarif", run["run"]["id"])}
    about = {
        "marking": run["marking"],
        "verdicts": {plain(s["name"], TEXT_LIMIT): s["verdict"] for s in run["subjects"]},
    }
    yield (
        f'{{"$schema":"{SCHEMA}","version":"2.1.0","runs":[{{"tool":{compact({"driver": driver})},'
        f'"automationDetails":{compact(automation)},"invocations":[{{"executionSuccessful":true,'
        f'"startTimeUtc":{compact(_utc(run["run"]["started"]))},"endTimeUtc":{compact(_utc(run["run"]["finished"]))},'
        '"toolExecutionNotifications":'
    ).encode("ascii")
    yield from array(
        _notification(result, rules, subjects) for result in run["results"] if result["status"] == o.UNKNOWN
    )
    yield b'}],"columnKind":"unicodeCodePoints","results":'
    expired = Expired(run)
    yield from array(
        _result(result, rules, subjects, expired) for result in run["results"] if result["status"] != o.UNKNOWN
    )
    yield f',"properties":{compact(about)}}}]}}\n'.encode("ascii")


def _utc(text: str) -> str:
    return moment(text).isoformat().replace("+00:00", "Z")


def _rules(results: Iterable[Mapping[str, Any]], standard: Standard) -> list[Node]:
    """One rule per check, as its first result tells it."""
    first: dict[str, Mapping[str, Any]] = {}
    for result in results:
        first.setdefault(result["check"], result)
    return [_rule(check, result, standard) for check, result in first.items()]


def _rule(check: str, result: Mapping[str, Any], standard: Standard) -> Node:
    measure = standard.measures[result["measure"]]
    title, fix = plain(result["title"], TEXT_LIMIT), plain(result["fix"], TEXT_LIMIT)
    return {
        "id": check,
        "name": "".join(word.capitalize() for word in result["name"].replace(".", "_").split("_")),
        "shortDescription": {"text": f"{title}."},
        "fullDescription": {"text": measure.text},
        "help": {"text": f"{fix} Role: {plain(result['role'], 60)}."},
        "helpUri": f"{HOMEPAGE}/blob/main/docs/measures/{measure.id}.md",
        "properties": {
            "measure": measure.id,
            "tags": ["SS-009", measure.id, *map(str, measure.nist_csf)],
            "severity": result["severity"],
            "obligation": result["obligation"],
        },
    }


def _place(subject: Mapping[str, Any]) -> list[Node]:
    """Where it is: the subject, and the file that holds what was read."""
    return [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": f"evidence/{subject['slug']}.json"},
                "region": {"startLine": 1, "endLine": 1},  # no line of the evidence stands for a check
            },
            "logicalLocations": [
                {
                    "name": plain(subject["name"], TEXT_LIMIT),
                    "fullyQualifiedName": plain(subject["id"], TEXT_LIMIT),
                    "kind": "resource",
                }
            ],
        }
    ]


def _told(result: Mapping[str, Any], subject: Mapping[str, Any]) -> str:
    return (
        f"{plain(subject['name'], 200)}: {plain(result['message'], TEXT_LIMIT) or result['status'].replace('_', ' ')}"
    )


def _result(
    result: Mapping[str, Any], rules: Mapping[str, int], subjects: Mapping[str, Mapping[str, Any]], expired: Expired
) -> Node:
    subject, (kind, level) = subjects[result["subject"]], KINDS[result["status"]]
    ran_out = expired.of(result)
    if ran_out and result["status"] == o.MANUAL:
        kind = "open"
    node: Node = {
        "ruleId": result["check"],
        "ruleIndex": rules[result["check"]],
        "kind": kind,
        "level": level,
        "message": {"text": _told(result, subject)},
        "locations": _place(subject),
        # The same weakness of the same subject in every run: what dashboards tell new from old by.
        "partialFingerprints": {"subjectAndCheck/v1": uid("subject-check", result["subject"], result["check"])},
        "properties": {
            "status": result["status"],
            "measured": result["measured"],
            "expected": plain(result["expected"], TEXT_LIMIT),
            "actual": plain(result["actual"], TEXT_LIMIT),
        },
    }
    if ran_out:
        node["properties"]["expired"] = f"{plain(ran_out['id'], 120)} on {ran_out['expires_on']}"
    exception = result["exception"]
    if exception and result["status"] == o.EXCEPTED:
        reason = f"{exception['risk_ref']} ({exception['id']}), until {exception['expires_on']}"
        node["suppressions"] = [{"kind": "external", "status": "accepted", "justification": plain(reason, TEXT_LIMIT)}]
    return node


def _notification(
    result: Mapping[str, Any], rules: Mapping[str, int], subjects: Mapping[str, Mapping[str, Any]]
) -> Node:
    subject = subjects[result["subject"]]
    return {
        "associatedRule": {"id": result["check"], "index": rules[result["check"]]},
        "level": "error",
        "message": {"text": _told(result, subject)},
        "locations": _place(subject),
        "properties": {"status": result["status"], "measured": result["measured"]},
    }
