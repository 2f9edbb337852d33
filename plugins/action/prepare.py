# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Begin a run: check everything a person wrote before any host is contacted, and name the run."""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import register_files, run_report
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import run_options
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import registry
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.register_scope import covers_subject
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.release import VERSION
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import PLATFORMS, load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest

ARGUMENTS: dict[str, Any] = {
    "report_dir": {"type": "path", "default": "./hypervisor-report"},
    "run_id": {"type": "str"},
    "measures": {"type": "list", "elements": "str"},
    "exceptions_file": {"type": "path"},
    "attestations_file": {"type": "path"},
    "allowed_signers": {"type": "path"},
    "signing_key": {"type": "path"},
    "line": {"type": "str", "choices": list(run_report.LINES), "default": "first"},
    "fail_on": {"type": "list", "elements": "str"},
    "options": {"type": "dict", "default": {}, "options": run_options.SPEC},
}

# The main process imports this plugin before it forks a worker for each host and task: loaded here, the standard and
# its tests are read once in a run. A file that cannot be loaded is reported where it can be explained, in run().
with contextlib.suppress(ValueError, OSError):
    load_standard()
    registry.predicates("all")
    provenance.catalogue_sha256()
# What is loaded by now stays until the end. Without this, each worker and the end of the run look through all of it for
# garbage, which copies its memory into every worker and takes a tenth of the CPU time of an audit.
gc.freeze()


class ActionModule(ActionBase):
    """See plugins/modules/prepare.py for the documentation."""

    _supports_check_mode = True
    _supports_diff = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        try:
            run_options.check_names(self._task.args.get("options"))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        now = dt.datetime.now(dt.timezone.utc)
        try:
            standard = load_standard()
            assess.select(standard, given["measures"])
            gold.effective(gold.from_variables(self._templar, task_vars))
            files = {kind: given[f"{kind}_file"] for kind in register_files.KINDS}
            registers = register_files.read(files, standard, given["allowed_signers"])
            if given["signing_key"]:
                # Now, and not when every host has been read and the report cannot be sealed.
                from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import signatures

                signatures.sign(b"", given["signing_key"])
            if given["fail_on"] is not None:
                run_report.check_fail_on(given["fail_on"])
            run_id = run_report.run_id(given["run_id"], awx_job_id=task_vars.get("awx_job_id"), now=now)
            subjects, out_of_scope = self._scope(task_vars)
            earlier, later = self._other_batches(task_vars)
            batch = {
                "play": self._play(),
                "subjects": [entry for entry in subjects if entry["name"] not in later],
                "pending": [entry["name"] for entry in subjects if entry["name"] in later],
                "out_of_scope": out_of_scope,
            }
            if earlier:
                return {**earlier, **batch}
            run_id = archive.claim(Path(given["report_dir"]).absolute(), run_id)
            directory = run_directory.prepare(Path(given["report_dir"]).absolute(), run_id)
            register_files.keep(directory, registers, self._outside(task_vars, registers))
            provenance.begin(directory, self._run(given, standard, task_vars, run_id, now))
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        return {
            "changed": False,
            "run_id": run_id,
            "started": now.isoformat(timespec="seconds"),
            "directory": str(directory),
            "line": given["line"],
            "banners": [found["signature"]["banner"] for found in registers.values() if _has_banner(found)],
            **batch,
        }

    def _other_batches(self, task_vars):
        """What this task answered in an earlier batch of a play with serial, None in the first; the hosts to come."""
        batch, asked, answers = set(task_vars["ansible_play_batch"]), set(), []
        for name in set(task_vars["ansible_play_hosts_all"]) - batch:
            answer = task_vars["hostvars"][name].get(self._task.register or "")
            if isinstance(answer, Mapping) and answer.get("play") == self._play():
                asked.add(name)
                answers.append(plain(answer))
        return (answers[0] if answers else None), set(task_vars["ansible_play_hosts"]) - batch - asked

    def _play(self):
        """The play's id, the same in each of its batches."""
        parent = self._task._parent
        while not hasattr(parent, "_play"):
            parent = parent._parent
        return parent._play._uuid

    @staticmethod
    def _run(given, standard, task_vars, run_id, now):
        return {
            "id": run_id,
            "started": now.isoformat(timespec="seconds"),
            "line": given["line"],
            "by": provenance.by(task_vars),
            "collection": VERSION,
            "standard": {"id": standard.id, "version": standard.version},
            "catalogue_sha256": provenance.catalogue_sha256(),
        }

    @staticmethod
    def _outside(task_vars, registers):
        """Kind -> ids of the records that match an inventory host which this play does not look at (--limit)."""
        play = set(task_vars["ansible_play_hosts_all"])
        others = [
            {
                "name": name,
                "endpoint": name,
                "platform": task_vars["hostvars"][name].get("hypervisor_platform"),
                "groups": [group for group, hosts in task_vars["groups"].items() if name in hosts],
            }
            for name in task_vars["groups"]["all"]
            if name not in play
        ] if any(registers.values()) else []  # fmt: skip
        return {
            kind: [record["id"] for record in register_files.records_of(registers, kind) if _matches(record, others)]
            for kind in register_files.KINDS
        }

    @staticmethod
    def _scope(task_vars):
        """The play's hosts that have a platform, and the names of those that have none.

        :raises ValueError: a platform nobody knows, which would silently leave the host out.
        """
        subjects, out_of_scope = [], []
        for name in task_vars["ansible_play_hosts_all"]:
            platform = task_vars["hostvars"][name].get("hypervisor_platform")
            if platform is None:
                out_of_scope.append(name)
            elif platform in PLATFORMS[1:]:
                subjects.append({"name": name, "endpoint": name, "platform": str(platform)})
            else:
                hint = nearest(platform, PLATFORMS[1:])
                raise ValueError(
                    f"hypervisor_platform of host {name} is {platform!r}, expected one of {', '.join(PLATFORMS[1:])}"
                    + (f"; did you mean {hint}?" if hint else "")
                )
        return subjects, out_of_scope


def _matches(record, hosts):
    """Whether a record is for one of these hosts, whose hardware UUIDs nobody knows yet."""
    return any(covers_subject(register_files.bare(record), host) for host in hosts)


def _has_banner(register):
    return register is not None and register["signature"]["banner"] is not None
