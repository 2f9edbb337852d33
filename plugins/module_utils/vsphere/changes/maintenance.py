# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance mode and restarts of ESXi hosts: what has to be known before, and the calls.

Whether a host may go is decided in plugin_utils/vsphere/restart_rules.py, from what `around` reads. Properties and
methods are those of HostSystem, ClusterComputeResourceSummary and ClusterConfigInfoEx of the vSphere API reference.
"""

from __future__ import annotations

import contextlib
import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import machines
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import tasks
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost, VsphereError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.inventory import CONNECTED
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, of_object, of_objects
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault, element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import (
    Ref,
    at,
    flag,
    many,
    number,
    tag,
    value,
)

CLUSTER = "ClusterComputeResource"
MAINTENANCE, BOOTED, PARENT = "runtime.inMaintenanceMode", "runtime.bootTime", "parent"
# Seconds: for machines to move away, for a host to leave maintenance mode, and for it to start again: firmware that
# tests a few terabytes of memory takes a quarter of an hour.
ENTER_SECONDS, EXIT_SECONDS, RETURN_SECONDS = 1800, 300, 1800
# How long to wait between two questions, at first and at most.
SHORT, LONG = 0.25, 10.0

HOSTS = Properties(
    "HostSystem",
    dict.fromkeys(
        ("name", "runtime.connectionState", MAINTENANCE, "runtime.dasHostState", "hardware.cpuInfo",
         "hardware.memorySize", "summary.quickStats.overallMemoryUsage")
    ),
    page=100,
)  # fmt: skip
OF_HOST = Properties("HostSystem", {"vm": None}, page=1)


def _configuration(found):
    """Of a cluster's configuration what concerns availability and who moves machines."""
    parts = {"drsVmConfig": []}
    for child in found:
        if tag(child) == "drsVmConfig":
            parts["drsVmConfig"].append(value(child))
        elif tag(child) in ("dasConfig", "drsConfig", "vsanConfigInfo"):
            parts[tag(child)] = value(child)
    return parts


CLUSTERS = Properties(CLUSTER, {"name": None, "host": None, "summary": None, "configurationEx": _configuration}, page=1)


def around(session, host):
    """What a restart of a host meets: {cluster, members, running}; None stands for what was not told.

    host: a host.Host that was read with PARENT. cluster: None outside of one, else {name, vsan, drs: {enabled,
    behaviour, overrides: {machine: behaviour, "" where DRS leaves it alone}}, ha, admission, policy, told, cpu_mhz,
    memory_mb}: policy and told are the data objects of the API, cpu_mhz and memory_mb what its hosts have for machines.
    members: {name: {id, connection, maintenance, ha_state, cpu_mhz, memory_mb, used_mb}} of the cluster's hosts, or of
    the host alone. running: {id: {name, tied}}, see machines.running.

    :raises Unreadable, SoapFault: the server does not tell.
    """
    above = host.known(PARENT)
    cluster, references = None, [Ref(host.moid, "HostSystem")]
    if getattr(above, "type", "") == CLUSTER:
        found = of_object(session, CLUSTERS, above, {})
        cluster = _cluster(found)
        references = [Ref(moid, "HostSystem") for moid in many(found.values.get("host"))]
    members = {one.name: _member(one) for one in of_objects(session, HOSTS, references, {})}
    mine = of_object(session, OF_HOST, Ref(host.moid, "HostSystem"), {})
    if "vm" in mine.missing:
        raise Unreadable("the machines of %s were not read: %s" % (host.name, mine.missing["vm"]))
    return {"cluster": cluster, "members": members, "running": machines.running(session, many(mine.values.get("vm")))}


def _cluster(found):
    configuration = found.values.get("configurationEx") or {}
    summary = found.values.get("summary") or {}
    drs = configuration.get("drsConfig") or {}
    obeyed = flag(drs.get("enableVmBehaviorOverrides")) is not False
    availability = configuration.get("dasConfig") or {}
    return {
        "name": str(found.name),
        "vsan": flag(at(configuration, "vsanConfigInfo.enabled")) is True,
        "drs": {
            "enabled": flag(drs.get("enabled")),
            "behaviour": drs.get("defaultVmBehavior"),
            "overrides": {
                str(one.get("key")): "" if flag(one.get("enabled")) is False else str(one.get("behavior", ""))
                for one in configuration.get("drsVmConfig", ())
                if obeyed and (flag(one.get("enabled")) is False or one.get("behavior"))
            },
        },
        "ha": flag(availability.get("enabled")),
        "admission": flag(availability.get("admissionControlEnabled")),
        "policy": availability.get("admissionControlPolicy"),
        "told": summary.get("admissionControlInfo"),
        "cpu_mhz": number(summary.get("effectiveCpu")),
        "memory_mb": number(summary.get("effectiveMemory")),
    }


def _member(found):
    cpu = found.values.get("hardware.cpuInfo") or {}
    hertz, cores = number(cpu.get("hz")), number(cpu.get("numCpuCores"))
    memory = number(found.values.get("hardware.memorySize"))
    return {
        "id": found.moid,
        "connection": found.values.get("runtime.connectionState", "unknown"),
        "maintenance": flag(found.values.get(MAINTENANCE)),
        "ha_state": at(found.values.get("runtime.dasHostState") or {}, "state", ""),
        "cpu_mhz": None if None in (hertz, cores) else hertz * cores // 1000000,
        "memory_mb": None if memory is None else memory // machines.MIB,
        "used_mb": number(found.values.get("summary.quickStats.overallMemoryUsage")),
    }


def current(host, _name):
    """Whether a host is in maintenance mode."""
    return flag(host.known(MAINTENANCE))


def write(host, changes):
    """Put a host into maintenance mode, or take it out of it."""
    for _name, wanted in changes:
        if wanted:
            enter(host)
        else:
            leave(host)


def enter(host, vsan=False):
    """Have running machines moved away and the host put into maintenance mode; those that are off stay on it.

    vsan: whether the host keeps objects of vSAN, of which each stays accessible.

    :raises ChangeError: the server refused, or machines were left when the time was over. :raises Lost: nobody knows
        whether it will be.
    """
    spec = "<maintenanceSpec><vsanMode>%s</vsanMode></maintenanceSpec>" % element(
        "objectAction", "ensureObjectAccessibility"
    )
    arguments = element("timeout", ENTER_SECONDS) + element("evacuatePoweredOffVms", "false") + (spec if vsan else "")
    _run(host, "EnterMaintenanceMode_Task", arguments, ENTER_SECONDS)


def leave(host):
    """Take a host out of maintenance mode. :raises ChangeError: it does not leave it."""
    _run(host, "ExitMaintenanceMode_Task", element("timeout", EXIT_SECONDS), EXIT_SECONDS)


def _run(host, method, arguments, seconds):
    begun = []

    def start():
        answer = host.session.call("HostSystem", host.moid, method, arguments)
        if not answer:
            raise Unreadable("the server named no task")
        begun.append(value(answer[0]))
        return begun[0]

    try:
        # The server's own time limit comes first: it says what happened.
        fault = tasks.run(host.session, {host.name: start}, seconds + tasks.SECONDS).get(host.name)
    except VsphereError:
        _cancel(host.session, begun)
        raise
    if fault is None:
        return
    if not fault.name:
        _cancel(host.session, begun)
    raise fault.error("%s: %s" % (method, fault))


def _cancel(session, begun):
    """Nobody waits for a task any more, so that it should not come to its end later; the journal tells if it does."""
    for task in begun:
        try:
            session.call("Task", task, "CancelTask")
        except (SoapFault, VsphereError):
            return


def restart(host):
    """Restart a host in maintenance mode; returns its own clock's time of that moment, see returned.

    :raises ChangeError, SoapFault: the server refused.
    """
    asked = str(host.call("dateTimeSystem", "HostDateTimeSystem", "QueryDateTime")[0])
    # Of a host without a vCenter the answer goes down with it.
    with contextlib.suppress(Lost):
        host.session.call("HostSystem", host.moid, "RebootHost_Task", element("force", "false"))
    return asked


def returned(log_in, host, asked, seconds=RETURN_SECONDS):
    """Wait until a host has started after the time `asked` of its own clock and is connected.

    log_in: makes a context manager of a session. The task of the restart tells little: an ESXi host that is asked
    itself goes down with it. Returns what is wrong when the time is over, or nothing.
    """
    deadline, pause = time.monotonic() + seconds, SHORT
    while True:
        fault = _not_back(log_in, host, asked)
        if not fault or time.monotonic() > deadline:
            return fault
        time.sleep(pause)
        pause = min(2 * pause, LONG)


def _not_back(log_in, host, asked):
    try:
        with log_in() as session:
            now = host.again((BOOTED,), session)
            if now.connection != CONNECTED:
                return "the host is %s" % now.connection
            booted = str(now.known(BOOTED))
            # Both are UTC in the same form; fractions of a second differ in length.
            return "" if booted[:19] >= asked[:19] else "it has not started since %s" % asked[:19]
    except (ChangeError, SoapFault, Unreadable, VsphereError) as error:
        return str(error)
