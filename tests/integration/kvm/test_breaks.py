# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every entry of breaks/*.yml: the check passes on a host that is in order and fails on the same host broken."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted, breaks, entry_files

# The full VM has a lane of its own: tests/integration/vm.
ENTRIES = [entry for entry in breaks.load() if entry.variant != booted.VM]


@pytest.fixture(scope="module")
def rounds(lab_ready: None) -> breaks.Rounds:
    """All rounds, run when first asked for."""
    return breaks.Rounds(ENTRIES)


# The first test of a round starts a host and audits it twice.
@pytest.mark.timeout(300)
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_break(rounds: breaks.Rounds, entry: breaks.Entry) -> None:
    rounds.of(entry).judge(entry)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("check: x", "expected a list"),
        ("- {check: x, brake: [a]}", "did you mean 'break'"),
        ("- {check: x}", "break is missing"),
        ("- {check: x, break: 'a'}", "expected list"),
        ("- {check: x, break: [a], expect: failed}", "expected one of pass, fail"),
        ("- {check: x, break: [1]}", "something else than text"),
    ],
)
def test_malformed_break_file_is_refused(tmp_path, text: str, told: str) -> None:
    (tmp_path / "area.yml").write_text(text, encoding="utf-8")
    with pytest.raises(entry_files.EntryFileError, match=told) as caught:
        breaks.load(tmp_path)
    assert "area.yml" in str(caught.value)
