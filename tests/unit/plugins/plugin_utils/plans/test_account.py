# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run did is kept as a fact, or in a file that the fact names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import account, answer
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.updated import no_restarts

SET = {"esx1": {"PermitRootLogin": {"old": "yes", "new": "no", "checks": ["c"], "measures": ["11.4.6"]}}}
RESTARTED = {**no_restarts(), "restarted": {"esx1": {"seconds": 1.0}}}


def told(former: dict[str, Any], directory: Path | None, updated: dict[str, Any], area: str = "logging"):
    """The result of a task in which one area was enforced."""
    found = answer.Answer("vc1", load_standard(), former, print, print)
    found.take(area, {**answer.nothing(), "updated": updated})
    return found.result(True, str(directory) if directory else None)


@pytest.mark.parametrize("in_file", [False, True])
def test_areas_and_restarts_of_a_run_are_gathered(tmp_path: Path, in_file: bool) -> None:
    directory = tmp_path if in_file else None
    first = told(account.of(None, "7"), directory, SET)["ansible_facts"][account.FACT]
    second = told(account.of(first, "7"), directory, {}, "firewall")["ansible_facts"][account.FACT]
    assert ("areas" in second, "file" in second) == (not in_file, in_file)
    found = account.of(second, "7")
    assert list(found["areas"]) == ["logging", "firewall"]
    assert found["areas"]["logging"]["updated"] == SET
    assert found["restarts"] == no_restarts()


def test_of_a_fleet_neither_result_nor_fact_has_the_areas(tmp_path: Path) -> None:
    found = told(account.of(None, "7"), tmp_path, SET)
    assert found["areas"] == {} and found["changed"]
    kept = found["ansible_facts"][account.FACT]
    assert kept == {"run_id": "7", "changed": True, "file": kept["file"]}
    assert Path(kept["file"]).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("updated", "restarts", "changed"), [({}, no_restarts(), False), (SET, no_restarts(), True), ({}, RESTARTED, True)]
)
def test_whether_anything_was_changed(updated, restarts, changed) -> None:
    areas = {"logging": {**answer.nothing(), "updated": updated}}
    assert account.fact({"run_id": "7", "areas": areas, "restarts": restarts}, None, "vc1")["changed"] is changed


def test_another_run_is_not_this_one() -> None:
    kept = told(account.of(None, "7"), None, SET)["ansible_facts"][account.FACT]
    assert account.of(kept, "8") == {"run_id": "8", "areas": {}, "restarts": no_restarts(), "selected": None}


@pytest.mark.parametrize("in_file", [False, True])
def test_which_hosts_it_was_for_is_kept(tmp_path: Path, in_file: bool) -> None:
    found = answer.Answer("vc1", load_standard(), account.of(None, "7"), print, print)
    found.take_selection({"esx2", "esx1"})
    kept = found.result(True, str(tmp_path) if in_file else None)["ansible_facts"][account.FACT]
    assert account.of(kept, "7")["selected"] == ["esx1", "esx2"]
    # Another task of the run, which names none, does not take it back.
    assert told(account.of(kept, "7"), None, {})["ansible_facts"][account.FACT]["selected"] == ["esx1", "esx2"]


@pytest.mark.parametrize("content", ["", "[]", '{"areas": {}}'])
def test_a_file_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "vc1.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"vc1\.json does not say what was enforced"):
        account.of({"run_id": "7", "changed": True, "file": str(file)}, "7")
