# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which an action logs in to a vCenter or an ESXi host, and where host, user and password come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONNECTION: dict[str, Any] = {
    "port": {"type": "int", "default": 443},
    "validate_certs": {"type": "bool", "default": True},
    "ca_file": {"type": "path"},
    "certificate_sha256": {"type": "str"},
}


def connection_of(action: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    """{host, user, password} of the inventory host.

    From the connection variables and never from options: a task's options are shown where somebody is debugging.
    """
    names = {"host": "ansible_host", "user": "ansible_user", "password": "ansible_password"}
    found = {key: action._templar.template(variables.get(name)) for key, name in names.items()}
    context = action._play_context
    return {
        "host": found["host"] or variables["inventory_hostname"],
        "user": str(found["user"] or context.remote_user or ""),
        "password": str(found["password"] or context.password or ""),
    }
