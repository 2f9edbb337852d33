# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The target's Go sources, and how it starts and ends."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from ansible_collections.dwp.hypervisor.tests.lab.kvm import paths
from ansible_collections.dwp.hypervisor.tests.lab.vsphere import program, target


def test_go_sources_are_formatted_and_sound(lab_ready: None) -> None:
    """What gofmt and go vet have to say."""
    tool = program.go()
    if tool is None:
        pytest.skip("no Go toolchain here; the program is in the cache")
    root = subprocess.run(
        [tool, "env", "GOROOT"], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    gofmt = pathlib.Path(root) / "bin/gofmt"
    unformatted = subprocess.run([gofmt, "-l", program.SOURCES], capture_output=True, text=True, check=True, timeout=60)
    assert unformatted.stdout == ""
    vet = subprocess.run(
        [tool, "vet", "."], cwd=program.SOURCES, capture_output=True, text=True, check=False, timeout=100
    )
    assert (vet.returncode, vet.stderr) == (0, "")


def test_nothing_is_left(lab_ready: None) -> None:
    """The secrets are the owner's, `up` starts afresh, and `down` leaves neither a process nor a file."""
    name = f"end-{os.getpid()}"
    try:
        first = target.up(name, target.Size(hosts=1, vms=0))
        for path in (first.inventory, first.state / "target.json", first.state / "config.json"):
            assert path.stat().st_mode & 0o077 == 0
        second = target.up(name, target.Size(hosts=1, vms=0))
        assert not first.alive()
        assert second.alive()
        assert name in target.names()
    finally:
        target.down(name)
    assert not second.alive()
    assert not second.state.exists()
    assert not list(pathlib.Path("/dev/shm").glob(f"*{name}"))
    assert target.find(name) is None


def test_what_up_refuses(lab_ready: None) -> None:
    """Too much, a name that is none, a role that is none: nothing is left running, and the error says why."""
    for size in (target.Size(hosts=0), target.Size(vms=-1), target.Size(hosts=10_000)):
        with pytest.raises(paths.LabError):
            target.up("refused", size)
    with pytest.raises(paths.LabError, match="no lab host name"):
        target.up("../etc")
    name = f"role-{os.getpid()}"
    with pytest.raises(paths.LabError, match='no role "Nobody"'):
        target.up(name, target.Size(hosts=1, vms=0), [target.User("x@vsphere.local", "Nobody")])
    assert not paths.host_state(name).exists()
