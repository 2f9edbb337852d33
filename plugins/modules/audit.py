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
  - A vCenter is one endpoint with many subjects, itself and each of its ESXi hosts. Each gets a result and an evidence
    file of its own; what is returned of them are counts and paths.
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
    choices: [kvm, vsphere]
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
    description: Where libvirt is asked on a KVM host.
    type: str
    default: qemu:///system
  time_limit:
    description: Seconds for the collection on a KVM host, or for one call to the vSphere API.
    type: int
    default: 60
extends_documentation_fragment:
  - dwp.hypervisor.controller_action
  - dwp.hypervisor.vsphere_connection
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

- name: Audit a vCenter with all its hosts
  dwp.hypervisor.audit:
    run_directory: "{{ run.directory }}"
    run_id: "{{ run.run_id }}"
    platform: vsphere
    ca_file: /etc/pki/vcenter-ca.pem
  register: audit
"""

RETURN = r"""
subject:
  description: Who was assessed, with verdict and score.
  type: dict
  returned: success
  sample: {"id": "kvm1", "platform": "kvm", "verdict": "non-compliant", "reachable": true}
enforce:
  description: >-
    Check ids that drift and are not excepted. An unknown is never in it. Of an endpoint with many subjects those that
    drift on any of them, under the id of the first.
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
      description:
        - Verdict, score, counts of measures by status, failing check ids and the path of the report.
        - Of an endpoint with many subjects the worst verdict, counts of subjects by verdict, and the failing checks
          with the number of subjects they fail on.
      type: dict
      returned: success
      sample: {"run_id": "42", "verdict": "non-compliant"}
    hypervisor_drift:
      description:
        - Each setting that differs from the gold configuration, with actual, gold and role. Of an endpoint with many
          subjects the checks, with the number of subjects that differ.
      type: dict
      returned: success
      sample: {"total": 1, "settings": []}
"""
