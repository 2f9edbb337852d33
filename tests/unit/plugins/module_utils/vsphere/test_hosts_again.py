# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""To whom old values go back: hosts are known by their hardware, and machines wherever they are."""

from __future__ import annotations

import types
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import engine
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.controller import CONTROLLER
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.host import Host
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Found

SESSION: Any = types.SimpleNamespace(content={"about": {"instanceUuid": "vc-uuid"}})
MACHINE = Found("VirtualMachine", "vm-1", {}, {})


def host(name: str, uuid: str, moid: str) -> Any:
    values = {"name": name, "hardware.systemInfo.uuid": uuid, "runtime.connectionState": "connected"}
    return Host(SESSION, Found("HostSystem", moid, values, {}))


@pytest.fixture
def inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [host("new-name", "u1", "host-1"), host("esx2", "u9", "host-2"), host("esx3", "u3", "host-3"),
             host("esx4", "u3", "host-4")]  # fmt: skip
    monkeypatch.setattr(engine, "read", lambda _session, _paths, _names=None: {one.name: one for one in found})
    monkeypatch.setattr(engine.machine, "of_rows", lambda _session, _rows: {"host-3": {"m1": MACHINE}})


def again(**kept: str) -> dict[str, str]:
    return {name: found.name for name, found in engine.hosts_again(SESSION, [], kept).items()}


@pytest.mark.usefixtures("inventory")
def test_a_host_is_known_by_its_hardware() -> None:
    assert again(esx1="u1") == {"esx1": "new-name"}
    # Another one has its name by now.
    assert again(esx2="u2") == {}
    assert again(esx3="u3", esx4="u3") == {"esx3": "esx3", "esx4": "esx4"}
    # Two boards with one UUID, and neither has the name.
    assert again(gone="u3") == {}


@pytest.mark.usefixtures("inventory")
def test_a_machine_is_put_back_wherever_it_is() -> None:
    found = engine.hosts_again(SESSION, [], {"esx1": "u1"})
    assert found["esx1"].machine("m1") is MACHINE


def test_another_vcenter_is_left_alone() -> None:
    assert list(engine.hosts_again(SESSION, [], {CONTROLLER: "vc-uuid"})) == [CONTROLLER]
    assert engine.hosts_again(SESSION, [], {CONTROLLER: "another"}) == {}
