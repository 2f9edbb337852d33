# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a host by rows that no planner would make, under the guard; for the tests of the guard only."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm.guard import Guard, HostError
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Access
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold


class ActionModule(ActionBase):
    """Arguments: area, rows, seconds."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        given = self._task.args
        values = gold.effective(gold.from_variables(self._templar, task_vars))
        guard = Guard(self, task_vars, int(given["seconds"]))
        try:
            before = Access.of(guard.access(values))
            rows = [{**row, "checks": ["kvm-11.4.6-ssh-root"]} for row in given["rows"]]
            return guard.change(given["area"], rows, {"run_id": "guard-test"}, before, values)
        except HostError as error:
            raise AnsibleActionFail(str(error)) from error
