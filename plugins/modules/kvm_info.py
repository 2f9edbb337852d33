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
import importlib.machinery
import importlib.util
import io
import json
import os
import sys
import zipfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

PACKAGE = "ansible_collections.dwp.hypervisor.plugins.module_utils"
LIBVIRT_PARTS = {"libvirt", "storage"}
SYSTEM_PYTHONS = ["/usr/libexec/platform-python", "/usr/bin/python3"]


class Archive(object):
    """Imports the collector from the archive that the action has packed (plugin_utils/kvm/collector_archive.py).

    It stays in memory: an audit writes nothing on the host. And zipimport would compile each module twice.
    """

    def __init__(self, content):
        self._files = zipfile.ZipFile(io.BytesIO(content))
        self._names = frozenset(self._files.namelist())

    def find_spec(self, name, *_where):
        """What importlib asks of whatever stands in sys.meta_path."""
        place = name.replace(".", "/")
        for origin, package in ((place + "/__init__.py", True), (place + ".py", False)):
            if name.startswith(PACKAGE) and origin in self._names:
                return importlib.util.spec_from_file_location(
                    name,
                    origin,
                    loader=Loader(name, origin, self._files),
                    submodule_search_locations=[place] if package else None,
                )
        return None


class Loader(importlib.machinery.SourceFileLoader):
    """Loads one module of the archive."""

    def __init__(self, name, origin, files):
        importlib.machinery.SourceFileLoader.__init__(self, name, origin)
        self._files = files

    def get_data(self, path):
        """The source."""
        return self._files.read(path)

    def path_stats(self, path):
        """There is no time of change, and so no bytecode is looked for or written."""
        raise OSError("%s is in memory" % path)


def imported(name):
    """A module of the collector."""
    return importlib.import_module("%s.kvm.%s" % (PACKAGE, name))


def python_with_libvirt():
    """The system's Python where the binding lives, which is packaged for that one only; None where this one has it."""
    if importlib.util.find_spec("libvirt"):
        return None
    return respawn.probe_interpreters_for_module(SYSTEM_PYTHONS, "libvirt")


def asked_of(python, module, content):
    """The facts as another interpreter collects them. ansible-core's own respawn takes no arguments of this size."""
    memory = os.memfd_create("collector")
    with os.fdopen(os.dup(memory), "wb") as stream:
        stream.write(content)
    path = "/proc/%d/fd/%d" % (os.getpid(), memory)
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
    content = base64.b64decode(module.params["collector"])
    sys.meta_path.insert(0, Archive(content))
    python = python_with_libvirt()
    wanted = module.params["parts"]
    host = imported("host").Host(module.params["libvirt_uri"])
    if not python and (not wanted or LIBVIRT_PARTS & set(wanted)):
        # An idle daemon takes as long to answer as Python to compile the collector.
        host.begin_libvirt()
    collector = imported("collector")
    unknown = sorted(set(wanted) - set(collector.names())) if wanted else []
    if unknown:
        module.fail_json(msg="no part named %s; the parts are %s" % (", ".join(unknown), ", ".join(collector.names())))
    if python:
        facts = asked_of(python, module, content)
    else:
        facts = collector.collect(host, wanted, module.params["time_limit"])
    module.exit_json(changed=False, facts=facts)


if __name__ == "__main__":
    main()
