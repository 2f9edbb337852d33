# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hardening run did: fixed, pending, left to a person, refused; from the audits before and after. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.disposition import enforceable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.inheritance import is_taken
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import several, visible
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.updated import each_setting, no_restarts

SCHEMA = "dwp.hypervisor.hardening/1"
MAX_LINES = 40


def summarise(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    hosts: Mapping[str, Mapping[str, Any]],
    *,
    run_id: str,
    check_mode: bool,
) -> dict[str, Any]:
    """The document of one hardening run.

    before, after: {subjects, results, drift} of the audits, as in results.json. hosts: by inventory name {areas: what
    the action enforce returned for each area, restarts: what it returned for hosts that waited, selected: names of the
    ESXi hosts it was for, None for all, failed: message or "", attempted: bool}.
    """
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "check_mode": check_mode,
        "hosts": [_host(name, about, before, after) for name, about in sorted(hosts.items())],
    }


def _host(name: str, about: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    first, last = _verdicts(before, name), _verdicts(after, name)
    areas = about["areas"]
    many = len({subject["id"] for subject in _subjects(before, name)}) > 1
    waiting = {
        _on(entry["check"], entry["host"]) if many else entry["check"]: entry
        for area in areas.values()
        for entry in area["pending"]
    }
    failing = sorted(check for check, status in last.items() if status == o.FAIL)
    selected = about.get("selected")
    not_selected = _not_selected(after, name, selected) if many and selected is not None else set()
    return {
        "host": name,
        "attempted": about["attempted"],
        "left_alone": "" if about["attempted"] else _left_alone(name, before),
        "failed": about["failed"],
        "areas_changed": [area for area, entry in areas.items() if entry["updated"]],
        "settings_changed": sum(len(list(each_setting(entry["updated"]))) for entry in areas.values()),
        "seconds": round(sum(entry["seconds"] for entry in areas.values()), 1),
        "fixed": sorted(check for check, status in first.items() if status == o.FAIL and last.get(check) == o.PASS),
        "worse": sorted(check for check, status in first.items() if status == o.PASS and last.get(check) == o.FAIL),
        "pending": [
            {"check": check, "waits_for": entry["waits_for"]}
            for check, entry in sorted(waiting.items())
            if check in failing or entry.get("unseen")
        ],
        "by_hand": [entry for area in areas.values() for entry in area["by_hand"]],
        "refused": {area: entry["refused"] for area, entry in areas.items() if entry["refused"]},
        "deferred": {area: entry["deferred"] for area, entry in areas.items() if entry["deferred"]},
        "still_failing": [check for check in failing if check not in waiting and check not in not_selected],
        "selected": selected,
        "esxi_hosts": len({subject["id"] for subject in _subjects(after, name) if subject.get("kind") == "host"}),
        "not_selected": sorted(not_selected),
        "changes": {area: entry["updated"] for area, entry in areas.items() if entry["updated"]},
        "restarts": {**no_restarts(), **about.get("restarts", {})},
    }


def _left_alone(name: str, before: Mapping[str, Any]) -> str:
    """Why nothing was attempted on a host."""
    subjects = {subject["id"]: subject["reachable"] for subject in _subjects(before, name)}
    if not all(subjects.values()):
        return "it could not be read"
    if any(entry["subject"] in subjects for entry in enforceable(before["drift"], before["results"])):
        return "a host before it failed"
    return "nothing fails that a role can set"


def _subjects(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """What an inventory host holds: itself, or a vCenter with its ESXi hosts."""
    return [subject for subject in document["subjects"] if subject.get("endpoint", subject["name"]) == name]


def _verdicts(document: Mapping[str, Any], name: str) -> dict[str, str]:
    """{check: status}; where there are several subjects, the check says on which."""
    names = {subject["id"]: subject["name"] for subject in _subjects(document, name)}
    return {
        _on(result["check"], names[result["subject"]]) if len(names) > 1 else result["check"]: result["status"]
        for result in document["results"]
        if result["subject"] in names
    }


def _not_selected(document: Mapping[str, Any], name: str, selected: Container[str]) -> set[str]:
    """What fails on subjects that the run was not for, as in _verdicts. What a selected host has taken over from its
    vCenter is the vCenter's."""
    subjects = {subject["id"]: subject for subject in _subjects(document, name)}
    failing = [
        (result, subjects[result["subject"]])
        for result in document["results"]
        if result["subject"] in subjects and result["status"] == o.FAIL
    ]
    return {
        _on(result["check"], subject["name"])
        for result, subject in failing
        if subject["name"] not in selected or is_taken(result, subject)
    }


def _on(check: str, host: str) -> str:
    return f"{check} on {host}"


def lines(document: Mapping[str, Any]) -> list[str]:
    """The summary for the console, one screen a host."""
    would = " (check mode: nothing was changed)" if document["check_mode"] else ""
    found = [f"Hardening, run {document['run_id']}{would}"]
    for host in document["hosts"]:
        found += ["", *_host_lines(host, document["check_mode"])]
    return found


def _host_lines(host: Mapping[str, Any], check_mode: bool) -> list[str]:
    name = visible(host["host"])
    if not host["attempted"]:
        return [f"{name}  not attempted: {host['left_alone']}"]
    changed = "would change" if check_mode else "changed"
    found = [
        f"{name}  {host['settings_changed']} settings {changed} in {host['seconds']} s; {len(host['fixed'])} checks "
        f"fixed, {len(host['pending'])} pending, {len(host['by_hand'])} for a person, "
        f"{len(host['still_failing'])} still failing"
    ]
    if host["failed"]:
        done = ", ".join(host["areas_changed"]) or "none"
        found.append(f"  FAILED: {visible(host['failed'])[:400]}")
        found.append(f"  applied before that: {done}; run it again to go on from there")
    if host["selected"] is not None:
        of = f"{len(host['selected']):,} of {host['esxi_hosts']:,} ESXi hosts"
        left = f"{len(host['not_selected']):,} failing checks on the others and the vCenter were left"
        found += _group("selected", [f"{of} ({left}): {several(host['selected'])}"])
    found += _group("refused", [f"{area}: {why}" for area, why in host["refused"].items()])
    found += _group("in another run", [f"{area}: {why}" for area, why in host["deferred"].items()])
    found += _group("worse", host["worse"])
    restarts = host["restarts"]
    found += _group("would restart" if check_mode else "restarted", [
        f"{one}" if check_mode else f"{one} in {entry['seconds']} s" for one, entry in restarts["restarted"].items()
    ])  # fmt: skip
    found += _group("not restarted", [f"{one}: {why}" for one, why in restarts["left"].items()])
    found += _group("waits for", [f"{entry['waits_for']}: {entry['check']}" for entry in host["pending"]])
    found += _group("by hand", [f"{', '.join(entry['checks'])}: {entry['what']}" for entry in host["by_hand"]])
    found += _group("still failing", host["still_failing"])
    return found


def _group(title: str, entries: Sequence[str]) -> list[str]:
    shown = [f"  {title}: {visible(entry)[:200]}" for entry in entries[:MAX_LINES]]
    if len(entries) > MAX_LINES:
        shown.append(f"  {title}: and {len(entries) - MAX_LINES} more, see changes.json")
    return shown


def markdown(document: Mapping[str, Any]) -> str:
    """The same as a page for a change record: what was set on each host, old and new, and why."""
    found = [f"# Hardening run {document['run_id']}", ""]
    if document["check_mode"]:
        found += ["Check mode: nothing was changed.", ""]
    for host in document["hosts"]:
        found += [
            f"## {_cell(host['host'])}",
            "",
            *(f"- {_cell(line.strip())}" for line in _host_lines(host, False)),
            "",
        ]
        rows = [
            f"| {area} | {', '.join(entry['measures'])} | {_cell(setting)} | {_cell(entry['old'])} | "
            f"{_cell(entry['new'])} |"
            for area, updated in host["changes"].items()
            for setting, entry in each_setting(updated)
        ]
        if rows:
            found += ["| area | measure | setting | before | after |", "|---|---|---|---|---|", *rows, ""]
    return "\n".join(found)


def _cell(value: Any) -> str:
    text = visible("-" if value is None else str(value))[:200]
    for char in "\\|`*_<>[]":
        text = text.replace(char, f"\\{char}")
    return text
