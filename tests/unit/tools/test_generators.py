# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The generators: text survives Markdown, stale evidence and missing evidence are found."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))

import gen_docs
import seen
from markdown_text import plain, table

ROLES = Path(__file__).parents[3] / "roles"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sshd -T -C addr=<address>", "sshd -T -C addr=&lt;address&gt;"),
        ("V(advisory) needs O(gold_x)", "`advisory` needs `gold_x`"),
        ("`<b>` stays, <b> does not", "`<b>` stays, &lt;b&gt; does not"),
        ("a lone ` opens nothing", "a lone ' opens nothing"),
        ("two\n  lines", "two lines"),
        ("*.rules and a_b", "\\*.rules and a\\_b"),
    ],
)
def test_text_is_shown_as_it_is(text, shown):
    assert plain(text) == shown


def test_a_pipe_ends_no_cell():
    assert table(["a"], [["x | y"]])[-1] == "| x \\| y |"


def everywhere(check_id, how="break it"):
    return {"unit": {check_id: dict.fromkeys(seen.WANTED, "case")}, "booted": {check_id: {"fail": how}}, "vm": {}}


@pytest.fixture
def one_check(monkeypatch):
    check = seen.decided_by_machine(load_standard())[0]
    wanted = {check.platform: [check]}
    monkeypatch.setattr(seen, "decided_by_machine", lambda standard, platform="kvm": wanted.get(platform, []))
    return check.id


def test_a_vsphere_check_needs_a_unit_case_and_the_simulated_vcenter(monkeypatch):
    standard = load_standard()
    check = seen.decided_by_machine(standard, "vsphere")[0]
    monkeypatch.setattr(
        seen, "decided_by_machine", lambda _all, platform="kvm": [check] if platform == "vsphere" else []
    )
    cases = {"unit": {check.id: dict.fromkeys(seen.WANTED, "case")}, "booted": {}, "vm": {}, "vsphere": {}}
    assert seen.faults(standard, {**cases, "unit": {}}, {})[0] == (
        f"{check.id} has never been seen to be pass, fail, unknown"
    )
    shown = {"pass": "never: no such thing", "fail": "break here", "unknown": "audit"}
    lacking = f"{check.id} has never been made to be unknown on a simulated vCenter"
    assert seen.faults(standard, {**cases, "vsphere": {check.id: shown}}, {}) == [lacking]
    whole = {**cases, "vsphere": {check.id: {**shown, "unknown": "break there"}}}
    assert seen.faults(standard, whole, {}) == []
    assert seen.faults(standard, whole, {"vsphere": {check.id: {"pass": "never: no such thing"}}}) == [
        f"{check.id} was not seen to be fail, unknown in this run (simulated vCenter)"
    ]
    assert seen.statuses_at(whole, "vsphere", check.id) == ["fail", "unknown"]


def test_full_evidence_is_accepted(one_check):
    assert seen.faults(load_standard(), everywhere(one_check), {}) == []


def test_a_status_never_seen_is_named(one_check):
    snapshot = everywhere(one_check)
    del snapshot["unit"][one_check]["unknown"]
    assert seen.faults(load_standard(), snapshot, {}) == [f"{one_check} has never been seen to be unknown"]


def test_a_claim_that_does_not_happen_again_is_named(one_check):
    snapshot = everywhere(one_check)
    fresh = {"unit": {one_check: {"pass": "case", "fail": "case"}}}
    assert seen.faults(load_standard(), snapshot, fresh) == [
        f"{one_check} was not seen to be unknown in this run (unit fixture)"
    ]


def test_a_failure_that_nobody_caused_is_no_breaking_of_the_host(one_check):
    found = seen.faults(load_standard(), everywhere(one_check, how="audit"), {})
    assert found == ["only 0 of 1 checks were seen to fail on a broken host, half are wanted"]


def test_a_check_that_is_gone_is_named(one_check):
    snapshot = everywhere(one_check)
    snapshot["unit"]["kvm-0.0.0-gone"] = {"pass": "case"}
    assert "kvm-0.0.0-gone" in seen.faults(load_standard(), snapshot, {})[0]


def test_every_measure_has_a_page_and_every_setting_a_default():
    made = gen_docs.generate()
    standard = load_standard()
    assert {path.stem for path in made if path.parts[:2] == ("docs", "measures")} == {"index", *standard.measures}
    defaults = made[Path("roles/gold/defaults/main.yml")]
    assert all(f"\n{name}:" in defaults for name in standard.gold)
    for measure in standard.measures.values():
        page = made[Path(f"docs/measures/{measure.id}.md")]
        assert "Open Government Licence v3.0" in page
        assert all(check.id in page for check in measure.checks)


PLANS = {check: planner for platform in proposal.PLATFORMS for check, planner in planners(platform).items()}


@pytest.mark.parametrize("check", sorted(PLANS))
def test_a_role_documents_the_settings_its_planners_name(check):
    """Used alone, a role gets no other variables than those in its argument spec."""
    planner = PLANS[check]
    module = sys.modules[getattr(planner, "func", planner).__module__]
    named = set(re.findall(r'"(gold_\w+)"', Path(module.__file__).read_text(encoding="utf-8")))
    role = load_standard().checks[check].role
    spec = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    assert named <= set(spec["argument_specs"]["main"]["options"])
