# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which status each check was seen to have on a real target; the generated table of checks reads the files.

tests/output/seen-booted.json (and seen-vm.json of the full VM, seen-vsphere.json of the simulated vCenter):

    {"where": "booted host", "checks": {"kvm-11.4.6-root-login": {
        "pass": "audit", "fail": "break remote_access[0]", "unknown": "audit without rights"}}}

The value says how it came about. "break ..." means that the host was made to pass, broken, and audited again;
"never: ..." that it cannot come about on a target, and why.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import pytest

OUTPUT = pathlib.Path(__file__).resolve().parents[2] / "output"


class Seen:
    """A table of statuses per check that only ever grows; written as one JSON file."""

    def __init__(self, where: str, file: str) -> None:
        self.where = where
        self.file = OUTPUT / file
        self.checks: dict[str, dict[str, str]] = {}
        self.how = "audit"

    def status(self, check: str, status: str, how: str) -> None:
        """Note one status; a break test outranks an audit, and the first of its kind stays."""
        known = self.checks.setdefault(check, {})
        if status not in known or (how.startswith("break") and not known[status].startswith("break")):
            known[status] = how

    def audit(self, document: Mapping[str, Any]) -> None:
        """Note what every check of a subject-results document measured."""
        for result in document["results"]:
            self.status(result["check"], result["measured"], self.how)

    def write(self, whole: bool) -> None:
        """Write the file atomically, nothing when nothing was seen; a run of some tests only adds to what is there."""
        if not self.checks:
            return
        if not whole and self.file.exists():
            for check, known in json.loads(self.file.read_text(encoding="utf-8"))["checks"].items():
                for status, how in known.items():
                    self.status(check, status, how)
        OUTPUT.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        document = {"where": self.where, "checks": dict(sorted(self.checks.items()))}
        fresh.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.file)


BOOTED = Seen("booted host", "seen-booted.json")
VM = Seen("virtual machine", "seen-vm.json")
VSPHERE = Seen("simulated vCenter", "seen-vsphere.json")
# Which failing checks a role was seen to put right, {check: {where: how}}; each lane writes a file of its own.
ENFORCED = Seen("booted host", "seen-enforced.json")
ENFORCED_VM = Seen("virtual machine", "seen-enforced_vm.json")
ENFORCED_VSPHERE = Seen("simulated vCenter", "seen-enforced_vsphere.json")


def is_whole(session: pytest.Session) -> bool:
    """Say whether the run was of everything in its folder, so that what it did not see was not there to see."""
    option = session.config.option
    return not (option.keyword or option.markexpr or any(".py" in argument for argument in session.config.args))
