# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enforce areas of the gold configuration on one host, or on all hosts of an endpoint."""

from __future__ import annotations

import datetime as dt
import functools
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import select
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import register_files
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm import enforcement as kvm_enforcement
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm.guard import HostError, Lost
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.no_garbage import no_garbage_collection
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import account, proposal, run_options
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.answer import Answer
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.connection import CONNECTION, connection_of

ARGUMENTS: dict[str, Any] = {
    "platform": {"type": "str", "choices": ["kvm", "vsphere"], "required": True},
    "areas": {"type": "list", "elements": "str"},
    "state": {"type": "str", "choices": ["planned", "applied"], "default": "applied"},
    "enforce": {"type": "str", "choices": ["drift", "always"], "default": "drift"},
    "checks": {"type": "list", "elements": "str"},
    "measures": {"type": "list", "elements": "str"},
    "exceptions_file": {"type": "path"},
    "allowed_signers": {"type": "path"},
    "run_id": {"type": "str"},
    "run_directory": {"type": "path"},
    "after_report": {"type": "path"},
    "rollback_seconds": {"type": "int", "default": 180},
    "esxi_hosts": {"type": "list", "elements": "str", "default": []},
    "allow_vm_changes": {"type": "list", "elements": "str", "default": []},
    "allow_orchestrated": {"type": "list", "elements": "str", "default": []},
    "options": {"type": "dict", "default": {}, "options": run_options.SPEC},
    "libvirt_uri": {"type": "str", "default": "qemu:///system"},
    "time_limit": {"type": "int", "default": 60},
    "state_dir": {"type": "path", "default": "hypervisor-state"},
    **CONNECTION,
}
# Options that a role does not pass on: where the task does not give them, the variable hypervisor_<option> does.
RUN_VARIABLES = tuple(set(ARGUMENTS) - {"platform", "areas", "state", "checks", "run_directory", "after_report"})
ROLLBACK_SECONDS = (20, 3600)
display = Display()


class ActionModule(ActionBase):
    """See plugins/modules/enforce.py for the documentation."""

    _supports_check_mode = True
    _supports_diff = True
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        given = self._given(task_vars)
        joins_as = _joins_as(given["options"])
        kept = plain((task_vars.get("ansible_facts") or {}).get(account.FACT))
        try:
            former = account.of(kept, given["run_id"])
            standard = load_standard()
            given["areas"] = given["areas"] or proposal.areas(standard, given["platform"])
            answer = Answer(task_vars["inventory_hostname"], standard, former, display.display, display.warning)
            ready = (
                functools.partial(archive.settled, Path(given["after_report"])) if given["after_report"] else _at_once
            )
            vsphere = functools.partial(self._vsphere, joins_as)
            platform = {"kvm": self._kvm, "vsphere": vsphere}[given["platform"]]
            try:
                platform(given, standard, task_vars, answer, ready)
            finally:
                # Also where nothing was changed: the audit that follows asks the one before who is there.
                ready()
            return answer.result(not self._task.check_mode, given["run_directory"])
        except (ValueError, OSError, HostError, Lost) as error:
            raise AnsibleActionFail(str(error)) from error

    def _given(self, task_vars):
        """The task's options, or what the run's variables say."""
        for option in RUN_VARIABLES:
            name = f"hypervisor_{option}"
            if option not in self._task.args and name in task_vars:
                self._task.args[option] = self._templar.template(task_vars[name])
        try:
            run_options.check_names(self._task.args.get("options"))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        low, high = ROLLBACK_SECONDS
        if not low <= given["rollback_seconds"] <= high:
            raise AnsibleActionFail(
                f"hypervisor_rollback_seconds is {given['rollback_seconds']}, expected {low} to {high}"
            )
        given["run_id"] = given["run_id"] or dt.datetime.now(dt.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        return given

    def _kvm(self, given, standard, task_vars, answer, ready):
        if given["state"] == "applied":
            ready()
        name = task_vars["inventory_hostname"]
        subject = {"id": name, "name": name, "endpoint": name, "platform": "kvm", "kind": "host",
                   "groups": plain(task_vars.get("group_names") or [])}  # fmt: skip
        variables = gold.from_variables(self._templar, task_vars)
        kvm_enforcement.Enforcement(
            self, task_vars, given, standard, variables, subject, _exceptions(given, standard)
        ).run(_checks(standard, given), answer)

    def _vsphere(self, joins_as, given, standard, task_vars, answer, ready):
        """The same for every ESXi host behind an endpoint, from here: nothing runs on the inventory host."""
        # Needed for this platform alone, and it reads much of Python.
        from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import soap
        from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import VsphereError
        from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import endpoint_audit, enforcement

        name = task_vars["inventory_hostname"]
        connection = connection_of(self, task_vars)
        enforced = enforcement.Enforcement(
            {**given, "account": connection["user"]},
            standard,
            gold.from_variables(self._templar, task_vars),
            {"endpoint": name, "platform": "vsphere", "groups": plain(task_vars.get("group_names") or [])},
            _exceptions(given, standard),
            display.display,
        )
        try:
            endpoint = endpoint_audit.endpoint_of(given, name, connection, joins_as)
            with no_garbage_collection():
                areas = enforced.run(endpoint, _checks(standard, given), self._task.check_mode, ready)
        except (VsphereError, soap.SoapFault) as error:
            raise HostError(str(error)) from error
        for unread, reason in enforced.unread.items():
            display.warning(visible(f"{name}: {unread} is left alone, as it could not be read: {reason}")[:500])
        for area, entry in areas.items():
            answer.take(area, entry)
        answer.take_restarts(enforced.restarts)
        if enforced.selected is not None:
            answer.take_selection(enforced.selected)


def _at_once():
    """There is nothing to wait for."""


def _joins_as(options):
    """Account and password that join hosts to the directory, or None; of the password planners only learn that it is
    given, so that nothing that is kept or shown can have it."""
    account, password = options["directory_account"], options["directory_password"]
    options["directory_password"] = "***" if password else ""
    return (account, password) if account and password else None


def _exceptions(given, standard):
    """The records of the register of exceptions."""
    files = {"exceptions": given["exceptions_file"], "attestations": None}
    return register_files.records_of(register_files.read(files, standard, given["allowed_signers"]), "exceptions")


def _checks(standard, given):
    """The checks this call may enforce: of its areas, of the measures and checks that were asked for."""
    measures = select(standard, given["measures"])
    known = [check for area in given["areas"] for check in proposal.area_checks(standard, area, given["platform"])]
    for check in given["checks"] or ():
        if check not in standard.checks:
            raise ValueError(f"{check} is not a check of SS-009's standard data")
    asked = set(known if given["checks"] is None else given["checks"])
    return [check for check in known if check in asked and standard.checks[check].measure in measures]
