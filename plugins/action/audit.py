# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collect the facts of one endpoint in one round trip, assess them, and write results and evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.disposition import enforceable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.subject_audit import SubjectAudit
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm import collector_archive
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.no_garbage import no_garbage_collection
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import lookup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.connection import CONNECTION, connection_of

ARGUMENTS: dict[str, Any] = {
    "run_directory": {"type": "path", "required": True},
    "run_id": {"type": "str", "required": True},
    "platform": {"type": "str", "choices": ["kvm", "vsphere"], "required": True},
    "measures": {"type": "list", "elements": "str"},
    "exceptions_file": {"type": "path"},
    "attestations_file": {"type": "path"},
    "tags": {"type": "dict"},
    "libvirt_uri": {"type": "str", "default": "qemu:///system"},
    "time_limit": {"type": "int", "default": 60},
    **CONNECTION,
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
                return self._audit(given, task_vars)
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error

    def _audit(self, given, task_vars):
        """The documents of the endpoint's subjects, as one summary."""
        name = task_vars["inventory_hostname"]
        subject = {
            "id": name,
            "name": name,
            "endpoint": name,
            "platform": given["platform"],
            "kind": "host",
            "tags": plain(given["tags"] or {}),
            "groups": plain(task_vars.get("group_names") or []),
        }
        variables = gold.from_variables(self._templar, task_vars)
        # Before the host is contacted; what is in force is known only when it has said which machine it is.
        values = gold.effective(variables, subject)
        audit_of = SubjectAudit(given, load_standard(), variables)
        if given["platform"] == "vsphere":
            return self._vsphere(given, task_vars, audit_of, subject, values)
        try:
            facts = self._collect(given, task_vars)
        except CollectionFailed as error:
            subject["slug"] = evidence.slug(subject["id"])
            return summary_of(audit_of.silent(subject, str(error)), given)
        subject["id"] = evidence.subject_id(subject["endpoint"], lookup(facts, "host.uuid"))
        subject["slug"] = evidence.slug(subject["id"])
        return summary_of(audit_of.judge(subject, facts), given)

    def _vsphere(self, given, task_vars, audit_of, subject, values):
        # Needed for this platform alone, and the collector is read by Python in every worker.
        from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import endpoint_audit

        found, problem = endpoint_audit.audit(
            audit_of,
            given,
            connection_of(self, task_vars),
            subject,
            denied=values["gold_deny_map"],
            say=Display().display,
        )
        if problem:
            Display().warning(problem)
        return found.result()

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
