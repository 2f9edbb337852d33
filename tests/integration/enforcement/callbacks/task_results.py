# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the result of every task as a line of JSON to the file that LAB_TASK_RESULTS names; for the tests only."""

from __future__ import annotations

import json
import os
import pathlib

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_results
type: notification
short_description: Write task results for the tests
description: Writes the result of every task as a line of JSON to the file that LAB_TASK_RESULTS names.
"""


class CallbackModule(CallbackBase):
    """One line a result: {host, task, result}."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "task_results"

    def _write(self, result, failed=False):
        task = getattr(result, "task", None) or result._task
        host = getattr(result, "host", None) or result._host
        found = getattr(result, "result", None) or result._result
        with pathlib.Path(os.environ["LAB_TASK_RESULTS"]).open("a", encoding="utf-8") as handle:
            line = {
                "host": host.get_name(),
                "task": task.get_name(),
                "action": task.action,
                "result": {**found, "failed": failed},
            }
            handle.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result):
        self._write(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write(result, failed=True)

    def v2_runner_on_unreachable(self, result):
        self._write(result, failed=True)
