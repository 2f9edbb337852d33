# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit of an endpoint returns of its subjects together."""

from __future__ import annotations

from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.endpoint_summary import Summary

SHELL, LOCKDOWN, ENCRYPTED = "vsphere-11.4.6-services", "vsphere-11.4.6-lockdown", "vsphere-11.2.9-vm-encrypted"


def document(name: str, *measures: tuple[str, str], verdict: str = "non-compliant", **drift: Any) -> dict[str, Any]:
    """A subject. drift: {check: (status it counts as, items an exception covers)}."""
    subject = {
        "id": name,
        "kind": "host",
        "verdict": verdict,
        "reachable": True,
        "collected_at": "2026-11-30T12:00:00Z",
    }
    results = [
        {"subject": name, "check": check, "measured": "fail", "status": status, "tier": 1}
        for check, (status, _items) in drift.items()
    ]
    drifting = [{"subject": name, "check": check, "excepted_items": items} for check, (_status, items) in drift.items()]
    entries = [{"obligation": obligation, "status": status} for obligation, status in measures]
    return {"subject": subject, "results": results, "drift": drifting, "measures": entries}


def summed_up(*documents: dict[str, Any]) -> dict[str, Any]:
    summary = Summary({"run_id": "1", "run_directory": "reports/1"})
    for found in documents:
        summary.add(found)
    return summary.result()


def test_what_drifts_on_any_subject_is_told_once() -> None:
    found = summed_up(
        document("vc1", verdict="compliant"),
        document("esx1", **{SHELL: ("fail", []), ENCRYPTED: ("fail", ["vm-2"]), LOCKDOWN: ("excepted", [])}),
        document("esx2", **{SHELL: ("fail", []), ENCRYPTED: ("fail", ["vm-1", "vm-2"])}),
    )
    assert found["enforce"] == {"vc1": [ENCRYPTED, SHELL]}
    assert found["enforce_leave"] == {"vc1": {ENCRYPTED: ["vm-1", "vm-2"]}}
    facts = found["ansible_facts"]
    assert facts["hypervisor_drift"]["checks"] == {ENCRYPTED: 2, LOCKDOWN: 1, SHELL: 2}
    assert facts["hypervisor_compliance"]["failing_checks"] == {ENCRYPTED: 2, SHELL: 2}


def test_measures_are_counted_over_all_subjects() -> None:
    found = summed_up(
        document("vc1", ("must", "pass"), ("must", "fail"), ("advisory", "fail")),
        document("esx1", ("must", "pass"), ("must", "not_applicable"), ("must", "excepted")),
    )["ansible_facts"]["hypervisor_compliance"]
    assert found["measures"] == {"pass": 2, "fail": 2, "not_applicable": 1, "excepted": 1}
    assert found["score"] == {"before_exceptions": 0.5, "after_exceptions": 0.75}
    assert (found["subject"], found["subjects"], found["verdict"]) == ("vc1", 2, "non-compliant")
