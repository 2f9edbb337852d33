# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLANs of port groups: traffic of hosts by the test law, what keeps them, and what is asked right before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.controller import CONTROLLER
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import controller_rows, host_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.host_changes import Done, Hosts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import Journal
from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening, machines
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.hardening import Played, one_vlan, play, set_ports
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

pytestmark = pytest.mark.timeout(300)
FIRST, SECOND, THIRD = (f"esx0{number}.lab.example" for number in (1, 2, 3))
RELEASES = {FIRST: "7.0.3", SECOND: "8.0.3", THIRD: "9.0.0"}
DEDICATED, SEPARATED = "vsphere-11.4.12-dedicated", "vsphere-11.4.12-traffic-separation"
ONLY: dict[str, Any] = {"hypervisor_measures": ["11.4.12"]}
MANAGEMENT = 10
DISTRIBUTED = ("dvpg-production", "dvpg-dmz")


def vlan(host: vim.HostSystem, name: str) -> int:
    """The VLAN of a port group of a standard switch."""
    return next(found.spec.vlanId for found in host.config.network.portgroup if found.spec.name == name)


def set_vlan(host: vim.HostSystem, name: str, vlan: int) -> None:
    """The same, set."""
    spec = next(found.spec for found in host.config.network.portgroup if found.spec.name == name)
    spec.vlanId = vlan
    host.configManager.networkSystem.UpdatePortGroup(pgName=name, portgrp=spec)


def specification(host: vim.HostSystem, name: str) -> str:
    """All that is set of a port group of a standard switch."""
    (found,) = (one.spec for one in host.config.network.portgroup if one.spec.name == name)
    return str(found)


def group_of(admin: Client, name: str) -> vim.dvs.DistributedVirtualPortgroup:
    return next(one for one in admin.all(vim.dvs.DistributedVirtualPortgroup) if one.name == name)


def vlan_of(admin: Client, name: str) -> tuple[bool, Any]:
    """Whether the VLAN of a distributed port group is inherited, and what it is."""
    found = group_of(admin, name).config.defaultPortConfig.vlan
    return found.inherited, found.vlanId


@pytest.fixture
def target(vsphere: Target) -> Iterator[Target]:
    """The default inventory; its networks are put back afterwards."""
    names = ("VM Network", "vMotion")
    with hardening.administrator(vsphere) as admin:
        hosts = {release: admin.host(release) for release in RELEASES.values()}
        before = {(release, name): vlan(host, name) for release, host in hosts.items() for name in names}
        ports = {name: group_of(admin, name).config.defaultPortConfig.vlan for name in DISTRIBUTED}
    yield vsphere
    vsphere.control("DELETE", "faults")
    with hardening.administrator(vsphere) as admin:
        for (release, name), number in before.items():
            set_vlan(admin.host(release), name, number)
        for name, found in ports.items():
            set_ports(group_of(admin, name), vlan=found)


def allowed(admin: Client) -> dict[str, Any]:
    return {"hypervisor_allow_vm_changes": [one.config.instanceUuid for one in machines.of_people(admin)]}


def left(run: Played) -> str:
    """What a person has to do about VLANs."""
    return "; ".join(entry["what"] for entry in run.host["by_hand"] if {DEDICATED, SEPARATED} & set(entry["checks"]))


def vlans(run: Played) -> dict[str, tuple[Any, Any]]:
    """{host and setting: old and new value} of what a run changes, or would."""
    return {name: (entry["old"], entry["new"]) for name, entry in run.changes.items() if "VLAN" in name}


def test_traffic_of_hosts_by_the_test_law(target: Target, tmp_path: Path) -> None:
    with hardening.administrator(target) as admin:
        for release in RELEASES.values():
            set_vlan(admin.host(release), "vMotion", MANAGEMENT)
        before = [specification(admin.host(release), "vMotion") for release in RELEASES.values()]
        previewed = play(tmp_path, target, "harden", "--check", "--diff", **ONLY)
        assert [specification(admin.host(release), "vMotion") for release in RELEASES.values()] == before
        applied = play(tmp_path, target, "harden", **ONLY)
        changed = [specification(admin.host(release), "vMotion") for release in RELEASES.values()]
        again = [play(tmp_path, target, "harden", *check, **ONLY) for check in (["--check"], [])]
        reverted = play(tmp_path, target, "revert", hypervisor_revert_run="all")
        assert [specification(admin.host(release), "vMotion") for release in RELEASES.values()] == before
    assert applied.code == reverted.code == 0, applied.output[-3000:] + reverted.output[-3000:]
    # The name, the switch and the policy stay.
    assert changed == [text.replace("vlanId = 10", "vlanId = 50") for text in before] != before
    wanted = {f"{host} VLAN of port group vMotion": (MANAGEMENT, 50) for host in RELEASES}
    assert vlans(previewed) == vlans(applied) == wanted
    assert [vlans(run) for run in again] == [{}, {}]
    for host in RELEASES:
        assert applied.results("before")[host, SEPARATED]["status"] == "fail"
        assert applied.results("after")[host, SEPARATED]["status"] == "pass"


def test_a_vlan_that_was_inherited_is_inherited_again(target: Target, tmp_path: Path) -> None:
    """The switch has no VLAN, and the one of management is made to have none."""
    with hardening.administrator(target) as admin:
        set_ports(group_of(admin, "dvpg-production"), vlan=one_vlan(77, inherited=True))
        assert vlan_of(admin, "dvpg-production") == (True, 0)
        rows = [{**controller_rows.distributed_vlan("dvpg-production", "dvportgroup-43", 100), "checks": [DEDICATED]}]
        with logged_in(target.endpoint()) as session:
            hosts = Hosts(session, lambda: logged_in(target.endpoint()), Journal(tmp_path, target.name), 1)
            done = hosts.change("admin_network", "run", {CONTROLLER: rows}, [CONTROLLER])
            assert done.faults == {} and [change.shown for change in done.changes[CONTROLLER]] == [
                ("that of its switch", 100)
            ]
            assert vlan_of(admin, "dvpg-production") == (False, 100)
            (record,) = Journal(tmp_path, target.name).selected([], "all")
            assert hosts.revert(record, force=False, check_mode=False) == {CONTROLLER: []}
        assert vlan_of(admin, "dvpg-production") == (True, 0)


def test_what_is_not_allowed_or_not_named_is_told(target: Target, tmp_path: Path) -> None:
    with hardening.administrator(target) as admin:
        set_vlan(admin.host("7.0.3"), "VM Network", MANAGEMENT)
        uuids = allowed(admin)
        alone = play(tmp_path, target, "harden", "--check", **ONLY)
        unnamed = {"gold_vsphere_port_group_vlans": {"VM Netwrok": 40}}
        misspelt = play(tmp_path, target, "harden", "--check", **ONLY, **uuids, **unnamed)
        selected = play(tmp_path, target, "harden", "--check", **ONLY, **uuids, hypervisor_esxi_hosts=[FIRST])
        same = {"gold_vsphere_port_group_vlans": {"VM Network": MANAGEMENT}}
        refused = play(tmp_path, target, "harden", "--check", **ONLY, **uuids, **same)
    assert vlans(alone) == vlans(misspelt) == vlans(selected) == vlans(refused) == {}
    assert "left alone, as 2 hosts of its cluster, to which machines on it may move, are not in this run" in left(
        selected
    )
    assert "put their UUIDs into hypervisor_allow_vm_changes (2 missing" in left(alone)
    assert left(misspelt).endswith("it names VM Netwrok, which this host does not have")
    assert "puts port group VM Network on VLAN 10, on which port group Management Network with the" in refused.output


@pytest.mark.parametrize("name", ["the vCenter", "where this run comes from"])
def test_machines_that_the_run_hangs_on_keep_their_port_group(target: Target, tmp_path: Path, name: str) -> None:
    address = {"the vCenter": "192.0.2.10", "where this run comes from": "127.0.0.1"}[name]
    with hardening.administrator(target) as admin:
        set_vlan(admin.host("7.0.3"), "VM Network", MANAGEMENT)
        uuids = allowed(admin)
        state = {"object": "web01", "property": "guest.ipAddress"}
        target.control("POST", "state", {**state, "value": address})
        try:
            run = play(tmp_path, target, "harden", "--check", **ONLY, **uuids)
        finally:
            target.control("POST", "state", {**state, "value": None})
    assert vlans(run) == {} and "web01 (" in left(run) and f") is {name}: move that to another" in left(run)


@pytest.fixture
def management_on_dvs(target: Target) -> Iterator[Target]:
    """The management adapter of the third host on dvpg-production, on which a machine of the second is."""
    with hardening.administrator(target) as admin:
        group = group_of(admin, "dvpg-production")
        set_ports(group, vlan=one_vlan(MANAGEMENT))
        port = {"switchUuid": group.config.distributedVirtualSwitch.uuid, "portgroupKey": group.key}
    now = {"ipAddress": "192.0.2.22", "subnetMask": "255.255.255.0"}
    adapter = {"device": "vmk0", "key": "key-vim.host.VirtualNic-vmk0", "port": ""}
    moved = {**adapter, "portgroup": "", "spec": {"ip": now, "mac": "", "distributedVirtualPort": port}}
    back = {
        **adapter,
        "portgroup": "Management Network",
        "spec": {"ip": now, "mac": "", "portgroup": "Management Network"},
    }
    state = {"object": THIRD, "property": "config.network.vnic"}
    target.control("POST", "state", {**state, "value": [moved]})
    yield target
    target.control("POST", "state", {**state, "value": [back]})


def test_a_port_group_stays_that_carries_the_management_of_another_host(
    management_on_dvs: Target, tmp_path: Path
) -> None:
    with hardening.administrator(management_on_dvs) as admin:
        uuids = allowed(admin)
    run = play(
        tmp_path,
        management_on_dvs,
        "harden",
        "--check",
        **ONLY,
        **uuids,
        gold_vsphere_port_group_vlans={"dvpg-production": 100},
    )
    assert run.results("before")[SECOND, DEDICATED]["status"] == "fail"
    assert run.results("before")[THIRD, DEDICATED]["status"] == "pass"
    assert vlans(run) == {}
    assert f"left alone, as {THIRD}: vmk0 is on it, and management is in use" in left(run)


def test_who_carries_management_is_asked_again_before_it_is_written(management_on_dvs: Target, tmp_path: Path) -> None:
    for name, row, why in (
        (CONTROLLER, controller_rows.distributed_vlan("dvpg-production", "dvportgroup-43", 100),
         f"{THIRD}: vmk0, which carries management, is on port group dvportgroup-43"),
        (FIRST, host_rows.portgroup_vlan("Management Network", 100, []),
         "vmk0, which carries management, is on port group Management Network"),
    ):  # fmt: skip
        done = _change(management_on_dvs, tmp_path, {name: [row]})
        assert done.changes == {} and why in done.faults[name]


def test_adapters_that_nobody_may_read_keep_a_port_group(target: Target, tmp_path: Path) -> None:
    rows = {CONTROLLER: [controller_rows.distributed_vlan("dvpg-production", "dvportgroup-43", 101)]}
    with target.fault(kind="deny_property", property="config.network.vnic", type="HostSystem", host=SECOND):
        done = _change(target, tmp_path, rows)
    assert f"what the adapters of {SECOND} carry was not read" in done.faults[CONTROLLER]


def test_a_host_that_is_lost_gets_its_vlan_back(target: Target, tmp_path: Path) -> None:
    rows = {host: [host_rows.portgroup_vlan("vMotion", 60, [])] for host in RELEASES}
    with target.fault(kind="fault", fault="HostNotReachable", method="RefreshServices", host=FIRST):
        done = _change(target, tmp_path, rows)
    assert "its old values were put back" in done.faults[FIRST] and done.changes == {}
    with hardening.administrator(target) as admin:
        assert {vlan(admin.host(release), "vMotion") for release in RELEASES.values()} == {20}


def _change(target: Target, folder: Path, rows: dict[str, list[dict[str, Any]]]) -> Done:
    asked = {name: [{**row, "checks": [DEDICATED]} for row in mine] for name, mine in rows.items()}
    with logged_in(target.endpoint()) as session:
        hosts = Hosts(session, lambda: logged_in(target.endpoint()), Journal(folder, target.name), 1)
        return hosts.change("admin_network", "run", asked, list(asked))


def test_a_host_without_a_vcenter(esxi: Target, tmp_path: Path) -> None:
    with hardening.administrator(esxi) as admin:
        (host,) = admin.all(vim.HostSystem)
        before = vlan(host, "VM Network")
        set_vlan(host, "VM Network", MANAGEMENT)
        applied = play(tmp_path, esxi, "harden", **ONLY, **allowed(admin))
        again = play(tmp_path, esxi, "harden", "--check", **ONLY, **allowed(admin))
        reverted = play(tmp_path, esxi, "revert", hypervisor_revert_run="all")
        after = vlan(host, "VM Network")
        set_vlan(host, "VM Network", before)
    assert list(vlans(applied).values()) == [(MANAGEMENT, 40)] and vlans(again) == {}
    assert applied.code == reverted.code == 0 and after == MANAGEMENT


def test_hosts_of_a_cluster_change_together_or_not_at_all(target_ready: None, tmp_path: Path) -> None:
    """One host has a machine of vSphere's own on the port group, and another no machine."""
    # The pid keeps two test runs on one machine apart.
    found = Target.up(f"vlans-{os.getpid()}", "--hosts", "4")
    name = "VLAN of port group VM Network"
    try:
        with hardening.administrator(found) as admin:
            uuids = allowed(admin)
            hosts = admin.all(vim.HostSystem)
            for host in hosts:
                set_vlan(host, "VM Network", MANAGEMENT)
            (agent,) = (vm for vm in admin.all(vim.VirtualMachine) if vm.config.managedBy is not None)
            first, others = agent.runtime.host, [host.name for host in hosts if host != agent.runtime.host]
            users = {vm.runtime.host for vm in admin.all(vim.VirtualMachine) if vm.network[0].name == "VM Network"}
            empty = [host.name for host in hosts if host not in users]
            kept = play(tmp_path, found, "harden", "--check", **ONLY, **uuids)
            told = f"left alone, as {first.name}, to which machines on it may move, keeps it as it is: {agent.name} ("
            set_vlan(first, "VM Network", 0)
            applied = play(tmp_path, found, "harden", **ONLY, **uuids)
            again = play(tmp_path, found, "harden", "--check", **ONLY, **uuids)
            reverted = play(tmp_path, found, "revert", hypervisor_revert_run="all")
            assert {vlan(host, "VM Network") for host in hosts} == {0, MANAGEMENT}
            assert vlan(first, "VM Network") == 0
    finally:
        found.down()
    assert vlans(kept) == {} and told in left(kept)
    assert empty and {applied.results("before")[host, DEDICATED]["status"] for host in empty} == {"pass"}
    assert vlans(applied) == {f"{host} {name}": (MANAGEMENT, 40) for host in others}
    assert vlans(again) == {} and reverted.code == 0
