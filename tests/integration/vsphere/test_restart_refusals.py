# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a host is not restarted, and what becomes of one whose restart goes wrong."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.hardening import play
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.restarts import (
    ALLOWED,
    BOOT,
    cluster,
    configured,
    host,
    restarts,
    steps,
    would,
)
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client, done, until
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import CHECKOUT, Target

BEHAVIOUR = vim.cluster.DrsConfigInfo.DrsBehavior
AREAS = {"hypervisor_areas": ["driver_signing"], "hypervisor_measures": ["11.2.1"]}
Forbidden = Callable[[Target, Client], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def fleet(target_ready: None) -> Iterator[Target]:
    """Clusters of three hosts and of one; lab-nested01 runs on the third, with a device of it."""
    found = Target.up(f"stays-{os.getpid()}", "--hosts", "4", "--per-cluster", "3", "--vms", "6")
    yield found
    found.down()


@pytest.fixture
def admin(fleet: Target) -> Iterator[Client]:
    """A session of a person who works beside the collection."""
    with hardening.administrator(fleet) as session:
        yield session


def configuration(**changed: object) -> Forbidden:
    """The first cluster with another configuration. changed: fields of ClusterConfigSpecEx."""
    return lambda _fleet, admin: configured(admin, **changed)


def drs(**changed: object) -> Forbidden:
    return configuration(drsConfig=vim.cluster.DrsConfigInfo(**changed))


def policy(found: vim.cluster.DasAdmissionControlPolicy) -> Forbidden:
    return configuration(dasConfig=vim.cluster.DasConfigInfo(admissionControlPolicy=found))


@contextlib.contextmanager
def override(_fleet: Target, admin: Client) -> Iterator[None]:
    found = cluster(admin)
    for operation, behaviour in (("add", BEHAVIOUR.manual), ("edit", BEHAVIOUR.fullyAutomated)):
        info = vim.cluster.DrsVmConfigInfo(key=admin.machine("web01"), enabled=True, behavior=behaviour)
        changed = vim.cluster.ConfigSpecEx(
            drsVmConfigSpec=[vim.cluster.DrsVmConfigSpec(operation=operation, info=info)]
        )
        done(found.ReconfigureComputeResource_Task(spec=changed, modify=True))
        if operation == "add":
            yield


@contextlib.contextmanager
def failover_host(_fleet: Target, admin: Client) -> Iterator[None]:
    (first,) = (one for one in admin.all(vim.HostSystem) if one.name == host(1))
    dedicated = vim.cluster.FailoverHostAdmissionControlPolicy(failoverHosts=[first], failoverLevel=1)
    with configured(admin, dasConfig=vim.cluster.DasConfigInfo(admissionControlPolicy=dedicated)):
        yield


def maintenance(number: int) -> Forbidden:
    @contextlib.contextmanager
    def change(fleet: Target, admin: Client) -> Iterator[None]:
        (other,) = (one for one in admin.all(vim.HostSystem) if one.name == host(number))
        done(other.EnterMaintenanceMode_Task(timeout=5))
        yield
        done(other.ExitMaintenanceMode_Task(timeout=5))
        settled(fleet)

    return change


def state(name: str, value: object, normal: object) -> Forbidden:
    """A property of the second host that no API sets."""

    @contextlib.contextmanager
    def change(fleet: Target, _admin: Client) -> Iterator[None]:
        fleet.control("POST", "state", {"object": host(2), "property": name, "value": value})
        yield
        fleet.control("POST", "state", {"object": host(2), "property": name, "value": normal})

    return change


def fault(**rule: str) -> Forbidden:
    return lambda fleet, _admin: fleet.fault(**rule)


LEVEL = vim.cluster.FailoverLevelAdmissionControlPolicy
SHARE = vim.cluster.FailoverResourcesAdmissionControlPolicy
WELL = {"state": "connectedToMaster"}
FORBIDDEN = [
    (drs(enabled=False), 1, "web01 runs on it and DRS is off: move them to another host, or set DRS of cluster"),
    (drs(enabled=True, defaultVmBehavior=BEHAVIOUR.manual), 1, "web01 runs on it and DRS is manual: move them to"),
    (override, 1, "DRS may not move web01 by itself (VM override)"),
    (policy(LEVEL(failoverLevel=2)), 1, "2 hosts can fail now, and 2 have to be able to after that"),
    (
        policy(SHARE(cpuFailoverResourcesPercent=98, memoryFailoverResourcesPercent=25, autoComputePercentages=False)),
        1,
        "% of the processors would be free, 98 % have to be",
    ),
    (failover_host, 1, "0 failover hosts would be left, 1 have to be"),
    (fault(kind="host_state", host=host(2), when="disconnected"), 1, "esx02.lab.example of its cluster is disconn"),
    (fault(kind="host_state", host=host(1), when="notResponding"), 1, "the host is notResponding"),
    (state("runtime.dasHostState", {"state": "fdmUnreachable"}, WELL), 1, "esx02.lab.example is fdmUnreachable"),
    (fault(kind="deny_property", type="ClusterComputeResource", property="summary"), 1, "was not read, so that nobody"),
    (fault(kind="deny_property", type="ClusterComputeResource", property="configurationEx"), 1, "whether DRS is on"),
    (fault(kind="deny_property", type="HostSystem", property="vm"), 1, "machines of esx01.lab.example were not read"),
    (lambda _fleet, _admin: contextlib.nullcontext(), 3, "lab-nested01 cannot move, with a device of the host's"),
    (state("summary.quickStats.overallMemoryUsage", 600000, 1404), 1, "602808 MiB of memory are in use in cluster"),
    # These move machines to other hosts.
    (maintenance(2), 1, "esx02.lab.example of its cluster is in maintenance mode: take it out of it first"),
    (maintenance(1), 1, "it is in maintenance mode already, in which somebody else may be at work"),
]  # fmt: skip


@pytest.mark.parametrize(("forbidden", "number", "why"), FORBIDDEN)
def test_a_host_stays_where_its_restart_would_cost_something(
    fleet: Target, admin: Client, tmp_path: Path, forbidden: Forbidden, number: int, why: str
) -> None:
    with forbidden(fleet, admin):
        left = would(fleet, tmp_path, number)["left"]
    assert why in left.get(host(number), "nothing")
    assert would(fleet, tmp_path, 2) == {
        "restarted": {host(2): {"checks": [BOOT], "cluster": "cluster01", "seconds": 0.0}}, "left": {}, "faults": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    "found",
    [
        LEVEL(failoverLevel=1),
        SHARE(cpuFailoverResourcesPercent=90, memoryFailoverResourcesPercent=90, autoComputePercentages=False),
    ],
)
def test_a_host_goes_where_what_is_promised_holds_without_it(
    fleet: Target, admin: Client, tmp_path: Path, found: vim.cluster.DasAdmissionControlPolicy
) -> None:
    with policy(found)(fleet, admin):
        assert would(fleet, tmp_path, 1, 2)["left"] == {}


def test_what_is_not_there_any_more_is_said(fleet: Target, tmp_path: Path) -> None:
    assert would(fleet, tmp_path, 9)["left"] == {host(9): "it is not there any more"}


def records(folder: Path) -> list[dict]:
    found = [json.loads(path.read_text()) for path in sorted((folder / "state").rglob("*-restart.json"))]
    return [record["hosts"][0] for record in found]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"kind": "evacuation_hangs"}, "; it is not in maintenance mode"),
        (
            {"kind": "fault", "fault": "HostConfigFault", "method": "RebootHost_Task"},
            "; it was taken out of maintenance",
        ),
    ],
)
def test_the_first_that_fails_is_taken_out_and_is_the_last(
    fleet: Target, admin: Client, tmp_path: Path, rule: dict[str, str], said: str
) -> None:
    """In a playbook: the task fails, and what was set stays set."""
    fleet.control("DELETE", "calls")
    given = {**AREAS, "hypervisor_options": ALLOWED}
    with fleet.fault(host=host(1), **rule):
        run = play(tmp_path, fleet, "harden", **given)
    assert run.code != 0
    found = run.host["restarts"]
    assert host(1) in found["faults"], run.output[-3000:]
    assert said in found["faults"][host(1)]
    assert f"restart of {host(1)}: " in run.host["failed"]
    assert found["left"][host(2)] == f"not attempted, as {host(1)} failed before it"
    assert found["restarted"].keys() <= {host(4)}
    assert steps(fleet, [host(2), host(3)]) == []
    assert not [one.name for one in admin.all(vim.HostSystem) if one.runtime.inMaintenanceMode]
    assert {entry["state"] for entry in records(tmp_path) if entry["name"] == host(1)} == {"rolled back"}
    assert play(tmp_path, fleet, "revert", hypervisor_revert_run="all").code == 0


@pytest.mark.parametrize(
    ("rule", "said", "state_then"),
    [
        (
            {"kind": "deny_method", "method": "EnterMaintenanceMode_Task"},
            "EnterMaintenanceMode_Task: no permission: the account lacks the privilege System.Read; it is not in",
            "rolled back",
        ),
        (
            {"kind": "fault", "fault": "HostConfigFault", "method": "ExitMaintenanceMode_Task", "count": 1},
            "ExitMaintenanceMode_Task: HostConfig; it was taken out of maintenance mode",
            "rolled back",
        ),
        (
            {"kind": "fault", "fault": "HostConfigFault", "method": "ExitMaintenanceMode_Task"},
            "it could NOT be taken out of maintenance mode: ExitMaintenanceMode_Task: HostConfig; dwp.",
            "started",
        ),
        (
            {"kind": "fault", "fault": "HostConfigFault", "method": "RefreshServices"},
            "HostConfig; it is not in maintenance mode",
            "rolled back",
        ),
    ],
)
def test_every_step_that_is_refused_is_told(
    fleet: Target, tmp_path: Path, rule: dict[str, str], said: str, state_then: str
) -> None:
    with fleet.fault(host=host(2), **rule), restarts(fleet, tmp_path, prove_seconds=1) as engine:
        found = engine.restart({host(2): [BOOT]})
    assert said in found["faults"][host(2)], found
    assert [entry["state"] for entry in records(tmp_path)] == [state_then]
    assert play(tmp_path, fleet, "revert").code == 0
    settled(fleet)
    assert would(fleet, tmp_path, 2)["left"] == {}


def settled(fleet: Target) -> None:
    """Wait until high availability counts on every host again."""
    with hardening.administrator(fleet) as admin:
        for one in admin.all(vim.HostSystem):
            until(lambda one=one: one.runtime.dasHostState.state == "connectedToMaster")


def test_a_host_that_does_not_come_back_is_named_until_it_is_taken_out(
    fleet: Target, admin: Client, tmp_path: Path
) -> None:
    fleet.control("POST", "faults", {"kind": "no_return", "host": host(2), "count": 1})
    with restarts(fleet, tmp_path, return_seconds=1) as engine:
        found = engine.restart({host(1): [BOOT], host(2): [BOOT]})
    assert list(found["restarted"]) == [host(1)]
    fault_said = found["faults"][host(2)]
    assert (
        "it did not come back within 1 s: the host is notResponding; it is notResponding and may still be" in fault_said
    )
    assert [entry["state"] for entry in records(tmp_path)] == ["reverted", "started"]
    # It comes back when nobody waits for it any more.
    fleet.control("DELETE", "faults")
    (lost,) = (one for one in admin.all(vim.HostSystem) if one.name == host(2))
    until(lambda: lost.runtime.connectionState == "connected")
    assert lost.runtime.inMaintenanceMode
    assert "run run-before on " in would(fleet, tmp_path, 2)["left"][host(2)]
    assert "is in maintenance mode: take it out" in would(fleet, tmp_path, 1)["left"][host(1)]
    run = play(tmp_path, fleet, "harden", **AREAS)
    assert f"{fleet.name} {host(2)}: run run-before on " in run.output
    back = {"hypervisor_areas": ["restart"], "hypervisor_revert_run": "run-before"}
    assert play(tmp_path, fleet, "revert", "--check", **back).code == 0
    assert lost.runtime.inMaintenanceMode
    assert play(tmp_path, fleet, "revert", **back).code == 0
    assert not lost.runtime.inMaintenanceMode
    assert play(tmp_path, fleet, "revert", hypervisor_revert_run="all").code == 0
    settled(fleet)
    assert would(fleet, tmp_path, 2)["left"] == {}


def test_a_controller_that_is_killed_leaves_a_trace_by_which_the_host_is_taken_out(
    fleet: Target, admin: Client, tmp_path: Path
) -> None:
    (going,) = (one for one in admin.all(vim.HostSystem) if one.name == host(2))
    killed = (
        "from ansible_collections.dwp.hypervisor.tests.integration.vsphere import restarts, vcenter\n"
        "import pathlib, sys\n"
        "with restarts.restarts(vcenter.Target(sys.argv[1]), pathlib.Path(sys.argv[2])) as engine:\n"
        "    engine.restart({restarts.host(2): ['x']})\n"
    )
    paths = {**os.environ, "PYTHONPATH": str(CHECKOUT / ".collections")}
    with fleet.fault(kind="latency", method="RebootHost_Task", milliseconds=2000):
        running = subprocess.Popen([sys.executable, "-c", killed, fleet.name, str(tmp_path)], env=paths)
        until(lambda: going.runtime.inMaintenanceMode)
        running.kill()
        running.wait(timeout=10)
    assert [(entry["name"], entry["state"]) for entry in records(tmp_path)] == [(host(2), "started")]
    # The server had its last call already.
    until(lambda: going.runtime.connectionState != "connected")
    until(lambda: going.runtime.connectionState == "connected")
    assert "run run-before on " in would(fleet, tmp_path, 2)["left"][host(2)]
    assert play(tmp_path, fleet, "revert").code == 0
    assert not going.runtime.inMaintenanceMode
    settled(fleet)


def test_a_role_used_alone_restarts_what_waits_in_its_area(fleet: Target, tmp_path: Path) -> None:
    role = {"role": "dwp.hypervisor.driver_signing", "vars": {"driver_signing_checks": [BOOT]}}
    book = tmp_path / "alone.yml"
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "roles": [role]}]))
    run = play(tmp_path, fleet, str(book), hypervisor_options=ALLOWED)
    assert run.code == 0, run.output[-3000:]
    assert {entry["name"] for entry in records(tmp_path)} >= {host(4)}, run.output[-3000:]
    assert f"{host(3)} is not restarted: lab-nested01 cannot move" in " ".join(run.output.split())
    fleet.control("DELETE", "calls")
    back = play(tmp_path, fleet, "revert", hypervisor_revert_run="all")
    assert back.code == 0
    # Not without the option, although old values now wait for it.
    assert f"{fleet.name} {host(4)}: what was put back is in force after its next start\n" in back.output
    assert steps(fleet, [host(number) for number in (1, 2, 3, 4)]) == []
