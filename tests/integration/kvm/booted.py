# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A booted lab host as the tests use it: commands, files, facts over ssh, audits."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold, loader
from ansible_collections.dwp.hypervisor.tests.integration.kvm import seen
from ansible_collections.dwp.hypervisor.tests.lab.kvm import host as nspawn
from ansible_collections.dwp.hypervisor.tests.lab.kvm import inventory, rootfs, vm, vmimage

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
ANSIBLE = pathlib.Path(sys.executable).parent / "ansible"


# The variant that is the full VM; the others are those of tests/lab/kvm/rootfs.py.
VM = "vm"
VARIANTS = (*rootfs.VARIANTS, VM)


class CollectError(AssertionError):
    """Ansible or the module failed; the message holds what they printed."""


class BootedHost:
    """One lab host. Commands run as root inside it; facts and audits go through Ansible over ssh."""

    def __init__(self, name: str, variant: str = "monolithic", secure_boot: bool = True) -> None:
        """Start a fresh host (or, as variant vm, a copy of the full VM); one left behind with that name goes first.

        secure_boot: of the full VM.
        """
        self.name = name
        self.variant = variant
        self.stop()
        self.lab = vm.up(name, secure_boot) if variant == VM else nspawn.up(name, variant)
        self.seen = seen.VM if variant == VM else seen.BOOTED
        # Emulated, and beside other work, a collection takes a minute.
        self.patience = 300 if variant == VM else 60

    def stop(self) -> None:
        """Take the host down with everything it left."""
        (vm if self.variant == VM else nspawn).down(self.name)

    def reboot(self) -> None:
        """Restart the full VM and wait for it."""
        vm.reboot(vm.running(self.name))

    @property
    def inventory(self) -> pathlib.Path:
        """The host's Ansible inventory."""
        return inventory.path(self.name)

    def run(self, command: str, timeout: float = 60.0, check: bool = True) -> str:
        """Run a shell command as root inside the host and return what it printed.

        :raises AssertionError: the command failed (unless check is False).
        """
        done = self.lab.run(["/bin/sh", "-c", command], timeout=timeout)
        if check and done.returncode:
            raise AssertionError(
                f"on {self.name}: {command!r} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of root's inside the host, parents included."""
        command = [
            "/bin/sh",
            "-c",
            'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod "$2" "$1"',
            "sh",
            path,
            f"{mode:o}",
        ]
        done = self.lab.run(command, stdin=text)
        assert done.returncode == 0, done.stderr

    @contextlib.contextmanager
    def kept(self, *paths: str, restart: Sequence[str] = ()) -> Iterator[None]:
        """Put files and directories back as they were, new files removed, and restart units, when the block ends."""
        quoted = " ".join(f"'{path.lstrip('/')}'" for path in paths)
        # --ignore-failed-read: what is not there now has to be absent afterwards, too.
        archive = self.run(
            f"archive=$(mktemp /run/lab-kept-XXXXXX) && cd / && "
            f"tar -cf $archive --acls --xattrs --ignore-failed-read {quoted} 2> /dev/null && echo $archive"
        ).strip()
        try:
            yield
        finally:
            self.run(f"cd / && rm -rf {quoted} && tar -xpf {archive} --acls --xattrs && rm {archive}")
            self.restart(restart)

    def restart(self, units: Sequence[str]) -> None:
        """Reload unit files and restart the units."""
        if units:
            # Many tests restart the same unit within seconds, which systemd would refuse as a crash loop.
            self.run(
                f"systemctl daemon-reload && systemctl reset-failed {' '.join(units)} 2> /dev/null; "
                f"systemctl restart {' '.join(units)}"
            )

    def module(
        self, name: str, arguments: Mapping[str, Any], user: str = "ansible", become: bool = True
    ) -> dict[str, Any]:
        """Run one module over ssh and return its result."""
        settings = {"ansible_user": user, "ansible_become": become}
        if user != "ansible":
            settings["ansible_ssh_private_key_file"] = str(rootfs.keys() / user)
        command = [str(ANSIBLE), self.name, "-i", str(self.inventory), "-m", name, "-e", json.dumps(settings)]
        if arguments:
            command += ["-a", json.dumps(arguments)]
        done = subprocess.run(
            command,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=self.patience + 50,
            check=False,
            env=ansible_environment(),
        )
        head, arrow, body = done.stdout.partition(" => ")
        if done.returncode or not arrow:
            raise CollectError(f"{name} on {self.name}: {done.stdout[-4000:]}{done.stderr[-4000:]}")
        assert "SUCCESS" in head or "CHANGED" in head, head
        return json.JSONDecoder().raw_decode(body.lstrip())[0]

    def facts(self, parts: Sequence[str] | None = None, user: str = "ansible", become: bool = True) -> dict[str, Any]:
        """Return the facts document that dwp.hypervisor.kvm_info reads (all parts, or the named ones)."""
        result = self.module(
            "dwp.hypervisor.kvm_info", {"parts": list(parts or []), "time_limit": self.patience}, user, become
        )
        assert result["changed"] is False
        return result["facts"]

    def audit(self, gold_overrides: Mapping[str, Any] | None = None, **how: Any) -> dict[str, Any]:
        """Collect and assess; returns the subject-results document. ``how`` goes to facts()."""
        return self.assess(self.facts(**how), gold_overrides)

    def assess(self, facts: Mapping[str, Any], gold_overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Assess facts of this host in-process against the default gold configuration and the overrides."""
        subject = {
            "id": f"{self.name}/lab",
            "name": self.name,
            "slug": self.name,
            "platform": "kvm",
            "kind": "host",
            "endpoint": self.name,
            "tags": {},
        }
        document = assess.assess(
            facts,
            standard=loader.load_standard(),
            gold=gold.effective({**gold.defaults(), **(gold_overrides or {})}, subject),
            subject=subject,
            now=dt.datetime.now(dt.timezone.utc),
        )
        self.seen.audit(document)
        return document


def ansible_environment() -> dict[str, str]:
    """Return the environment of an Ansible process that has the checkout's configuration and nothing of the user's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return {**kept, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"}


def result_of(document: Mapping[str, Any], check: str) -> dict[str, Any]:
    """Return the result of one check in a subject-results document."""
    for result in document["results"]:
        if result["check"] == check:
            return result
    raise KeyError(f"no check {check!r} in the standard's data")


def cannot_run() -> str | None:
    """Return why this machine can run no lab host, or None."""
    if not shutil.which("mmdebstrap"):
        return "mmdebstrap is missing on this machine (python3 -m tests.lab.kvm deps)"
    return nspawn.why_not()


def cannot_run_vm() -> str | None:
    """Return why this machine cannot run the full VM, or None."""
    missing = [tool for tool in vmimage.TOOLS if not shutil.which(tool)]
    if missing:
        return f"missing on this machine: {', '.join(missing)} (python3 -m tests.lab.kvm vm deps)"
    return None if os.geteuid() == 0 else "not root, and only root can build the VM's root file system"
