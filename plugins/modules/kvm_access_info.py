# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who could get in to a KVM host now, and whether its guests answer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_access_info
short_description: Tell who could get in to a KVM host now, and whether its guests answer
version_added: 1.0.0
description:
  - Says for named people whether sshd, PAM and sudo would let them in and let them become root, for break-glass
    accounts whether their password works at the console, where the controller's own connection comes from, which guests
    run and answer, and which migration peers can be reached.
  - M(dwp.hypervisor.enforce) compares the answers from before and after a change. Nobody's key or password is needed.
  - Changes nothing.
options:
  people:
    description: Accounts of named administrators.
    type: list
    elements: str
    default: []
  break_glass:
    description: Local accounts for the console.
    type: list
    elements: str
    default: []
  peers:
    description: Hosts with which virtual machines migrate; ssh and libvirt's TLS port of each are tried.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    description: The same in check mode, because nothing is changed.
    support: full
  diff_mode:
    description: Nothing changes, so there is no difference to show.
    support: none
  platform:
    platforms: posix
    support: full
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Ask who could get in
  dwp.hypervisor.kvm_access_info:
    people: [alice, bob]
    break_glass: [breakglass]
  register: access
"""

RETURN = r"""
client:
  description: The ssh connection the module came by; null where the connection is local.
  type: dict
  returned: always
  sample: {"user": "ansible", "address": "192.0.2.7", "port": 51234, "local_address": "192.0.2.1", "local_port": 22}
people:
  description: For each account, whether it gets in and may become root, and why not.
  type: list
  elements: dict
  returned: always
  sample: [{"name": "alice", "can": true, "why": ""}]
break_glass:
  description: The same for accounts at the console.
  type: list
  elements: dict
  returned: always
  sample: [{"name": "breakglass", "can": false, "why": "it has no password that could be used"}]
inbound:
  description: Established connections to ports that listen on the host.
  type: list
  elements: dict
  returned: always
  sample: [{"protocol": "tcp", "local_address": "192.0.2.1", "local_port": 22, "peer": "192.0.2.7", "peer_port": 51234}]
outbound:
  description: Connections the host made to others.
  type: list
  elements: dict
  returned: always
  sample: [{"protocol": "tcp", "peer": "192.0.2.9", "peer_port": 6514, "process": "rsyslogd"}]
guests:
  description: The process of each running virtual machine by its UUID.
  type: dict
  returned: always
  sample: {"3b1d2f6c-7a52-4e55-9d6f-000000000001": 4711}
answering:
  description: Addresses on the host's bridges that answer a ping.
  type: list
  elements: str
  returned: always
  sample: ["192.168.122.12"]
networks:
  description: libvirt's networks whose name and address server runs.
  type: list
  elements: str
  returned: always
  sample: ["default"]
orchestrators:
  description: Orchestrators whose agents run on the host, and which own its settings.
  type: list
  elements: str
  returned: always
  sample: ["Pacemaker"]
peers:
  description: Whether each migration peer takes a connection.
  type: dict
  returned: always
  sample: {"kvm2.example.org:22": true}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import guests, session, ways_in
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.engine import ChangeError


def main():
    """Ask and return; nothing else."""
    names = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={"people": names, "break_glass": names, "peers": names}, supports_check_mode=True
    )
    client = session.client()
    try:
        module.exit_json(
            changed=False,
            client=client,
            people=[ways_in.person(name, client) for name in module.params["people"]],
            break_glass=[ways_in.break_glass(name, client) for name in module.params["break_glass"]],
            inbound=session.inbound(),
            outbound=session.outbound(),
            guests=guests.running(),
            answering=guests.answering(),
            networks=guests.networks(),
            orchestrators=guests.orchestrators(),
            peers=guests.peers(module.params["peers"]),
        )
    except (ChangeError, OSError) as error:
        module.fail_json(msg="who could get in could not be told: %s" % error)


if __name__ == "__main__":
    main()
