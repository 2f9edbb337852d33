# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""harden.yml over two hosts: one after the other, no further than the first that fails, and on from there."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.enforcement import enforced
from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import CHECKOUT, BootedHost, ansible_environment

NAMES = ("rollout-1", "rollout-2")
VARIABLES = {
    **enforced.PEOPLE,
    "hypervisor_measures": ["11.4.6"],
    "hypervisor_fail_on": [],
    "hypervisor_rollback_seconds": 60,
}


@pytest.fixture
def hosts(lab_ready: None) -> Iterator[list[BootedHost]]:
    """Two fresh hosts; on the first the break-glass account cannot be used."""
    started = [BootedHost(name) for name in NAMES]
    try:
        started[0].run("passwd -q -l breakglass")
        yield started
    finally:
        for host in started:
            host.stop()


def harden(hosts: list[BootedHost], folder: pathlib.Path, run: str, **more: Any) -> tuple[int, dict[str, Any]]:
    """Run the playbook on all; returns (exit code, {host: what changes.json says of it})."""
    given = {**VARIABLES, "hypervisor_report_dir": str(folder), "hypervisor_run_id": run, **more}
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook")]
    for host in hosts:
        command += ["-i", str(host.inventory)]
    command += [str(CHECKOUT / "playbooks" / "harden.yml"), "-e", json.dumps(given)]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=ansible_environment(), capture_output=True, text=True, timeout=280, check=False
    )
    changes = folder / run / "changes" / "changes.json"
    assert changes.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(changes.read_text(encoding="utf-8"))["hosts"]
    assert [entry["host"] for entry in found] == list(NAMES)
    return done.returncode, {entry["host"]: entry for entry in found}


@pytest.mark.timeout(600)
def test_a_host_that_fails_stops_the_run_and_the_next_run_goes_on(hosts: list[BootedHost], tmp_path: pathlib.Path):
    one, two = NAMES
    code, told = harden(hosts, tmp_path, f"stops-{os.getpid()}")
    assert code != 0
    assert "no break-glass account can be used at the console" in told[one]["failed"]
    assert not told[one]["areas_changed"] and not told[two]["attempted"]
    assert told[two]["left_alone"] == "a host before it failed"
    assert all(host.module("dwp.hypervisor.kvm_changes", {})["changes"] == [] for host in hosts)

    code, told = harden(hosts, tmp_path, f"goes-on-{os.getpid()}", hypervisor_keep_going=True)
    assert code != 0 and told[one]["failed"]
    assert told[two]["areas_changed"] == ["remote_access"] and not told[two]["still_failing"]

    hosts[0].run("passwd -q -u breakglass")
    code, told = harden(hosts, tmp_path, f"ends-{os.getpid()}")
    assert code == 0
    assert told[one]["areas_changed"] == ["remote_access"] and not told[one]["still_failing"]
    assert told[two]["left_alone"] == "nothing fails that a role can set"
