# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollup
short_description: Put report directories together
version_added: 1.0.0
description:
  - Reads any number of report directories (of sites, suppliers, job slices or lines of defence) and writes their
    results into one new run directory. M(dwp.hypervisor.report) writes its reports.
  - Refuses a directory that is not as it was sealed or whose signature is not good, a subject that one line of defence
    assessed twice, and directories of different standards.
  - Where several lines of defence assessed a subject, the worst result of each check counts, and all are shown.
  - Exceptions and attestations that have expired since a run are taken back.
options:
  sources:
    description:
      - The report directories, each a path or a mapping with C(directory), C(line) (V(first), V(second) or
        V(external), when it is not that of the run) and C(supplier) (for subjects that carry no such tag). An
        archive stands for its newest run.
    type: list
    elements: raw
    required: true
  report_dir:
    description: Where the new run directory is made.
    type: path
    default: ./hypervisor-report
  run_id:
    description: Name of the roll-up. The UTC time when not given.
    type: str
  allowed_signers:
    description: Whose signatures of manifests count.
    type: path
  fresh_days:
    description: Results older than this are shown as stale.
    type: int
    default: 31
extends_documentation_fragment:
  - dwp.hypervisor.controller_action
attributes:
  bypass_host_loop:
    description: Runs once, whatever the number of hosts.
    support: full
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Put two suppliers and the external audit together
  dwp.hypervisor.rollup:
    sources:
      - supplier-a/latest
      - {directory: supplier-b/latest, supplier: Example Ltd}
      - {directory: audit-2026, line: external}
    allowed_signers: registers/allowed_signers
  run_once: true
  register: together

- name: Write its reports
  dwp.hypervisor.report:
    run_id: "{{ together.run_id }}"
  run_once: true
"""

RETURN = r"""
run_id:
  description: Name of the roll-up.
  type: str
  returned: success
  sample: 20261123T170000Z
directory:
  description: Its directory on the controller.
  type: str
  returned: success
  sample: /runner/project/hypervisor-report/20261123T170000Z
subjects:
  description: Number of subjects.
  type: int
  returned: success
  sample: 40
disagreements:
  description: Number of measures on which lines of defence disagree.
  type: int
  returned: success
  sample: 3
stale:
  description: Sources older than O(fresh_days).
  type: list
  elements: str
  returned: success
  sample: [audit-2026]
"""
