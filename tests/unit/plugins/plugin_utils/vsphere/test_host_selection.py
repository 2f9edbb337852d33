# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run for some ESXi hosts: whom a pattern means, and that nothing is planned for the others or what they share."""

from __future__ import annotations

import types
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.controller import CONTROLLER
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import side_by_side
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan, proposal, run_options
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.updated import no_restarts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import enforcement
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.host_selection import chosen
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.vsphere.recorded_session import (
    ReplaySession,
    load,
)

FLEET = ["esx1-01.prod.example", "esx1-02.prod.example", "esx2-01.prod.example", "ESX3-01.prod.example"]
ONE, TWO, THREE = "esx01.lab.example", "esx02.lab.example", "esx03.lab.example"
SITE = {"gold_log_servers": ["log.example.test"], "gold_remote_admins": ["alice"]}


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["esx1-01.prod.example"], FLEET[:1]),
        (["esx1-*"], FLEET[:2]),
        (["esx[12]-01.*", "esx1-02.*"], FLEET[:3]),
        (["ESX1-0?.PROD.example", "esx3-*"], [*FLEET[:2], FLEET[3]]),
        (["*"], FLEET),
    ],
)
def test_names_and_patterns_whatever_the_case(patterns: list[str], found: list[str]) -> None:
    assert chosen(patterns, FLEET, "vc1", stand_alone=False) == set(found)


@pytest.mark.parametrize(
    ("patterns", "told"),
    [
        (["esx1-*", "esx4-*"], "hypervisor_esxi_hosts: 'esx4-*' matches no ESXi host of vc1"),
        (["esx1-01.prod.exmple"], "did you mean esx1-01.prod.example?"),
        (["esx2-01"], "did you mean esx2-01.prod.example?"),
        (["esx3-01"], "did you mean ESX3-01.prod.example?"),
        (["ESX2-001*"], "did you mean esx2-01.prod.example?"),
        (["vc1"], "matches no ESXi host of vc1. Hosts there: esx1-01.prod.example, esx1-02.prod.example, "),
        ([""], "'' matches no ESXi host of vc1. Hosts there"),
    ],
)
def test_a_pattern_that_matches_nobody_is_named_with_the_nearest(patterns: list[str], told: str) -> None:
    with pytest.raises(ValueError) as caught:
        chosen(patterns, FLEET, "vc1", stand_alone=False)
    assert told in str(caught.value)
    assert str(caught.value).endswith("Hosts of other endpoints are left out by --limit.")


def test_of_many_hosts_the_first_are_named() -> None:
    with pytest.raises(ValueError, match=r"Hosts there: h0, h1, h10, h11, h12 and 15 more\."):
        chosen(["x"], [f"h{number}" for number in range(20)], "vc1", stand_alone=False)
    with pytest.raises(ValueError, match="Hosts there: none that the account sees"):
        chosen(["*"], [], "vc1", stand_alone=False)


@pytest.mark.parametrize("pattern", ["localhost.localdomain", "edge-*"])
def test_a_host_without_a_vcenter_is_known_by_the_inventorys_name_too(pattern: str) -> None:
    assert chosen([pattern], ["localhost.localdomain"], "edge-7", stand_alone=True) == {"localhost.localdomain"}
    with pytest.raises(ValueError):
        chosen(["edge-8"], ["localhost.localdomain"], "edge-7", stand_alone=True)


def spoilt(_key: str, answer: Any) -> Any:
    """What the recorded vCenter answers, with a cluster that keeps no capacity for a lost host."""
    texts = answer.get("elements", ()) if isinstance(answer, dict) else ()
    keeps = ("true</ns0:admissionControlEnabled>", "false</ns0:admissionControlEnabled>")
    return {"elements": [text.replace(*keeps) for text in texts]} if texts else answer


class Planned:
    """What is planned for the recorded vCenter and its three hosts, all of which fail much."""

    def __init__(self, *patterns: str, broken: Any = spoilt, **options: Any) -> None:
        self.standard = load_standard()
        # Nobody says where the recorded login comes from, which refuses this area.
        areas = [area for area in proposal.areas(self.standard, "vsphere") if area != "admin_network"]
        checks = [check for area in areas for check in proposal.area_checks(self.standard, area, "vsphere")]
        given = {
            "areas": areas, "enforce": "drift", "account": "root", "allow_vm_changes": [], "state": "applied",
            "esxi_hosts": list(patterns),
            "options": {**{name: option.default for name, option in run_options.OPTIONS.items()}, **options},
        }  # fmt: skip
        self.said: list[str] = []
        base = {"endpoint": "vc1", "platform": "vsphere", "groups": []}
        self.run = enforcement.Enforcement(
            given, self.standard, {**gold.defaults(), **SITE}, base, (), self.said.append
        )
        self.session = ReplaySession(load(), broken)
        self.areas = self.run._proposals(self.session, "vc1", checks)

    def of(self, name: str) -> list[dict[str, Any]]:
        """The rows of a host over all areas."""
        return [row for found in self.areas.values() if name in found for row in found[name].rows]


@pytest.fixture(scope="module")
def whole() -> Planned:
    return Planned()


@pytest.fixture(scope="module")
def one() -> Planned:
    return Planned("ESX02*")


def test_without_a_pattern_the_run_is_for_all(whole: Planned) -> None:
    assert {name for found in whole.areas.values() for name in found} == {ONE, TWO, THREE, CONTROLLER}
    assert whole.run.selected is None and whole.said == []
    assert {"admission_control", "log_forwarding"} <= {row["kind"] for row in whole.of(CONTROLLER)}


def test_only_the_selected_host_is_planned_and_just_as_in_a_run_of_all(whole: Planned, one: Planned) -> None:
    assert {name for found in one.areas.values() for name in found} == {TWO, CONTROLLER}
    assert one.of(TWO) == whole.of(TWO)
    assert one.run.selected == {TWO}
    assert one.said == ["  vc1 1 of 3 ESXi hosts are selected: esx02.lab.example"]


def test_the_vcenter_and_what_hosts_share_are_left_in_one_line_an_area(one: Planned) -> None:
    for area, found in one.areas.items():
        rows = found[CONTROLLER].rows if CONTROLLER in found else ()
        assert [row["kind"] for row in rows] in ([], ["by_hand"]), area
    told = [row["what"] for row in one.of(CONTROLLER)]
    assert told == [
        "left to a run of all hosts: log servers",
        "left to a run of all hosts: admission control of cluster cluster01 (domain-c9)",
    ]
    by_hand = [entry for found in one.areas.values() for entry in enforcement._by_hand(found)]
    assert [entry for entry in by_hand if CONTROLLER in entry["hosts"]][1]["checks"] == ["vsphere-11.3.1-pressure"]


def test_hosts_that_are_not_selected_are_not_asked_anything(one: Planned) -> None:
    """Their lists of properties come with those of the others; methods of their own would take a call each."""
    methods = [call for call in one.session.asked if "QueryLockdownExceptions" in call]
    assert len(methods) == 1


def test_a_refusal_on_a_host_that_is_not_selected_or_on_the_vcenter_refuses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = proposal.propose

    def propose(area: str, situation: plan.Situation, *rest: Any) -> Proposal:
        of = situation.facts["host"]["name"]
        return Proposal(area, ("c",), refusal="no") if of in (ONE, "vc1") else own(area, situation, *rest)

    monkeypatch.setattr(proposal, "propose", propose)
    assert all(found[ONE].refusal and found[CONTROLLER].refusal for found in Planned().areas.values())
    assert not any(planned.refusal for found in Planned(TWO).areas.values() for planned in found.values())


def test_a_selected_host_that_cannot_be_read_is_told_and_no_other() -> None:
    def silent(_key: str, answer: Any) -> Any:
        texts = answer.get("elements", ()) if isinstance(answer, dict) else ()
        return {"elements": [text.replace(">connected<", ">notResponding<") for text in texts]} if texts else answer

    assert Planned(broken=silent).run.unread.keys() == {ONE, TWO, THREE}
    assert Planned(ONE, TWO, broken=silent).run.unread.keys() == {ONE, TWO}


def waiting(name: str, *hosts: str) -> dict[str, Any]:
    """A planner's answer on some hosts: that something waits for a restart there."""
    return {**plan.waiting("restart the host"), "checks": ["vsphere-11.1.2-iommu"]} if name in hosts else {}


@pytest.mark.parametrize("allowed", [True, False])
def test_whoever_waits_for_a_restart_and_is_not_selected_is_told(
    monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    def propose(area: str, situation: plan.Situation, *_rest: Any) -> Proposal:
        row = waiting(situation.facts["host"]["name"], TWO, THREE)
        return Proposal(area, ("vsphere-11.1.2-iommu",), (row,)) if row else Proposal(area, ())

    monkeypatch.setattr(proposal, "propose", propose)
    planned = Planned(TWO, restart_esxi_hosts=allowed)
    run = planned.run
    run.waits(TWO, [["vsphere-11.1.2-iommu"]])
    asked: list[dict[str, Any]] = []

    def would(names: dict[str, Any]) -> dict[str, Any]:
        asked.append(dict(names))
        return {**no_restarts(), "restarted": {name: {} for name in names}}

    run._restart(types.SimpleNamespace(would=would), {}, True)
    assert asked == ([{TWO: ["vsphere-11.1.2-iommu"]}] if allowed else [])
    assert run.restarts["left"] == ({THREE: "it is not selected (hypervisor_esxi_hosts)"} if allowed else {})


@pytest.mark.parametrize("patterns", [(), ("ESX02*",)])
def test_planned_by_two_processes_it_is_the_same(monkeypatch: pytest.MonkeyPatch, patterns: tuple[str, ...]) -> None:
    alone = Planned(*patterns, restart_esxi_hosts=True)
    made: list[enforcement.Elsewhere] = []
    monkeypatch.setattr(enforcement.endpoint_audit, "MANY_HOSTS", 1)
    monkeypatch.setattr(enforcement, "several_cores", lambda: True)
    monkeypatch.setattr(enforcement, "Elsewhere", lambda here: made.append(side_by_side.Elsewhere(here)) or made[0])
    beside = Planned(*patterns, restart_esxi_hosts=True)
    assert len(made) == 1
    assert beside.areas == alone.areas and beside.of(TWO)
    assert list(beside.areas["logging"]) == list(alone.areas["logging"])
    assert beside.run._waiting_elsewhere == alone.run._waiting_elsewhere
