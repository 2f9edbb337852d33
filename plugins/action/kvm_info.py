# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module kvm_info with its collector."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm import collector_archive

# The main process imports this plugin before it forks a worker for each host: packed here, it is packed once.
collector_archive.archive()


class ActionModule(ActionBase):
    """See plugins/modules/kvm_info.py for the documentation."""

    _supports_check_mode = True
    _supports_diff = False
    _supports_async = True
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        arguments = {**self._task.args, "collector": collector_archive.archive()}
        return self._execute_module(
            module_name="dwp.hypervisor.kvm_info",
            module_args=arguments,
            task_vars=task_vars,
            wrap_async=self._task.async_val,
        )
