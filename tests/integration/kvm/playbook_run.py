# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit playbook against booted hosts in a process of its own, and everything it left behind."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import CHECKOUT, BootedHost

TIME_LIMIT = 180.0


class Run:
    """One finished run: its exit code, what it printed, and its files below folder."""

    def __init__(self, folder: pathlib.Path, done: subprocess.CompletedProcess[str]) -> None:
        self.folder = folder
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        self.directory = folder / "reports" / "latest"

    @property
    def document(self) -> dict[str, Any]:
        """results.json."""
        path = self.directory / "results.json"
        assert path.exists(), self.output[-4000:]
        return json.loads(path.read_text())

    def subject(self, name: str) -> dict[str, Any]:
        """The subject of an inventory host."""
        return next(found for found in self.document["subjects"] if found["name"] == name)

    def evidence(self, name: str) -> dict[str, Any]:
        """The evidence of an inventory host."""
        return json.loads((self.directory / "evidence" / f"{self.subject(name)['slug']}.json").read_text())

    def vms(self, name: str) -> list[dict[str, Any]]:
        """The virtual machines in the facts of an inventory host."""
        return self.evidence(name)["facts"]["vms"]

    def verdicts(self, name: str) -> dict[str, str]:
        """{check: status} of an inventory host."""
        document = self.document
        subject = next(found["id"] for found in document["subjects"] if found["name"] == name)
        return {entry["check"]: entry["status"] for entry in document["results"] if entry["subject"] == subject}

    def files(self) -> list[pathlib.Path]:
        """Everything below the folder that is no directory."""
        return sorted(path for path in self.folder.rglob("*") if path.is_symlink() or not path.is_dir())


def audit_playbook(
    folder: pathlib.Path,
    hosts: Sequence[BootedHost],
    *arguments: str,
    variables: Mapping[str, Any] | None = None,
    more_hosts: str = "",
) -> Run:
    """Run the playbook with `folder` as working directory, home and fact cache.

    more_hosts: the text of one more inventory file, read last.
    """
    inventories = [argument for host in hosts for argument in ("-i", str(host.inventory))]
    if more_hosts:
        (folder / "inventory").write_text(more_hosts)
        inventories += ["-i", str(folder / "inventory")]
    extra = json.dumps({"hypervisor_report_dir": str(folder / "reports"), **(variables or {})})
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), *inventories]
        + [str(CHECKOUT / "playbooks" / "audit.yml"), "-e", extra, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        check=False,
        env={
            **kept,
            "HOME": str(home),
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_HOME": str(home),
            "ANSIBLE_CACHE_PLUGIN": "jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(folder / "facts"),
            "ANSIBLE_LOG_PATH": str(folder / "ansible.log"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        },
    )
    return Run(folder, done)
