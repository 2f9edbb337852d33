# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: enforce
short_description: Enforce areas of the gold configuration on one host or on those of an endpoint, under guard
version_added: 1.0.0
description:
  - Reads the host, assesses it, and sets what fails and may be set - nothing that is V(unknown), excepted or left out.
  - Each area is one change of each host. It is made whole or not at all, and M(dwp.hypervisor.kvm_changes) or
    M(dwp.hypervisor.vsphere_changes) can take it back.
  - Where somebody could be locked out, the host takes the change back by itself unless a new connection has proved that
    two administrators of C(gold_hypervisor_admins) and an account of C(gold_breakglass_accounts) can still get in, and
    that guests and migration peers still answer.
  - Of platform V(vsphere), the inventory host is a vCenter or a stand-alone ESXi host; nothing runs on it. All its ESXi
    hosts, and the vCenter itself, are changed in one session. All areas are planned before the first is changed, and
    where one is refused, none is changed. Where somebody could be locked out, they are changed one after the other, and
    old values are put back through the vCenter unless a new login and the host's connection have been proved.
  - Options that a task does not give are taken from the variables C(hypervisor_<option>).
  - What needs a restart of the host, maintenance or a power cycle of a virtual machine is written and reported, never
    done, but for the restart of ESXi hosts where O(options.restart_esxi_hosts) allows it.
options:
  platform:
    description: What the host is.
    type: str
    choices: [kvm, vsphere]
    required: true
  areas:
    description: The areas to enforce, each named like its role. All, in the safe order, when not given.
    type: list
    elements: str
  state:
    description: V(planned) says what would be refused and what needs a person, and asks nothing of the host.
    type: str
    choices: [planned, applied]
    default: applied
  enforce:
    description: V(drift) sets what fails, V(always) also what passes with another value than the gold configuration's.
    type: str
    choices: [drift, always]
    default: drift
  checks:
    description: Ids of the checks to enforce. All of the areas' when not given.
    type: list
    elements: str
  measures:
    description: Ids of the measures to enforce. All 36 when not given.
    type: list
    elements: str
  exceptions_file:
    description: YAML file with the register of exceptions. What is excepted is not enforced.
    type: path
  allowed_signers:
    description: File of the keys that may sign the register, as ssh-keygen reads it.
    type: path
  run_id:
    description: Name of the run, kept with each change. The UTC time when not given.
    type: str
  run_directory:
    description:
      - Directory of the run. Where it is given, what became of the areas is written below it, into C(changes), and not
        returned. Of a fleet it has megabytes.
    type: path
  after_report:
    description:
      - Directory of the audit before, whose report may still be being written. Hosts are read and planned meanwhile,
        and nothing is changed unless it is sealed.
    type: path
  rollback_seconds:
    description:
      - Seconds, 20 to 3600, after which the host takes back a guarded change that was not confirmed.
      - Of platform V(vsphere), how long the proof is waited for before old values are put back.
    type: int
    default: 180
  esxi_hosts:
    description:
      - Names of the ESXi hosts to change, or shell-like patterns of them (V(esx1-*)), whatever the case. All when not
        given. A pattern that matches no host of the endpoint fails the task before anything is changed.
      - The other hosts and their machines are neither planned nor changed nor restarted. The vCenter and what its hosts
        share stay as they are as well, also what only chosen hosts share; a run of all hosts sets that.
      - For platform V(vsphere). Has no meaning for V(kvm), where each host is an inventory host.
    type: list
    elements: str
    default: []
  allow_vm_changes:
    description: UUIDs of the virtual machines whose stored definition may be changed.
    type: list
    elements: str
    default: []
  allow_orchestrated:
    description: Areas that may be enforced although an orchestrator runs on the host.
    type: list
    elements: str
    default: []
  libvirt_uri:
    description: Where libvirt is asked on the host.
    type: str
    default: qemu:///system
  time_limit:
    description: Seconds for the collection on the host. Of platform V(vsphere), for one call to the server.
    type: int
    default: 60
  state_dir:
    description:
      - Directory on the controller in which old values of ESXi hosts are kept, of mode 0600, before they are changed.
        For platform V(vsphere). Keep it as long as changes may have to be taken back.
    type: path
    default: hypervisor-state
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
  - dwp.hypervisor.vsphere_connection
  - dwp.hypervisor.run_options
attributes:
  action:
    description: Runs on the controller, as an action plugin.
    support: full
  async:
    description: Cannot be run with C(async).
    support: none
  bypass_host_loop:
    description: Runs for each host.
    support: none
  check_mode:
    description: Says what would be set, refused, or needs a person, and changes nothing. A refusal is a warning there.
    support: full
  diff_mode:
    description: Shows files before and after, except those with secrets.
    support: full
  platform:
    platforms: posix
    support: full
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Enforce who may reach the host
  dwp.hypervisor.enforce:
    platform: kvm
    areas: [remote_access]

- name: Say what would change on the ESXi hosts of a vCenter
  dwp.hypervisor.enforce:
    platform: vsphere
    areas: [logging, remote_access]
    ca_file: /etc/pki/vcenter-ca.pem
  check_mode: true

- name: Enforce everything on two racks of a vCenter first
  dwp.hypervisor.enforce:
    platform: vsphere
    esxi_hosts: ["esx1-*", "esx2-*"]
    ca_file: /etc/pki/vcenter-ca.pem
"""

RETURN = r"""
areas:
  description:
    - What became of each area. C(updated) holds old and new value of each setting with the checks and measures that
      ask for it; C(pending) what a setting waits for; C(by_hand) what a person has to do; C(refused) why nothing was
      changed; C(deferred) why it has to be another run; C(change) the name of the change, C(seconds) how long it took.
    - Of platform V(vsphere), C(updated) holds the settings of each host by its name, those of the vCenter under
      C(the vCenter), and C(faults) says why a host was not changed.
    - Empty with O(run_directory).
  type: dict
  returned: always
  sample: {"remote_access": {"refused": "", "updated": {"PermitRootLogin": {"old": "yes", "new": "no"}}}}
restarts:
  description:
    - Of platform V(vsphere), ESXi hosts that waited for a restart which O(options.restart_esxi_hosts) allows.
      C(restarted) holds those that were (in check mode would be) restarted, each with its C(cluster), the C(checks)
      that waited and the C(seconds) it took; C(left) why a host stayed as it is; C(faults) what went wrong.
  type: dict
  returned: always
  sample: {"restarted": {"esx1.example.test": {"cluster": "c1", "seconds": 412.0}}, "left": {}, "faults": {}}
selected:
  description: Names of the ESXi hosts that O(esxi_hosts) has chosen.
  type: list
  elements: str
  returned: when O(esxi_hosts) is given
  sample: [esx1-01.example.test]
planned:
  description: Areas with settings to set, in the safe order, with state V(planned).
  type: list
  elements: str
  returned: always
  sample: [logging, remote_access]
ansible_facts:
  description: The same for all areas of this run.
  type: dict
  returned: always
  contains:
    hypervisor_enforcement:
      description:
        - Run id, whether anything was changed, areas, restarts and selected hosts. With O(run_directory), C(file)
          is where these are.
      type: dict
      returned: always
      sample: {"run_id": "42", "changed": false, "areas": {}, "restarts": {}}
"""
