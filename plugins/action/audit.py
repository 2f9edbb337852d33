# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the facts of one endpoint in one round trip, assess them, and write results and evidence."""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import (
    collector_archive,
    evidence,
    gold,
    provenance,
    register_files,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assess import assess, unreachable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.disposition import enforceable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.facts_path import lookup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.release import VERSION
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import load_standard

ARGUMENTS: dict[str, Any] = {
    "run_directory": {"type": "path", "required": True},
    "run_id": {"type": "str", "required": True},
    "platform": {"type": "str", "choices": ["kvm"], "required": True},
    "measures": {"type": "list", "elements": "str"},
    "exceptions_file": {"type": "path"},
    "attestations_file": {"type": "path"},
    "tags": {"type": "dict"},
    "libvirt_uri": {"type": "str", "default": "qemu:///system"},
    "time_limit": {"type": "int", "default": 60},
}
# The main process imports this plugin before it forks a worker for each host: packed here, it is packed once.
collector_archive.archive()
# Facts kept on the inventory host: AWX keeps only the last snapshot and slows down past 50 KB (design.md section 5).
MAX_DRIFT = 100
MAX_VALUE = 160


class CollectionFailed(Exception):
    """Nothing could be read of the endpoint. The message is the reason."""


class ActionModule(ActionBase):
    """See plugins/modules/audit.py for the documentation."""

    _supports_check_mode = True
    _supports_diff = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            with no_garbage_collection():
                document = self._assess(given, task_vars)
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        return summary_of(document, given)

    def _assess(self, given, task_vars):
        standard = load_standard()
        subject = {
            "id": task_vars["inventory_hostname"],
            "name": task_vars["inventory_hostname"],
            "endpoint": task_vars["inventory_hostname"],
            "platform": given["platform"],
            "kind": "host",
            "tags": plain(given["tags"] or {}),
            "groups": plain(task_vars.get("group_names") or []),
        }
        variables = gold.from_variables(self._templar, task_vars)
        # Before the host is contacted; what is in force is known only when it has said which machine it is.
        gold.effective(variables, subject)
        now = dt.datetime.now(dt.timezone.utc)
        directory = Path(given["run_directory"])
        try:
            facts = self._collect(given, task_vars)
        except CollectionFailed as error:
            subject["slug"] = evidence.slug(subject["id"])
            values = gold.effective(variables, subject)
            document = unreachable(
                subject, standard=standard, reason=str(error), now=now, measures=given["measures"], gold=values
            )
        else:
            subject["id"] = evidence.subject_id(subject["endpoint"], lookup(facts, "host.uuid"))
            subject["slug"] = evidence.slug(subject["id"])
            subject["product"] = str(lookup(facts, "host.product") or "")[:200]
            values = gold.effective(variables, subject)
            registers = load_registers(given, standard, directory)
            record = evidence.build(
                subject,
                facts,
                collected_at=now,
                collection=VERSION,
                gold=values,
                gold_sources=gold.sources(values),
                provenance=provenance_of(directory, registers, standard),
            )
            # What is judged is what is kept: the redacted facts, so that a later re-assessment says the same.
            document = assess(
                record["facts"],
                standard=standard,
                gold=values,
                now=now,
                subject=subject,
                exceptions=register_files.records_of(registers, "exceptions"),
                attestations=register_files.records_of(registers, "attestations"),
                measures=given["measures"],
            )
            evidence.write_private(directory / "evidence" / f"{subject['slug']}.json", evidence.encode(record))
        # Not json.dumps: a lone surrogate in the name of a VM cannot be encoded, and the host would drop out of the
        # report.
        evidence.write_private(directory / "subjects" / f"{subject['slug']}.json", evidence.encode(document))
        return document

    def _collect(self, given, task_vars):
        """The facts document of the endpoint.

        Connection loss is caught here: it would otherwise take the host out of the play, and with it out of the report.

        :raises CollectionFailed: with the reason.
        """
        arguments = {
            "libvirt_uri": given["libvirt_uri"],
            "time_limit": given["time_limit"],
            "collector": collector_archive.archive(),
        }
        try:
            answer = self._execute_module(
                module_name="dwp.hypervisor.kvm_info", module_args=arguments, task_vars=task_vars
            )
        except AnsibleConnectionFailure as error:
            raise CollectionFailed(f"unreachable: {error}") from error
        except (AnsibleError, ValueError, RecursionError) as error:
            # Text that is not UTF-8, or JSON nested thousands of levels deep, breaks the reading of the answer: neither
            # may take the host out of the report.
            raise CollectionFailed(f"the collector's answer could not be read: {str(error)[:300]}") from error
        if answer.get("unreachable"):
            raise CollectionFailed(f"unreachable: {answer.get('msg', 'no reason given')}")
        if answer.get("failed") or not isinstance(answer.get("facts"), dict):
            reason = answer.get("msg") or answer.get("module_stderr") or "the collector gave no answer"
            raise CollectionFailed(f"the collector failed: {str(reason)[:300]}")
        try:
            return plain(answer["facts"])
        except RecursionError as error:
            raise CollectionFailed("the collector's facts are nested too deeply") from error


@contextlib.contextmanager
def no_garbage_collection():
    """For a worker that lives for one task. ansible-core parses every file that it packs for a module. Neither those
    trees nor facts hold cycles, and looking through them for some takes longer than parsing and judging them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def load_registers(given, standard, directory):
    """The registers of this run: what prepare has read and kept, or else the files that are named."""
    kept = register_files.kept(directory)
    if any(kept.values()):
        return kept
    return register_files.read({kind: given[f"{kind}_file"] for kind in register_files.KINDS}, standard)


def provenance_of(directory, registers, standard):
    """What the evidence says about its run; by and catalogue as prepare wrote them."""
    run = provenance.read(directory).get("run", {})
    return {
        "run": run.get("id"),
        "by": run.get("by"),
        "standard": {"id": standard.id, "version": standard.version},
        "catalogue_sha256": run.get("catalogue_sha256"),
        "registers": register_files.hashes(registers),
    }


def summary_of(document, given):
    """What the action returns: the compact facts kept on the inventory host, and what a role would have to set."""
    subject, results, measures = document["subject"], document["results"], document["measures"]
    by_status: dict[str, int] = {}
    for entry in measures:
        by_status[entry["status"]] = by_status.get(entry["status"], 0) + 1
    failing = [result["check"] for result in results if result["status"] == o.FAIL and result["tier"] == 1]
    compliance = {
        "run_id": given["run_id"],
        "time": subject["collected_at"],
        "subject": subject["id"],
        "reachable": subject["reachable"],
        "verdict": subject["verdict"],
        "score": subject["score"],
        "measures": by_status,
        "failing_checks": failing,
        "report": str(Path(given["run_directory"]) / "report.html"),
    }
    drift = {
        "run_id": given["run_id"],
        "time": subject["collected_at"],
        "total": len(document["drift"]),
        "settings": [_compact(entry) for entry in document["drift"][:MAX_DRIFT]],
    }
    enforced = enforceable(document["drift"], results)
    enforce = [entry["check"] for entry in enforced]
    leave = {entry["check"]: entry["excepted_items"] for entry in enforced if entry.get("excepted_items")}
    return {
        "changed": False,
        "subject": subject,
        "enforce": {subject["id"]: enforce},
        "enforce_leave": {subject["id"]: leave},
        "ansible_facts": {"hypervisor_compliance": compliance, "hypervisor_drift": drift},
    }


def _compact(entry):
    short = {key: entry[key] for key in ("measure", "check", "setting", "role", "reboot", "lockout")}
    for key in ("actual", "gold"):
        text = json.dumps(entry[key], default=str)
        short[key] = entry[key] if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"
    return short
