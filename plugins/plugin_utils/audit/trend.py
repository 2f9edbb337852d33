# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last runs of an archive as a short list of numbers, carried from run to run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o

MAX_POINTS = 30


def extend(earlier: Sequence[Mapping[str, Any]], document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The earlier points and that of this run document, oldest first. A run that is reported again has one point."""
    run = document["run"]["id"]
    points = [dict(point) for point in earlier if point["run"] != run][-(MAX_POINTS - 1) :]
    return [*points, _point(document, points[-1] if points else None)]


def _point(document: Mapping[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    run, summary = document["run"], document["summary"]
    musts = dict.fromkeys(o.WORST_FIRST, 0)
    evaluated = set()
    for entry in document["measures"]:
        if entry["obligation"] == "must":
            musts[entry["status"]] += 1
        if entry["status"] != o.NOT_EVALUATED:
            evaluated.add(entry["measure"])
    standard = document["standard"]
    judged_by = (standard["id"], standard["version"], run["collection"], run["catalogue_sha256"], run["gold_sha256"])
    looked_at = sorted(subject["name"] for subject in document["subjects"]) + sorted(evaluated)
    content, scope = _digest(judged_by), _digest(looked_at)
    return {
        "run": run["id"],
        "finished": run["finished"],
        "subjects": summary["subjects"],
        "unreachable": summary["unreachable"],
        "score": summary["score"],
        "score_after_exceptions": summary["score_after_exceptions"],
        "by_verdict": summary["by_verdict"],
        "musts": musts,
        "content": content,
        "content_changed": before is not None and before["content"] != content,
        "scope": scope,
        "scope_changed": before is not None and before["scope"] != scope,
    }


def _digest(parts: Sequence[Any]) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
