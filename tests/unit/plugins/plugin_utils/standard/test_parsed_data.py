# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was parsed and checked before counts only for the very files it was made from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold, parsed_data
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import (
    MEASURES_DIR,
    files_of,
    load_standard,
)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the data that is taken for the collection's own."""
    for folder in (MEASURES_DIR, gold.SETTINGS_DIR):
        shutil.copytree(folder, tmp_path / folder.name)
    monkeypatch.setattr(parsed_data, "HERE", tmp_path)
    return tmp_path


def test_the_files_pass_the_whole_check_and_say_the_same(tmp_path):
    shutil.copytree(MEASURES_DIR, tmp_path / "measures")
    assert parsed_data.parsed(files_of(tmp_path / "measures")) is None
    assert load_standard(tmp_path / "measures").measures == load_standard().measures


def test_every_gold_setting_passes_the_whole_check(monkeypatch):
    known = gold.load_settings()
    monkeypatch.setattr(gold, "parsed", lambda _paths: None)
    assert gold.load_settings.__wrapped__() == known


def test_files_as_they_were_written_are_known(elsewhere):
    files = files_of(elsewhere / "measures")
    assert set(parsed_data.parsed(files) or {}) == set(files)


def test_one_edited_file_makes_all_be_read_again(elsewhere):
    edited = elsewhere / "measures" / "11.4.6.yml"
    edited.write_text(edited.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert parsed_data.parsed(files_of(elsewhere / "measures")) is None


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff"])
def test_without_it_the_files_are_read(elsewhere, monkeypatch, content):
    broken = elsewhere / "parsed_data.json"
    if content is not None:
        broken.write_bytes(content)
    monkeypatch.setattr(parsed_data, "FILE", broken)
    monkeypatch.setattr(parsed_data, "_known", parsed_data._known.__wrapped__)
    assert parsed_data.parsed(files_of(elsewhere / "measures")) is None


def test_what_json_cannot_hold_is_refused(tmp_path):
    path = tmp_path / "x.yml"
    path.write_text("1: one\n", encoding="utf-8")
    with pytest.raises(ValueError, match="a key that is no text"):
        parsed_data.text({path: {1: "one"}})
