# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests that change booted hosts: a lane of its own, beside the audits of tests/integration/kvm."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.kvm import seen
from ansible_collections.dwp.hypervisor.tests.integration.kvm.conftest import kvm_host, lab_ready, modular_host

__all__ = ["kvm_host", "lab_ready", "modular_host"]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what roles were seen to put right, also after a failed run."""
    seen.ENFORCED.write(whole=seen.is_whole(session))
