# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Key providers of a vCenter: which there are, which is the default, whether they answer and are backed up."""

from __future__ import annotations

import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, of_object
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import at, flag, many, value

KINDS = {"nativeProvider": "native", "trustAuthority": "trusted"}
TASK = Properties("Task", dict.fromkeys(("info.state", "info.result", "info.error")))
PATIENCE = 30  # seconds for asking every key server


def read(session):
    """[{id, kind, default, healthy, backed_up, servers}].

    :raises Unreadable: the vCenter did not find out in time how the key servers are.
    """
    manager = session.content.get("cryptoManager")
    if not manager:
        return []
    answers = session.call(manager.type, manager, "ListKmsClusters", element("includeKmsServers", "true"))
    found = [value(answer) for answer in answers]
    health = _health(session, manager) if found else {}
    return [_provider(entry, health.get(entry["clusterId"]["id"], {})) for entry in found]


def _provider(entry, health):
    native = entry.get("managementType") == "nativeProvider"
    servers = [
        {"name": str(server.get("name", "")), "status": str(server.get("status", ""))}
        for server in many(health.get("servers"))
    ]
    status = health.get("overallStatus")
    provider = {
        "id": entry["clusterId"]["id"],
        "kind": KINDS.get(entry.get("managementType"), "standard"),
        "default": flag(entry.get("useAsDefault")) is True,
        "healthy": _healthy(status, servers, native),
        # Only a native provider's key is kept in the vCenter, and is gone with it.
        "backed_up": flag(entry.get("hasBackup")) if native else True,
        "servers": servers,
    }
    return {key: inner for key, inner in provider.items() if inner is not None}


def _healthy(status, servers, native):
    """None where nobody told. A native provider has no servers: its keys are in the vCenter itself."""
    if status:
        return status == "green"
    return all(server["status"] == "green" for server in servers) if servers or native else None


def _health(session, manager):
    """{provider id: its status}. The vCenter asks every key server, as a task of its own."""
    task = value(session.call(manager.type, manager, "RetrieveKmipServersStatus_Task")[0])
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = of_object(session, TASK, task, {})
        state = found.values.get("info.state")
        if state == "success":
            result = found.values.get("info.result")
            return {at(entry, "clusterId.id"): entry for entry in many(result)}
        if state == "error":
            raise Unreadable("the status of the key servers: %s" % at(found.values, "info.error", "refused"))
        time.sleep(0.5)
    raise Unreadable("the key servers' status was not there within %d seconds" % PATIENCE)
