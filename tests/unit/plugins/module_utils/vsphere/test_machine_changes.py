# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reconfigurations of virtual machines: what is sent, and how tasks are waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from pyVmomi import vim

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import (
    machine_devices,
    machine_kinds,
    tasks,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault

HEAD = 'xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
NIC = (
    f'<val {HEAD}><VirtualDevice xsi:type="VirtualVmxnet3"><key>4000</key><deviceInfo xsi:type="Description">'
    '<label>a &amp; b</label></deviceInfo><backing xsi:type="VirtualEthernetCardNetworkBackingInfo">'
    '<network type="Network">network-6</network></backing><resourceAllocation><reservation>5</reservation><share>'
    "<shares>50</shares><level>normal</level></share><limit>-1</limit></resourceAllocation></VirtualDevice>"
    '<VirtualDevice xsi:type="VirtualDisk"><key>2000</key></VirtualDevice></val>'
)


def fields(type_name: type) -> list[str]:
    return [field.name for field in type_name._GetPropertyList()]


def test_places_are_in_the_order_of_the_schema() -> None:
    heads = [place.partition(".")[0] for place in machine_kinds.ORDER]
    order = fields(vim.vm.ConfigSpec)
    assert heads == sorted(heads, key=order.index)
    within = {"flags": vim.vm.FlagInfo, "cpuAllocation": vim.ResourceAllocationInfo,
              "memoryAllocation": vim.ResourceAllocationInfo}  # fmt: skip
    for head, found in within.items():
        below = [place.partition(".")[2] for place in machine_kinds.ORDER if place.startswith(f"{head}.")]
        # The flags of a machine are sent in the order of the schema too.
        assert below == sorted(below, key=fields(found).index), head


def test_each_kind_has_a_place_and_a_property_that_there_is() -> None:
    for name, kind in machine_kinds.SETTINGS.items():
        assert kind.place in machine_kinds.ORDER, name
        found: Any = vim.VirtualMachine
        for step in kind.path.split("."):
            found = getattr(found, "_propInfo", {}).get(step) or found._GetPropertyInfo(step)
            found = found.type
        assert found, name


def test_parts_of_one_structure_are_sent_as_one_and_in_order() -> None:
    parts = [
        ("extraConfig", "<e/>"), ("cpuAllocation.limit", "<limit>2</limit>"), ("numCPUs", "<numCPUs>2</numCPUs>"),
        ("cpuAllocation.reservation", "<reservation>1</reservation>"), ("extraConfig", "<f/>"),
    ]  # fmt: skip
    assert machine_kinds.spec("v<1", parts) == (
        "<spec><changeVersion>v&lt;1</changeVersion><numCPUs>2</numCPUs><cpuAllocation><reservation>1</reservation>"
        "<limit>2</limit></cpuAllocation><e/><f/></spec>"
    )
    assert machine_kinds.spec("1", [("flags.virtualMmuUsage", "<m/>"), ("flags.virtualExecUsage", "<x/>")]) == (
        "<spec><changeVersion>1</changeVersion><flags><m/><x/></flags></spec>"
    )


@pytest.mark.parametrize(
    ("now", "shown", "sent"),
    [
        ({"level": "high", "shares": "8000"}, "high", "<shares><shares>0</shares><level>high</level></shares>"),
        ({"level": "custom", "shares": "77"}, "77", "<shares><shares>77</shares><level>custom</level></shares>"),
    ],
)
def test_shares_are_a_level_or_a_number(now: dict[str, str], shown: str, sent: str) -> None:
    kind = machine_kinds.SETTINGS["machine_cpu_shares"]
    assert kind.now(now, "") == shown
    assert kind.part(now, "", shown) == sent


def test_a_device_goes_back_as_it_came_but_for_its_limit() -> None:
    kind = machine_kinds.SETTINGS["machine_nic_limit"]
    found = kind.reader(ElementTree.fromstring(NIC))
    assert kind.now(found, "4000") == -1
    sent = kind.part(found, "4000", 90)
    again = ElementTree.fromstring(f"<val {HEAD}>{sent}</val>")[0]
    assert again.findtext("{urn:vim25}operation") == "edit"
    was = ElementTree.fromstring(NIC)[0]
    was.find("{*}resourceAllocation/{*}limit").text = "90"  # type: ignore[union-attr]
    was.tag = "{urn:vim25}device"
    device = again.find("{urn:vim25}device")
    assert device is not None and ElementTree.canonicalize(ElementTree.tostring(device)) == ElementTree.canonicalize(
        ElementTree.tostring(was)
    )
    # What was read is as it was.
    assert kind.now(found, "4000") == -1


@pytest.mark.parametrize(
    ("key", "said"),
    [("4711", "the machine has no device 4711 any more"), ("2000", r"does not tell the limit \(resourceAllocation\)")],
)
def test_a_device_without_a_limit_is_not_edited(key: str, said: str) -> None:
    kind = machine_kinds.SETTINGS["machine_nic_limit"]
    with pytest.raises(ChangeError, match=said):
        kind.now(kind.reader(ElementTree.fromstring(NIC)), key)


def test_types_with_a_prefix_find_their_namespace() -> None:
    text = f'<v {HEAD} xmlns:vim25="urn:vim25"><a xsi:type="vim25:VirtualDisk"/><b xsi:type="xsd:string">x</b></v>'
    assert machine_devices.as_xml(ElementTree.fromstring(text)) == (
        '<v><a xsi:type="VirtualDisk"></a><b xsi:type="xsd:string">x</b></v>'
    )


class Server:
    """Tasks that end after so many questions; those of `failing` with a fault, or never with None."""

    def __init__(self, questions: int, failing: dict[str, str | None] | None = None) -> None:
        self.content = {"propertyCollector": "pc"}
        self.questions = questions
        self.failing = failing or {}
        self.begun: list[str] = []
        self.asked: list[int] = []

    def start(self, name: str) -> Callable[[], str]:
        def begin() -> str:
            self.begun.append(name)
            return f"task-{name}"

        return begin

    def call(
        self, _type: str, _moid: str, _method: str, arguments: str, _shorten: Any = None, begun: Any = None
    ) -> list[ElementTree.Element]:
        running = [name for name in self.begun if f">task-{name}<" in arguments]
        self.asked.append(len(running))
        return [ElementTree.fromstring(f"<r {HEAD}>{''.join(self._told(name) for name in running)}</r>")]

    def _told(self, name: str) -> str:
        state, error = "running", ""
        if len(self.asked) >= self.questions:
            fault = self.failing.get(name, "")
            state = "running" if fault is None else "error" if fault else "success"
            if fault:
                error = (
                    f'<propSet><name>info.error</name><val xsi:type="LocalizedMethodFault"><fault xsi:type="{fault}"/>'
                    "<localizedMessage>because</localizedMessage></val></propSet>"
                )
        return (
            f'<objects><obj type="Task">task-{name}</obj><propSet><name>info.state</name>'
            f'<val xsi:type="TaskInfoState">{state}</val></propSet>{error}</objects>'
        )


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.time, "sleep", lambda _seconds: None)


def test_a_few_tasks_run_at_once_and_one_question_is_for_all() -> None:
    server = Server(3)
    assert tasks.run(server, {name: server.start(name) for name in "abcdefghijkl"}) == {}
    assert len(server.begun) == 12
    assert server.asked == [tasks.AT_ONCE] * 3 + [12 - tasks.AT_ONCE]


def test_the_fault_of_each_task_is_told_and_the_others_are_waited_for() -> None:
    server = Server(2, {"b": "TaskInProgress"})
    faults = tasks.run(server, {name: server.start(name) for name in "abc"})
    assert {name: (fault.name, str(fault)) for name, fault in faults.items()} == {
        "b": ("TaskInProgress", "TaskInProgress because")
    }


def test_a_task_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "SECONDS", 0)
    server = Server(1, {"a": None})
    fault = tasks.run(server, {"a": server.start("a")})["a"]
    assert (fault.name, str(fault)) == ("", "it takes longer than 0 s")


def test_what_is_refused_before_a_task_exists_does_not_stop_the_others() -> None:
    server = Server(1)

    def refused() -> str:
        raise SoapFault("NoPermission", "", {"privilegeId": "VirtualMachine.Config.Resource"})

    faults = tasks.run(server, {"a": refused, "b": server.start("b")})
    assert {name: fault.name for name, fault in faults.items()} == {"a": "NoPermission"}
    assert server.begun == ["b"]


@pytest.mark.parametrize(("error", "raised"), [(SoapFault("ManagedObjectNotFound", "", {}), False), (Lost("x"), True)])
def test_what_nobody_knows_is_not_taken_for_done(error: Exception, raised: bool) -> None:
    server = Server(1)

    def call(*_arguments: Any, begun: Any = None) -> list[ElementTree.Element]:
        raise error

    server.call = call  # type: ignore[method-assign]
    if raised:
        with pytest.raises(Lost):
            tasks.run(server, {"a": server.start("a")})
    else:
        fault = tasks.run(server, {"a": server.start("a")})["a"]
        assert fault.name == "" and "what became of it is not known" in str(fault)
