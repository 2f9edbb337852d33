# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare two runs: what is newly failing, fixed, still failing, and what only seems so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.controller_action import ControllerAction, show
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence, pack_verify, provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import compare, failing_since
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs.run_history import rejudge, subjects_of
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible

ARGUMENTS: dict[str, Any] = {
    "before": {"type": "path", "required": True},
    "after": {"type": "path", "required": True},
    "dest": {"type": "path"},
    "fail_on": {"type": "list", "elements": "str", "choices": list(compare.CLASSES), "default": []},
}
WORDS = {
    "newly_failing": "newly failing",
    "exception_expired": "exception expired",
    "not_demonstrated": "no longer demonstrated",
    "still_failing": "still failing",
    "fixed": "fixed",
    "demonstrated": "demonstrated now",
    "evidence_changed": "other evidence, same verdict",
    "scope_changed": "scope changed (no posture)",
    "content_changed": "judged by something else (no posture)",
    "unchanged": "unchanged",
}
MAX_LINES = 40


class ActionModule(ControllerAction):
    """See plugins/modules/compare.py for the documentation."""

    ARGUMENTS = ARGUMENTS

    def answer(self, given, _task_vars):
        result = compared(given)
        show(result["console"])
        return result


def compared(given):
    """The action's result.

    :raises ValueError: a directory holds no run, or not the results of one.
    """
    before, after = (_run(given[side]) for side in ("before", "after"))
    documents, unreadable = run_directory.read_subjects(after)
    if unreadable:
        raise ValueError(f"{after / unreadable[0]['file']} cannot be read: {unreadable[0]['reason']}")
    manifest = before / pack_verify.MANIFEST
    found = compare.compare(
        subjects_of(before),
        documents,
        runs=(provenance.read(before), provenance.read(after)),
        manifest_sha256=pack_verify.file_digest(manifest) if manifest.is_file() else None,
        known_failing=failing_since.load(before),
        rejudge=rejudge(before, after, load_standard()),
    )
    if given["dest"]:
        evidence.write_private(given["dest"], evidence.encode({"schema": "dwp.hypervisor.comparison/1", **found}))
    reached = [name for name in given["fail_on"] if found["counts"][name]]
    result = {
        "changed": False,
        "with": found["with"],
        "content": found["content"],
        "scope": found["scope"],
        "counts": found["counts"],
        "changes": found["changes"][:MAX_LINES],
        "console": _console(found, after.name),
    }
    if reached:
        result.update(failed=True, msg=", ".join(f"{found['counts'][name]} {WORDS[name]}" for name in reached))
    return result


def _run(path):
    directory = Path(path)
    if not (directory / "subjects").is_dir() and (newest := run_directory.latest_run(directory)):
        directory = directory / newest
    if not (directory / "subjects").is_dir():
        raise ValueError(f"{path} holds no run: expected a report directory with subjects/ in it")
    return directory


def _console(found, name):
    lines = [f"{name} against {found['with']['run']}"]
    lines += [f"  {number:>7}  {WORDS[word]}" for word, number in found["counts"].items() if number]
    lines += [
        f"  judged by another {entry['what']}: {entry['before']} -> {entry['after']}" for entry in found["content"]
    ]
    for entry in found["changes"][:MAX_LINES]:
        if entry["class"] != compare.STILL_FAILING:
            what = entry["check"] or "the whole subject"
            reason = f" ({entry['reason']})" if entry["reason"] else ""
            lines.append(visible(f"  {WORDS[entry['class']]}: {entry['subject']} {what}{reason}")[:200])
    return lines
