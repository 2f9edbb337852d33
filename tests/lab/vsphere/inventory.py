# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the Ansible inventories of a vSphere target."""

from __future__ import annotations

import json
import pathlib
import typing

if typing.TYPE_CHECKING:
    from . import target

TEMPLATE = """\
---
all:
  hosts:
    {name}:
      hypervisor_platform: vsphere
      ansible_connection: local
      ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"
      ansible_host: 127.0.0.1
      hypervisor_port: {port}
      ansible_user: {user}
      ansible_password: {password}
      hypervisor_validate_certs: true
      hypervisor_ca_file: {ca}
      lab_control: {control}
"""


def write(path: pathlib.Path, found: target.Target, user: str, password: str) -> None:
    """Write the inventory of a started target for one of its accounts; only its owner can read it."""
    text = TEMPLATE.format(
        name=found.name,
        port=found.port,
        user=json.dumps(user),
        password=json.dumps(password),
        ca=found.state / "ca.pem",
        control=found.control,
    )
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
