# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: verify
short_description: Prove that report directories are as they were sealed
version_added: 1.0.0
description:
  - Compares every file of a report directory with its C(MANIFEST.sha256), and the manifests of an archive with each
    other, for each names the hash of the one before.
  - Names the file, the line and the subject of what was changed, removed or added, and fails.
  - A copy of the program that does it lies in every report directory as C(verify.py); it needs Python 3.9 and
    nothing else.
options:
  directories:
    description: Report directories, or archives that hold several.
    type: list
    elements: path
    required: true
  allowed_signers:
    description: Whose signatures count, in the format of C(ssh-keygen -Y). Not checked when not given.
    type: path
  require_signature:
    description: Whether a report directory that is not signed fails as well.
    type: bool
    default: false
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
- name: Prove an archive untouched
  dwp.hypervisor.verify:
    directories: [hypervisor-report]
    allowed_signers: registers/allowed_signers
    require_signature: true
"""

RETURN = r"""
untouched:
  description: Whether nothing differs.
  type: bool
  returned: always
  sample: true
findings:
  description: What differs, at most 200.
  type: list
  elements: str
  returned: always
  sample: ["archive/42: subjects/kvm1-1a2b3c4d.json:17: this line was changed, subject kvm1"]
findings_total:
  description: How many findings there are.
  type: int
  returned: always
  sample: 1
console:
  description: The lines that are printed.
  type: list
  elements: str
  returned: always
  sample: ["archive/42: untouched, signed by authority@example.org"]
"""
