# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines as an enforcement finds them, and their reconfiguration: once each, and side by side."""

from __future__ import annotations

import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import tasks
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError, PartlyDone
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.machine_kinds import KINDS, spec, split
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, in_view, of_objects
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import Ref, value

UUID, HOST, VERSION = "config.instanceUuid", "runtime.host", "config.changeVersion"
WHERE = Properties("VirtualMachine", {UUID: None, HOST: None}, page=1000)
# A call that was sent again because its answer was lost finds what it has done itself: these then mean nothing.
AGAIN = ("ConcurrentAccess", "TaskInProgress")
SETTLING_SECONDS, SETTLING_PAUSE = 5, 0.25


def of_rows(session, rows):
    """{host's id: {UUID: Found}} of the machines that rows are about, in two questions for the whole endpoint."""
    rows = [row for row in rows if row["kind"] in KINDS]
    uuids = {split(row["name"])[0] for row in rows}
    if not uuids:
        return {}
    references = [Ref(found.moid, "VirtualMachine") for found in in_view(session, WHERE, {})
                  if found.values.get(UUID) in uuids]  # fmt: skip
    machines = {}
    for found in _read(session, references, {row["kind"] for row in rows}):
        machines.setdefault(found.values.get(HOST), {})[found.values.get(UUID)] = found
    return machines


def _read(session, references, kinds):
    paths = {UUID: None, HOST: None, VERSION: None}
    paths.update((KINDS[kind].path, KINDS[kind].reader) for kind in kinds)
    return of_objects(session, Properties("VirtualMachine", paths, page=100), references, {})


def reconfigure(host, wanted):
    """Give machines of a host other settings. wanted: [(kind, name, value)].

    What is sent back is what is now: a second change of the same machines reads them again.

    :raises ChangeError: a machine is not there any more. :raises PartlyDone: some of them were refused.
    """
    by_machine = {}
    for kind, name, new in wanted:
        by_machine.setdefault(split(name)[0], []).append((kind, name, new))
    if host.machines_changed:
        _read_again(host, by_machine, {kind for kind, _name, _new in wanted})
    starts = {uuid: _start(host, uuid, changes) for uuid, changes in by_machine.items()}
    host.machines_changed = True
    faults = tasks.run(host.session, starts)
    if any(fault.name in AGAIN for fault in faults.values()):
        faults = _without_done(host, by_machine, faults)
    if faults:
        made = [uuid for uuid in by_machine if uuid not in faults or not faults[uuid].name]
        raise PartlyDone(
            "; ".join("virtual machine %s: %s" % (uuid, fault) for uuid, fault in faults.items()),
            [(kind, name) for uuid in made for kind, name, _new in by_machine[uuid]],
        )


def _start(host, uuid, changes):
    """The call that starts the reconfiguration; what it sends is made now, before any machine is changed."""
    machine = host.machine(uuid)
    parts = []
    for kind, name, new in changes:
        found = KINDS[kind].read_of(machine)
        parts.append((KINDS[kind].place, KINDS[kind].part(found, split(name)[1], new)))
    if not machine.values.get(VERSION):
        raise ChangeError("the version of virtual machine %s's configuration was not read" % uuid)
    sent = spec(machine.values[VERSION], parts)
    return lambda: value(host.session.call("VirtualMachine", machine.moid, "ReconfigVM_Task", sent)[0])


def _read_again(host, uuids, kinds):
    references = [Ref(host.machine(uuid).moid, "VirtualMachine") for uuid in uuids]
    host.machines.update((found.values.get(UUID), found) for found in _read(host.session, references, kinds))


def _without_done(host, by_machine, faults):
    """The faults of machines that are not, within a few seconds, as they were wanted all the same."""
    deadline = time.monotonic() + SETTLING_SECONDS
    while True:
        asked = {uuid: by_machine[uuid] for uuid, fault in faults.items() if fault.name in AGAIN}
        _read_again(host, asked, {kind for changes in asked.values() for kind, _name, _new in changes})
        done = {
            uuid
            for uuid, changes in asked.items()
            if all(KINDS[kind].current(host, name) == new for kind, name, new in changes)
        }
        faults = {uuid: fault for uuid, fault in faults.items() if uuid not in done}
        if len(done) == len(asked) or time.monotonic() > deadline:
            return faults
        time.sleep(SETTLING_PAUSE)
