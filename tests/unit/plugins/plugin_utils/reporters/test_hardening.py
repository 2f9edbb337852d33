# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hardening run says it did: each setting and each task for a person once, under every check that asked."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import hardening

GROUP, PRIVILEGED = "kvm-11.2.2-no-blanket-group", "kvm-11.2.4-priv-groups"


def _audit(status: str, reachable: bool = True) -> dict[str, Any]:
    results = [{"subject": "id", "check": check, "status": status, "measured": status} for check in (GROUP, PRIVILEGED)]
    drift = [{"subject": "id", "check": GROUP}] if status != "pass" else []
    subject = {"id": "id", "name": "kvm1", "reachable": reachable}
    return {"subjects": [subject], "results": results, "drift": drift}


def _summary() -> dict[str, Any]:
    area = {
        "refused": "", "deferred": "", "planned": [], "pending": [], "change": "000001-access_control", "seconds": 1.5,
        "updated": {
            "group libvirt": {
                "old": "oscar|", "new": "", "checks": [GROUP, PRIVILEGED], "measures": ["11.2.2", "11.2.4"],
                "pending": "",
            }
        },
        "by_hand": [{"checks": [GROUP, PRIVILEGED], "what": "Ask the site."}],
    }  # fmt: skip
    about = {"areas": {"access_control": area}, "failed": "", "attempted": True}
    return hardening.summarise(_audit("fail"), _audit("pass"), {"kvm1": about}, run_id="42", check_mode=False)


def test_a_setting_of_two_checks_counts_once_and_fixes_both():
    (host,) = _summary()["hosts"]
    assert host["settings_changed"] == 1
    assert host["fixed"] == [GROUP, PRIVILEGED]
    assert host["changes"]["access_control"]["group libvirt"]["checks"] == [GROUP, PRIVILEGED]


def test_console_and_page_name_every_check_and_measure():
    document = _summary()
    hand = [line for line in hardening.lines(document) if "by hand" in line]
    assert hand == [f"  by hand: {GROUP}, {PRIVILEGED}: Ask the site."]
    page = hardening.markdown(document)
    assert r"| access_control | 11.2.2, 11.2.4 | group libvirt | oscar\| |  |" in page


@pytest.mark.parametrize(
    ("check_mode", "title"), [(False, "restarted: esx1 in 412.0 s"), (True, "would restart: esx1")]
)
def test_hosts_that_were_restarted_and_those_that_were_not(check_mode: bool, title: str):
    restarts = {
        "restarted": {"esx1": {"cluster": "c1", "checks": [], "seconds": 412.0}},
        "left": {"esx2\x1b[1m": "esx3 of its cluster is in maintenance mode"},
        "faults": {},
    }
    about = {"areas": {}, "restarts": restarts, "failed": "", "attempted": True}
    document = hardening.summarise(_audit("fail"), _audit("pass"), {"kvm1": about}, run_id="42", check_mode=check_mode)
    assert document["hosts"][0]["restarts"] == restarts
    shown = hardening.lines(document)
    assert f"  {title}" in shown
    (left,) = (line for line in shown if "not restarted" in line)
    assert left.endswith(": esx3 of its cluster is in maintenance mode") and "\x1b" not in left


@pytest.mark.parametrize(("selected", "failing", "left"), [(["esx1"], 1, 5), (["esx1", "esx2"], 2, 4), (None, 6, 0)])
def test_what_was_not_selected_is_not_still_failing(selected: Any, failing: int, left: int):
    kinds = {"vc1": ("controller", ""), "esx1": ("host", "vc1"), "esx2": ("host", "vc1")}
    subjects = [
        {"id": name, "name": name, "endpoint": "vc1", "kind": kind, "controller": above, "reachable": True}
        for name, (kind, above) in kinds.items()
    ]
    # One is judged on the vCenter, and its hosts take it over; the other on each.
    results = [{"subject": name, "check": GROUP, "status": "fail", "message": "no"} for name in kinds]
    results += [
        {"subject": name, "check": PRIVILEGED, "status": "fail", "message": f"judged on {above}: no" if above else "no"}
        for name, (_kind, above) in kinds.items()
    ]
    audit = {"subjects": subjects, "results": results, "drift": []}
    about = {"areas": {}, "failed": "", "attempted": True, "selected": selected}
    document = hardening.summarise(audit, audit, {"vc1": about}, run_id="42", check_mode=False)
    (host,) = document["hosts"]
    assert host["selected"] == selected and host["esxi_hosts"] == 2
    assert (len(host["still_failing"]), len(host["not_selected"])) == (failing, left)
    assert f"{GROUP} on esx1" in host["still_failing"]
    shown = [line for line in hardening.lines(document) if line.startswith("  selected")]
    if selected is None:
        assert shown == []
    else:
        of = f"{len(selected)} of 2 ESXi hosts ({left} failing checks on the others and the vCenter were left)"
        assert shown == [f"  selected: {of}: {', '.join(selected)}"]


@pytest.mark.parametrize(
    ("before", "why"),
    [
        (_audit("fail"), "a host before it failed"),
        (_audit("pass"), "nothing fails that a role can set"),
        (_audit("excepted"), "nothing fails that a role can set"),
        (_audit("unknown", reachable=False), "it could not be read"),
    ],
)
def test_why_nothing_was_attempted(before, why):
    about = {"areas": {}, "failed": "", "attempted": False}
    document = hardening.summarise(before, before, {"kvm1": about}, run_id="42", check_mode=False)
    assert document["hosts"][0]["left_alone"] == why
    assert hardening.lines(document)[-1] == f"kvm1  not attempted: {why}"


def test_settings_of_the_hosts_behind_an_endpoint_are_counted_and_told_host_by_host():
    area = _summary()["hosts"][0]["changes"]["access_control"]
    area = {"updated": {"esx1": area, "esx2": area, "the vCenter": {"alarm a": area["group libvirt"]}}, "refused": "",
            "deferred": "", "pending": [], "by_hand": [], "seconds": 1.0, "faults": {}}  # fmt: skip
    about = {"areas": {"access_control": area}, "failed": "", "attempted": True}
    document = hardening.summarise(_audit("fail"), _audit("pass"), {"kvm1": about}, run_id="42", check_mode=False)
    (host,) = document["hosts"]
    assert host["settings_changed"] == 3
    assert host["changes"]["access_control"]["esx2"]["group libvirt"]["old"] == "oscar|"
    rows = [line.split(" | ")[2] for line in hardening.markdown(document).splitlines() if "| access_control" in line]
    assert rows == ["esx1 group libvirt", "esx2 group libvirt", "the vCenter alarm a"]
