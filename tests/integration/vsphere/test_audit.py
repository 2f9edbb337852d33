# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit playbook against a vCenter: one subject for it and for each of its hosts, as for any other host."""

from __future__ import annotations

import datetime
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.dwp.hypervisor.tests.integration.kvm.playbook_run import Run, audit_playbook
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import CHECKOUT, Target

HOSTS = ("esx01.lab.example", "esx02.lab.example", "esx03.lab.example")
SITE = {"gold_remote_admins": ["alice"], "gold_admin_cidrs": ["192.0.2.0/24"]}
# What the target hides in SNMP and mail settings (tests/lab/vsphere/README.md).
PLANTED = ("lab-community-secret", "lab-trap-secret", "lab-smtp-secret", "lab-join-password")
# Judged by what principals hold, on objects and globally.
GLOBALLY = (
    "vsphere-11.2.5-crypto-priv",
    "vsphere-11.2.8-privileges",
    "vsphere-11.4.4-role-privs",
    "vsphere-11.4.5-guest-ops",
)
# (check, vCenter, 7.0.3, 8.0.3, 9.0.0); the target's hosts are as the vendor ships them, apart from what is planted.
VERDICTS = [
    ("vsphere-11.1.1-product", "not_applicable", "pass", "pass", "pass"),
    ("vsphere-11.1.3-tpm2", "not_applicable", "pass", "pass", "pass"),
    # The property is 8.0.3's (pitfall P2): what 7.0.3 cannot say is unknown.
    ("vsphere-11.1.3-secure-boot", "not_applicable", "unknown", "pass", "pass"),
    ("vsphere-11.1.3-config-sealed", "not_applicable", "pass", "pass", "pass"),
    ("vsphere-11.2.1-acceptance", "not_applicable", "pass", "pass", "pass"),
    ("vsphere-11.2.1-exec-runtime", "not_applicable", "not_applicable", "pass", "pass"),
    ("vsphere-11.2.4-local-accounts", "not_applicable", "pass", "pass", "pass"),
    # Shell access of service accounts is told from 8.0 on, and is on by default.
    ("vsphere-11.2.4-service-shell", "not_applicable", "not_applicable", "fail", "fail"),
    ("vsphere-11.2.5-lockdown", "not_applicable", "fail", "fail", "fail"),
    ("vsphere-11.2.5-crypto-priv", "pass", "pass", "pass", "pass"),
    # A host adapter is passed through to a machine of the last host.
    ("vsphere-11.2.7-assigned-map", "not_applicable", "pass", "pass", "fail"),
    ("vsphere-11.2.2-global-perms", "pass", "pass", "pass", "pass"),
    ("vsphere-11.2.8-publish-auth", "pass", "pass", "pass", "pass"),
    # A datastore is mounted over NFS in clear text.
    ("vsphere-11.2.10-library-sub", "fail", "fail", "fail", "fail"),
    # The only machine of the second host beside vCLS is encrypted.
    ("vsphere-11.2.9-vm-encrypted", "not_applicable", "fail", "pass", "fail"),
    ("vsphere-11.2.10-tls-server", "not_applicable", "pass", "fail", "fail"),
    ("vsphere-11.3.7-alarm", "fail", "fail", "fail", "fail"),
    ("vsphere-11.4.6-services", "not_applicable", "fail", "fail", "fail"),
    ("vsphere-11.4.6-ssh-root", "not_applicable", "not_applicable", "not_applicable", "not_applicable"),
    ("vsphere-11.4.6-allowlist", "not_applicable", "fail", "fail", "fail"),
    ("vsphere-11.4.6-timeouts", "not_applicable", "fail", "fail", "fail"),
    ("vsphere-11.4.9-default-block", "not_applicable", "pass", "pass", "pass"),
    ("vsphere-11.4.13-uplinks", "not_applicable", "pass", "pass", "fail"),
]


@pytest.fixture(scope="module")
def run(vsphere: Target, tmp_path_factory: pytest.TempPathFactory) -> Run:
    vsphere.control("DELETE", "calls")
    found = audit_playbook(tmp_path_factory.mktemp("vcenter"), [vsphere], variables=SITE)
    assert "Decide whether the run succeeds" in found.output, found.output[-4000:]
    return found


@pytest.fixture(scope="module")
def measured(run: Run) -> dict[tuple[str, str], str]:
    """{(subject's name, check): what was measured}."""
    names = {subject["id"]: subject["name"] for subject in run.document["subjects"]}
    return {(names[result["subject"]], result["check"]): result["measured"] for result in run.document["results"]}


@pytest.mark.parametrize(("check", "vcenter", "seven", "eight", "nine"), VERDICTS, ids=[row[0] for row in VERDICTS])
def test_the_target_is_judged_as_it_is(
    vsphere: Target, measured: dict, check: str, vcenter: str, seven: str, eight: str, nine: str
) -> None:
    found = [measured[name, check] for name in (vsphere.name, *HOSTS)]
    assert found == [vcenter, seven, eight, nine]


def test_the_vcenter_and_each_host_has_all_36_measures(vsphere: Target, run: Run) -> None:
    subjects = {subject["name"]: subject for subject in run.document["subjects"]}
    assert set(subjects) == {vsphere.name, *HOSTS}
    controller = subjects[vsphere.name]
    assert controller["kind"] == "controller"
    for name in HOSTS:
        assert (subjects[name]["kind"], subjects[name]["controller"]) == ("host", controller["id"])
        assert re.fullmatch(rf"{vsphere.name}/[0-9a-f-]{{36}}", subjects[name]["id"])
        assert subjects[name]["product"].startswith("VMware ESXi")
    counted = [entry["subject"] for entry in run.document["measures"]]
    assert all(counted.count(subject["id"]) == 36 for subject in subjects.values())


def test_the_results_keep_to_their_schema(run: Run) -> None:
    schema = json.loads((CHECKOUT / "plugins/plugin_utils/schemas/results.json").read_text())
    jsonschema.validate(run.document, schema)


def test_each_subject_has_its_files_and_nobody_else_may_read_them(run: Run) -> None:
    slugs = {subject["slug"] for subject in run.document["subjects"]}
    for folder in ("subjects", "evidence"):
        files = list((run.directory / folder).glob("*.json"))
        assert {path.stem for path in files} == slugs
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert any("esx01.lab.example" in slug for slug in slugs)


def test_the_inventory_host_keeps_counts_and_paths_only(vsphere: Target, run: Run) -> None:
    (cached,) = (run.folder / "facts").glob(f"*{vsphere.name}")
    kept = cached.read_text()
    assert len(kept) < 20_000
    facts = json.loads(kept)
    facts = json.loads(facts["__payload__"]) if "__payload__" in facts else facts
    compliance = facts["hypervisor_compliance"]
    assert "web01" not in kept
    assert (compliance["subjects"], compliance["unreachable"], compliance["verdict"]) == (4, 0, "non-compliant")
    assert sum(compliance["measures"].values()) == 4 * 36
    assert compliance["failing_checks"]["vsphere-11.4.6-services"] == 3
    assert facts["hypervisor_drift"]["checks"]["vsphere-11.4.6-services"] == 3
    assert "report.html" in kept


def test_machines_of_the_platform_are_shown_and_not_judged(run: Run) -> None:
    machines = {vm["name"]: vm for vm in run.evidence("esx02.lab.example")["facts"]["vms"]}
    vcls = next(vm for name, vm in machines.items() if name.startswith("vCLS"))
    assert vcls["system"] == "vCLS"
    shown = [
        (item["status"], item["message"])
        for result in run.document["results"]
        for item in result["items"]
        if str(item["id"]).startswith(vcls["id"])
    ]
    assert {status for status, _message in shown} == {"not_applicable"}, shown
    assert all("machine" in message for _status, message in shown)


def test_no_secret_is_in_a_file_or_in_the_output(vsphere: Target, run: Run) -> None:
    secrets = (vsphere.variables["ansible_password"], *PLANTED)
    assert [secret for secret in secrets if secret in run.output] == []
    texts = {path: path.read_bytes() for path in run.files() if not path.is_symlink()}
    assert [path for path, text in texts.items() for secret in secrets if secret.encode() in text] == []


def test_an_audit_logs_out_and_writes_nothing(vsphere: Target, run: Run) -> None:
    assert vsphere.control("GET", "sessions") == []
    calls = vsphere.control("GET", "calls")
    reads = re.compile(
        r"(?:Retrieve|Query|Fetch|Get|Has|List|CreateContainerView|DestroyView|ContinueRetrieve|HostImageConfigGet|Log"
        r"|ExecuteSoap|fetch)"
    )
    assert [name for name in calls if not reads.match(name)] == []
    # One question for all hosts or machines, whatever their number; three of them read all hosts' properties.
    assert calls["RetrievePropertiesEx"] < 20


def test_without_its_checks_a_run_of_one_measure_is_quick(vsphere: Target, tmp_path: Path) -> None:
    found = audit_playbook(tmp_path, [vsphere], variables={"hypervisor_measures": ["11.4.6"], **SITE})
    statuses = {entry["measure"]: entry["status"] for entry in found.document["measures"]}
    assert statuses["11.4.6"] == "fail"
    assert {status for measure, status in statuses.items() if measure != "11.4.6"} == {"not_evaluated"}


def test_a_stand_alone_host_is_one_subject(esxi: Target, tmp_path: Path) -> None:
    found = audit_playbook(tmp_path, [esxi], variables=SITE)
    (subject,) = found.document["subjects"]
    assert (subject["name"], subject["kind"], subject["reachable"]) == (esxi.name, "host", True)
    statuses = found.verdicts(esxi.name)
    assert statuses["vsphere-11.4.6-services"] == "fail"
    # Only a vCenter attests a host.
    assert statuses["vsphere-11.1.3-attestation"] == "unknown"
    assert statuses["vsphere-11.2.8-publish-auth"] == "not_applicable"


def _strip(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(result["subject"], result["check"], result["status"]) for result in document["results"]]


def test_two_audits_say_the_same(vsphere: Target, run: Run, tmp_path: Path) -> None:
    again = audit_playbook(tmp_path, [vsphere], variables=SITE)
    assert _strip(again.document) == _strip(run.document)


def test_who_holds_a_global_permission_may_do_what_its_role_may(vsphere: Target, tmp_path: Path) -> None:
    """It stands in no list of an object's permissions (pitfall P17)."""
    path = "/api/vcenter/authorization/permissions"
    info = {
        "object": {"type": "GlobalAcl", "id": "global-permission"},
        "principal": {"type": "USER", "name": "mallory", "domain": "LAB"},
        "role": "-1",
        "propagating": True,
    }
    vsphere.control("POST", "documents", {"path": path, "value": {"permission": "global-2", "info": info}})
    try:
        found = audit_playbook(tmp_path, [vsphere], variables=SITE)
    finally:
        vsphere.control("POST", "documents", {"path": path, "value": None})
    for check in GLOBALLY:
        (result,) = [
            result
            for result in found.document["results"]
            if result["check"] == check and result["subject"] == found.subject(vsphere.name)["id"]
        ]
        wrong = {item["id"] for item in result["items"] if item["status"] == "fail"}
        assert result["status"] == "fail"
        assert "LAB\\mallory on everything" in wrong, result["items"]


def test_before_9_a_person_says_who_holds_global_permissions(target_ready: None, tmp_path: Path) -> None:
    """Nothing tells of them there: what permissions on objects show fails still, and what they do not is no pass."""
    older = Target.up(f"older-{os.getpid()}", "--vcenter", "8.0.3")
    checks = (*GLOBALLY, "vsphere-11.2.2-global-perms", "vsphere-11.4.1-directory-accounts")
    statement = {
        "id": "AT-1",
        "checks": list(checks),
        "subjects": [older.name],
        "statement": "Administration, Global Permissions was looked at: only the product's own accounts are there.",
        "evidence_ref": "ticket 4711",
        "signed_by": "Bo Owner",
        "accepted_by": "Cy Auditor",
        "signed_on": datetime.date.today().isoformat(),
    }
    (tmp_path / "attestations.yml").write_text(json.dumps([statement]))
    held = {"gold_image_admins": ["%LAB\\image-admins", "%LAB\\vm-admins"]}
    try:
        found = audit_playbook(
            tmp_path, [older], variables={**SITE, **held, "hypervisor_attestations_file": "attestations.yml"}
        )
    finally:
        older.down()
    told = {
        result["check"]: (result["measured"], result["status"])
        for result in found.document["results"]
        if result["subject"] == found.subject(older.name)["id"] and result["check"] in checks
    }
    assert told == {
        "vsphere-11.2.2-global-perms": ("manual", "attested"),
        "vsphere-11.2.5-crypto-priv": ("manual", "attested"),
        "vsphere-11.2.8-privileges": ("manual", "attested"),
        "vsphere-11.4.1-directory-accounts": ("fail", "fail"),
        "vsphere-11.4.4-role-privs": ("fail", "fail"),
        "vsphere-11.4.5-guest-ops": ("fail", "fail"),
    }
