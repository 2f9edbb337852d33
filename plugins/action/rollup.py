# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put any number of report directories together, in a run directory of its own."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import run_report
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.release import VERSION
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive, merge_runs
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard

ARGUMENTS: dict[str, Any] = {
    "sources": {"type": "list", "elements": "raw", "required": True},
    "report_dir": {"type": "path", "default": "./hypervisor-report"},
    "run_id": {"type": "str"},
    "allowed_signers": {"type": "path"},
    "fresh_days": {"type": "int", "default": 31},
}


class ActionModule(ControllerAction):
    """See plugins/modules/rollup.py for the documentation."""

    ARGUMENTS = ARGUMENTS

    def answer(self, given, task_vars):
        return rolled_up(given, dt.datetime.now(dt.timezone.utc), provenance.by(task_vars))


def rolled_up(given, now, by):
    """The action's result; the report action writes the reports of the new run.

    :raises ValueError: there is no source, or the sources cannot be put together.
    """
    if not given["sources"]:
        raise merge_runs.RollUpError("there is no source: name at least one report directory")
    standard = load_standard()
    sources = [merge_runs.read(entry, given["allowed_signers"]) for entry in given["sources"]]
    documents, part = merge_runs.merge(sources, standard, now, given["fresh_days"])
    report_dir = Path(given["report_dir"]).absolute()
    run_id = archive.claim(report_dir, run_report.run_id(given["run_id"], now=now))
    directory = run_directory.prepare(report_dir, run_id)
    for document in documents:
        run_directory.write(directory, dict([run_directory.subject_file(document)]))
    begun = {
        "id": run_id,
        "started": now.isoformat(timespec="seconds"),
        "line": None,
        "by": by,
        "collection": VERSION,
        "mode": "rollup",
    }
    scope = {
        "out_of_scope": sorted({name for source in sources for name in source.run["scope"]["out_of_scope"]}),
        "unreadable": [
            {"file": f"{source.path.name}/{found['file']}", "reason": found["reason"]}
            for source in sources
            for found in [*source.unreadable, *source.run["scope"]["unreadable"]]
        ],
    }
    provenance.begin(directory, begun, rollup=part, scope=scope)
    return {
        "changed": False,
        "run_id": run_id,
        "directory": str(directory),
        "subjects": len(documents),
        "disagreements": sum(entry["disagree"] for entry in part["lines"]),
        "stale": [entry["directory"] for entry in part["sources"] if not entry["fresh"]],
    }
