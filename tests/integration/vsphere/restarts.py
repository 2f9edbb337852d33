# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarts of the target's hosts: what is asked for, what was called, and clusters put into a state that forbids it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pyVmomi import vim

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.host_restarts import Restarts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import Journal
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.hardening import SITE
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client, done
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

ALLOWED = {**SITE["hypervisor_options"], "restart_esxi_hosts": True}
STEPS = ["EnterMaintenanceMode_Task", "RebootHost_Task", "ExitMaintenanceMode_Task"]
BOOT = "vsphere-11.2.1-exec-boot"
IOMMU = "vsphere-11.1.2-iommu"


def host(number: int) -> str:
    """The name of a host of the target."""
    return f"esx{number:02}.lab.example"


@contextlib.contextmanager
def restarts(vsphere: Target, folder: Path, **changed: Any) -> Iterator[Restarts]:
    """The engine itself, for what a playbook would wait half an hour for. changed: arguments of Restarts."""
    endpoint = vsphere.endpoint()
    with logged_in(endpoint) as session:
        kept = Journal(folder / "state", vsphere.name)
        given = {"prove_seconds": 20, "say": lambda _line: None, **changed}
        yield Restarts(session, lambda: logged_in(endpoint), kept, "run-before", **given)


def would(vsphere: Target, folder: Path, *numbers: int) -> dict[str, Any]:
    """What check mode says of hosts."""
    with restarts(vsphere, folder) as engine:
        return engine.would({host(number): [BOOT] for number in numbers})


def steps(vsphere: Target, names: Sequence[str]) -> list[tuple[str, str]]:
    """The calls about restarts of hosts, in their order."""
    calls = [(call["method"], call["host"]) for call in vsphere.control("GET", "writes")]
    return [call for call in calls if call[0] in STEPS and call[1] in names]


def cluster(admin: Client, name: str = "cluster01") -> vim.ClusterComputeResource:
    """A cluster by its name."""
    return next(found for found in admin.all(vim.ClusterComputeResource) if found.name == name)


@contextlib.contextmanager
def configured(admin: Client, **changed: Any) -> Iterator[None]:
    """The first cluster, configured otherwise for the time of a block. changed: fields of ClusterConfigSpecEx."""
    found = cluster(admin)
    before = found.configurationEx
    done(found.ReconfigureComputeResource_Task(spec=vim.cluster.ConfigSpecEx(**changed), modify=True))
    try:
        yield
    finally:
        back = vim.cluster.ConfigSpecEx(
            dasConfig=vim.cluster.DasConfigInfo(
                enabled=before.dasConfig.enabled,
                admissionControlEnabled=before.dasConfig.admissionControlEnabled,
                admissionControlPolicy=before.dasConfig.admissionControlPolicy,
            ),
            drsConfig=vim.cluster.DrsConfigInfo(
                enabled=before.drsConfig.enabled, defaultVmBehavior=before.drsConfig.defaultVmBehavior
            ),
        )
        done(found.ReconfigureComputeResource_Task(spec=back, modify=True))
