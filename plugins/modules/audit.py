# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: audit
short_description: Collect and assess one hypervisor endpoint against SS-009
version_added: 1.0.0
description:
  - Reads the facts of the host in one round trip, assesses every check of the standard against the C(gold_*) variables
    of the host, and writes results and evidence into the run directory on the controller.
  - A host that cannot be reached stays in the play and counts as 36 measures V(unknown).
  - Changes nothing on the host.
options:
  run_directory:
    description: The directory that M(dwp.hypervisor.prepare) returned.
    type: path
    required: true
  run_id:
    description: The name of the run that M(dwp.hypervisor.prepare) returned.
    type: str
    required: true
  platform:
    description: What the host is.
    type: str
    choices: [kvm]
    required: true
  measures:
    description: Ids of the measures to evaluate. All 36 when not given; the others become V(not_evaluated).
    type: list
    elements: str
  exceptions_file:
    description: Register of exceptions. Not read when M(dwp.hypervisor.prepare) has kept it in O(run_directory).
    type: path
  attestations_file:
    description: Register of attestations. Not read when M(dwp.hypervisor.prepare) has kept it in O(run_directory).
    type: path
  tags:
    description: Free words printed beside the subject, for example supplier, service and owner.
    type: dict
  libvirt_uri:
    description: Where libvirt is asked on the host.
    type: str
    default: qemu:///system
  time_limit:
    description: Seconds for the collection on the host.
    type: int
    default: 60
extends_documentation_fragment:
  - dwp.hypervisor.controller_action
attributes:
  bypass_host_loop:
    description: Runs for each host.
    support: none
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Audit a KVM host
  dwp.hypervisor.audit:
    run_directory: "{{ run.directory }}"
    run_id: "{{ run.run_id }}"
    platform: kvm
  register: audit
"""

RETURN = r"""
subject:
  description: Who was assessed, with verdict and score.
  type: dict
  returned: success
  sample: {"id": "kvm1", "platform": "kvm", "verdict": "non-compliant", "reachable": true}
enforce:
  description: Check ids per subject that drift and are not excepted. An unknown is never in it.
  type: dict
  returned: success
  sample: {"kvm1": ["kvm-11.4.6-ssh-root"]}
enforce_leave:
  description: >-
    Of the checks in RV(enforce), the VMs, accounts or other items that an exception covers. Enforcement leaves them
    alone.
  type: dict
  returned: success
  sample: {"kvm1": {"kvm-11.2.7-svirt": ["0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"]}}
ansible_facts:
  description: The compact facts kept on the inventory host.
  type: dict
  returned: success
  contains:
    hypervisor_compliance:
      description: Verdict, score, counts of measures by status, failing check ids and the path of the report.
      type: dict
      returned: success
      sample: {"run_id": "42", "verdict": "non-compliant"}
    hypervisor_drift:
      description: Each setting that differs from the gold configuration, with actual, gold and role.
      type: dict
      returned: success
      sample: {"total": 1, "settings": []}
"""
