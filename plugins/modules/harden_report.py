# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: harden_report
short_description: Say what a hardening run did
version_added: 1.0.0
description:
  - Compares the audits before and after a hardening run and writes C(changes.json) and C(changes.md) into C(changes)
    beside them, sealed as these are.
  - They say what was fixed, what waits for a restart, what needs a person, what was refused, and every setting with its
    old and new value.
options:
  directory:
    description: Directory of the run, which holds C(before) and, where anything was to be done, C(after).
    type: path
    required: true
  run_id:
    description: Name of the run.
    type: str
    required: true
  failed:
    description: Messages of the hosts that failed, by name.
    type: dict
    default: {}
  attempted:
    description: Names of the hosts that were hardened or tried.
    type: list
    elements: str
    default: []
  signing_key:
    description: Key that signs what was written, a path; see O(dwp.hypervisor.report#module:signing_key).
    type: path
extends_documentation_fragment:
  - dwp.hypervisor.controller_action
attributes:
  bypass_host_loop:
    description: Runs once for the play.
    support: full
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Say what was done
  dwp.hypervisor.harden_report:
    directory: "{{ run.directory }}"
    run_id: "{{ run.run_id }}"
    attempted: "{{ ansible_play_hosts_all }}"
"""

RETURN = r"""
console:
  description: The summary, line by line.
  type: list
  elements: str
  returned: success
  sample: ["Hardening, run 42"]
hosts:
  description: How many checks were fixed, got worse, are pending, left to a person and still failing on each host.
  type: list
  elements: dict
  returned: success
  sample: [{"host": "kvm1", "attempted": true, "failed": "", "settings_changed": 1, "fixed": 1, "worse": 0}]
changes:
  description: Path of C(changes.json), which names them.
  type: str
  returned: success
  sample: /srv/hypervisor-report/42/changes/changes.json
"""
