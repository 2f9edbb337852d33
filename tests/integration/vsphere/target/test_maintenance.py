# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance mode of the target's hosts, and what a cluster tells of its capacity."""

from __future__ import annotations

import pytest
from pyVmomi import vim, vmodl

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target import client

SHARE = vim.cluster.FailoverResourcesAdmissionControlPolicy
LEVEL = vim.cluster.FailoverLevelAdmissionControlPolicy


def reconfigure(admin: client.Client, **changed: object) -> vim.ClusterComputeResource:
    (cluster,) = admin.all(vim.ClusterComputeResource)
    spec = vim.cluster.ConfigSpecEx(**changed)
    client.done(cluster.ReconfigureComputeResource_Task(spec=spec, modify=True))
    return cluster


def policy(admin: client.Client, found: vim.cluster.DasAdmissionControlPolicy) -> vim.ClusterComputeResource:
    return reconfigure(admin, dasConfig=vim.cluster.DasConfigInfo(admissionControlPolicy=found))


def test_machines_are_moved_where_drs_moves_them(admin: client.Client) -> None:
    host, machine = admin.host("8.0.3"), admin.machine("db01")
    assert machine.runtime.host == host
    admin.control("DELETE", "/calls")
    client.done(host.EnterMaintenanceMode_Task(timeout=5))
    assert host.runtime.inMaintenanceMode and host.runtime.dasHostState is None
    assert machine.runtime.host != host and machine in machine.runtime.host.vm and machine not in host.vm
    assert machine.runtime.powerState == "poweredOn"
    with client.refused(vim.fault.InvalidState):
        client.done(host.EnterMaintenanceMode_Task(timeout=5))
    client.done(host.ExitMaintenanceMode_Task(timeout=5))
    with client.refused(vim.fault.InvalidState):
        client.done(host.ExitMaintenanceMode_Task(timeout=5))
    calls = admin.control("GET", "/writes")
    assert [call["method"].partition("Maintenance")[0] for call in calls] == ["Enter", "Enter", "Exit", "Exit"]
    assert {call["host"] for call in calls} == {host.name}


def test_it_waits_for_machines_that_nobody_moves(admin: client.Client) -> None:
    """With a device of the host, without automation, and below what admission control promises."""
    manual = vim.cluster.DrsConfigInfo(enabled=True, defaultVmBehavior=vim.cluster.DrsConfigInfo.DrsBehavior.manual)
    automatic = vim.cluster.DrsConfigInfo(
        enabled=True, defaultVmBehavior=vim.cluster.DrsConfigInfo.DrsBehavior.fullyAutomated
    )
    for release, changed, back in (
        ("9.0.0", {}, {}),
        ("7.0.3", {"drsConfig": manual}, {"drsConfig": automatic}),
        (
            "7.0.3",
            {"dasConfig": vim.cluster.DasConfigInfo(admissionControlPolicy=LEVEL(failoverLevel=2))},
            {"dasConfig": vim.cluster.DasConfigInfo(admissionControlPolicy=LEVEL(failoverLevel=1))},
        ),
    ):
        reconfigure(admin, **changed)
        with client.refused(vim.fault.Timedout):
            client.done(admin.host(release).EnterMaintenanceMode_Task(timeout=1))
        assert not admin.host(release).runtime.inMaintenanceMode
        reconfigure(admin, **back)


def test_a_cluster_tells_what_is_free(admin: client.Client) -> None:
    cluster = policy(
        admin, SHARE(cpuFailoverResourcesPercent=25, memoryFailoverResourcesPercent=25, autoComputePercentages=False)
    )
    before = cluster.summary
    assert before.numEffectiveHosts == 3
    assert 0 < before.admissionControlInfo.currentMemoryFailoverResourcesPercent < 100
    host = admin.host("8.0.3")
    client.done(host.EnterMaintenanceMode_Task(timeout=5))
    then = cluster.summary
    assert then.numEffectiveHosts == 2 and 3 * then.effectiveCpu == 2 * before.effectiveCpu
    client.done(host.ExitMaintenanceMode_Task(timeout=5))
    assert policy(admin, LEVEL(failoverLevel=1)).summary.admissionControlInfo.currentFailoverLevel == 2
    dedicated = vim.cluster.FailoverHostAdmissionControlPolicy(failoverHosts=[host])
    (status,) = policy(admin, dedicated).summary.admissionControlInfo.hostStatus
    assert (status.host, status.status) == (host, "green")
    with client.refused(vmodl.fault.InvalidArgument):
        policy(admin, SHARE(cpuFailoverResourcesPercent=101, memoryFailoverResourcesPercent=0))


def test_a_host_goes_away_and_comes_back(admin: client.Client) -> None:
    host = admin.host("8.0.3")
    client.done(host.EnterMaintenanceMode_Task(timeout=5))
    admin.control("POST", "/faults", {"kind": "no_return", "host": host.name, "count": 1})
    before = host.runtime.bootTime
    client.done(host.RebootHost_Task(force=False))
    assert host.runtime.connectionState == "notResponding"
    with client.refused(vmodl.fault.HostNotConnected):
        client.done(host.ExitMaintenanceMode_Task(timeout=5))
    admin.control("DELETE", "/faults")
    client.until(lambda: host.runtime.connectionState == "connected")
    assert host.runtime.bootTime > before and host.runtime.inMaintenanceMode
    client.done(host.ExitMaintenanceMode_Task(timeout=5))
    client.until(lambda: host.runtime.dasHostState.state == "connectedToMaster")


def test_who_may_not_is_told_what_is_lacking(auditor: client.Client) -> None:
    host = auditor.host("8.0.3")
    for call in (
        lambda: host.EnterMaintenanceMode_Task(timeout=1),
        lambda: host.ExitMaintenanceMode_Task(timeout=1),
        lambda: host.RebootHost_Task(force=True),
    ):
        with pytest.raises(vim.fault.NoPermission) as error:
            call()
        assert error.value.privilegeId == "Host.Config.Maintenance"
