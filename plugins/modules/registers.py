# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: registers
short_description: Check registers on their own
version_added: 1.0.0
description:
  - Reads the registers of exceptions and attestations as an audit would, and fails with file, line and what was
    expected where one is malformed or its signature is not good.
  - Says where each record stands by the calendar, and which hosts of the inventory it is for.
  - Writes a register in another format, to import it from or export it to a risk register.
options:
  exceptions_file:
    description: YAML, JSON or CSV file with the register of exceptions.
    type: path
  attestations_file:
    description: YAML, JSON or CSV file with the register of attestations.
    type: path
  allowed_signers:
    description: Whose signatures count, in the format of C(ssh-keygen -Y).
    type: path
  exceptions_to:
    description: Where to write the exceptions. The ending, C(.yml), C(.json) or C(.csv), says in which format.
    type: path
  attestations_to:
    description: Where to write the attestations.
    type: path
  fail_on:
    description: What no record may be.
    type: list
    elements: str
    choices: [pending, expiring, expired, review_due, unused, unsigned, new_match]
    default: []
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
- name: Check the registers in a pipeline
  dwp.hypervisor.registers:
    exceptions_file: registers/exceptions.yml
    attestations_file: registers/attestations.yml
    fail_on: [expired]

- name: Import what the risk register exported
  dwp.hypervisor.registers:
    exceptions_file: export.csv
    exceptions_to: registers/exceptions.yml
"""

RETURN = r"""
exceptions:
  description: Hash, signature and records of the register, each with its state, notes, C(hosts) and C(new_matches).
  type: dict
  returned: success
  sample: {"sha256": "9f86…", "records": [{"id": "EX-1", "state": "expiring", "due_within": 30}]}
attestations:
  description: The same for attestations.
  type: dict
  returned: success
  sample: null
reached:
  description: What O(fail_on) found.
  type: list
  elements: str
  returned: success
  sample: ["exception EX-1 is expired"]
console:
  description: The lines that are printed.
  type: list
  elements: str
  returned: success
  sample: ["registers/exceptions.yml: 2 exceptions, well-formed"]
"""
