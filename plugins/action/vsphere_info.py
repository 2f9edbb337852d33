# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the facts of a vCenter and its hosts in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.redaction import redact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.connection import CONNECTION, connection_of

ARGUMENTS: dict[str, Any] = {
    "dest": {"type": "path"},
    "return_facts": {"type": "bool", "default": False},
    "denied": {"type": "list", "elements": "dict", "default": []},
    "time_limit": {"type": "int", "default": 60},
    **CONNECTION,
}


class ActionModule(ActionBase):
    """See plugins/modules/vsphere_info.py for the documentation."""

    _supports_check_mode = True
    _supports_diff = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import collector, connection, session, soap
        from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import endpoint_audit

        name = task_vars["inventory_hostname"]
        names = endpoint_audit.Names({"endpoint": name, "platform": "vsphere"})
        subjects, controller = [], None
        try:
            endpoint = endpoint_audit.endpoint_of(given, name, connection_of(self, task_vars))
            with session.logged_in(endpoint) as opened:
                progress = endpoint_audit.Progress(name, Display().display)
                for found in collector.collect(opened, plain(given["denied"]), progress):
                    subject = names.subject(found, controller)
                    if found.kind == "controller":
                        controller = subject
                    subjects.append(kept(subject, found, given))
        except (connection.VsphereError, soap.SoapFault, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        return {"changed": False, "subjects": subjects}


def kept(subject, found, given):
    """What is returned of one subject; its facts go to a file, and into the result only where that is asked for."""
    entry = {key: subject[key] for key in ("id", "name", "kind")}
    entry.update({"reachable": found.facts is not None, "reason": found.reason, "path": None})
    if found.facts is None:
        return entry
    facts = redact(found.facts)
    if given["dest"]:
        path = Path(given["dest"]) / f"{subject['slug']}.json"
        evidence.write_private(path, evidence.encode(facts))
        entry["path"] = str(path)
    if given["return_facts"]:
        entry["facts"] = facts
    return entry
