# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the Ansible inventory of a lab host."""

from __future__ import annotations

import pathlib

from . import paths, rootfs

TEMPLATE = """\
---
all:
  hosts:
    {name}:
      ansible_host: {address}
      ansible_port: {port}
      ansible_user: ansible
      ansible_ssh_private_key_file: {key}
      ansible_ssh_args: >-
        -o ControlMaster=auto -o ControlPersist=300s -o ControlPath={state}/cm-%C
        -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes
      ansible_python_interpreter: /usr/bin/python3
      ansible_become: true
      hypervisor_platform: kvm
"""


def path(name: str) -> pathlib.Path:
    """Return where the inventory of a host is."""
    return paths.host_state(name) / "inventory.yml"


def write(name: str, address: str, port: int = 22) -> pathlib.Path:
    """Write the inventory of a started host and return its path."""
    text = TEMPLATE.format(
        name=name, address=address, port=port, key=rootfs.keys() / "ansible", state=paths.host_state(name)
    )
    path(name).write_text(text, encoding="utf-8")
    return path(name)
