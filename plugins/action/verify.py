# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that report directories are as they were sealed, or name what was changed, removed or added."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.controller_action import ControllerAction, show
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import pack_verify
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible

ARGUMENTS: dict[str, Any] = {
    "directories": {"type": "list", "elements": "path", "required": True},
    "allowed_signers": {"type": "path"},
    "require_signature": {"type": "bool", "default": False},
}
# A directory of somebody else may hold any number of files.
MAX_FINDINGS = 200


class ActionModule(ControllerAction):
    """See plugins/modules/verify.py for the documentation."""

    ARGUMENTS = ARGUMENTS

    def answer(self, given, _task_vars):
        result = verify(given)
        show(result["console"])
        return result


def verify(given):
    """The action's result; failed when anything differs.

    :raises AnsibleActionFail: a directory is not there.
    """
    good, bad = [], []
    for directory in given["directories"]:
        if not Path(directory).is_dir():
            raise AnsibleActionFail(f"{directory} is not a directory: name a report directory, or an archive of them")
        for text, fine in pack_verify.check(directory, given["allowed_signers"], given["require_signature"]):
            (good if fine else bad).append(visible(text)[:500])
    result = {
        "changed": False,
        "untouched": not bad,
        "findings": bad[:MAX_FINDINGS],
        "findings_total": len(bad),
        "console": [*good, *bad[:MAX_FINDINGS]],
    }
    if bad:
        result.update(failed=True, msg=f"{len(bad)} findings, the first: {bad[0]}")
    return result
