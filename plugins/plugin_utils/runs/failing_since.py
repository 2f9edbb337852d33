# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Since when each check of each subject fails: carried from run to run, also over runs that did not look at it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o

FILE = "failing-since.json"
SCHEMA = "dwp.hypervisor.failing-since/1"
# Nobody looked, or nobody could see: that is no sign that a failure has gone.
_BLIND = (o.UNKNOWN, o.MANUAL, o.NOT_EVALUATED)

Since = dict[str, dict[str, str]]


def load(directory: Path | None) -> Since:
    """Subject id -> check -> time, as the run in `directory` left it; empty where there is none."""
    if directory is None:
        return {}
    try:
        document = json.loads((directory / FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return {}
    return {str(subject): dict(checks) for subject, checks in document["subjects"].items()}


def update(before: Since, documents: Iterable[Mapping[str, Any]]) -> Since:
    """Set failing_since of every result and return what the next run has to know. `before` is not changed."""
    after = dict(before)
    for document in documents:
        subject = document["subject"]
        known = before.get(subject["id"], {})
        kept: dict[str, str] = {}
        for result in document["results"]:
            since = known.get(result["check"])
            if result["measured"] == o.FAIL:
                since = since or subject["collected_at"]
            elif result["measured"] not in _BLIND:
                since = None
            result["failing_since"] = since
            if since:
                kept[result["check"]] = since
        after[subject["id"]] = kept
    return {subject: checks for subject, checks in after.items() if checks}


def encode(since: Since) -> bytes:
    """The file as it is stored: a subject a line."""
    subjects = ",\n".join(
        f"{json.dumps(subject)}:{json.dumps(checks, separators=(',', ':'))}"
        for subject, checks in sorted(since.items())
    )
    return f'{{"schema":"{SCHEMA}","subjects":{{\n{subjects}}}}}\n'.encode("ascii")
