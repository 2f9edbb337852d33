# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The areas of one run at an endpoint: what was set is told, whatever happens after it."""

from __future__ import annotations

import contextlib
import datetime as dt
import types
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard, load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import enforcement, planning
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.vsphere import recorded_session

AREAS = ("logging", "access_control", "firewall")


@pytest.mark.parametrize("error", [Lost("unreachable: no answer"), OSError("no space left"), ValueError("another run")])
def test_what_was_set_before_a_fault_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception) -> None:
    def area(_self: Any, name: str, *_rest: Any) -> dict[str, Any]:
        if name == "access_control":
            raise error
        return {**enforcement.empty_entry(), "change": "000001-logging"}

    monkeypatch.setattr(enforcement, "logged_in", lambda _endpoint: contextlib.nullcontext())
    monkeypatch.setattr(enforcement.Enforcement, "_proposals", lambda *_arguments: {name: {} for name in AREAS})
    monkeypatch.setattr(enforcement.Enforcement, "_area", area)
    given = {"state_dir": str(tmp_path), "rollback_seconds": 1, "state": "applied", "run_id": "1",
             "options": {"restart_esxi_hosts": True}}  # fmt: skip
    base = {"endpoint": "vc1"}
    mine = enforcement.Enforcement(given, load_standard(), {}, base, (), lambda _line: None)
    mine.waits("esx1", [["vsphere-11.2.1-exec-boot"]])
    done = mine.run(types.SimpleNamespace(name="vc1"), (), check_mode=False, ready=lambda: None)
    assert done["logging"]["change"] == "000001-logging"
    assert done["access_control"]["faults"] == {"vc1": str(error)}
    assert done["firewall"]["deferred"] == "not attempted, as access_control failed before it"
    assert mine.restarts["left"] == {"esx1": "not restarted, as access_control was refused or failed"}


def test_a_refusal_that_hosts_have_in_common_is_told_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lacking = {f"esx{number}": proposal.Proposal("logging", ("c",), refusal="no server") for number in range(1, 8)}
    found = {**lacking, "esx8": proposal.Proposal("logging", ("c",), refusal="two names"),
             "esx9": proposal.Proposal("logging", ("c",))}  # fmt: skip
    monkeypatch.setattr(enforcement, "logged_in", lambda _endpoint: contextlib.nullcontext())
    monkeypatch.setattr(enforcement.Enforcement, "_proposals", lambda *_arguments: {"logging": found})
    given = {"state_dir": str(tmp_path), "rollback_seconds": 1, "state": "planned", "run_id": "1", "options": {}}
    mine = enforcement.Enforcement(given, load_standard(), {}, {"endpoint": "vc1"}, (), lambda _line: None)
    done = mine.run(types.SimpleNamespace(name="vc1"), (), check_mode=False, ready=lambda: None)
    assert done["logging"]["refused"] == "esx1, esx2, esx3, esx4, esx5 and 2 more: no server; esx8: two names"


def test_nothing_is_changed_before_the_audit_before_is_sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    steps = []
    monkeypatch.setattr(enforcement, "logged_in", lambda _endpoint: contextlib.nullcontext())
    monkeypatch.setattr(enforcement.Enforcement, "_proposals", lambda *_arguments: steps.append("planned") or {})
    monkeypatch.setattr(enforcement.Enforcement, "_area", lambda *_arguments: steps.append("changed"))
    given = {"state_dir": str(tmp_path), "rollback_seconds": 1, "state": "applied", "run_id": "1", "options": {}}
    mine = enforcement.Enforcement(given, load_standard(), {}, {"endpoint": "vc1"}, (), lambda _line: None)

    def unsealed() -> None:
        steps.append("asked")
        raise OSError("before is not sealed")

    with pytest.raises(OSError, match="not sealed"):
        mine.run(types.SimpleNamespace(name="vc1"), (), check_mode=False, ready=unsealed)
    assert steps == ["planned", "asked"]


@pytest.mark.parametrize("number", range(4))
def test_hosts_are_judged_on_what_is_enforced_as_an_audit_judges_them(number: int) -> None:
    standard = load_standard()
    checks = [check for area in AREAS for check in proposal.area_checks(standard, area, "vsphere")]
    found = list(collector.collect(recorded_session.ReplaySession(recorded_session.load())))[number]
    subject = {"id": "vc1/a", "name": str(found.name), "slug": "a", "platform": "vsphere", "kind": found.kind,
               "endpoint": "vc1"}  # fmt: skip
    exceptions: list[dict[str, Any]] = []

    def results(of: Standard) -> list[Any]:
        now = dt.datetime(2026, 11, 30, tzinfo=dt.timezone.utc)
        return assess(found.facts, standard=of, gold=gold.defaults(), now=now, subject=subject, exceptions=exceptions)[
            "results"
        ]

    every = results(standard)
    failing = [result for result in every if result["check"] in checks and result["measured"] == "fail"]
    exceptions.append({"id": "EX-1", "checks": [failing[0]["check"]], "subjects": [subject["id"]],
                       "approved_on": "2026-01-01", "expires_on": "2026-12-31", "risk_ref": "R-1"})  # fmt: skip
    few, every = results(planning.only(standard, checks)), results(standard)
    assert few == [result for result in every if result["check"] in checks]
    assert [result["check"] for result in few if result["status"] == "excepted"] == [failing[0]["check"]]
