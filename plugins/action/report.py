# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge the result files of a run and write its reports; decide the gate."""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import evidence_wanted, register_files, run_report
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.background import in_background
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.controller_action import ControllerAction, show
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import pack_verify, provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.no_garbage import no_garbage_collection
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.release import VERSION
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import console, formats, run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive, failing_since
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs.run_history import History
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.side_by_side import side_by_side
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import (
    MEASURES_DIR,
    PLATFORMS,
    load_standard,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible

# From so many results on, a further process for the formats is worth starting.
MANY_RESULTS = 10_000
# The kinds of run that read hosts: only they become `latest`.
COLLECTING = ("audit", "check", "harden")
SUBJECT: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "platform": {"type": "str", "required": True, "choices": list(PLATFORMS[1:])},
    "id": {"type": "str"},
    "endpoint": {"type": "str"},
    "kind": {"type": "str", "choices": ["host", "controller"], "default": "host"},
    "tags": {"type": "dict"},
    "reason": {"type": "str"},
}
ARGUMENTS: dict[str, Any] = {
    "report_dir": {"type": "path", "default": "./hypervisor-report"},
    "run_id": {"type": "str"},
    "formats": {
        "type": "list",
        "elements": "str",
        "choices": list(formats.FORMATS),
        "default": list(formats.DEFAULT),
    },
    "marking": {"type": "str", "default": run_report.DEFAULT_MARKING},
    "fail_on": {"type": "list", "elements": "str", "default": list(run_report.DEFAULT_FAIL_ON)},
    "expected_subjects": {"type": "list", "elements": "dict", "options": SUBJECT, "default": []},
    "out_of_scope": {"type": "list", "elements": "str", "default": []},
    "mode": {"type": "str", "choices": list(run_report.MODES)},
    "started": {"type": "str"},
    "background": {"type": "bool", "default": False},
    "pending": {"type": "list", "elements": "str", "default": []},
    "signing_key": {"type": "path"},
    "measures_directory": {"type": "path"},
}


class ActionModule(ControllerAction):
    """See plugins/modules/report.py for the documentation."""

    ARGUMENTS = ARGUMENTS

    def answer(self, given, task_vars):
        now = dt.datetime.now(dt.timezone.utc)
        result = report(given, self._task.check_mode, now, provenance.by(task_vars))
        for sentence in result["register_warnings"]:
            Display().warning(visible(sentence))
        show(result["console"])
        return result


@no_garbage_collection()
def report(given, check_mode, now, by=None):
    """Read, merge and write one run. Returns the action's result.

    given: the validated options; now: the moment the run ends; by: who writes it, where prepare has not said so.

    :raises ValueError: a bad run id or status, or there is no run to report.
    :raises OSError: the run directory cannot be read or written.
    """
    fail_on = run_report.check_fail_on(given["fail_on"])
    report_dir = Path(given["report_dir"]).absolute()
    run_id = run_report.run_id(given["run_id"] or run_directory.latest_run(report_dir), now=now)
    if not given["started"] and not (report_dir / run_id / "subjects").is_dir():
        raise run_report.RunReportError(f"no results to report in {report_dir / run_id}: run an audit first")
    directory = run_directory.prepare(report_dir, run_id)
    standard = load_standard(Path(given["measures_directory"] or MEASURES_DIR))
    with archive.lock(report_dir) as locked:
        if (directory / pack_verify.MANIFEST).exists():
            archive.refuse_rewriting(directory, bool(given["signing_key"]))
            archive.unseal(directory)
        finished_before = provenance.read(directory).get("run", {}).get("finished")
        document = merged(given, standard, directory, check_mode, now, by)

        def finish():
            write(given, document, standard, directory)
            if not finished_before and document["run"]["mode"] in COLLECTING:
                run_directory.point_latest(report_dir, run_id)

        if given["background"]:
            in_background(functools.partial(archive.leaving_word, directory, finish), locked)
        else:
            finish()
    return answer(given, document, standard, directory, fail_on)


def write(given, document, standard, directory):
    """Write the formats that are asked for and what every run has, and seal the directory."""

    def written(name):
        run_directory.write_format(directory, formats.files(name, document, standard), formats.FOLDERS.get(name))

    # What is left to the end should be short.
    names = sorted(given["formats"], key=lambda name: name not in formats.LONG)
    side_by_side(written, names, len(document["results"]) > MANY_RESULTS)
    names = run_report.names_of(document)
    stubs = evidence_wanted.stubs(document["evidence_wanted"], names, document["marking"])
    run_directory.write(directory, {evidence_wanted.STUBS: stubs, pack_verify.RUN: provenance.summary(document)})
    archive.seal(directory, document["run"]["previous"], given["signing_key"])


def answer(given, document, standard, directory, fail_on):
    """The action's result."""
    # The gate of a play with serial decides when all batches are in: failing now would leave the others unread.
    failed, reasons = (False, []) if given["pending"] else run_report.gate(document, fail_on)
    page = str(directory / "report.html") if "html" in given["formats"] else str(directory)
    summary = {
        "run_id": directory.name,
        "finished": document["run"]["finished"],
        "report": page,
        "failed_gate": failed,
        **document["summary"],
    }
    return {
        # Nothing on a host changes, and a file beside the playbook is no change of a managed system.
        "changed": False,
        "run_id": directory.name,
        "directory": str(directory),
        "report_path": page,
        "summary": summary,
        "comparison": (document["comparison"] or {}).get("counts"),
        "register_warnings": run_report.loud(document),
        "failed_gate": failed,
        "reasons": reasons,
        "console": console.lines(document, standard, page, reasons),
        # What ansible.builtin.set_stats returns: AWX keeps it as the job's artefact.
        "ansible_stats": {"data": {"hypervisor_summary": summary}, "per_host": False, "aggregate": False},
    }


def merged(given, standard, directory, check_mode, now, by):
    """The run document of everything in the run directory; a result file is written for each subject that has none.

    Written again, a report keeps what run.json says: only the audit knew it.
    """
    beginning = provenance.read(directory)
    began = beginning.get("run", {})
    started = given["started"] or began.get("started")
    mode = given["mode"] or began.get("mode") or ("check" if check_mode else "audit")
    # What is judged again or rolled up was collected before this run began, of course.
    known = run_directory.Known()
    documents, unreadable = run_directory.read_subjects(directory, started if mode in COLLECTING else None, known)
    missing = run_report.absent(
        documents, given["expected_subjects"], standard=standard, now=now, unreadable=unreadable
    )
    run_directory.write(directory, dict(run_directory.subject_file(found) for found in missing))
    documents += missing
    finished = now.isoformat(timespec="seconds").replace("+00:00", "Z")
    base = beginning.get("base")
    history = History(directory.parent, directory, mode, Path(base) if base else None)
    run = {
        "id": directory.name,
        "started": started or finished,
        "finished": finished,
        "mode": mode,
        "collection": VERSION,
        "catalogue_sha256": provenance.catalogue_sha256(),
        "by": began.get("by") or by or run_report.NOBODY,
        "line": began.get("line", "first"),
        "reassessment": began.get("reassessment"),
        "previous": history.head,
        "gold_sha256": run_report.gold_digest(documents),
    }
    run_directory.write(directory, {failing_since.FILE: failing_since.encode(history.since(documents))})
    registers = register_files.state(register_files.kept(directory), documents, now)
    about = {
        "run": run,
        "standard": {"id": standard.id, "version": standard.version},
        "registers": registers,
    }
    return run_report.merge(
        documents,
        standard=standard,
        run=run,
        marking=given["marking"],
        out_of_scope=given["out_of_scope"] or beginning.get("scope", {}).get("out_of_scope") or [],
        unreadable=unreadable + ([] if mode in COLLECTING else list(beginning.get("scope", {}).get("unreadable", []))),
        previous=run_directory.previous_run(directory, beginning.get("scope", {}).get("previous")),
        registers=registers,
        comparison=history.comparison(documents, about, directory, standard, known),
        earlier_points=history.points,
        roll_up=beginning.get("rollup"),
    )
