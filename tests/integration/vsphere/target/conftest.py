# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests on the vSphere target itself."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target import client
from ansible_collections.dwp.hypervisor.tests.lab.vsphere import program, target


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test of a run, which waits for the Go compiler, the time for it."""
    for item in items:
        if item.path.is_relative_to(pathlib.Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(program.BUILD_SECONDS + 120))


@pytest.fixture(scope="session")
def lab_ready() -> None:
    """Skip where the target cannot be built; with CI=true that is an error, for nothing may be left out there."""
    reason = program.why_not()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"no vSphere target on this machine: {reason}", pytrace=False)
    if reason:
        pytest.skip(f"no vSphere target on this machine: {reason}")
    program.build()


def _target(name: str, size: target.Size) -> Iterator[target.Target]:
    # The pid keeps two test runs on one machine apart.
    found = target.up(f"{name}-{os.getpid()}", size, [target.User("operator@vsphere.local", "VM operator")])
    yield found
    target.down(found.name)


@pytest.fixture(scope="module")
def lab(lab_ready: None) -> Iterator[target.Target]:
    """A fresh vCenter with three hosts and six virtual machines for each module."""
    yield from _target("vc", target.Size())


@pytest.fixture(scope="module")
def standalone(lab_ready: None) -> Iterator[target.Target]:
    """One ESXi 8.0.3 without a vCenter."""
    yield from _target("esx", target.Size(standalone="8.0.3"))


@pytest.fixture
def admin(lab: target.Target) -> Iterator[client.Client]:
    """A session of the administrator; faults that a test leaves are cleared."""
    session = client.Client(lab)
    yield session
    session.control("DELETE", "/faults")
    session.close()


@pytest.fixture
def auditor(lab: target.Target) -> Iterator[client.Client]:
    """A session of the read-only account."""
    session = client.Client(lab, user=1)
    yield session
    session.close()
