# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the evidence of a whole run again, in a run directory of its own."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import register_files, run_report
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.controller_action import ControllerAction
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import pack_verify, provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.release import VERSION
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive, reassessment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import MEASURES_DIR, load_standard

ARGUMENTS: dict[str, Any] = {
    "source": {"type": "path", "required": True},
    "report_dir": {"type": "path", "default": "./hypervisor-report"},
    "run_id": {"type": "str"},
    "gold": {"type": "dict", "default": {}},
    "exceptions_file": {"type": "path"},
    "attestations_file": {"type": "path"},
    "allowed_signers": {"type": "path"},
    "measures_directory": {"type": "path"},
}


class ActionModule(ControllerAction):
    """See plugins/modules/reassess.py for the documentation."""

    ARGUMENTS = ARGUMENTS

    def answer(self, given, task_vars):
        return reassessed(given, dt.datetime.now(dt.timezone.utc), provenance.by(task_vars))


def reassessed(given, now, by):
    """The action's result; the report action writes the reports of the new run.

    :raises ValueError: the source is not as it was sealed, or a register or gold setting is wrong.
    """
    standard = load_standard(Path(given["measures_directory"] or MEASURES_DIR))
    reassessment.check_gold(given["gold"])
    files = {kind: given[f"{kind}_file"] for kind in register_files.KINDS}
    fresh = register_files.read(files, standard, given["allowed_signers"])
    source, run = reassessment.source_of(Path(given["source"]).absolute())
    # A register that is not given stays the one of that run.
    registers = {**register_files.kept(source), **{kind: found for kind, found in fresh.items() if found}}
    report_dir = Path(given["report_dir"]).absolute()
    run_id = archive.claim(report_dir, run_report.run_id(given["run_id"], now=now))
    directory = run_directory.prepare(report_dir, run_id)
    register_files.keep_again(directory, source, registers, fresh)
    about = {
        "of": run["run"]["id"],
        "manifest_sha256": pack_verify.file_digest(source / pack_verify.MANIFEST),
        "changed": reassessment.changed(run, standard, given["gold"], registers),
        "before": run["summary"]["by_verdict"],
    }
    begun = {
        "id": run_id,
        "started": now.isoformat(timespec="seconds"),
        "line": run["run"]["line"],
        "by": by,
        "collection": VERSION,
        "mode": "reassess",
        "reassessment": about,
    }
    scope = {"out_of_scope": run["scope"]["out_of_scope"], "unreadable": run["scope"]["unreadable"]}
    provenance.begin(directory, begun, base=str(source), scope=scope)
    subjects = reassessment.judge(source, directory, standard, given["gold"], registers, run_id)
    return {
        "changed": False,
        "run_id": run_id,
        "directory": str(directory),
        "subjects": subjects,
        "reassessment": about,
    }
