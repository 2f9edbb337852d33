# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hardening run says it did is sealed beside its audits."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.action import harden_report as action
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import pack_verify
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that has audited one host, in which nothing was to be done."""
    before = tmp_path / "run-1" / "before"
    (before / "subjects").mkdir(parents=True)
    archive.seal(before, None)
    return before.parent


def answer(run: Path) -> dict[str, Any]:
    plugin = object.__new__(action.ActionModule)
    plugin._task = SimpleNamespace(check_mode=False)
    given = {"directory": str(run), "run_id": "run-1", "failed": {}, "attempted": [], "signing_key": None}
    variables = {"hostvars": {"kvm1": {"hypervisor_platform": "kvm"}}, "ansible_play_hosts_all": ["kvm1"]}
    return plugin.answer(given, variables)


def test_what_was_done_is_sealed_and_chained_to_the_audit(run):
    found = answer(run)
    assert [host["host"] for host in found["hosts"]] == ["kvm1"]
    assert [fine for _text, fine in pack_verify.check(run)] == [True, True]
    header, entries = pack_verify.read_manifest(run / "changes")
    assert header["previous"] == ("before", pack_verify.file_digest(run / "before" / "MANIFEST.sha256"))
    assert {"changes.json", "changes.md"} <= set(entries)


def test_a_changed_account_of_it_is_named(run):
    answer(run)
    (run / "changes" / "changes.md").write_text("nothing happened\n", encoding="utf-8")
    assert any("changes.md:1" in text for text, fine in pack_verify.check(run) if not fine)
