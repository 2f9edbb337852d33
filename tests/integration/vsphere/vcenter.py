# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running vSphere target of the lab, as the tests use it."""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import yaml

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Endpoint

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
STATE = pathlib.Path("/run/dwp-hypervisor-lab")
START_LIMIT = 300.0  # the first start compiles the program


def lab(*arguments: str, limit: float = 60.0) -> str:
    """Run the lab's command line and return what it printed."""
    command = [sys.executable, "-m", "tests.lab.vsphere", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, check=False, timeout=limit, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Target:
    """One target. inventory: file for its administrator; see auditor for its read-only account."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = STATE / name
        self.inventory = self.state / "inventory.yml"

    @property
    def auditor(self) -> Target:
        """The same target for its read-only account."""
        found = Target(self.name)
        found.inventory = self.state / "inventory-auditor.yml"
        return found

    @classmethod
    def up(cls, name: str, *arguments: str) -> Target:
        """Start a fresh one."""
        lab("up", name, *arguments, limit=START_LIMIT)
        return cls(name)

    def down(self) -> None:
        """Stop it and remove what it left."""
        lab("down", self.name)

    @property
    def variables(self) -> dict[str, Any]:
        """The host variables of the inventory."""
        return yaml.safe_load(self.inventory.read_text())["all"]["hosts"][self.name]

    def endpoint(self, **changed: Any) -> Endpoint:
        """Where the collector logs in as administrator; changed: arguments of Endpoint."""
        found = self.variables
        given = {
            "host": found["ansible_host"],
            "user": found["ansible_user"],
            "password": found["ansible_password"],
            "port": found["hypervisor_port"],
            "ca_file": found["hypervisor_ca_file"],
            **changed,
        }
        return Endpoint(self.name, **given)

    @contextlib.contextmanager
    def fault(self, **rule: Any) -> Iterator[None]:
        """Have something go wrong for the time of a block; see tests/lab/vsphere/README.md."""
        self.control("POST", "faults", rule)
        try:
            yield
        finally:
            self.control("DELETE", "faults")

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control endpoint and return its answer."""
        address = self.variables["lab_control"].removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=10)
        try:
            connection.request(method, f"/{path}", None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, text
        return json.loads(text) if text else None
