# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions share that are asked once for a run and contact no host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain


class ControllerAction(ActionBase):
    """Checks the arguments, and turns a fault of what it was given into a failure that says which."""

    # Also where somebody forgets run_once.
    BYPASS_HOST_LOOP = True
    _requires_connection = False
    _supports_check_mode = True
    _supports_diff = False
    TRANSFERS_FILES = False
    ARGUMENTS: Mapping[str, Any] = {}

    def run(self, tmp: None = None, task_vars: Mapping[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _result, given = self.validate_argument_spec(argument_spec=dict(self.ARGUMENTS))
        try:
            return self.answer(plain(given), task_vars or {})
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error

    def answer(self, given: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """The action's result.

        :raises ValueError: what is wrong with the arguments or with what they name.
        """
        raise NotImplementedError


def show(lines: Sequence[str]) -> None:
    """Print lines for whoever watches. A JSON callback's output is one document: a line in front would break it."""
    if "json" not in str(constants.DEFAULT_STDOUT_CALLBACK):
        Display().display("\n".join(["", *lines, ""]))
