# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet is audited by two processes where there are two cores, and the report says what one process would say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.action import report
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import machines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import side_by_side
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import pack_verify
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import endpoint_audit
from ansible_collections.dwp.hypervisor.tests.integration.kvm.playbook_run import Run, audit_playbook
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

HOSTS, MACHINES = 110, 800
# What an audit says of its own time.
CLOCK = ("compared at", "collected_at")


@pytest.fixture(scope="module")
def fleet(target_ready: None) -> Iterator[Target]:
    """A vCenter with more hosts and machines than are read and judged in one process, and more results than are written
    by one."""
    found = Target.up(f"fleet-{os.getpid()}", "--hosts", str(HOSTS), "--vms", str(MACHINES))
    yield found
    found.down()


@contextmanager
def one_core() -> Iterator[None]:
    """What is started in here has one core, as in a small container."""
    had = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(had)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, had)


def told(run: Run) -> list[dict[str, Any]]:
    """Results without what names the moment."""
    return [{**result, "failing_since": None, "actual": without_clock(result["actual"])} for result in
            run.document["results"]]  # fmt: skip


def without_clock(actual: Any) -> Any:
    return {key: value for key, value in actual.items() if key not in CLOCK} if isinstance(actual, dict) else actual


def files(run: Run) -> set[str]:
    return {str(path.relative_to(run.directory)) for path in run.directory.rglob("*") if path.is_file()}


def test_two_processes_say_what_one_says(fleet: Target, tmp_path: Path) -> None:
    runs = []
    for name in ("two", "one"):
        (tmp_path / name).mkdir()
    runs.append(audit_playbook(tmp_path / "two", [fleet]))
    with one_core():
        runs.append(audit_playbook(tmp_path / "one", [fleet]))
    two, one = runs
    assert len(two.document["subjects"]) == HOSTS + 1 > endpoint_audit.MANY_HOSTS
    assert len(two.document["results"]) > report.MANY_RESULTS
    assert side_by_side.FEW * machines.PROPERTIES.page < MACHINES
    assert told(two) == told(one)
    assert two.document["summary"] == one.document["summary"]
    assert files(two) == files(one)
    assert pack_verify.verify_pack(two.directory) == []
