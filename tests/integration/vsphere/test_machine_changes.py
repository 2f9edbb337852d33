# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong while virtual machines are changed: nothing is overwritten unseen and nothing is left half done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import engine, tasks
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.host_changes import Done, Hosts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import Journal
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.hardening import administrator, play
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client, done
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

HOST = "esx01.lab.example"
Rows = list[dict[str, Any]]


class Machines:
    """web01, which runs, and legacy01, which is off: both on the first host of the target."""

    def __init__(self, target: Target, session: Any, admin: Client, folder: Path) -> None:
        self.target = target
        self.session = session
        self.admin = admin
        self.journal = Journal(folder, target.name)
        self.hosts = Hosts(session, lambda: logged_in(target.endpoint()), self.journal, 1)
        self.uuids = {name: admin.machine(name).config.instanceUuid for name in ("web01", "legacy01")}

    def row(self, name: str, kind: str, value: Any, key: str = "") -> dict[str, Any]:
        named = f"{self.uuids[name]} {key}".strip()
        return {"kind": kind, "name": named, "value": value, "checks": ["vsphere-11.3.4-policy"]}

    def change(self, rows: Rows, name: str = HOST) -> Done:
        return self.hosts.change("resource_governance", "run", {name: rows}, ())

    def differing(self, rows: Rows, name: str = HOST) -> set[tuple[str, str]]:
        with logged_in(self.target.endpoint()) as session:
            host = engine.hosts_of(session, rows, (name,))[name]
            return {(change.kind, change.name) for change in engine.differences(host, rows)}

    def everything(self, name: str) -> Rows:
        """A row of every kind that a server takes of the machine in its state."""
        rows = [
            self.row(name, "machine_cpu_reservation", 200),
            self.row(name, "machine_cpu_limit", 1900),
            self.row(name, "machine_cpu_shares", "3000"),
            self.row(name, "machine_memory_reservation", 1024),
            self.row(name, "machine_memory_limit", 4096),
            self.row(name, "machine_nic_limit", 90, "4000"),
            self.row(name, "machine_disk_limit", 700, "203"),
            self.row(name, "machine_option", "FALSE", "isolation.tools.dnd.disable"),
            self.row(name, "machine_consoles", 2),
            self.row(name, "machine_autolock", True),
            self.row(name, "machine_migration", "required"),
        ]
        if name == "legacy01":
            rows += [
                self.row(name, "machine_exec", "hvAuto"),
                self.row(name, "machine_mmu", "automatic"),
                self.row(name, "machine_nested", True),
                self.row(name, "machine_vcpus", 6),
                self.row(name, "machine_cores_per_socket", 3),
            ]
        return rows


@pytest.fixture
def machines(vsphere: Target, tmp_path: Path) -> Iterator[Machines]:
    """The target's machines, put back afterwards."""
    with logged_in(vsphere.endpoint()) as session, administrator(vsphere) as admin:
        found = Machines(vsphere, session, admin, tmp_path)
        yield found
        vsphere.control("DELETE", "faults")
        for record in found.journal.selected([], "all"):
            found.hosts.revert(record, force=True, check_mode=False)


def test_a_machine_is_reconfigured_once_whatever_is_set(vsphere: Target, machines: Machines) -> None:
    rows = [*machines.everything("web01"), *machines.everything("legacy01")]
    assert len(machines.differing(rows)) == len(rows)
    vsphere.control("DELETE", "calls")
    assert machines.change(rows).faults == {}
    assert vsphere.control("GET", "calls")["ReconfigVM_Task"] == 2
    assert machines.differing(rows) == set()
    assert machines.change(rows).changes == {}
    (record,) = machines.journal.listed()
    assert machines.hosts.revert(record, force=False, check_mode=False) == {HOST: []}
    assert vsphere.control("GET", "calls")["ReconfigVM_Task"] == 4
    assert len(machines.differing(rows)) == len(rows)


@pytest.mark.parametrize("release", ["8.0.3", "9.0.0"])
def test_machines_of_other_releases_are_changed_and_put_back(machines: Machines, release: str) -> None:
    host = machines.admin.host(release)
    (machine,) = [found for found in host.vm if not found.config.managedBy and not found.config.template]
    machines.uuids["other"] = machine.config.instanceUuid
    rows = [row for row in machines.everything("other") if row["kind"] != "machine_migration"]
    # Below the limit that the machine has, and above what it reserves.
    values = {"machine_cpu_limit": 7900, "machine_memory_limit": machine.config.hardware.memoryMB,
              "machine_cpu_reservation": 2100, "machine_memory_reservation": 8192}  # fmt: skip
    rows = [{**row, "value": values.get(row["kind"], row["value"])} for row in rows]
    before = machines.differing(rows, host.name)
    assert before
    assert machines.change(rows, host.name).faults == {}
    assert machines.differing(rows, host.name) == set()
    (record,) = machines.journal.selected([], "last")
    assert machines.hosts.revert(record, force=False, check_mode=False) == {host.name: []}
    assert machines.differing(rows, host.name) == before


def test_machines_of_a_host_without_a_vcenter(esxi: Target, tmp_path: Path) -> None:
    with logged_in(esxi.endpoint()) as session, administrator(esxi) as admin:
        alone = Machines(esxi, session, admin, tmp_path)
        rows = [*alone.everything("web01"), *alone.everything("legacy01")]
        assert alone.change(rows).faults == {}
        assert alone.differing(rows) == set()
        (record,) = alone.journal.selected([], "last")
        assert alone.hosts.revert(record, force=False, check_mode=False) == {HOST: []}
        assert len(alone.differing(rows)) == len(rows)


def test_a_device_keeps_what_nobody_asked_about(machines: Machines) -> None:
    def shown() -> list[str]:
        devices = sorted(machines.admin.machine("web01").config.hardware.device, key=lambda device: device.key)
        for device in devices:
            if isinstance(device, vim.vm.device.VirtualEthernetCard):
                device.resourceAllocation.limit = -1
            if isinstance(device, vim.vm.device.VirtualDisk):
                device.storageIOAllocation.limit = -1
        return [str(device) for device in devices]

    before = shown()
    limits = [row for row in machines.everything("web01") if row["kind"] in ("machine_nic_limit", "machine_disk_limit")]
    assert machines.change(limits).faults == {}
    assert machines.differing(limits) == set()
    assert shown() == before


def test_tasks_run_side_by_side_under_one_question(vsphere: Target, machines: Machines) -> None:
    rows = [machines.row(name, "machine_cpu_limit", 1800) for name in machines.uuids]
    with vsphere.fault(kind="slow_task", milliseconds=900, host=HOST):
        vsphere.control("DELETE", "calls")
        started = time.monotonic()
        assert machines.change(rows).faults == {}
        seconds = time.monotonic() - started
        calls = vsphere.control("GET", "calls")
    assert seconds < 1.7
    # One question for both tasks each time, ever less often: not one for each task.
    assert calls["ReconfigVM_Task"] == 2 and calls["RetrievePropertiesEx"] < 15


def test_what_somebody_changed_in_between_is_not_overwritten(machines: Machines) -> None:
    rows = [machines.row("web01", "machine_nic_limit", 90, "4000")]
    host = engine.hosts_of(machines.session, rows, (HOST,))[HOST]
    changes = engine.differences(host, rows)
    web = machines.admin.machine("web01")
    (nic,) = [device for device in web.config.hardware.device if device.key == 4000]
    nic.resourceAllocation.reservation = 5
    edit = vim.vm.device.VirtualDeviceSpec(operation="edit", device=nic)
    done(web.ReconfigVM_Task(spec=vim.vm.ConfigSpec(deviceChange=[edit])))
    with pytest.raises(ChangeError, match=r"virtual machine .*: ConcurrentAccess"):
        engine.write(host, changes)
    (now,) = [device for device in machines.admin.machine("web01").config.hardware.device if device.key == 4000]
    assert (now.resourceAllocation.limit, now.resourceAllocation.reservation) == (-1, 5)
    now.resourceAllocation.reservation = 0
    edit = vim.vm.device.VirtualDeviceSpec(operation="edit", device=now)
    done(machines.admin.machine("web01").ReconfigVM_Task(spec=vim.vm.ConfigSpec(deviceChange=[edit])))


def test_one_machine_that_is_refused_takes_the_others_of_its_host_back(machines: Machines) -> None:
    good = machines.everything("web01")
    bad = machines.row("legacy01", "machine_memory_reservation", 10**6)
    fault = machines.change([*good, bad]).faults[HOST]
    assert f"virtual machine legacy01 ({machines.uuids['legacy01']}): InvalidArgument" in fault
    assert machines.uuids["web01"] not in fault and "what was written before it was put back" in fault
    assert len(machines.differing(good)) == len(good)
    assert [host["state"] for host in machines.journal.listed()[-1]["hosts"]] == ["rolled back"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_cut_in_the_middle_of_a_reconfiguration(vsphere: Target, machines: Machines, when: str) -> None:
    rows = machines.everything("web01")
    with vsphere.fault(kind="cut_connection", method="ReconfigVM_Task", when=when, count=1):
        assert machines.change(rows).faults == {}
    assert machines.differing(rows) == set()


def test_a_task_that_takes_too_long_is_named_and_taken_back(
    vsphere: Target, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "SECONDS", 0.3)
    rows = [machines.row("web01", "machine_cpu_limit", 1700)]
    with vsphere.fault(kind="slow_task", milliseconds=1500, count=1):
        fault = machines.change(rows).faults[HOST]
    assert "it takes longer than 0 s" in fault and "what was written before it was put back" in fault
    assert machines.differing(rows) == {("machine_cpu_limit", machines.uuids["web01"])}


def test_what_takes_a_machine_that_is_off_is_refused_while_it_runs(machines: Machines) -> None:
    fault = machines.change([machines.row("web01", "machine_vcpus", 1)]).faults[HOST]
    assert "vCPUs of machine" in fault and "InvalidPowerState" in fault


def test_a_machine_or_device_that_is_not_there_changes_nothing(vsphere: Target, machines: Machines) -> None:
    other = {**machines.row("web01", "machine_cpu_limit", 1), "name": "502a3d11-0c7e-4f33-9d0b-1e7a3a6c1f01"}
    vsphere.control("DELETE", "calls")
    fault = machines.change([other]).faults[HOST]
    assert fault == f"virtual machine {other['name']} is not on {HOST} any more"
    fault = machines.change([machines.row("web01", "machine_nic_limit", 5, "4711")]).faults[HOST]
    assert fault == "the machine has no device 4711 any more"
    assert "ReconfigVM_Task" not in vsphere.control("GET", "calls")


@pytest.mark.parametrize(
    ("kind", "value", "key", "privilege"),
    [
        ("machine_cpu_limit", 100, "", "Resource"),
        ("machine_vcpus", 1, "", "CPUCount"),
        ("machine_nic_limit", 10, "4000", "EditDevice"),
        ("machine_consoles", 1, "", "MksControl"),
        ("machine_option", "FALSE", "isolation.tools.dnd.disable", "AdvancedConfig"),
        ("machine_migration", "required", "", "Settings"),
    ],
)
def test_the_privilege_that_is_lacking_is_named(
    vsphere: Target, machines: Machines, kind: str, value: Any, key: str, privilege: str
) -> None:
    with logged_in(vsphere.auditor.endpoint()) as session:
        hosts = Hosts(session, lambda: logged_in(vsphere.endpoint()), machines.journal, 1)
        rows = {HOST: [machines.row("web01", kind, value, key)]}
        fault = hosts.change("resource_governance", "run", rows, ()).faults[HOST]
    assert f"the account lacks the privilege VirtualMachine.Config.{privilege}" in fault


def test_a_machine_that_runs_is_left_to_a_person_and_live_changes_are_made_when_asked_for(
    vsphere: Target, machines: Machines, tmp_path: Path
) -> None:
    areas = {"hypervisor_areas": ["resource_governance"], "hypervisor_allow_vm_changes": [machines.uuids["web01"]]}
    left = play(tmp_path, vsphere, "harden", **areas)
    assert left.code == 0, left.output[-3000:]
    assert not any("machine" in name for name in left.changes)
    assert "it runs, and vSphere does that at once" in left.output
    asked = play(tmp_path, vsphere, "harden", **areas, hypervisor_options={"live_vm_changes": True})
    assert asked.code == 0, asked.output[-3000:]
    done = {setting: entry["new"] for updated in asked.host["changes"].values()
            for settings in updated.values() for setting, entry in settings.items()}  # fmt: skip
    limits = {name.split(" of ")[0]: new for name, new in done.items() if "machine" in name or "disk" in name}
    assert limits == {"limit in MHz": 5600, "limit in operations per second": 1000}
    assert asked.host["pending"] == []
    # People know a machine by its name.
    assert all(f"web01 ({machines.uuids['web01']})" in name for name in asked.changes if "machine" in name)
    assert play(tmp_path, vsphere, "revert", hypervisor_revert_run="all").code == 0


def test_what_holds_from_the_next_start_on_is_reported_as_waiting(
    vsphere: Target, machines: Machines, tmp_path: Path
) -> None:
    run = play(
        tmp_path, vsphere, "harden", hypervisor_areas=["access_control"],
        hypervisor_measures=["11.4.5"], hypervisor_allow_vm_changes=list(machines.uuids.values()),
    )  # fmt: skip
    assert run.code == 0, run.output[-3000:]
    assert run.results("after")[HOST, "vsphere-11.4.5-isolation"]["status"] == "pass"
    # Nothing of the API says with which settings web01 was started.
    assert [(entry["waits_for"], entry["check"].split()[0]) for entry in run.host["pending"]] == [
        ("vm_power", "vsphere-11.4.5-isolation")
    ]
    assert play(tmp_path, vsphere, "revert", hypervisor_revert_run="all").code == 0


def test_what_cannot_be_taken_back_while_a_machine_runs_is_left_and_named(machines: Machines) -> None:
    assert machines.change([machines.row("legacy01", "machine_vcpus", 1)]).faults == {}
    (record,) = machines.journal.selected([], "last")
    done(machines.admin.machine("legacy01").PowerOnVM_Task())
    (left,) = machines.hosts.revert(record, force=False, check_mode=False)[HOST]
    assert "vCPUs of machine" in left and "InvalidPowerState" in left
    done(machines.admin.machine("legacy01").PowerOffVM_Task())
    assert machines.hosts.revert(record, force=False, check_mode=False) == {HOST: []}
