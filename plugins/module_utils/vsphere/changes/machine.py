# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of virtual machines of a host, one reconfiguration each. A machine is named by its instance UUID."""

from __future__ import annotations

import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.machines import options
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, of_object, of_objects
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import Ref, at, many, value

MACHINE = Properties(
    "VirtualMachine",
    {"config.instanceUuid": None, "config.extraConfig": options, "config.migrateEncryption": None},
)
TASK = Properties("Task", {"info.state": None, "info.error": None})
TASK_SECONDS = 60


def _machine(host, uuid):
    """The machine among those of the host, all of which are read with the first question."""
    if host.machines is None:
        references = [Ref(moid, "VirtualMachine") for moid in many(host.known("vm"))]
        found = of_objects(host.session, MACHINE, references, {})
        host.machines = {machine.values.get("config.instanceUuid"): machine for machine in found}
    if uuid not in host.machines:
        raise ChangeError("virtual machine %s is not on %s any more" % (uuid, host.name))
    return host.machines[uuid]


def _known(host, uuid, path):
    return _machine(host, uuid).values.get(path)


def option(host, name):
    """An advanced setting, None where the machine has none of the name. name: UUID and key, with a space between."""
    uuid, _space, key = name.partition(" ")
    found = _known(host, uuid, "config.extraConfig")
    if found is None:
        raise ChangeError("the settings of virtual machine %s were not read" % uuid)
    return None if found.get(key) is None else str(found[key])


def set_options(host, changes):
    """An empty value takes a setting away, as the API has it."""
    for name, wanted in changes:
        uuid, _space, key = name.partition(" ")
        inner = element("key", key) + element("value", wanted or "", "xsd:string")
        _reconfigure(host, uuid, '<extraConfig xsi:type="OptionValue">%s</extraConfig>' % inner)


def migration(host, uuid):
    """How the machine migrates: disabled, opportunistic or required."""
    found = _known(host, uuid, "config.migrateEncryption")
    if found is None:
        raise ChangeError("the encryption of the migration of virtual machine %s was not read" % uuid)
    return found


def set_migration(host, changes):
    """The same, set."""
    for uuid, wanted in changes:
        _reconfigure(host, uuid, element("migrateEncryption", wanted))


def _reconfigure(host, uuid, spec):
    """One field at a time: servers want fields in the order of the schema."""
    machine = _machine(host, uuid)
    task = host.session.call("VirtualMachine", machine.moid, "ReconfigVM_Task", "<spec>%s</spec>" % spec)
    found = value(task[0])
    deadline = time.monotonic() + TASK_SECONDS
    while True:
        try:
            values = of_object(host.session, TASK, Ref(found, "Task"), {}).values
        except Unreadable as error:
            raise ChangeError("what became of the change of virtual machine %s is not known: %s" % (uuid, error))
        if values.get("info.state") == "success":
            return
        if values.get("info.state") == "error":
            why = at(values.get("info.error") or {}, "fault._type", "") or "no reason given"
            said = at(values.get("info.error") or {}, "localizedMessage", "")
            raise ChangeError("virtual machine %s: %s %s" % (uuid, why, str(said)[:200]))
        if time.monotonic() > deadline:
            raise ChangeError("the change of virtual machine %s takes longer than %d s" % (uuid, TASK_SECONDS))
        time.sleep(0.2)
