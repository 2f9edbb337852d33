# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a KVM host to a list of settings, as one change that can be taken back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_settings
short_description: Bring a KVM host to a list of settings, as one change that can be taken back
version_added: 1.0.0
description:
  - Reads everything the settings are about, compares once, and writes only differences. Either all of them are in place
    afterwards or none.
  - What is replaced is kept below C(/var/lib/dwp-hypervisor) first, so that M(dwp.hypervisor.kvm_changes) can take the
    change back byte for byte, also after a restart of the host.
  - Usually called by M(dwp.hypervisor.enforce), which plans the settings of an area and proves that nobody is locked
    out.
options:
  area:
    description: The role the settings belong to; the change is kept under this name.
    type: str
    required: true
  settings:
    description: What the host has to be like, as planned by the collection (see its guide to enforcement).
    type: list
    elements: dict
    required: true
  about:
    description: Kept with the change, for whoever reads it later, for example run id and controller.
    type: dict
    default: {}
  rollback_after:
    description:
      - Seconds after which the host takes the change back by itself unless M(dwp.hypervisor.kvm_changes) confirms it;
        it does so at its next start as well. V(0) makes a change that stays.
    type: int
    default: 0
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    description: Reports what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows files before and after, except those with secrets.
    support: full
  platform:
    platforms: posix
    support: full
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Refuse root over ssh
  dwp.hypervisor.kvm_settings:
    area: remote_access
    rollback_after: 180
    settings:
      - checks: [kvm-11.4.6-ssh-root]
        kind: keys
        path: /etc/ssh/sshd_config.d/00-dwp-hypervisor.conf
        syntax: sshd
        section: Match all
        values: {PermitRootLogin: "no"}
        mode: "0600"
        create: true
        secret: false
        pending: ""
        then: [{run: [/usr/sbin/sshd, -t]}, {reload: ssh.service}]
"""

RETURN = r"""
updated:
  description: Every setting that differs, with old and new value, the checks that ask for it, and what it waits for.
  type: dict
  returned: always
  sample: {"PermitRootLogin": {"old": "yes", "new": "no", "checks": ["kvm-11.4.6-ssh-root"], "pending": ""}}
by_hand:
  description: What a person has to do.
  type: list
  elements: dict
  returned: always
  sample: [{"checks": ["kvm-11.4.1-joined"], "what": "Join the host with realm join."}]
change:
  description: The name of the change, empty when nothing was changed.
  type: str
  returned: always
  sample: 000001-remote_access
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import engine, undo, waiting


def main():
    """Compare, and unless this is check mode, change."""
    module = AnsibleModule(
        argument_spec={
            "area": {"type": "str", "required": True},
            "settings": {"type": "list", "elements": "dict", "required": True},
            "about": {"type": "dict", "default": {}},
            "rollback_after": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        if module.check_mode:
            world, updated, _then, by_hand = engine.compare(given["settings"])
            change = ""
        else:
            with undo.lock():
                waiting.refuse_or_recover()
                world, updated, then, by_hand = engine.compare(given["settings"])
                change = ""
                if updated:
                    change = engine.apply(given["area"], world, then, given["about"], given["rollback_after"])
    except (engine.ChangeError, undo.Busy, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(updated), updated=updated, by_hand=by_hand, change=change, diff=engine.differences(world)
    )


if __name__ == "__main__":
    main()
