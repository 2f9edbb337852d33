# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what a hardening run did, from the audits before and after it and what each host kept as facts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.controller_action import ControllerAction, show
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.no_garbage import no_garbage_collection
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import account
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import hardening, run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive

# Lists of which the task's result has the lengths: of a fleet they are megabytes, which AWX would drop.
COUNTED = ("fixed", "worse", "pending", "by_hand", "still_failing", "not_selected")
ARGUMENTS: dict[str, Any] = {
    "directory": {"type": "path", "required": True},
    "run_id": {"type": "str", "required": True},
    "failed": {"type": "dict", "default": {}},
    "attempted": {"type": "list", "elements": "str", "default": []},
    "signing_key": {"type": "path"},
}


class ActionModule(ControllerAction):
    """See plugins/modules/harden_report.py for the documentation."""

    ARGUMENTS = ARGUMENTS

    @no_garbage_collection()
    def answer(self, given, task_vars):
        directory = Path(given["directory"])
        before, after = _stage(directory, "before"), _stage(directory, "after")
        document = hardening.summarise(
            before,
            after or before,
            {name: _about(task_vars["hostvars"][name], name, given) for name in given["attempted"]}
            | {
                name: {"areas": {}, "failed": "", "attempted": False}
                for name in task_vars["ansible_play_hosts_all"]
                if name not in given["attempted"] and task_vars["hostvars"][name].get("hypervisor_platform")
            },
            run_id=given["run_id"],
            check_mode=self._task.check_mode,
        )
        texts = {
            "changes.json": (json.dumps(document, indent=1, default=str) + "\n").encode(),
            "changes.md": hardening.markdown(document).encode("utf-8", "replace"),
        }
        for name, found in (("before", before), ("after", after)):
            if found:
                archive.settled(directory / name)
        folder = directory / account.FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        run_directory.write(folder, texts)
        archive.seal(folder, archive.head(directory, leave_out=folder.name), given["signing_key"])
        lines = hardening.lines(document)
        show(lines)
        return {
            "changed": False,
            "console": lines,
            "hosts": [_counts(host) for host in document["hosts"]],
            "changes": str(folder / "changes.json"),
        }


def _counts(host):
    told = {key: host[key] for key in ("host", "attempted", "failed", "settings_changed")}
    return {**told, **{key: len(host[key]) for key in COUNTED}}


def _stage(directory, name):
    """What hardening.summarise needs of an audit, None where there was none: not of results.json, which nobody may have
    asked for, and which of a thousand hosts is a gigabyte of memory."""
    if not (directory / name / "subjects").is_dir():
        return None
    documents, _unreadable = run_directory.read_subjects(directory / name)
    return {
        "subjects": [document["subject"] for document in documents],
        "results": [result for document in documents for result in document["results"]],
        "drift": [entry for document in documents for entry in document["drift"]],
    }


def _about(variables, name, given):
    # Of a task that failed Ansible keeps no facts, so the role keeps what was done before it under a name of its own.
    kept = variables.get("harden_enforcement") or (variables.get("ansible_facts") or {}).get(account.FACT)
    found = account.of(plain(kept), given["run_id"])
    return {
        "areas": found["areas"],
        "restarts": found["restarts"],
        "selected": found["selected"],
        "failed": str(given["failed"].get(name, "")),
        "attempted": True,
    }
