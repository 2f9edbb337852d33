# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on the way to a vCenter: unknown for what it concerns, and a reason that says what to do."""

from __future__ import annotations

import hashlib
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.integration.kvm.playbook_run import Run, audit_playbook
from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

HOSTS = {"esx01.lab.example", "esx02.lab.example", "esx03.lab.example"}


@pytest.fixture(scope="module")
def before(vsphere: Target, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An audit without a fault, and the archive it begins."""
    return audit_playbook(tmp_path_factory.mktemp("before"), [vsphere])


def audit(vsphere: Target, folder: Path, **changed: Any) -> Run:
    """An audit with host variables changed; None takes one away."""
    inventory = folder / "changed.yml"
    variables = {key: value for key, value in {**vsphere.variables, **changed}.items() if value is not None}
    inventory.touch(0o600)
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {vsphere.name: variables}}}))
    target = Target(vsphere.name)
    target.inventory = inventory
    return audit_playbook(folder, [target])


def reasons(run: Run) -> dict[str, str | None]:
    return {subject["name"]: subject["unreachable_reason"] for subject in run.document["subjects"]}


def measured(run: Run, name: str) -> dict[str, str]:
    subject = run.subject(name)["id"]
    return {entry["check"]: entry["measured"] for entry in run.document["results"] if entry["subject"] == subject}


def all_unknown(run: Run, name: str) -> bool:
    subject = run.subject(name)["id"]
    statuses = [entry["status"] for entry in run.document["measures"] if entry["subject"] == subject]
    return statuses == ["unknown"] * 36


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"hypervisor_port": 1}, ("unreachable", "Connection refused", "hypervisor_port")),
        ({"ansible_host": "nowhere.invalid"}, ("unreachable", "nowhere.invalid", "ansible_host")),
        ({"ansible_password": "Wr0ng-s3cret"}, ("wrong user name or password", "ansible_password")),
        ({"ansible_password": None}, ("ansible_password is not set",)),
        ({"hypervisor_ca_file": None}, ("not trusted", "hypervisor_ca_file", "hypervisor_certificate_sha256")),
        ({"hypervisor_ca_file": "/nowhere.pem"}, ("hypervisor_ca_file /nowhere.pem", "PEM")),
        ({"hypervisor_certificate_sha256": "00" * 32}, ("another certificate", "hypervisor_certificate_sha256")),
        ({"hypervisor_certificate_sha256": "no"}, ("64 hexadecimal digits",)),
    ],
    ids=["port", "name", "password", "no password", "certificate", "authority", "pin", "pin's form"],
)  # fmt: skip
def test_an_endpoint_that_cannot_be_used_is_36_measures_unknown_and_says_what_to_set(
    vsphere: Target, tmp_path: Path, changed: dict[str, Any], said: tuple[str, ...]
) -> None:
    run = audit(vsphere, tmp_path, **changed)
    (reason,) = reasons(run).values()
    assert all(words in reason for words in (vsphere.name, *said)), reason
    assert all_unknown(run, vsphere.name)
    assert run.code != 0
    assert vsphere.name in run.output
    assert "[WARNING]" in run.output
    assert "Wr0ng-s3cret" not in json.dumps(run.document)


def test_a_pinned_certificate_needs_no_authority(vsphere: Target, tmp_path: Path) -> None:
    variables = vsphere.variables
    shown = ssl.get_server_certificate((variables["ansible_host"], variables["hypervisor_port"]))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).hexdigest()
    run = audit(vsphere, tmp_path, hypervisor_ca_file=None, hypervisor_certificate_sha256=digest.upper())
    assert set(reasons(run).values()) == {None}


def test_hosts_of_an_unreachable_vcenter_are_known_from_the_last_run(vsphere: Target, tmp_path: Path) -> None:
    first = audit(vsphere, tmp_path)
    known = {subject["name"]: subject["id"] for subject in first.document["subjects"]}
    second = audit(vsphere, tmp_path, hypervisor_port=1)
    assert {subject["name"]: subject["id"] for subject in second.document["subjects"]} == known
    assert set(known) == HOSTS | {vsphere.name}
    assert all(all_unknown(second, name) for name in known)
    assert not any(subject["reachable"] for subject in second.document["subjects"])
    third = audit(vsphere, tmp_path, hypervisor_port=1)
    assert set(reasons(third)) == set(known)


def test_a_host_that_does_not_respond_is_unknown_and_the_others_are_read(
    vsphere: Target, before: Run, tmp_path: Path
) -> None:
    """Of a host that is gone, a vCenter tells what it said when it was last there."""
    with vsphere.fault(kind="host_state", host="esx02.lab.example", when="notResponding"):
        run = audit(vsphere, tmp_path)
    assert "notResponding" in reasons(run)["esx02.lab.example"]
    assert all_unknown(run, "esx02.lab.example")
    assert run.subject("esx02.lab.example")["id"] == before.subject("esx02.lab.example")["id"]
    assert measured(run, "esx01.lab.example") == measured(before, "esx01.lab.example")


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        ({"kind": "deny_property", "type": "HostSystem", "property": "config.service"}, "vsphere-11.4.6-services"),
        ({"kind": "deny_property", "type": "HostSystem", "property": "config.option"}, "vsphere-11.4.6-timeouts"),
        ({"kind": "deny_method", "method": "HostImageConfigGetAcceptance"}, "vsphere-11.2.1-acceptance"),
        ({"kind": "deny_method", "method": "RetrieveManagedMethodExecuter"}, "vsphere-11.4.9-default-block"),
        ({"kind": "fault", "fault": "HostConfigFault", "method": "QueryLockdownExceptions"},
         "vsphere-11.2.4-lockdown-exceptions"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get("property") or value.get("method"),
)  # fmt: skip
def test_what_is_refused_of_one_host_is_unknown_there_and_nothing_else_changes(
    vsphere: Target, before: Run, tmp_path: Path, fault: dict[str, Any], lost: str
) -> None:
    with vsphere.fault(host="esx02.lab.example", **fault):
        run = audit(vsphere, tmp_path)
    then, now = measured(before, "esx02.lab.example"), measured(run, "esx02.lab.example")
    assert now[lost] == "unknown"
    wrong = {check: (then[check], status) for check, status in now.items() if status not in ("unknown", then[check])}
    assert not wrong
    assert measured(run, "esx01.lab.example") == measured(before, "esx01.lab.example")


def test_a_host_that_hangs_is_asked_nothing_more_and_holds_up_nobody(
    vsphere: Target, before: Run, tmp_path: Path
) -> None:
    slow = {"kind": "latency", "milliseconds": 6000, "host": "esx02.lab.example"}
    with vsphere.fault(method="QueryLockdownExceptions", **slow):
        run = audit(vsphere, tmp_path, hypervisor_time_limit=3)
    errors = run.evidence("esx02.lab.example")["facts"]["collector"]["errors"]
    lost = {error["path"] for error in errors if "no answer within 3 seconds" in error["reason"]}
    assert {"remote_access.lockdown.exceptions", "software.packages", "accounts", "firewall.enabled"} <= lost
    assert measured(run, "esx02.lab.example")["vsphere-11.4.6-services"] == "fail"
    assert measured(run, "esx01.lab.example") == measured(before, "esx01.lab.example")


def test_a_session_that_expires_is_renewed(vsphere: Target, before: Run, tmp_path: Path) -> None:
    with vsphere.fault(kind="fault", fault="NotAuthenticated", method="QueryModules", count=1):
        run = audit(vsphere, tmp_path)
    assert set(reasons(run).values()) == {None}
    assert all(measured(run, name) == measured(before, name) for name in HOSTS)


def test_a_server_that_ends_every_session_is_given_up(vsphere: Target, tmp_path: Path) -> None:
    with vsphere.fault(kind="fault", fault="NotAuthenticated", method="RetrievePropertiesEx"):
        run = audit(vsphere, tmp_path)
    assert all_unknown(run, vsphere.name)


def test_a_connection_that_is_cut_is_opened_again(vsphere: Target, before: Run, tmp_path: Path) -> None:
    with vsphere.fault(kind="cut_connection", method="RetrievePropertiesEx", when="before", count=1):
        run = audit(vsphere, tmp_path)
    assert all(measured(run, name) == measured(before, name) for name in HOSTS)


def test_with_the_read_only_role_the_audit_completes_and_the_rest_is_unknown(
    vsphere: Target, before: Run, tmp_path: Path
) -> None:
    run = audit_playbook(tmp_path, [vsphere.auditor])
    assert set(reasons(run).values()) == {None}
    for name in (*HOSTS, vsphere.name):
        then, now = measured(before, name), measured(run, name)
        wrong = {check: (then[check], found) for check, found in now.items() if found not in ("unknown", then[check])}
        assert not wrong, name
    assert measured(run, "esx02.lab.example")["vsphere-11.4.6-services"] == "fail"
    assert measured(run, "esx02.lab.example")["vsphere-11.2.4-local-accounts"] == "unknown"
    errors = run.evidence("esx02.lab.example")["facts"]["collector"]["errors"]
    assert any("lacks the privilege" in error["reason"] for error in errors)


def test_a_slow_server_shows_how_far_it_is(vsphere: Target, tmp_path: Path) -> None:
    with (
        vsphere.fault(kind="latency", milliseconds=1000, method="RetrieveManagedMethodExecuter"),
        vsphere.fault(kind="latency", milliseconds=1500, method="RetrievePropertiesEx"),
    ):
        run = audit(vsphere, tmp_path)
    assert f"{vsphere.name}: " in run.output
    assert "of 3 hosts" in run.output


def test_a_host_that_the_account_may_not_see_is_36_measures_unknown(vsphere: Target, tmp_path: Path) -> None:
    auditor = vsphere.auditor.variables["ansible_user"]
    with hardening.administrator(vsphere) as admin:
        manager, hidden = admin.content.authorizationManager, admin.host("8.0.3")
        (none,) = (role.roleId for role in manager.roleList if role.name == "NoAccess")
        denied = vim.AuthorizationManager.Permission(principal=auditor, group=False, roleId=none, propagate=True)
        manager.SetEntityPermissions(entity=hidden, permission=[denied])
        try:
            run = audit_playbook(tmp_path, [vsphere.auditor])
            harden = hardening.play(tmp_path, vsphere.auditor, "harden", "--check")
        finally:
            manager.RemoveEntityPermission(entity=hidden, user=auditor, isGroup=False)
    said = "not read: the account may not see this host of cluster01"
    assert reasons(run)[hidden._moId] == said
    assert all_unknown(run, hidden._moId)
    assert set(reasons(run)) == {vsphere.name, *HOSTS - {"esx02.lab.example"}, hidden._moId}
    assert "Traceback" not in harden.output
    assert said in harden.output
