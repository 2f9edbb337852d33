# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List the changes made to a vCenter and its ESXi hosts, and take them back, in this process."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.updated import no_restarts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.connection import CONNECTION, connection_of
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import Journal

ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["listed", "reverted"], "default": "listed"},
    "areas": {"type": "list", "elements": "str", "default": []},
    "run": {"type": "str", "default": "last"},
    "force": {"type": "bool", "default": False},
    "restart_hosts": {"type": "bool", "default": False},
    "state_dir": {"type": "path", "default": "hypervisor-state"},
    "time_limit": {"type": "int", "default": 60},
    **CONNECTION,
}
# How long the proof of a host that was restarted may take.
PROVE_SECONDS = 180
display = Display()


class ActionModule(ActionBase):
    """See plugins/modules/vsphere_changes.py for the documentation."""

    _supports_check_mode = True
    _supports_diff = False
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        kept = Journal(given["state_dir"], task_vars["inventory_hostname"])
        try:
            if given["state"] == "listed":
                return {"changed": False, "changes": kept.listed()}
            return self._reverted(plain(given), kept, task_vars)
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error

    def _reverted(self, given, kept, task_vars):
        from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import soap
        from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import VsphereError
        from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in
        from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import host_restarts
        from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.endpoint_audit import endpoint_of
        from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.host_changes import Hosts

        def say(line):
            display.display(visible(f"  {task_vars['inventory_hostname']} {line}"))

        records, reverted, restarts = kept.selected(given["areas"], given["run"]), {}, no_restarts()
        try:
            if records:
                endpoint = endpoint_of(given, task_vars["inventory_hostname"], connection_of(self, task_vars))
                with logged_in(endpoint) as session:
                    hosts = Hosts(session, lambda: logged_in(endpoint), kept, 0)
                    for record in records:
                        reverted[record["id"]] = hosts.revert(record, given["force"], self._task.check_mode)
                    whole = not any(left for done in reverted.values() for left in done.values())
                    if given["restart_hosts"] and hosts.waiting and whole:
                        engine = host_restarts.Restarts(
                            session, lambda: logged_in(endpoint), kept, records[0]["run_id"], PROVE_SECONDS, say
                        )
                        restarts = (engine.would if self._task.check_mode else engine.restart)(hosts.waiting)
                    for host in sorted(hosts.waiting.keys() - restarts["restarted"].keys()):
                        why = restarts["left"].get(host, "")
                        say(f"{host}: what was put back is in force after its next start{why and f'; {why}'}")
        except (VsphereError, soap.SoapFault) as error:
            raise AnsibleActionFail(
                f"taken back before it stopped: {', '.join(reverted) or 'nothing'}; {error}"
            ) from error
        done = any(not left for hosts in reverted.values() for left in hosts.values())
        answer = {"changed": done, "reverted": reverted, "restarts": restarts, "changes": kept.listed()}
        faults = [
            f"{change} on {host}: {fault}"
            for change, hosts in reverted.items()
            for host, left in hosts.items()
            for fault in left
        ]
        failed = [f"not everything was put back: {'; '.join(faults)}"] if faults else []
        failed += [f"restart of {host}: {fault}" for host, fault in restarts["faults"].items()]
        if failed:
            answer["failed"] = True
            answer["msg"] = visible("; ".join(failed))[:4000]
        return answer
