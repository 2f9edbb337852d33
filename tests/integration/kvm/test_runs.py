# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs against a booted host: check mode, lost hosts, missing rights."""

from __future__ import annotations

import re
import secrets
from typing import Any

import pytest
import yaml

from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import BootedHost
from ansible_collections.dwp.hypervisor.tests.integration.kvm.playbook_run import Run, audit_playbook
from ansible_collections.dwp.hypervisor.tests.lab.kvm import rootfs

# Nobody listens on the discard port.
LOST = yaml.safe_dump(
    {"all": {"hosts": {"lost": {"ansible_host": "127.0.0.1", "ansible_port": 9, "hypervisor_platform": "kvm"}}}}
)
# What a person should not have to read in a reason.
MACHINE_TALK = re.compile(r"Traceback|\bNone\b|<class|object at 0x|Errno|\{'|\\n")


@pytest.fixture(scope="module")
def normal(kvm_host: BootedHost, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An ordinary run."""
    return audit_playbook(tmp_path_factory.mktemp("normal"), [kvm_host])


def timeless(document: dict[str, Any]) -> dict[str, Any]:
    """A run document without what differs between two runs by nature: its name, times and mode."""
    kept = {**document, "run": {**document["run"]}}
    for key in ("id", "started", "finished", "mode"):
        kept["run"].pop(key)
    kept["subjects"] = [{**subject, "collected_at": ""} for subject in document["subjects"]]
    # It says when the baseline was compared: now. Each run is the first in its archive, so what fails does since now.
    kept["results"] = [
        {**entry, "failing_since": "", **({"actual": ""} if entry["check"] == "all-11.4.7-baseline-run" else {})}
        for entry in document["results"]
    ]
    kept["trend"] = [{**point, "run": "", "finished": ""} for point in document["trend"]]
    kept.pop("scope", None)
    return kept


def test_check_mode_gives_the_same_results(normal: Run, kvm_host: BootedHost, tmp_path_factory) -> None:
    checked = audit_playbook(tmp_path_factory.mktemp("check"), [kvm_host], "--check", "--diff")
    assert (normal.document["run"]["mode"], checked.document["run"]["mode"]) == ("audit", "check")
    one, other = timeless(normal.document), timeless(checked.document)
    assert one.keys() == other.keys()
    for key in one.keys() - {"results"}:
        assert one[key] == other[key], key
    different = [(a, b) for a, b in zip(one["results"], other["results"]) if a != b]
    assert different == []
    assert (normal.code, checked.code) == (2, 2)


@pytest.mark.parametrize(
    ("limit", "subjects", "fail_on", "code"),
    [
        (None, {"kvm": True, "lost": False}, ["unknown"], 2),
        (None, {"kvm": True, "lost": False}, [], 0),
        ("!lost", {"kvm": True}, [], 0),
        ("lost", {"lost": False}, ["fail"], 0),
        ("lost", {"lost": False}, ["fail", "unknown"], 2),
    ],
)
def test_a_host_that_does_not_answer(kvm_host: BootedHost, tmp_path, limit, subjects, fail_on, code) -> None:
    arguments = ["--limit", limit] if limit else []
    run = audit_playbook(tmp_path, [kvm_host], *arguments, variables={"hypervisor_fail_on": fail_on}, more_hosts=LOST)
    found = {
        subject["name"].partition("-")[0].replace("test", "kvm"): subject["reachable"]
        for subject in run.document["subjects"]
    }
    assert found == subjects
    assert run.code == code, run.output[-2000:]
    assert (run.directory / "report.html").stat().st_size > 10_000


def test_a_wrong_sudo_password_is_unknown_and_said(kvm_host: BootedHost, tmp_path) -> None:
    password = secrets.token_hex(12)
    variables = {
        "ansible_user": "alice",
        "ansible_ssh_private_key_file": str(rootfs.keys() / "alice"),
        "ansible_become_password": password,
    }
    run = audit_playbook(tmp_path, [kvm_host], "-vvv", variables=variables)
    subject = run.subject(kvm_host.name)
    assert subject["reachable"] is False
    assert re.search(r"(?i)password|sudo", subject["unreachable_reason"]), subject["unreachable_reason"]
    assert not MACHINE_TALK.search(subject["unreachable_reason"]), subject["unreachable_reason"]
    assert {entry["status"] for entry in run.document["measures"]} == {"unknown"}
    assert run.code == 2
    written = b"".join(path.read_bytes() for path in run.files() if path.is_file())
    assert password.encode() not in written + run.output.encode().replace(
        f'"ansible_become_password": "{password}"'.encode(), b""
    )


def test_without_become_what_was_not_read_is_unknown_with_a_reason(normal: Run, kvm_host: BootedHost, tmp_path) -> None:
    variables = {
        "ansible_user": "bob",
        "ansible_ssh_private_key_file": str(rootfs.keys() / "bob"),
        "ansible_become": False,
    }
    run = audit_playbook(tmp_path, [kvm_host], variables=variables)
    assert run.subject(kvm_host.name)["reachable"] is True
    as_root = normal.verdicts(kvm_host.name)
    results = run.document["results"]
    wrong = [entry["check"] for entry in results if entry["status"] not in ("unknown", as_root[entry["check"]])]
    assert wrong == []
    unknown = [entry for entry in results if entry["status"] == "unknown"]
    assert len(unknown) > 20
    unreadable = [(entry["check"], entry["message"]) for entry in unknown if MACHINE_TALK.search(entry["message"])]
    assert unreadable == []
    assert not [entry["check"] for entry in unknown if len(entry["message"]) < 10]
