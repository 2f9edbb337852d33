# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that attacks its auditor, and one whose secrets lie everywhere: whole runs of the playbook over ssh."""

from __future__ import annotations

import base64
import csv
import html.parser
import json
import os
import pathlib
import re
import stat
import time
from collections.abc import Iterator
from xml.etree import ElementTree

import jsonschema
import pytest

from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import CHECKOUT, BootedHost
from ansible_collections.dwp.hypervisor.tests.integration.kvm.hostile_host import MARK, Planted, make_hostile, plant
from ansible_collections.dwp.hypervisor.tests.integration.kvm.playbook_run import Run, audit_playbook

# The clean host of the same run needs a few seconds; a FIFO or a huge file that is waited for costs the module's 60.
BOUND = 50.0


@pytest.fixture(scope="module")
def hostile_host(lab_ready: None) -> Iterator[BootedHost]:
    """A host of this module's own: nothing on it can be trusted afterwards."""
    host = BootedHost(f"hostile-{os.getpid()}")
    try:
        yield host
    finally:
        host.stop()


@pytest.fixture(scope="module")
def planted(hostile_host: BootedHost) -> Planted:
    """The secrets on the host."""
    return plant(hostile_host)


@pytest.fixture(scope="module")
def secretive(hostile_host: BootedHost, planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The host with its secrets, before hostile files keep some of them from being read; with everything printed."""
    return audit_playbook(tmp_path_factory.mktemp("secretive"), [hostile_host], "-vvv")


@pytest.fixture(scope="module")
def clean(kvm_host: BootedHost, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The clean host alone."""
    return audit_playbook(tmp_path_factory.mktemp("clean"), [kvm_host])


@pytest.fixture(scope="module")
def both(
    kvm_host: BootedHost, hostile_host: BootedHost, secretive: Run, clean: Run, tmp_path_factory
) -> tuple[Run, float]:
    """The clean host and the hostile one in one run, with its seconds."""
    make_hostile(hostile_host)
    started = time.monotonic()
    run = audit_playbook(tmp_path_factory.mktemp("both"), [kvm_host, hostile_host], "-vvv")
    return run, time.monotonic() - started


def test_the_run_ends_in_time_and_every_measure_is_there(both: tuple[Run, float], hostile_host: BootedHost) -> None:
    run, seconds = both
    assert run.code == 2, run.output[-3000:]
    assert seconds < BOUND
    subject = run.subject(hostile_host.name)
    assert subject["reachable"] is True, subject["unreachable_reason"]
    assert len([entry for entry in run.document["measures"] if entry["subject"] == subject["id"]]) == 36
    assert len(run.vms(hostile_host.name)) >= 11


def test_nothing_broke_inside_the_collector(both: tuple[Run, float], hostile_host: BootedHost) -> None:
    errors = both[0].evidence(hostile_host.name)["facts"]["collector"]["errors"]
    assert [error for error in errors if "internal error" in error["reason"]] == []


def test_the_results_follow_the_schema(both: tuple[Run, float]) -> None:
    schema = json.loads((CHECKOUT / "plugins/plugin_utils/schemas/results.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(both[0].document)


class _Page(html.parser.HTMLParser):
    """Collects what of a page could act: elements, attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.active: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "iframe", "object", "embed", "svg", "form", "b"):
            self.active.append(tag)
        self.active += [f"{tag} {name}={value}" for name, value in attrs if name.startswith("on") or MARK in str(value)]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_pages_show_hostile_text_as_text(both: tuple[Run, float]) -> None:
    own = f"<script>\n{(CHECKOUT / 'plugins/plugin_utils/reporters/page.js').read_text()}</script>"
    shown = []
    for path in sorted(both[0].directory.rglob("*.html")):
        page, text = _Page(), path.read_text()
        # The one script of ours that filters tables, to the letter; any other is somebody's.
        page.feed(text.replace(own, "", 1))
        assert page.active == [], path.name
        assert "\u202e" not in text, path.name
        shown += page.text
    assert MARK in "".join(shown), "the names must be shown, not dropped"


def test_no_cell_is_a_formula(both: tuple[Run, float]) -> None:
    with (both[0].directory / "results.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == len(both[0].document["results"]) + 1
    bad = [cell for row in rows for cell in row if re.match(r"\s*[=+\-@]", cell)]
    assert bad == []


def test_the_junit_file_is_xml(both: tuple[Run, float]) -> None:
    root = ElementTree.parse(both[0].directory / "results.junit.xml").getroot()
    assert len(root.findall(".//testcase")) == len(both[0].document["results"])


def test_files_are_where_they_belong(both: tuple[Run, float]) -> None:
    run = both[0]
    for path in run.files():
        relative = path.relative_to(run.folder)
        assert relative.parts[0] in ("reports", "home", "facts", "ansible.log", "inventory"), relative
        assert MARK not in path.name, path
        assert re.fullmatch(r"[A-Za-z0-9._-]+", path.name), path
        if relative.parts[0] == "reports" and not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert not [
        path for path in (CHECKOUT / MARK, pathlib.Path.cwd() / MARK, pathlib.Path("/tmp") / MARK) if path.exists()
    ]


def test_the_clean_host_is_judged_as_if_it_were_alone(
    both: tuple[Run, float], clean: Run, kvm_host: BootedHost
) -> None:
    assert both[0].verdicts(kvm_host.name) == clean.verdicts(kvm_host.name)


def test_the_console_prints_no_control_characters(both: tuple[Run, float]) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", both[0].output)


@pytest.mark.parametrize("name", ["secretive", "both"])
def test_no_planted_secret_is_anywhere(name: str, planted: Planted, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(name)
    run = found if name == "secretive" else found[0]
    assert "collector" in run.output, "the raw answers of the modules have to be part of what is searched"
    leaks = [f"{place}: output" for place in planted.found(run.output.encode())]
    for path in run.files():
        if path.is_file():
            leaks += [f"{place}: {path.relative_to(run.folder)}" for place in planted.found(path.read_bytes())]
    assert not leaks, "\n".join(leaks)


def test_the_secrets_lay_where_the_audit_reads(secretive: Run, hostile_host: BootedHost, planted: Planted) -> None:
    facts = secretive.evidence(hostile_host.name)["facts"]
    assert "pam_custom.so" in json.dumps(facts["mfa"]["pam"]["sshd"])
    assert facts["logging"]["rsyslog"]["targets"][0]["host"] == "log1"
    assert {"with-vnc", "with-secrets"} <= {vm["name"] for vm in facts["vms"]}
    assert facts["identity"]["sssd"]["domains"][0]["ldap_uri"] == ["ldaps://dc.example"]
    stored = hostile_host.run(
        "cat /etc/shadow /etc/libvirt/qemu.conf /etc/pam.d/sshd /etc/libvirt/qemu/*.xml /proc/[0-9]*/cmdline"
        " /etc/libvirt/secrets/*.base64 2> /dev/null"
    ).encode()
    there = {"VNC password of a domain", "SPICE password of a domain", "qemu.conf VNC", "QEMU argument"}
    there |= {"cookie of a disk", "libvirt secret", "password hash", "PAM command", "qemu-nbd argument"}
    assert there - set(planted.found(stored)) == set()


def test_planted_secrets_are_found_in_any_coding() -> None:
    planted = Planted()
    token = planted.new("here").encode()
    for shift in range(3):
        assert planted.found(base64.b64encode(b"x" * shift + token + b"yy")) == ["here"]
    assert planted.found(token.hex().upper().encode()) == ["here"]
    assert planted.found(b"nothing") == []
