# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changed between two runs, in classes that keep three things apart: the hosts, what was looked at, what judged.

Where another catalogue or gold configuration judges, the stored evidence of the run before is judged by it as well:
what differs then is content, and only what differs beyond that is posture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o

NEWLY_FAILING = "newly_failing"
EXCEPTION_EXPIRED = "exception_expired"
NOT_DEMONSTRATED = "not_demonstrated"
STILL_FAILING = "still_failing"
FIXED = "fixed"
DEMONSTRATED = "demonstrated"
EVIDENCE_CHANGED = "evidence_changed"
SCOPE_CHANGED = "scope_changed"
CONTENT_CHANGED = "content_changed"
UNCHANGED = "unchanged"
CLASSES = (
    NEWLY_FAILING, EXCEPTION_EXPIRED, NOT_DEMONSTRATED, STILL_FAILING, FIXED, DEMONSTRATED, EVIDENCE_CHANGED,
    SCOPE_CHANGED, CONTENT_CHANGED,
)  # fmt: skip
# What says something about the hosts. The other two never do.
POSTURE = CLASSES[:-2]
_BLIND = (o.UNKNOWN, o.MANUAL)
_MAX_VALUE = 300

Result = Mapping[str, Any]
# subject-results document of the run before -> its measured results by what judges now, {check: {measured, actual}};
# None when there is no evidence left to judge.
Rejudge = Callable[[Mapping[str, Any], Mapping[str, Any]], "Mapping[str, Result] | None"]


def compare(
    before: Iterable[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
    *,
    runs: tuple[Mapping[str, Any], Mapping[str, Any]],
    manifest_sha256: str | None = None,
    known_failing: Mapping[str, Mapping[str, str]] | None = None,
    rejudge: Rejudge = lambda _before, _after: None,
) -> dict[str, Any]:
    """The `comparison` part of the run document.

    before, after: subject-results documents; `before` is read once, one after the other. runs: the parts `run`,
    `standard` and `registers` of both run documents. manifest_sha256: of the run before. known_failing: subject ->
    check -> time, before this run: tells a failure that nobody could see for a while from a new one.
    """
    content = content_changes(*runs)
    judged_alike = not any(entry["what"] in ("standard", "collection", "catalogue") for entry in content)
    waiting = {document["subject"]["id"]: document for document in after}
    by_name = {document["subject"]["name"]: document for document in after}
    changes: list[dict[str, Any]] = []
    unchanged = 0
    removed, met = [], set()
    for old in before:
        new = waiting.get(old["subject"]["id"]) or _same_host(old["subject"], by_name)
        if new is None or new["subject"]["id"] in met:
            removed.append(old["subject"]["id"])
            changes.append(_whole(SCOPE_CHANGED, old["subject"]["id"], "only the run before looked at this subject"))
            continue
        met.add(new["subject"]["id"])
        found, same = _subject(old, new, judged_alike, known_failing or {}, rejudge)
        changes += found
        unchanged += same
    added = [subject for subject in waiting if subject not in met]
    changes += [_whole(SCOPE_CHANGED, subject, "the run before did not look at this subject") for subject in added]
    changes.sort(key=lambda entry: (CLASSES.index(entry["class"]), entry["subject"], entry["check"] or ""))
    counts = {name: sum(entry["class"] == name for entry in changes) for name in CLASSES}
    run = runs[0].get("run", {})
    return {
        "with": {"run": str(run.get("id")), "finished": run.get("finished"), "manifest_sha256": manifest_sha256},
        "content": content,
        "scope": {"added": sorted(added), "removed": sorted(removed)},
        "counts": {**counts, UNCHANGED: unchanged},
        "changes": changes,
    }


def content_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What judged then and now, where it differs."""
    sides = []
    for document in (before, after):
        run, standard = document.get("run") or {}, document.get("standard") or {}
        registers = document.get("registers") or {}
        sides.append(
            {
                "standard": " ".join(str(standard[key]) for key in ("id", "version") if key in standard) or None,
                "collection": run.get("collection"),
                "catalogue": run.get("catalogue_sha256"),
                "gold": run.get("gold_sha256"),
                "exceptions": (registers.get("exceptions") or {}).get("sha256"),
                "attestations": (registers.get("attestations") or {}).get("sha256"),
            }
        )
    return [
        {"what": what, "before": sides[0][what], "after": sides[1][what]}
        for what in sides[0]
        if sides[0][what] != sides[1][what]
    ]


def _same_host(old: Mapping[str, Any], by_name: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """A host that could not be read tells no hardware UUID: its id is its name only."""
    new = by_name.get(old["name"])
    if new is None or (old["reachable"] and new["subject"]["reachable"]):
        return None
    return new


def _subject(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    judged_alike: bool,
    known_failing: Mapping[str, Mapping[str, str]],
    rejudge: Rejudge,
) -> tuple[list[dict[str, Any]], int]:
    """The changes of one subject, and how many of its results are as they were."""
    subject = new["subject"]["id"]
    if not new["subject"]["reachable"]:
        if not old["subject"]["reachable"]:
            return [], len(new["results"])
        reason = f"could not be read in this run: {new['subject']['unreachable_reason']}"
        return [_whole(NOT_DEMONSTRATED, subject, reason[:300])], 0
    alike = judged_alike and old["gold"]["sha256"] == new["gold"]["sha256"]
    anew = None if alike or not old["subject"]["reachable"] else rejudge(old, new)
    failing = known_failing.get(subject, {})
    earlier = {result["check"]: result for result in old["results"]}
    changes: list[dict[str, Any]] = []
    unchanged = 0
    for result in new["results"]:
        found = list(_check(earlier.pop(result["check"], None), result, alike, anew, failing, new["subject"]))
        changes += found
        unchanged += not found
    for result in earlier.values():
        changes.append(_entry(CONTENT_CHANGED, result, None, "this check does not exist any more", subject))
    return changes, unchanged


def _check(
    before: Result | None,
    after: Result,
    alike: bool,
    anew: Mapping[str, Result] | None,
    failing: Mapping[str, str],
    subject: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    if before is None:
        yield _entry(CONTENT_CHANGED, None, after, "this check is new")
        return
    if (before["measured"] == o.NOT_EVALUATED) != (after["measured"] == o.NOT_EVALUATED):
        when = "run before" if before["measured"] == o.NOT_EVALUATED else "new run"
        yield _entry(SCOPE_CHANGED, before, after, f"the {when} left this measure out")
        return
    start = before
    if not alike and before["measured"] not in (o.NOT_EVALUATED, o.UNKNOWN):
        judged = anew.get(before["check"]) if anew is not None else None
        if judged is None:
            if _verdict(before) != _verdict(after) or not _same(before["actual"], after["actual"]):
                reason = "judged by something else, and the evidence of the run before is not there to judge it again"
                yield _entry(CONTENT_CHANGED, before, after, reason)
            return
        start = {
            **before,
            "measured": judged["measured"],
            "actual": judged["actual"],
            "status": _status(before, judged),
        }
        if judged["measured"] != before["measured"]:
            yield _entry(CONTENT_CHANGED, before, start, "the same evidence is judged differently now")
    name, reason = _classify(start, after, failing.get(after["check"]), str(subject["collected_at"])[:10])
    if name != UNCHANGED:
        yield _entry(name, start, after, reason)


def _status(before: Result, judged: Result) -> str:
    """What the run before would have counted it as: its exceptions and attestations still count."""
    kept = {o.FAIL: o.EXCEPTED, o.MANUAL: o.ATTESTED}.get(judged["measured"])
    return str(before["status"] if before["status"] == kept else judged["measured"])


def _classify(before: Result, after: Result, since: str | None, day: str) -> tuple[str, str]:
    # What subjects of a fleet share is one object in both runs.
    same_items = before["items"] is after["items"] or _items(before) == _items(after)
    same = same_items and _same(before["actual"], after["actual"])
    if after["measured"] == o.FAIL:
        return _failing(before, after, same, since, day)
    shown_before = before["status"] not in (o.FAIL, *_BLIND, o.EXCEPTED)
    shown_after = after["status"] not in _BLIND
    if before["measured"] == o.FAIL:
        return (FIXED, "") if shown_after else (NOT_DEMONSTRATED, f"failed, and is {after['status']} now")
    if shown_before and not shown_after:
        return NOT_DEMONSTRATED, f"was {before['status']}, is {after['status']} now: {after['message']}"[:300]
    if shown_after and not shown_before:
        return DEMONSTRATED, f"was {before['status']}"
    if same and before["status"] == after["status"]:
        return UNCHANGED, ""
    return EVIDENCE_CHANGED, "" if before["status"] == after["status"] else f"was {before['status']}"


def _failing(before: Result, after: Result, same: bool, since: str | None, day: str) -> tuple[str, str]:
    if before["measured"] == o.FAIL:
        if before["status"] == o.EXCEPTED and after["status"] != o.EXCEPTED:
            exception = before.get("exception") or {}
            if exception.get("expires_on", day) < day:
                return EXCEPTION_EXPIRED, f"exception {exception['id']} expired on {exception['expires_on']}"
            return NEWLY_FAILING, f"exception {exception.get('id')} does not cover it any more"
        if after["status"] == o.EXCEPTED and before["status"] != o.EXCEPTED:
            return STILL_FAILING, f"excepted now by {(after.get('exception') or {}).get('id')}"
        return STILL_FAILING, "" if same else "what was found has changed"
    if since and before["measured"] in (*_BLIND, o.NOT_EVALUATED):
        return STILL_FAILING, f"fails since {since[:10]}; the run before could not tell"
    return NEWLY_FAILING, f"was {before['status']}"


def _verdict(result: Result) -> tuple[Any, Any]:
    return result["measured"], result["status"]


def _items(result: Result) -> list[tuple[str, str]]:
    return sorted((str(item["id"]), str(item["status"])) for item in result["items"])


def _same(one: Any, other: Any) -> bool:
    """Whether two values say the same: the order of a list or of keys is no difference."""
    return one is other or bool(one == other) or _canonical(one) == _canonical(other)


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(entry) for key, entry in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, list):
        return sorted((_canonical(entry) for entry in value), key=lambda entry: json.dumps(entry, default=str))
    return value


def _entry(name: str, before: Result | None, after: Result | None, reason: str, subject: str = "") -> dict[str, Any]:
    about: Result = after if after is not None else before  # type: ignore[assignment]
    return {
        "class": name,
        "subject": subject or about["subject"],
        "measure": about["measure"],
        "check": about["check"],
        "obligation": about["obligation"],
        "severity": about["severity"],
        "before": _side(before),
        "after": _side(after),
        "reason": reason,
    }


def _whole(name: str, subject: str, reason: str) -> dict[str, Any]:
    """A change that is about a whole subject."""
    return {
        "class": name, "subject": subject, "measure": None, "check": None, "obligation": None, "severity": None,
        "before": None, "after": None, "reason": reason,
    }  # fmt: skip


def _side(result: Result | None) -> dict[str, Any] | None:
    if result is None:
        return None
    actual = result["actual"]
    if isinstance(actual, (str, list, dict)):
        text = actual if isinstance(actual, str) else json.dumps(actual, default=str)
        actual = actual if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}…"
    return {"measured": result["measured"], "status": result["status"], "actual": actual}
