# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual machines as an enforcement finds them, and their reconfiguration: once each, and side by side."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import tasks
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import (
    ChangeError,
    PartlyDone,
    Refused,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.kind import Kind
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.machine_kinds import SETTINGS, spec, split
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, in_view, of_objects
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import Ref, value

UUID, HOST, VERSION = "config.instanceUuid", "runtime.host", "config.changeVersion"
WHERE = Properties("VirtualMachine", {UUID: None, HOST: None}, page=1000)


def of_rows(session, rows):
    """{host's id: {UUID: Found}} of the machines that rows are about, in two questions for the whole endpoint."""
    rows = [row for row in rows if row["kind"] in SETTINGS]
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
    paths = {UUID: None, HOST: None, VERSION: None, "name": None}
    paths.update((SETTINGS[kind].path, SETTINGS[kind].reader) for kind in kinds)
    return of_objects(session, Properties("VirtualMachine", paths, page=100), references, {})


class Reconfigured(Kind):
    """A kind of row about a machine: all that is wanted of one is one reconfiguration, and is put back by one."""

    def __init__(self, setting):
        Kind.__init__(self, setting.title, (), setting.current, None, together="machines")

    def write(self, host, batch):
        """What is sent back is what is now: a second change of the same machines reads them again.

        :raises ChangeError: a machine is not there any more. :raises PartlyDone: some of them were refused.
        """
        if host.machines_changed:
            self.again(host, batch)
        by_machine = {}
        for change in batch:
            by_machine.setdefault(split(change.name)[0], []).append(change)
        starts = {uuid: _start(host, uuid, changes) for uuid, changes in by_machine.items()}
        host.machines_changed = True
        faults = tasks.run(host.session, starts)
        if faults:
            raise PartlyDone(
                Refused(
                    [change.key for change in by_machine[uuid]],
                    fault.name,
                    "virtual machine %s: %s" % (self.called(host, uuid), fault),
                )
                for uuid, fault in faults.items()
            )

    def again(self, host, batch):
        """The same host; the machines of the batch are read."""
        uuids = {split(change.name)[0] for change in batch}
        references = [Ref(host.machine(uuid).moid, "VirtualMachine") for uuid in sorted(uuids)]
        found = _read(host.session, references, {change.kind for change in batch})
        host.machines.update((one.values.get(UUID), one) for one in found)
        return host

    def parts(self, batch):
        """A machine is reconfigured once."""
        return [batch]

    def called(self, host, name):
        """A setting's name with the name of the machine before it."""
        uuid, key = split(name)
        found = host.machines.get(uuid)
        shown = "%s (%s)" % (str(found.values.get("name"))[:80], uuid) if found else uuid
        return "%s %s" % (shown, key) if key else shown


KINDS = {name: Reconfigured(setting) for name, setting in SETTINGS.items()}


def _start(host, uuid, changes):
    """The call that starts the reconfiguration; what it sends is made now, before any machine is changed."""
    machine = host.machine(uuid)
    parts = []
    for change in changes:
        setting = SETTINGS[change.kind]
        parts.append((setting.place, setting.part(setting.read_of(machine), split(change.name)[1], change.new)))
    if not machine.values.get(VERSION):
        raise ChangeError("the version of virtual machine %s's configuration was not read" % uuid)
    sent = spec(machine.values[VERSION], parts)
    return lambda: _begun(host.session, machine.moid, sent)


def _begun(session, moid, sent):
    answer = session.call("VirtualMachine", moid, "ReconfigVM_Task", sent)
    if not answer:
        raise Unreadable("the server named no task")
    return value(answer[0])
