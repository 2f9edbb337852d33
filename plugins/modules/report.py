# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Merge the results of a run and write its reports
version_added: 1.0.0
description:
  - Reads the result files that M(dwp.hypervisor.audit) wrote into the run directory, merges them and writes
    the formats of O(formats) and C(MANIFEST.sha256) beside them. Every file has mode 0600 and is replaced atomically.
    The same results give the same bytes.
  - Compares the run with the one before in the same archive, and seals it. C(MANIFEST.sha256) lists every file and
    names the hash of the manifest before; O(signing_key) signs it. A run that a later one names is not written again.
  - Reports on the same archive wait for each other.
  - A subject that is expected but has no result counts as 36 measures V(unknown). A host that could not be reached is
    never left out.
  - Decides the gate and returns the decision; it never fails the play because of a verdict, so that the report is
    always there to be read.
  - Prints a summary on the console, except when the stdout callback writes JSON.
  - Publishes the summary as the custom statistic C(hypervisor_summary), which AWX keeps as an artefact of the job.
options:
  report_dir:
    description: Where the run directories are. Relative to the working directory.
    type: path
    default: ./hypervisor-report
  run_id:
    description: The run to report. The newest one in O(report_dir) when not given.
    type: str
  formats:
    description:
      - What to write. V(json) is C(results.json), everything there is; V(html) C(report.html) and the pages it links to
        in C(report/); V(csv) C(results.csv) as RFC 4180 has it; V(junit) C(results.junit.xml).
      - V(ohdf) is one file per subject in C(ohdf/), for Heimdall and the MITRE SAF tools; V(oscal) OSCAL assessment
        results in C(results.oscal.json) and a plan of action and milestones in C(results.poam.json).
      - V(sarif) is C(results.sarif); V(markdown) C(summary.md), for a ticket or a chat; V(oscal_component) the standard
        and this collection as OSCAL catalogue and component definition in C(oscal/), the same for every run.
    type: list
    elements: str
    choices: [json, html, csv, junit, ohdf, oscal, sarif, markdown, oscal_component]
    default: [json, html, csv, junit, ohdf, oscal]
  background:
    description:
      - Whether the formats are written and the run is sealed by a process of its own, while the play goes on. Who needs
        them waits for it, as O(dwp.hypervisor.enforce#module:after_report) does, or writes another report into
        O(report_dir).
      - What goes wrong there is not in the result. The run is not sealed then, C(not-sealed.txt) in its directory says
        why, and so does who waits for it.
    type: bool
    default: false
  marking:
    description: Protective marking, printed at the top and the bottom of the page and in every data format.
    type: str
    default: OFFICIAL-SENSITIVE
  fail_on:
    description:
      - Statuses of mandatory measures that fail the gate. V([]) never fails.
      - A run without a subject, or with a result file that cannot be read, fails any gate but V([]).
    type: list
    elements: str
    default: [fail, unknown, manual]
  expected_subjects:
    description: Subjects that have to be in the report, whether there is a result of them or not.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the subject, as in the inventory.
        type: str
        required: true
      platform:
        description: What the subject is.
        type: str
        required: true
        choices: [kvm, vsphere, hyperv]
      id:
        description: Id of the subject, if it is known. Without it any result of the endpoint will do.
        type: str
      endpoint:
        description: The inventory host it is read through. O(expected_subjects[].name) when not given.
        type: str
      kind:
        description: Whether it runs virtual machines or manages hosts that do.
        type: str
        choices: [host, controller]
        default: host
      tags:
        description: Free words printed beside the subject, for example supplier, service and owner.
        type: dict
      reason:
        description: Why there may be no result of it.
        type: str
  out_of_scope:
    description: Names of the inventory hosts that were not looked at because they declare no platform.
    type: list
    elements: str
    default: []
  mode:
    description:
      - What kind of run this is. When not given, that of the report written before; else V(check) under C(--check),
        else V(audit).
    type: str
    choices: [audit, check, harden, reassess, rollup]
  started:
    description: When the run began, ISO 8601. When not given, that of the report written before; else the end.
    type: str
  pending:
    description: Hosts that later batches of a play with C(serial) will read. While there are any, the gate waits.
    type: list
    elements: str
    default: []
  signing_key:
    description:
      - Key that signs the manifest (C(ssh-keygen -Y sign -n dwp.hypervisor.manifest)). A private key without
        passphrase, or a public key whose private half an agent holds.
    type: path
  measures_directory:
    description: Measures of another edition of the standard; for a run that M(dwp.hypervisor.reassess) judged by them.
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
- name: Write the report of this run
  dwp.hypervisor.report:
    run_id: "{{ run.run_id }}"
    expected_subjects: "{{ run.subjects }}"
    out_of_scope: "{{ run.out_of_scope }}"
  run_once: true
  register: report

- name: Fail the play when a mandatory measure fails, as its last task
  ansible.builtin.fail:
    msg: "{{ report.reasons }}"
  when: report.failed_gate
  run_once: true

- name: Write the newest run again, as a spreadsheet only and with another marking
  dwp.hypervisor.report:
    formats: [csv]
    marking: OFFICIAL
    fail_on: []
  run_once: true
"""

RETURN = r"""
run_id:
  description: Name of the run.
  type: str
  returned: success
  sample: 20261123T170000Z
directory:
  description: The run directory on the controller.
  type: str
  returned: success
  sample: /runner/project/hypervisor-report/20261123T170000Z
report_path:
  description: The page for people; the run directory when O(formats) does not have V(html).
  type: str
  returned: success
  sample: /runner/project/hypervisor-report/20261123T170000Z/report.html
comparison:
  description: Number of results by class of change against the previous run of the archive, null when there is none.
  type: dict
  returned: success
  sample: {"newly_failing": 0, "fixed": 2, "still_failing": 40}
register_warnings:
  description: What nobody may overlook about the registers. Printed as warnings.
  type: list
  elements: str
  returned: success
  sample: ["Exception EX-1 (RR-0123) expired on 2026-11-22; what it covered counts as fail again"]
failed_gate:
  description: Whether a mandatory measure has one of the statuses of O(fail_on).
  type: bool
  returned: success
  sample: true
reasons:
  description: Why the gate fails, one line per subject.
  type: list
  elements: str
  returned: success
  sample: ["kvm1: 2 fail (11.2.1, 11.4.6), 1 unknown (11.1.2)"]
console:
  description: The summary that is printed, lines of at most 100 columns.
  type: list
  elements: str
  returned: success
  sample: ["SS-009 v2.0: 1 subject, run 20261123T170000Z (OFFICIAL-SENSITIVE)"]
summary:
  description: Counts of subjects, measures and checks, and the score; also set as the statistic C(hypervisor_summary).
  type: dict
  returned: success
  contains:
    run_id:
      description: Name of the run.
      type: str
      returned: success
      sample: 20261123T170000Z
    finished:
      description: When the report was written, in UTC.
      type: str
      returned: success
      sample: "2026-11-23T17:00:05Z"
    report:
      description: Same as RV(report_path).
      type: str
      returned: success
      sample: /runner/project/hypervisor-report/20261123T170000Z/report.html
    failed_gate:
      description: Same as RV(failed_gate).
      type: bool
      returned: success
      sample: true
    subjects:
      description: Number of subjects.
      type: int
      returned: success
      sample: 20
    unreachable:
      description: Number of subjects that could not be read.
      type: int
      returned: success
      sample: 1
    by_verdict:
      description: Number of subjects by verdict.
      type: dict
      returned: success
      sample: {"non-compliant": 19, "not demonstrated": 1, "compliant with exceptions": 0, "compliant": 0}
    by_status:
      description: Number of measures by status, each counted once per subject.
      type: dict
      returned: success
      sample: {"fail": 40, "pass": 600}
    checks_by_status:
      description: Number of results by status.
      type: dict
      returned: success
      sample: {"fail": 60, "pass": 1900}
    by_section:
      description: Number of measures by section of the standard, by V(must) and V(advisory), by status.
      type: dict
      returned: success
      sample: {"11.1": {"must": {"pass": 3}, "advisory": {"pass": 0}}}
    by_csf:
      description: The same by function of the NIST Cybersecurity Framework.
      type: dict
      returned: success
      sample: {"PR": {"must": {"pass": 30}, "advisory": {"pass": 0}}}
    failing_checks:
      description: Number of failing checks by severity, supplementary ones not counted.
      type: dict
      returned: success
      sample: {"critical": 1, "high": 4, "medium": 0, "low": 0}
    score:
      description: Mandatory measures that pass or are attested, divided by those that apply, from 0 to 1.
      type: float
      returned: success
      sample: 0.8333
    score_after_exceptions:
      description: The same, with excepted measures counted as met.
      type: float
      returned: success
      sample: 0.8667
"""
