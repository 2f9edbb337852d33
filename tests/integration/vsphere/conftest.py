# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests that audit the vSphere target."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.kvm import seen
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target
from ansible_collections.dwp.hypervisor.tests.lab.vsphere import program


@pytest.fixture(scope="session")
def target_ready() -> None:
    """Skip where the target cannot run; with CI=true that is an error, for nothing may be left out there."""
    reason = program.why_not()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(f"no vSphere target on this machine: {reason}", pytrace=False)
    if reason:
        pytest.skip(f"no vSphere target on this machine: {reason}")


@pytest.fixture(scope="session")
def vsphere(target_ready: None) -> Iterator[Target]:
    """The default inventory, one vCenter with three hosts and six machines; tests leave it as they found it."""
    # The pid keeps two test runs on one machine apart.
    found = Target.up(f"audited-{os.getpid()}")
    yield found
    found.down()


@pytest.fixture(scope="session")
def esxi(target_ready: None) -> Iterator[Target]:
    """One ESXi 8.0.3 without a vCenter."""
    found = Target.up(f"esxi-{os.getpid()}", "--standalone", "8.0.3")
    yield found
    found.down()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write which statuses were seen, and what roles were seen to put right, also after a failed run."""
    for found in (seen.VSPHERE, seen.ENFORCED_VSPHERE):
        found.write(whole=seen.is_whole(session))
