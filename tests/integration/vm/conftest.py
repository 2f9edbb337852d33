# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the slow lane: the full VM (make test-vm)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted, seen


@pytest.fixture(scope="session")
def vm_ready() -> None:
    """Skip unless the slow lane was asked for; once it was, a machine that cannot run it is an error."""
    if os.environ.get("LAB_VM") != "1":
        pytest.skip("the full VM is a slow lane of its own: make test-vm")
    reason = booted.cannot_run_vm()
    if reason:
        pytest.fail(f"no full VM on this machine: {reason}", pytrace=False)


@pytest.fixture(scope="session")
def vm(vm_ready: None) -> Iterator[booted.BootedHost]:
    """The full VM, started from its snapshot (built first when it is not cached)."""
    host = booted.BootedHost(f"vm-{os.getpid()}", booted.VM)
    yield host
    host.stop()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write which statuses were seen, also after a failed run."""
    seen.VM.write(whole=seen.is_whole(session))
    seen.ENFORCED_VM.write(whole=seen.is_whole(session))
