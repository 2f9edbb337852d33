# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of maintenance mode and of a restart: what is asked, what is waited for, what is not known."""

from __future__ import annotations

import contextlib
from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import maintenance, tasks
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.host import Host
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Found
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import Ref

ASKED = "2026-11-30T10:00:00Z"
SCHEMA = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


class Session:
    """Answers each method from a list of its own, the last one again and again; an exception is raised."""

    def __init__(self, **answers: list[Any]) -> None:
        self.content = {"propertyCollector": "pc"}
        self.calls: list[tuple[str, str]] = []
        self._answers = answers

    def call(
        self, _kind: str, _moid: str, method: str, arguments: str = "", *_more: Any, begun: Any = None
    ) -> list[ElementTree.Element]:
        self.calls.append((method, arguments))
        left = self._answers[method]
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return [ElementTree.fromstring(text) for text in answer]


def task(state: str) -> list[str]:
    return [
        f'<returnval {SCHEMA}><objects><obj type="Task">task-1</obj><propSet><name>info.state</name>'
        f'<val xsi:type="TaskInfoState">{state}</val></propSet></objects></returnval>'
    ]


def seen(connection: str, booted: str) -> list[str]:
    values = {"name": "esx1", "runtime.connectionState": connection, "runtime.bootTime": booted}
    return [
        f'<returnval {SCHEMA}><objects><obj type="HostSystem">host-1</obj>'
        + "".join(f"<propSet><name>{key}</name><val>{text}</val></propSet>" for key, text in values.items())
        + "</objects></returnval>"
    ]


STARTED = ['<returnval type="Task">task-1</returnval>']


def host(session: Session) -> Any:
    values = {"name": "esx1", "configManager": {"dateTimeSystem": "dates-1"}}
    return Host(session, Found("HostSystem", "host-1", values, {}))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(maintenance.time, "sleep", lambda _seconds: None)


def test_what_a_cluster_says_of_itself() -> None:
    """A VM override counts unless the cluster obeys none; a machine that DRS leaves alone has no behaviour."""
    text = (
        f"<val {SCHEMA}><dasConfig><enabled>true</enabled><admissionControlEnabled>false</admissionControlEnabled>"
        "</dasConfig><drsConfig><enabled>true</enabled><enableVmBehaviorOverrides>{obeyed}</enableVmBehaviorOverrides>"
        "<defaultVmBehavior>fullyAutomated</defaultVmBehavior></drsConfig>"
        '<drsVmConfig><key type="VirtualMachine">vm-1</key><enabled>false</enabled></drsVmConfig>'
        '<drsVmConfig><key type="VirtualMachine">vm-2</key><behavior>manual</behavior></drsVmConfig>'
        '<drsVmConfig><key type="VirtualMachine">vm-3</key></drsVmConfig>'
        "<vsanConfigInfo><enabled>true</enabled></vsanConfigInfo><rule>passed over</rule></val>"
    )
    for obeyed, overrides in (("true", {"vm-1": "", "vm-2": "manual"}), ("false", {})):
        answer = f'<returnval {SCHEMA}><objects><obj type="ClusterComputeResource">domain-c1</obj>' + "".join(
            f"<propSet><name>{name}</name>{inner}</propSet>"
            for name, inner in (
                ("name", "<val>c1</val>"),
                ("configurationEx", text.format(obeyed=obeyed)),
                ("summary", "<val><effectiveCpu>1000</effectiveCpu><effectiveMemory>2000</effectiveMemory></val>"),
            )
        )
        session = Session(RetrievePropertiesEx=[[answer + "</objects></returnval>"], seen("connected", ASKED)])
        values = {"name": "esx1", "parent": Ref("domain-c1", "ClusterComputeResource")}
        found = maintenance.around(session, Host(session, Found("HostSystem", "host-1", values, {})))["cluster"]
        assert found == {
            "name": "c1", "vsan": True, "ha": True, "admission": False, "policy": None, "told": None, "cpu_mhz": 1000,
            "memory_mb": 2000,
            "drs": {"enabled": True, "behaviour": "fullyAutomated", "overrides": overrides},
        }  # fmt: skip


@pytest.mark.parametrize("vsan", [True, False])
def test_objects_of_vsan_stay_accessible_and_machines_that_are_off_stay(vsan: bool) -> None:
    session = Session(EnterMaintenanceMode_Task=[STARTED], RetrievePropertiesEx=[task("running"), task("success")])
    maintenance.enter(host(session), vsan)
    arguments = dict(session.calls)["EnterMaintenanceMode_Task"]
    order = ["<timeout>1800</timeout>", "<evacuatePoweredOffVms>false</evacuatePoweredOffVms>"]
    assert arguments.startswith("".join(order))
    assert ("<objectAction>ensureObjectAccessibility</objectAction>" in arguments) is vsan


def test_a_task_that_nobody_waits_for_any_more_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "ENTER_SECONDS", -1)
    monkeypatch.setattr(tasks, "SECONDS", 0)
    refused = SoapFault("NotSupported", "", {})
    for cancelled in ([[]], [refused], [Lost("gone")]):
        session = Session(
            EnterMaintenanceMode_Task=[STARTED], RetrievePropertiesEx=[task("running")], CancelTask=cancelled
        )
        with pytest.raises(Lost, match="it takes longer than"):
            maintenance.enter(host(session))
        assert session.calls[-1][0] == "CancelTask"


def test_a_server_that_is_gone_meanwhile_leaves_it_open() -> None:
    session = Session(EnterMaintenanceMode_Task=[STARTED], RetrievePropertiesEx=[Lost("gone")], CancelTask=[Lost("x")])
    with pytest.raises(Lost, match="gone"):
        maintenance.enter(host(session))


def test_what_the_server_refuses_is_told() -> None:
    answer = SoapFault("NoPermission", "", {"privilegeId": "Host.Config.Maintenance"})
    with pytest.raises(ChangeError, match=r"EnterMaintenanceMode_Task: .*Host\.Config\.Maintenance"):
        maintenance.enter(host(Session(EnterMaintenanceMode_Task=[answer])))


@pytest.mark.parametrize("answer", [STARTED, Lost("it goes down")])
def test_the_hosts_own_clock_tells_when_it_was_asked(answer: Any) -> None:
    """An ESXi host that is asked itself goes down with its answer."""
    session = Session(QueryDateTime=[[f"<returnval>{ASKED}</returnval>"]], RebootHost_Task=[answer])
    assert maintenance.restart(host(session)) == ASKED
    assert session.calls[-1] == ("RebootHost_Task", "<force>false</force>")


def test_a_host_is_back_when_it_has_started_since_and_is_connected() -> None:
    session = Session(
        RetrievePropertiesEx=[
            seen("connected", "2026-10-01T00:00:00.5Z"),
            seen("notResponding", "2026-10-01T00:00:00.5Z"),
            Lost("not yet"),
            seen("notResponding", "2026-11-30T10:04:00.123456Z"),
            seen("connected", "2026-11-30T10:04:00.123456Z"),
        ]
    )
    assert maintenance.returned(lambda: contextlib.nullcontext(session), host(session), ASKED) == ""
    assert len(session.calls) == 5


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (seen("connected", "2026-10-01T00:00:00Z"), "it has not started since 2026-11-30T10:00:00"),
        (seen("notResponding", "2026-11-30T10:04:00Z"), "the host is notResponding"),
        (Lost("no route"), "no route"),
    ],
)
def test_what_is_lacking_is_told_when_the_time_is_over(answer: Any, why: str) -> None:
    session = Session(RetrievePropertiesEx=[answer])
    assert maintenance.returned(lambda: contextlib.nullcontext(session), host(session), ASKED, -1) == why
