# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests on a booted KVM host."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted, seen


@pytest.fixture(scope="session")
def lab_ready() -> None:
    """Skip when this machine can run no lab host; with CI=true that is an error, for nothing may be left out there."""
    reason = booted.cannot_run()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"no lab host on this machine: {reason}", pytrace=False)
    if reason:
        pytest.skip(f"no lab host on this machine: {reason}")


def _host(name: str, variant: str) -> Iterator[booted.BootedHost]:
    # The pid keeps two test runs on one machine apart.
    host = booted.BootedHost(f"{name}-{os.getpid()}", variant)
    yield host
    host.stop()


@pytest.fixture(scope="session")
def kvm_host(lab_ready: None) -> Iterator[booted.BootedHost]:
    """One booted host for all tests that leave it as they found it (see BootedHost.kept)."""
    yield from _host("test", "monolithic")


@pytest.fixture(scope="session")
def modular_host(lab_ready: None) -> Iterator[booted.BootedHost]:
    """The same with modular libvirt daemons, on Debian 13."""
    yield from _host("testmod", "modular")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write which statuses were seen, also after a failed run."""
    seen.BOOTED.write(whole=seen.is_whole(session))
