# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: prepare
short_description: Check the inputs of a run and name it, before any host is contacted
version_added: 1.0.0
description:
  - Loads the standard, the gold configuration and the registers, and stops the run with file, line and what was
    expected where one of them is malformed.
  - Lists the play's hosts that are in scope (O(ignore:hypervisor_platform) is set) and those that are not, and refuses
    a platform it does not know.
  - Names the run and creates its directory with mode 0700, with a copy of the registers and of what was read from them,
    by which every host is judged. Run it once, first.
  - In a play with C(serial) the later batches go on with the run of the first; register the answer for that.
options:
  report_dir:
    description: Where run directories are made. Relative to the working directory.
    type: path
    default: ./hypervisor-report
  run_id:
    description:
      - Name of the run. The AWX job id when there is one, else the UTC time.
      - Where it is taken, a number is added, so that nothing is written over and two runs never share a directory.
    type: str
  measures:
    description: Ids of the measures to evaluate, for example V(11.4.6). All 36 when not given.
    type: list
    elements: str
  exceptions_file:
    description: YAML, JSON or CSV file with the register of exceptions.
    type: path
  attestations_file:
    description: YAML, JSON or CSV file with the register of attestations.
    type: path
  allowed_signers:
    description:
      - Whose signatures of registers count, in the format of C(ssh-keygen -Y). The signature of a register is the file
        beside it that ends in C(.sig), made with C(ssh-keygen -Y sign -n dwp.hypervisor.register).
      - A wrong signature stops the run. A register without one counts, and every report says so.
    type: path
  signing_key:
    description: Key that M(dwp.hypervisor.report) will sign with. It is tried here, before any host is contacted.
    type: path
  line:
    description: Line of defence that runs the audit (section 4 of the standard).
    type: str
    choices: [first, second, external]
    default: first
  fail_on:
    description: Statuses of musts that fail the run.
    type: list
    elements: str
extends_documentation_fragment:
  - dwp.hypervisor.controller_action
  - dwp.hypervisor.run_options
attributes:
  bypass_host_loop:
    description: Runs for each host, unless the task says C(run_once).
    support: none
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Check the inputs and name the run
  dwp.hypervisor.prepare:
    exceptions_file: registers/exceptions.yml
  run_once: true
  register: run
"""

RETURN = r"""
run_id:
  description: Name of the run.
  type: str
  returned: success
  sample: 20261123T170000Z
started:
  description: When the run began, in UTC.
  type: str
  returned: success
  sample: "2026-11-23T17:00:00+00:00"
directory:
  description: The run directory on the controller.
  type: str
  returned: success
  sample: /runner/project/hypervisor-report/20261123T170000Z
line:
  description: Line of defence that runs the audit.
  type: str
  returned: success
  sample: first
banners:
  description: What every report has to say about registers that are not signed, or whose signature was not checked.
  type: list
  elements: str
  returned: success
  sample: ["exceptions.yml is not signed: nobody can tell whether it is what the Authority approved."]
play:
  description: Id of the play, by which a later batch knows the run of an earlier one.
  type: str
  returned: success
  sample: 0242ac11-0002-5d3e-8f4a-000000000002
pending:
  description: The hosts in scope that are left to later batches of a play with C(serial).
  type: list
  elements: str
  returned: success
  sample: []
subjects:
  description: The hosts of the play that are in scope and not pending, each with name, endpoint and platform.
  type: list
  elements: dict
  returned: success
  sample: [{"name": "kvm1", "endpoint": "kvm1", "platform": "kvm"}]
out_of_scope:
  description: The hosts of the play that have no platform.
  type: list
  elements: str
  returned: success
  sample: [router1]
"""
