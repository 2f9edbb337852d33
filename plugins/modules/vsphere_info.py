# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vsphere_info
short_description: Read everything an SS-009 audit needs to know of a vCenter and its ESXi hosts
version_added: 1.0.0
description:
  - Reads a vCenter with all its hosts and virtual machines, or a stand-alone ESXi host, in one session, read-only.
  - What cannot be read is listed in C(collector.errors) of the facts with the reason and is C(unknown) to every check;
    one host that fails never hides the others.
  - The facts are large. They are written to O(dest), and returned only when O(return_facts) says so.
options:
  dest:
    description: Directory on the controller for one JSON file for each subject, of mode 0600.
    type: path
  return_facts:
    description: Whether the result holds the facts. A thousand hosts are tens of megabytes.
    type: bool
    default: false
  denied:
    description:
      - Pairs of V(principal) and V(vm), the UUID of a virtual machine, whose effective privileges are read as well.
        C(gold_deny_map) has this shape.
    type: list
    elements: dict
    default: []
  time_limit:
    description: Seconds for one call to the server.
    type: int
    default: 60
extends_documentation_fragment:
  - dwp.hypervisor.controller_action
  - dwp.hypervisor.vsphere_connection
attributes:
  bypass_host_loop:
    description: Runs for each inventory host, which is an endpoint with many subjects.
    support: none
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Read the facts of a vCenter and its hosts
  dwp.hypervisor.vsphere_info:
    ca_file: /etc/pki/vcenter-ca.pem
    dest: facts/
  register: vsphere

- name: Look at one host's lockdown mode
  dwp.hypervisor.vsphere_info:
    return_facts: true
  register: vsphere
"""

RETURN = r"""
subjects:
  description: The vCenter and each of its hosts.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: Endpoint and hardware UUID.
      type: str
      returned: success
      sample: vc1/4c4c4544-0042-3510-8054-b4c04f4a3132
    name:
      description: Its name at the vCenter, or the inventory's name of the vCenter itself.
      type: str
      returned: success
      sample: esx1.example.test
    kind:
      description: V(host) or V(controller).
      type: str
      returned: success
      sample: host
    reachable:
      description: Whether it could be read.
      type: bool
      returned: success
      sample: true
    reason:
      description: Why it could not.
      type: str
      returned: success
      sample: "unreachable: the host is notResponding at vc1"
    path:
      description: File of its facts.
      type: str
      returned: success
      sample: facts/vc1-esx1.example.test-0a1b2c3d.json
    facts:
      description: The facts document, see the collection's guide to facts.
      type: dict
      returned: when O(return_facts=true)
      sample: {"schema_version": 1}
"""
