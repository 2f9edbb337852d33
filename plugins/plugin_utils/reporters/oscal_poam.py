# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.poam.json: OSCAL plan of action and milestones, for the risk register.

One item per check and disposition (open, or accepted by one exception), with the subjects it concerns: the same
weakness on a thousand hosts is one thing to plan. Items and risks keep their UUID from run to run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import oscal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.json_text import array, compact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.oscal import Node
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import count

FILE = "results.poam.json"
# status: what is to be planned for it
PLANNED = {
    o.FAIL: "Put right, or have an exception approved",
    o.EXCEPTED: "Accepted until the deadline; put right before it",
    o.UNKNOWN: "Find out why it could not be read",
    o.MANUAL: "Obtain a signed statement or the other system's answer",
}
RISK_STATUS = {o.FAIL: "open", o.EXCEPTED: "deviation-approved", o.UNKNOWN: "investigating", o.MANUAL: "investigating"}

Group = tuple[str, str, str]  # check, status, exception id


def chunks(run: Mapping[str, Any], standard: Standard) -> Iterator[bytes]:
    """The document, in pieces."""
    groups, name = _groups(run), run["run"]["id"]
    subjects = {subject["id"]: subject for subject in run["subjects"]}
    system = oscal.uid("system", standard.id, *subjects)
    head: Node = {
        "uuid": oscal.uid("poam", run["run"]["id"], run["run"]["finished"], *sorted(map(str, groups))),
        "metadata": oscal.metadata(f"{standard.id} v{standard.version}: plan of action, run {run['run']['id']}", run),
        "system-id": {"identifier-type": "http://ietf.org/rfc/rfc4122", "id": system},
    }
    definitions: Node = {"components": [oscal.tool()]}
    if subjects:
        definitions["inventory-items"] = [oscal.inventory_item(subject) for subject in subjects.values()]
    head["local-definitions"] = definitions
    yield f'{{"plan-of-action-and-milestones":{compact(head)[:-1]}'.encode("ascii")
    if groups:
        yield b',"observations":'
        yield from array(_observation(group, found, subjects, name) for group, found in groups.items())
        yield b',"risks":'
        yield from array(_risk(group, found, standard) for group, found in groups.items())
    yield b',"poam-items":'
    yield from array([_item(group, found, standard, name) for group, found in groups.items()] or [_nothing(run)])
    yield b"}}\n"


def _groups(run: Mapping[str, Any]) -> dict[Group, list[Mapping[str, Any]]]:
    """What is to be planned: deciding checks that are not shown to be met."""
    groups: dict[Group, list[Mapping[str, Any]]] = {}
    for result in run["results"]:
        if result["tier"] == 1 and result["status"] in PLANNED:
            exception = (result["exception"] or {}).get("id", "") if result["status"] == o.EXCEPTED else ""
            groups.setdefault((result["check"], result["status"], exception), []).append(result)
    return groups


def _observation(
    group: Group, found: Sequence[Mapping[str, Any]], subjects: Mapping[str, Mapping[str, Any]], run: str
) -> Node:
    newest = max(subjects[result["subject"]]["collected_at"] for result in found)
    return {
        "uuid": oscal.uid("poam-observation", run, *group),
        "title": oscal.line(found[0]["title"]),
        "description": oscal.line(
            f"{count(len(found), 'subject')}. First: {found[0]['message'] or found[0]['measured']}"
        ),
        "props": oscal.props({"check": group[0], "status": group[1], "measured": found[0]["measured"]}),
        "methods": ["EXAMINE" if group[1] == o.MANUAL else "TEST"],
        "origins": oscal.origins(),
        "subjects": [{"subject-uuid": oscal.item_id(result["subject"]), "type": "inventory-item"} for result in found],
        "relevant-evidence": [{"href": "results.oscal.json", "description": "The same check on each subject."}],
        "collected": oscal.time(newest),
    }


def _risk(group: Group, found: Sequence[Mapping[str, Any]], standard: Standard) -> Node:
    first = found[0]
    exception = first["exception"] or {}
    node: Node = {
        "uuid": oscal.uid("poam-risk", *group),
        "title": oscal.line(first["title"]),
        "description": oscal.line(first["message"], f"{first['title']}: {first['status']}"),
        "statement": oscal.line(standard.measures[first["measure"]].text),
        "props": oscal.props(
            {
                "severity": first["severity"],
                "obligation": first["obligation"],
                "exception": exception.get("id"),
                "risk-ref": exception.get("risk_ref"),
            }
        ),
        "status": RISK_STATUS[group[1]],
        "remediations": [
            {
                "uuid": oscal.uid("poam-remediation", *group),
                "lifecycle": "recommendation",
                "title": oscal.line(f"Role {first['role']}"),
                "description": oscal.line(first["fix"]),
            }
        ],
    }
    if group[2] and exception.get("expires_on"):
        node["deadline"] = oscal.end_of(exception["expires_on"])
    return node


def _item(group: Group, found: Sequence[Mapping[str, Any]], standard: Standard, run: str) -> Node:
    first = found[0]
    about = {"check": group[0], "status": group[1], "measure": first["measure"], "subjects": len(found)}
    return {
        "uuid": oscal.uid("poam-item", *group),
        "title": oscal.line(f"{first['measure']} {first['title']}"),
        "description": oscal.line(
            f"{PLANNED[group[1]]}: {count(len(found), 'subject')}. {standard.measures[first['measure']].title}."
        ),
        "props": oscal.props({**about, "obligation": first["obligation"], "exception": group[2] or None}),
        "origins": oscal.origins(),
        "related-observations": [{"observation-uuid": oscal.uid("poam-observation", run, *group)}],
        "related-risks": [{"risk-uuid": oscal.uid("poam-risk", *group)}],
    }


def _nothing(run: Mapping[str, Any]) -> Node:
    """OSCAL asks for at least one item."""
    return {
        "uuid": oscal.uid("poam-item", "nothing"),
        "title": "Nothing to plan",
        "description": "Every deciding check of every subject is met, attested or not applicable."
        if run["subjects"]
        else "No subject was assessed.",
    }
