# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List, confirm and take back the changes that kvm_settings made."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_changes
short_description: List, confirm or take back the changes made to a KVM host
version_added: 1.0.0
description:
  - M(dwp.hypervisor.kvm_settings) keeps what it replaces. This module lists its changes, confirms one whose rollback
    waits, or takes changes back.
  - A file that somebody else has changed since keeps what is theirs; only the collection's own lines are taken back,
    and what cannot be is reported.
options:
  state:
    description:
      - V(confirmed) lets a change stay whose rollback waits, V(rolled_back) takes it back before its time limit.
      - V(reverted) takes back changes that were confirmed.
    type: str
    choices: [listed, confirmed, rolled_back, reverted]
    default: listed
  change:
    description: The change to confirm or to roll back, as M(dwp.hypervisor.kvm_settings) returned it.
    type: str
  reason:
    description: Why it is rolled back; kept with the change.
    type: str
    default: the controller asked for it
  areas:
    description: Only changes of these areas are taken back. All when empty.
    type: list
    elements: str
    default: []
  run:
    description: V(last) takes back the newest run that changed anything, V(all) every run, else the id of a run.
    type: str
    default: last
  force:
    description: Put files back although somebody else has changed them since; what they wrote is lost.
    type: bool
    default: false
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    description: Says what would be taken back.
    support: full
  diff_mode:
    description: Shows no difference.
    support: none
  platform:
    platforms: posix
    support: full
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Take back what the last run did to the firewall
  dwp.hypervisor.kvm_changes:
    state: reverted
    areas: [firewall]
"""

RETURN = r"""
changes:
  description: Every change of the host, oldest first.
  type: list
  elements: dict
  returned: always
  sample: [{"id": "000001-firewall", "area": "firewall", "state": "confirmed", "run_id": "42", "files": []}]
reverted:
  description: The changes that were (in check mode would be) taken back, with what could not be put back.
  type: dict
  returned: when state is reverted
  sample: {"000001-firewall": []}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import engine, undo, waiting

STATES = ("listed", "confirmed", "rolled_back", "reverted")


def main():
    """List, confirm, roll back or revert."""
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["listed", "confirmed", "rolled_back", "reverted"],
                "default": "listed",
            },
            "change": {"type": "str"},
            "reason": {"type": "str", "default": "the controller asked for it"},
            "areas": {"type": "list", "elements": "str", "default": []},
            "run": {"type": "str", "default": "last"},
            "force": {"type": "bool", "default": False},
        },
        required_if=[("state", "confirmed", ["change"]), ("state", "rolled_back", ["change"])],
        supports_check_mode=True,
    )
    given, answer = module.params, {"changed": False}
    try:
        if given["state"] == "confirmed" and not module.check_mode:
            waiting.confirm(given["change"])
            answer["changed"] = True
        elif given["state"] == "rolled_back" and not module.check_mode:
            waiting.roll_back(given["change"], given["reason"])
            answer["changed"] = True
        elif given["state"] == "reverted":
            names = waiting.selected(given["areas"], given["run"])
            answer["changed"] = bool(names)
            answer["reverted"] = (
                {name: [] for name in names} if module.check_mode else waiting.revert(names, given["force"])
            )
    except (engine.ChangeError, undo.Busy, OSError) as error:
        module.fail_json(msg=str(error))
    faults = [fault for found in answer.get("reverted", {}).values() for fault in found]
    if faults:
        module.fail_json(msg="not everything was put back: %s" % "; ".join(faults), changes=waiting.listed(), **answer)
    module.exit_json(changes=waiting.listed(), **answer)


if __name__ == "__main__":
    main()
