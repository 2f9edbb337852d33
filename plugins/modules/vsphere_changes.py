# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vsphere_changes
short_description: List or take back the changes made to a vCenter and ESXi hosts
version_added: 1.0.0
description:
  - M(dwp.hypervisor.enforce) keeps the old value of each setting of a vCenter or an ESXi host on the controller before
    it sets it. This module lists those changes, or takes them back through the endpoint.
  - A setting that somebody else has changed since is left as it is and reported.
options:
  state:
    description: V(reverted) takes changes back, the newest first.
    type: str
    choices: [listed, reverted]
    default: listed
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
    description: Put old values back although somebody else has changed them since.
    type: bool
    default: false
  restart_hosts:
    description:
      - Restart the hosts on which old values are in force after a restart only, once everything has been put back - one
        at a time in a cluster, where their machines move away by themselves and admission control holds without them.
    type: bool
    default: false
  state_dir:
    description: Directory on the controller in which old values are kept.
    type: path
    default: hypervisor-state
  time_limit:
    description: Seconds for one call to the server.
    type: int
    default: 60
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - dwp.hypervisor.vsphere_connection
attributes:
  action:
    description: Runs on the controller, as an action plugin.
    support: full
  async:
    description: Cannot be run with C(async).
    support: none
  bypass_host_loop:
    description: Runs for each inventory host, which is an endpoint with many hosts.
    support: none
  check_mode:
    description: Says what would be taken back, and what would be left.
    support: full
  diff_mode:
    description: Shows no difference.
    support: none
  platform:
    description: The controller's platforms.
    platforms: posix
    support: full
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Take back what the last run did to remote access
  dwp.hypervisor.vsphere_changes:
    state: reverted
    areas: [remote_access]
"""

RETURN = r"""
changes:
  description: Every change to hosts of the endpoint, oldest first, with old and new values.
  type: list
  elements: dict
  returned: always
  sample: [{"id": "000001-remote_access", "area": "remote_access", "run_id": "42", "hosts": []}]
reverted:
  description: The changes that were (in check mode would be) taken back, with what was left on each host.
  type: dict
  returned: when O(state=reverted)
  sample: {"000001-remote_access": {"esx1.example.test": []}}
restarts:
  description: Hosts that were (in check mode would be) restarted, that stay as they are, and what went wrong.
  type: dict
  returned: when O(state=reverted)
  sample: {"restarted": {"esx1.example.test": {"cluster": "c1", "seconds": 412.0}}, "left": {}, "faults": {}}
"""
