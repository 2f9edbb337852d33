# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compare
short_description: Say what changed between two runs
version_added: 1.0.0
description:
  - Puts each result into one class. V(newly_failing), V(exception_expired), V(not_demonstrated), V(still_failing),
    V(fixed), V(demonstrated) and V(evidence_changed) say something about the hosts; V(scope_changed) (other subjects
    or measures) and V(content_changed) (another catalogue or gold configuration) never do.
  - Where something else judged the later run, the evidence of the earlier one is judged by it as well, so that only
    what differs beyond that counts as posture.
  - M(dwp.hypervisor.report) does the same with the previous run of its archive.
options:
  before:
    description: The report directory of the earlier run. An archive stands for its newest run.
    type: path
    required: true
  after:
    description: The report directory of the later run.
    type: path
    required: true
  dest:
    description: Where to write the whole comparison as JSON, on the controller.
    type: path
  fail_on:
    description: Classes of which no result may be in the comparison.
    type: list
    elements: str
    choices:
      - newly_failing
      - exception_expired
      - not_demonstrated
      - still_failing
      - fixed
      - demonstrated
      - evidence_changed
      - scope_changed
      - content_changed
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
- name: Fail when something got worse
  dwp.hypervisor.compare:
    before: archive/41
    after: archive/42
    fail_on: [newly_failing, exception_expired, not_demonstrated]
"""

RETURN = r"""
with:
  description: The earlier run.
  type: dict
  returned: success
  sample: {"run": "41", "finished": "2026-11-22T17:00:00Z", "manifest_sha256": null}
content:
  description: What judged then and now, where it differs.
  type: list
  elements: dict
  returned: success
  sample: [{"what": "gold", "before": "9f86…", "after": "a3bf…"}]
scope:
  description: Ids of the subjects that only one of the runs has.
  type: dict
  returned: success
  sample: {"added": [], "removed": []}
counts:
  description: Number of results by class.
  type: dict
  returned: success
  sample: {"newly_failing": 1, "fixed": 2, "unchanged": 107}
changes:
  description: The first 40 changes, the most urgent first. O(dest) has all of them.
  type: list
  elements: dict
  returned: success
  sample: [{"class": "newly_failing", "subject": "kvm1", "check": "kvm-11.4.6-ssh-root"}]
console:
  description: The lines that are printed.
  type: list
  elements: str
  returned: success
  sample: ["42 against 41"]
"""
