# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call reads the whole kvm part of the facts document."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kvm_info
short_description: Read everything an SS-009 audit needs to know of a KVM host
version_added: 1.0.0
description:
  - Reads the effective state of a KVM and libvirt host in one call, read-only, as root or with fewer rights.
  - What cannot be read is listed in C(facts.collector.errors) with the reason and is C(unknown) to every check; one
    part that fails never hides the others.
options:
  parts:
    description: Names of the parts to read. All of them when empty.
    type: list
    elements: str
    default: []
  libvirt_uri:
    description:
      - Where libvirt is asked. C(test:///default) and C(test:///path/to/file.xml) are libvirt's in-process test driver.
    type: str
    default: qemu:///system
  time_limit:
    description: Seconds for all parts together. A part that has not answered by then is listed as an error.
    type: int
    default: 60
  collector:
    description: The collector's code, which the action of this name fills in. Nothing for you to give.
    type: str
    required: true
extends_documentation_fragment:
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    description: The module changes nothing and reports the same in check mode.
    support: full
  diff_mode:
    description: Nothing changes, so there is no difference to show.
    support: none
  platform:
    platforms: posix
author:
  - dwp.hypervisor contributors (@dwp-hypervisor)
"""

EXAMPLES = r"""
- name: Read the facts of a KVM host
  dwp.hypervisor.kvm_info:
  become: true
  register: kvm

- name: Read only what concerns remote access
  dwp.hypervisor.kvm_info:
    parts: [ssh, protocols]
  register: kvm
"""

RETURN = r"""
facts:
  description: The facts document of the host, see the collection's guide to facts.
  returned: always
  type: dict
  contains:
    schema_version:
      description: Version of the document's shape.
      type: int
      returned: always
      sample: 1
    collector:
      description: What could not be read and why, and whether the module ran as root.
      type: dict
      returned: always
      sample: {"errors": [{"path": "boot.tpm", "reason": "permission denied"}], "privileges_ok": false}
"""

import base64
import importlib.util
import json
import os
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

PLUGINS = "ansible_collections.dwp.hypervisor.plugins"
LIBVIRT_PARTS = {"libvirt", "storage"}
SYSTEM_PYTHONS = ["/usr/libexec/platform-python", "/usr/bin/python3"]


def unpacked(archive):
    """Keep the archive that the action has packed (plugin_utils/collector_archive.py) in memory, and return its path.

    A file of this process only: an audit writes nothing on the host.
    """
    memory = os.memfd_create("collector")
    with os.fdopen(os.dup(memory), "wb") as stream:
        stream.write(base64.b64decode(archive))
    return "/proc/%d/fd/%d" % (os.getpid(), memory)


def imported(path, name):
    """A module of the collector from the archive."""
    place = "%s/%s" % (path, PLUGINS.replace(".", "/"))
    if place not in sys.modules[PLUGINS].__path__:
        sys.modules[PLUGINS].__path__.append(place)
    return importlib.import_module("%s.module_utils.kvm.%s" % (PLUGINS, name))


def python_with_libvirt():
    """The system's Python where the binding lives, which is packaged for that one only; None where this one has it."""
    if importlib.util.find_spec("libvirt"):
        return None
    return respawn.probe_interpreters_for_module(SYSTEM_PYTHONS, "libvirt")


def asked_of(python, module, path):
    """The facts as another interpreter collects them. ansible-core's own respawn takes no arguments of this size."""
    request = {name: module.params[name] for name in ("libvirt_uri", "parts", "time_limit")}
    code, out, err = module.run_command([python, path], data=json.dumps(request), binary_data=True)
    if code:
        module.fail_json(msg="the collector failed under %s: %s" % (python, err.strip()[-300:]))
    return json.loads(out)


def main():
    """Read and return; nothing else."""
    module = AnsibleModule(
        argument_spec={
            "parts": {"type": "list", "elements": "str", "default": []},
            "libvirt_uri": {"type": "str", "default": "qemu:///system"},
            "time_limit": {"type": "int", "default": 60},
            "collector": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    path = unpacked(module.params["collector"])
    python = python_with_libvirt()
    wanted = module.params["parts"]
    host = imported(path, "host").Host(module.params["libvirt_uri"])
    if not python and (not wanted or LIBVIRT_PARTS & set(wanted)):
        # An idle daemon takes as long to answer as Python to compile the collector.
        host.begin_libvirt()
    collector = imported(path, "collector")
    unknown = sorted(set(wanted) - set(collector.names())) if wanted else []
    if unknown:
        module.fail_json(msg="no part named %s; the parts are %s" % (", ".join(unknown), ", ".join(collector.names())))
    if python:
        facts = asked_of(python, module, path)
    else:
        facts = collector.collect(host, wanted, module.params["time_limit"])
    module.exit_json(changed=False, facts=facts)


if __name__ == "__main__":
    main()
