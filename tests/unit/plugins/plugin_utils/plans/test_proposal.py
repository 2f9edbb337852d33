# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From failing checks to rows, refusals, and what a guard asks before and after."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan, proposal, registry
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard

STANDARD = load_standard()
ROOT = "kvm-11.4.6-ssh-root"


def test_every_check_that_is_called_enforced_has_a_planner_and_no_other():
    enforced = {
        check.id
        for check in STANDARD.checks.values()
        if check.platform in proposal.PLATFORMS and check.data.get("enforced")
    }
    assert {check for platform in proposal.PLATFORMS for check in registry.planners(platform)} == enforced


@pytest.mark.parametrize("platform", proposal.PLATFORMS)
def test_the_safe_order_knows_every_area(platform):
    assert set(proposal.areas(STANDARD, platform)) <= set(registry.SAFE_ORDER)
    assert proposal.areas(STANDARD, platform)[0] == "logging"


def test_an_unknown_area_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"'firewal' is not an area .* firewall"):
        proposal.area_checks(STANDARD, "firewal")


def test_missing_facts_refuse_the_area():
    situation = Situation(facts={}, gold=gold.defaults(), checks=frozenset([ROOT]), account="ansible")
    found = proposal.propose("remote_access", situation, STANDARD)
    assert found.rows == () and found.refusal.startswith(f"{ROOT}: what sshd enforces could not be read")


@pytest.mark.parametrize("error", [ValueError("'odd' is not in list"), StopIteration(), ZeroDivisionError()])
def test_facts_that_no_planner_foresaw_refuse_the_area_and_name_the_check(monkeypatch, error):
    def strange(_situation):
        raise error

    monkeypatch.setitem(registry.planners("kvm"), ROOT, strange)
    found = proposal.propose("remote_access", Situation({}, gold.defaults(), frozenset([ROOT])), STANDARD)
    assert found.refusal.startswith(f"{ROOT}: the facts lack what its planning needs ({type(error).__name__}")


def test_checks_that_are_not_asked_for_are_not_planned():
    situation = Situation(facts={}, gold=gold.defaults(), checks=frozenset(), account="ansible")
    assert proposal.propose("remote_access", situation, STANDARD) == proposal.Proposal("remote_access", ())


def _access(**how):
    usual = {"people": {"alice": "", "bob": ""}, "break_glass": {"glass": ""}}
    return proposal.Access(**{**usual, **how})


@pytest.mark.parametrize(
    ("access", "told"),
    [
        (_access(), ""),
        (_access(people={"alice": "", "bob": "no key"}), "only 1 of at least 2 .*bob: no key"),
        (_access(people={}), "only 0 of at least 2 .*names nobody"),
        (_access(break_glass={}), "no break-glass account .*names nobody"),
        (_access(break_glass={"glass": "expired"}), "glass: expired"),
    ],
)
def test_two_people_and_a_break_glass_account(access, told):
    found = proposal.people_fault(access)
    assert (found == "") == (told == "")
    if told:
        with pytest.raises(AssertionError, match=told):
            raise AssertionError(found)


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ({}, ""),
        ({"guests": {"u1": 8}}, "virtual machine u1 was stopped or restarted"),
        ({"guests": {}}, "virtual machine u1"),
        ({"answering": frozenset()}, "10.0.0.2 on a bridge does not answer"),
        ({"networks": frozenset()}, "network default ended"),
        ({"peers": frozenset()}, "peer kvm2:22 cannot be reached"),
        ({"guests": {"u1": 7, "u2": 9}}, ""),
    ],
)
def test_what_worked_before_has_to_work_afterwards(after, told):
    usual = {
        "guests": {"u1": 7}, "answering": frozenset({"10.0.0.2"}), "networks": frozenset({"default"}),
        "peers": frozenset({"kvm2:22"}),
    }  # fmt: skip
    found = proposal.loss(_access(**usual), _access(**{**usual, **after}))
    assert told in found and (told != "" or found == "")


def test_a_network_that_the_change_stops_is_not_missed():
    before = proposal.Access(networks=frozenset({"default", "lab"}))
    rows = [plan.libvirt_network("default", active=False), plan.libvirt_network("lab", autostart=False)]
    wanted = proposal.without_stopped(before, rows)
    assert proposal.loss(wanted, proposal.Access(networks=frozenset({"lab"}))) == ""
    assert "network lab ended" in proposal.loss(wanted, proposal.Access())


def _asked(check, row):
    return {**row, "checks": [check]}


def test_equal_rows_are_one_and_name_every_check():
    row, other = plan.access("/etc/shadow", mode="0640"), plan.access("/etc/shadow", mode="0600")
    found = proposal.merged([_asked("a", row), _asked("b", other), _asked("b", row), _asked("c", row)])
    assert found == [{**row, "checks": ["a", "b", "c"]}, {**other, "checks": ["b"]}]
    hand = plan.by_hand("Ask the site.")
    assert proposal.merged([_asked("a", hand), _asked("b", hand)]) == [{**hand, "checks": ["a", "b"]}]


def test_what_waits_for_something_else_is_another_row():
    now, later = (plan.keys("/etc/x", {"a": "1"}, syntax="libvirt", pending=pending) for pending in ("", "reboot"))
    assert len(proposal.merged([_asked("a", now), _asked("b", later)])) == 2


def test_members_of_a_group_are_one_row_at_the_place_of_the_first():
    rows = [
        _asked("a", plan.members("libvirt", remove=["oscar"])),
        _asked("a", plan.members("disk", remove=["oscar"])),
        _asked("b", plan.members("libvirt", add=["alice"], remove=["mallory", "oscar"], create=True)),
    ]
    first, second = proposal.merged(rows)
    assert first == {
        **plan.members("libvirt", add=["alice"], remove=["oscar", "mallory"], create=True), "checks": ["a", "b"]
    }  # fmt: skip
    assert second["group"] == "disk" and rows[0]["checks"] == ["a"]


def test_a_member_whom_one_check_adds_and_another_removes_refuses_the_area(monkeypatch):
    checks = proposal.area_checks(STANDARD, "access_control")[:2]
    monkeypatch.setitem(
        registry.planners("kvm"), checks[0], lambda _situation: [plan.members("libvirt", add=["oscar"])]
    )
    monkeypatch.setitem(
        registry.planners("kvm"), checks[1], lambda _situation: [plan.members("libvirt", remove=["oscar"])]
    )
    situation = Situation(facts={}, gold=gold.defaults(), checks=frozenset(checks))
    found = proposal.propose("access_control", situation, STANDARD)
    assert found.rows == () and "oscar would be added to group libvirt by one of them" in found.refusal
    assert all(check in found.refusal for check in checks)


@pytest.mark.parametrize("area", proposal.areas(STANDARD))
def test_a_role_reports_each_check_of_a_merged_row(area, monkeypatch):
    checks = proposal.area_checks(STANDARD, area)
    for check in checks:
        monkeypatch.setitem(registry.planners("kvm"), check, lambda _situation: [plan.access("/x", mode="0600")])
    situation = Situation(facts={}, gold=gold.defaults(), checks=frozenset(checks))
    (row,) = proposal.propose(area, situation, STANDARD).rows
    assert tuple(row["checks"]) == checks
