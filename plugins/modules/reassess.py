# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reassess
short_description: Judge the evidence of a run again
version_added: 1.0.0
description:
  - Reads the evidence of a run, contacts no host, and writes results and evidence into a new run directory, as of the
    evidence's own dates. M(dwp.hypervisor.report) writes its reports, which are marked as a re-assessment.
  - A source that is not as it was sealed is refused.
options:
  source:
    description: The report directory. An archive stands for its newest run.
    type: path
    required: true
  report_dir:
    description: Where the new run directory is made.
    type: path
    default: ./hypervisor-report
  run_id:
    description: Name of the new run. The UTC time when not given.
    type: str
  gold:
    description: Gold settings to judge by. The others stay as they are stored with the evidence.
    type: dict
    default: {}
  exceptions_file:
    description: Register of exceptions to judge by. That of the run when not given.
    type: path
  attestations_file:
    description: Register of attestations to judge by. That of the run when not given.
    type: path
  allowed_signers:
    description: Whose signatures of registers count.
    type: path
  measures_directory:
    description:
      - Measures of another edition of the standard, in the form of the collection's own, with a file C(EDITION).
    type: path
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
- name: What if patches were due within a week
  dwp.hypervisor.reassess:
    source: archive/42
    gold: {gold_patch_critical_days: 7}
  register: again

- name: Write its reports
  dwp.hypervisor.report:
    run_id: "{{ again.run_id }}"
    fail_on: []
"""

RETURN = r"""
run_id:
  description: Name of the new run.
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
  sample: 20
reassessment:
  description: Of which run it is, what differs from what judged it then, and the verdicts of then.
  type: dict
  returned: success
  sample: {"of": "42", "changed": ["gold"], "before": {"non-compliant": 20}}
"""
