# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the account may not read: without any property or call, a check says the same, or that it does not know."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import (
    controller_facts,
    host_facts,
    inventory,
    machines,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import VsphereError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome
from ansible_collections.dwp.hypervisor.tests.integration.vsphere import judged
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target

READ = (
    host_facts.PROPERTIES,
    inventory.HOSTS,
    machines.PROPERTIES,
    inventory.CLUSTERS,
    inventory.DATASTORES,
    inventory.SWITCHES,
    inventory.PORTGROUPS,
    controller_facts.ROLES,
    controller_facts.ALARMS,
)
PROPERTIES = sorted({(asked.type, path) for asked in READ for path in asked.paths})

Statuses = dict[tuple[int, str], str]


def statuses(target: Target) -> Statuses:
    """{(number of the subject, check): status}; the vCenter is the first, and hosts may be without a name."""
    return {
        (number, check): result["measured"]
        for number, (name, facts) in enumerate(judged.facts_of(target).items())
        if facts is not None
        for check, result in judged.results_of(target, facts, name).items()
    }


@pytest.fixture(scope="module", params=[(), ("--standalone", "8.0.3")], ids=["vcenter", "stand-alone"])
def installed(target_ready: None, request: pytest.FixtureRequest) -> Iterator[tuple[Target, Statuses]]:
    """A target as installed, and what is said of it."""
    found = Target.up(f"refused-{os.getpid()}", *request.param)
    yield found, statuses(found)
    found.down()


def changed(before: Statuses, after: Statuses) -> dict[tuple[int, str], str]:
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
