# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account may not read: without any property or call, a check says the same, or that it does not know."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from pyVmomi import vim

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import (
    controller_facts,
    host_facts,
    inventory,
    machines,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import VsphereError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome
from ansible_collections.dwp.hypervisor.tests.integration.vsphere import hardening, judged
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target.client import Client
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

READ = (
    host_facts.PROPERTIES,
    inventory.HOSTS,
    machines.PROPERTIES,
    inventory.CLUSTERS,
    inventory.DATACENTERS,
    inventory.DATASTORES,
    inventory.SWITCHES,
    inventory.PORTGROUPS,
    controller_facts.ROLES,
    controller_facts.ALARMS,
)
PROPERTIES = sorted({(asked.type, path) for asked in READ for path in asked.paths})

Statuses = dict[tuple[Any, str], str]


def by_name(target: Target) -> Statuses:
    """{(subject, check): status} of every subject that was read."""
    return {
        (name, check): result["measured"]
        for name, facts in judged.facts_of(target).items()
        if facts is not None
        for check, result in judged.results_of(target, facts, name).items()
    }


def statuses(target: Target) -> Statuses:
    """The same by the number of the subject; the vCenter is the first, and hosts may be without a name."""
    found = by_name(target)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(name for name, _check in found))}
    return {(numbers[name], check): status for (name, check), status in found.items()}


@pytest.fixture(scope="module", params=[(), ("--standalone", "8.0.3")], ids=["vcenter", "stand-alone"])
def installed(target_ready: None, request: pytest.FixtureRequest) -> Iterator[tuple[Target, Statuses]]:
    """A target as installed, and what is said of it."""
    found = Target.up(f"withheld-{os.getpid()}", *request.param)
    yield found, statuses(found)
    found.down()


def changed(before: Statuses, after: Statuses) -> Statuses:
    """What a check says although it has other facts than before."""
    return {
        key: f"{before[key]} -> {status}"
        for key, status in after.items()
        if status not in (before[key], outcome.UNKNOWN)
    }


@pytest.mark.parametrize(("kind", "path"), PROPERTIES, ids=[f"{kind}-{path}" for kind, path in PROPERTIES])
def test_without_a_property_it_is_the_same_or_unknown(installed: tuple[Target, Statuses], kind: str, path: str) -> None:
    target, before = installed
    # A switch is of a kind of VMware's own below the one that is asked for.
    with target.fault(kind="deny_property", property=path, type="" if "Switch" in kind else kind):
        assert changed(before, statuses(target)) == {}


def test_without_a_call_it_is_the_same_or_unknown(installed: tuple[Target, Statuses]) -> None:
    target, before = installed
    target.control("DELETE", "calls")
    assert statuses(target) == before
    wrong = {}
    for method in sorted(target.control("GET", "calls")):
        with target.fault(kind="deny_method", method=method):
            try:
                wrong[method] = changed(before, statuses(target))
            except (VsphereError, SoapFault):
                continue  # nothing can be read at all, and every subject is unknown
    assert {method: found for method, found in wrong.items() if found} == {}
    assert {"QueryLockdownExceptions", "ExecuteSoap", "RetrieveAllPermissions"} <= set(wrong)


def test_without_the_automation_api_it_is_the_same_or_unknown(installed: tuple[Target, Statuses]) -> None:
    target, before = installed
    for path in ("/api/appliance/", "/api/content/", "/api/esx/", "/api/vcenter/"):
        with target.fault(kind="deny_path", path=path):
            assert changed(before, statuses(target)) == {}, path


WATCHER = "watcher@vsphere.local"


@pytest.fixture(scope="module")
def watched(target_ready: None) -> Iterator[tuple[Target, Client]]:
    """A target for an account that may read everything, and another administrator's session."""
    found = Target.up(f"watched-{os.getpid()}", "--user", f"{WATCHER}:Admin")
    watcher = Target(found.name)
    watcher.inventory = found.state / "inventory-watcher.yml"
    with hardening.administrator(found) as admin:
        yield watcher, admin
    found.down()


@pytest.mark.parametrize(
    "kind",
    [vim.VirtualMachine, vim.HostSystem, vim.Datastore, vim.DistributedVirtualSwitch,
     vim.dvs.DistributedVirtualPortgroup, vim.ClusterComputeResource, vim.ResourcePool, vim.Folder],
)  # fmt: skip
def test_without_an_object_it_is_the_same_or_unknown(watched: tuple[Target, Client], kind: type) -> None:
    """No Access on one machine, host or network leaves nothing of it in any answer."""
    watcher, admin = watched
    manager = admin.content.authorizationManager
    (none,) = (role.roleId for role in manager.roleList if role.name == "NoAccess")
    hidden = vim.AuthorizationManager.Permission(principal=WATCHER, group=False, roleId=none, propagate=True)
    before, wrong = by_name(watcher), {}
    for found in admin.all(kind):
        manager.SetEntityPermissions(entity=found, permission=[hidden])
        wrong[found.name] = changed(before, by_name(watcher))
        manager.RemoveEntityPermission(entity=found, user=WATCHER, isGroup=False)
    assert wrong
    assert {name: found for name, found in wrong.items() if found} == {}
