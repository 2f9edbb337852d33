# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every entry of enforced/*.yml: the role repairs the host, twice is once, and revert puts everything back."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.enforcement import enforced
from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted

ENTRIES = [entry for entry in enforced.load() if entry.variant != booted.VM]


@pytest.fixture(scope="module")
def rounds(lab_ready: None) -> enforced.Rounds:
    """All rounds, run when first asked for."""
    return enforced.Rounds(ENTRIES)


# The first test of a round starts a host and runs the role four times.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_enforced(rounds: enforced.Rounds, entry: enforced.Entry) -> None:
    rounds.of(entry).judge(entry)
