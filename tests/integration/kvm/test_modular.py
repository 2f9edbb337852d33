# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with modular libvirt daemons is read as well as one with libvirtd."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import BootedHost
from ansible_collections.dwp.hypervisor.tests.integration.kvm.playbook_run import Run, audit_playbook


@pytest.fixture(scope="module")
def run(kvm_host: BootedHost, modular_host: BootedHost, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Both hosts in one run."""
    return audit_playbook(tmp_path_factory.mktemp("pair"), [kvm_host, modular_host])


@pytest.fixture(scope="module")
def facts(run: Run, modular_host: BootedHost) -> dict[str, Any]:
    """The facts of the modular host."""
    return run.evidence(modular_host.name)["facts"]


def test_libvirt_is_read(facts: dict[str, Any]) -> None:
    assert facts["libvirt"]["reachable"] is True
    assert facts["libvirt"]["daemon"] == "modular"
    assert facts["libvirt"]["visibility"]["complete"] is True
    assert {vm["name"]: vm["active"] for vm in facts["vms"]} == {"vm1": True, "vm2": False}
    assert [network["name"] for network in facts["networks"]] == ["default"]
    assert [pool["name"] for pool in facts["pools"]] == ["default"]
    assert {"vm1.qcow2", "vm2.luks"} <= {volume["name"] for volume in facts["volumes"]}
    assert "clean-traffic" in {rule["name"] for rule in facts["nwfilters"]}
    assert len(facts["secrets"]) == 1


def test_its_daemons_are_what_systemd_says(facts: dict[str, Any], modular_host: BootedHost) -> None:
    assert facts["libvirt_daemons"]["mode"] == "modular"
    daemons = {daemon["name"]: daemon for daemon in facts["libvirt_daemons"]["daemons"]}
    assert daemons["virtqemud"]["running"] is True
    assert daemons["virtqemud"]["conf"] == "/etc/libvirt/virtqemud.conf"
    assert not [name for name, daemon in daemons.items() if daemon["reachable"] and name != "virtqemud"]
    sockets = [socket for daemon in daemons.values() for socket in daemon["sockets"]]
    told = modular_host.run(
        "; ".join(f"systemctl is-active {socket['unit']}" for socket in sockets), check=False
    ).split()
    assert [socket["active"] for socket in sockets] == [state == "active" for state in told]
    files = [(path, socket) for socket in sockets for path in socket["listen"] if path.startswith("/")]
    assert len(files) > 10
    for path, socket in files:
        owner = modular_host.run(f"stat -c '%a %U %G' {path}", check=False).split()
        assert [socket["mode"].lstrip("0"), socket["user"], socket["group"]] == (owner or ["", "", ""]), path


def test_nothing_is_unknown_that_the_monolithic_host_knows(
    run: Run, kvm_host: BootedHost, modular_host: BootedHost
) -> None:
    monolithic, modular = run.verdicts(kvm_host.name), run.verdicts(modular_host.name)
    assert set(monolithic) == set(modular)
    lost = {check: monolithic[check] for check in modular if "unknown" == modular[check] != monolithic[check]}
    assert lost == {}


def test_no_part_fails_that_does_not_fail_on_the_monolithic_host(
    run: Run, kvm_host: BootedHost, facts: dict[str, Any]
) -> None:
    errors = {error["path"] for error in facts["collector"]["errors"]}
    assert errors <= {error["path"] for error in run.evidence(kvm_host.name)["facts"]["collector"]["errors"]}
