# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One vCenter, many subjects: their names, their files, and who is owed an answer when nothing can be read."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.collector import Subject
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.subject_audit import SubjectAudit
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence, provenance
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import endpoint_audit

UUID = "4c4c4544-0042-3510-8054-b4c04f4a3132"
OTHER = "4c4c4544-0042-3510-8054-b4c04f4a3133"
BASE = {"endpoint": "vc1", "platform": "vsphere", "name": "vc1", "id": "vc1", "kind": "host", "tags": {}, "groups": []}
GIVEN = {
    "measures": ["11.4.6"], "exceptions_file": None, "attestations_file": None, "run_id": "2", "port": 443,
    "validate_certs": True, "ca_file": None, "certificate_sha256": None, "time_limit": 5,
}  # fmt: skip
CONTROLLER = {"id": f"vc1/{OTHER}"}
SERVICES = [{"id": name, "running": False, "policy": "off", "rulesets": []} for name in ("TSM", "TSM-SSH")]
FACTS = {"host": {"product": "VMware ESXi 8.0.3"}, "remote_access": {"services": SERVICES}}


def host(name: str = "esx1", uuid: str | None = UUID, **more: Any) -> Subject:
    return Subject("host", name, uuid, **{"facts": FACTS, **more})


def test_a_host_is_named_by_endpoint_and_hardware() -> None:
    subject = endpoint_audit.Names(BASE).subject(host(), CONTROLLER)
    assert (subject["id"], subject["name"], subject["controller"]) == (f"vc1/{UUID}", "esx1", f"vc1/{OTHER}")
    assert subject["slug"].startswith("vc1-esx1-")


@pytest.mark.parametrize("uuid", [None, "", "not one", "00000000-0000-0000-0000-000000000000"])
def test_a_host_without_a_uuid_of_its_own_is_told_apart_by_its_name(uuid: str | None) -> None:
    names = endpoint_audit.Names(BASE)
    found = [names.subject(host(name, uuid), CONTROLLER) for name in ("esx1", "esx2")]
    assert [subject["id"] for subject in found] == ["vc1/esx1", "vc1/esx2"]
    assert len({subject["slug"] for subject in found}) == 2


def test_boards_that_share_a_uuid_are_told_apart() -> None:
    names = endpoint_audit.Names(BASE)
    found = [names.subject(host(name), CONTROLLER) for name in ("esx1", "esx2", "esx3")]
    assert [subject["id"] for subject in found] == [f"vc1/{UUID}", "vc1/esx2", "vc1/esx3"]


def test_a_host_cannot_name_itself_out_of_the_directory() -> None:
    subject = endpoint_audit.Names(BASE).subject(host("../../etc/passwd\n"), CONTROLLER)
    assert "/" not in subject["slug"]
    assert ".." not in subject["slug"]


def test_a_stand_alone_host_bears_the_name_of_the_inventory() -> None:
    subject = endpoint_audit.Names(BASE).subject(host("localhost.localdomain"), None)
    assert (subject["name"], subject["id"]) == ("vc1", f"vc1/{UUID}")
    assert "controller" not in subject


class Playing:
    """Collects what it is given instead of asking a server, and then breaks off where that is an error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *found: Subject | Exception) -> None:
        class Session:
            endpoint = "vc1 (192.0.2.10 port 443)"

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_error: object) -> None:
                return None

        def collect(*_arguments: Any, **_named: Any) -> Any:
            for entry in found:
                if isinstance(entry, Exception):
                    raise entry
                yield entry

        monkeypatch.setattr(endpoint_audit, "logged_in", lambda _endpoint: Session())
        monkeypatch.setattr(endpoint_audit.collector, "collect", collect)


@pytest.fixture(autouse=True, params=["one process", "two processes"])
def processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts are judged here, or in another process while the next are read."""
    monkeypatch.setattr(endpoint_audit, "MANY_HOSTS", 0)
    monkeypatch.setattr(endpoint_audit, "several_cores", lambda: request.param == "two processes")


def audited(directory: Path) -> tuple[str | None, dict[str, dict[str, Any]], dict[str, Any]]:
    """(why nothing was read, documents by name, the action's result)."""
    given = {**GIVEN, "run_directory": str(directory)}
    summary, reason = endpoint_audit.audit(
        SubjectAudit(given, load_standard(), gold.defaults()),
        given,
        {"host": "192.0.2.10", "user": "auditor", "password": "unused"},
        dict(BASE),
        denied=[],
        say=lambda _line: None,
    )
    documents = [json.loads(path.read_text()) for path in (directory / "subjects").glob("*.json")]
    return reason, {document["subject"]["name"]: document for document in documents}, summary.result()


VCENTER = Subject("controller", "vc1", OTHER, {"host": {"product": "VMware vCenter 8.0.3"}})


def test_each_subject_is_judged_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Playing(
        monkeypatch, VCENTER, host(), host("esx2", None, facts=None, reason="unreachable: the host is notResponding")
    )
    reason, documents, result = audited(tmp_path / "2")
    assert reason is None
    assert {name: found["subject"]["reachable"] for name, found in documents.items()} == {
        "vc1": True, "esx1": True, "esx2": False,
    }  # fmt: skip
    assert len(list((tmp_path / "2" / "subjects").glob("*.json"))) == 3
    assert len(list((tmp_path / "2" / "evidence").glob("*.json"))) == 2
    services = {entry["check"]: entry["measured"] for entry in documents["esx1"]["results"]}["vsphere-11.4.6-services"]
    assert services == "pass"
    compliance = result["ansible_facts"]["hypervisor_compliance"]
    assert (compliance["subjects"], compliance["unreachable"]) == (3, 1)
    assert sum(compliance["measures"].values()) == 3 * 36
    assert "results" not in json.dumps(result["subject"])


def test_a_server_that_breaks_off_leaves_nobody_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known(tmp_path, {"id": f"vc1/{OTHER}", "name": "vc1", "kind": "controller"}, {"id": f"vc1/{UUID}", "name": "esx1"})
    Playing(monkeypatch, VCENTER, Lost("unreachable: vc1 closed the connection"))
    reason, documents, _result = audited(tmp_path / "2")
    assert "closed the connection" in str(reason)
    assert documents["vc1"]["subject"]["reachable"] is True
    assert documents["esx1"]["subject"]["unreachable_reason"] == reason


def known(archive: Path, *subjects: dict[str, Any]) -> None:
    """An archive whose last run had these subjects."""
    latest = archive / "1"
    latest.mkdir(parents=True)
    (archive / "latest").symlink_to("1")
    entries = [{"endpoint": "vc1", "platform": "vsphere", "kind": "host", "slug": "s", **entry} for entry in subjects]
    entries.append({"endpoint": "vc2", "platform": "vsphere", "kind": "host", "slug": "t", "id": "vc2", "name": "vc2"})
    (latest / "run.json").write_text(json.dumps({"schema": provenance.SCHEMA, "subjects": entries}))


def test_a_disk_that_is_full_is_said_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Playing(monkeypatch, VCENTER, host())
    monkeypatch.setattr(evidence, "write_private", failing_for("esx1"))
    with pytest.raises(OSError, match="No space left"):
        audited(tmp_path / "2")
    assert multiprocessing.active_children() == []


def failing_for(name: str) -> Any:
    write = evidence.write_private

    def write_private(path: Path, *content: Any) -> None:
        if name in path.name:
            raise OSError(28, "No space left on device")
        write(path, *content)

    return write_private


def test_an_endpoint_nobody_has_heard_of_is_unknown_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Playing(monkeypatch, Lost("unreachable: vc1"))
    reason, documents, result = audited(tmp_path / "2")
    assert list(documents) == ["vc1"]
    assert documents["vc1"]["subject"]["unreachable_reason"] == reason
    assert result["subject"]["reachable"] is False


def test_an_account_that_sees_no_host_is_no_account_of_a_vcenter_without_hosts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known(tmp_path, {"id": f"vc1/{UUID}", "name": "esx1"})
    Playing(monkeypatch, VCENTER)
    reason, documents, _result = audited(tmp_path / "2")
    assert "sees no ESXi host" in str(reason)
    assert documents["esx1"]["subject"]["reachable"] is False


@pytest.mark.parametrize("error", [KeyError("x"), TypeError(), RecursionError()])
def test_what_nobody_foresaw_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception) -> None:
    Playing(monkeypatch, error)
    reason, documents, _result = audited(tmp_path / "2")
    assert "unexpected shape" in str(reason)
    assert list(documents) == ["vc1"]


def test_progress_is_shown_every_ten_seconds_and_not_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, said = [0.0], []
    monkeypatch.setattr(endpoint_audit.time, "monotonic", lambda: clock[0])
    progress = endpoint_audit.Progress("vc1", said.append)
    for second in range(25):
        clock[0] = float(second)
        progress(second * 10, 1000, 10000)
    assert said == [
        "vc1: 100 of 1,000 hosts, 10,000 virtual machines read",
        "vc1: 200 of 1,000 hosts, 10,000 virtual machines read",
    ]
