# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vCenter as an enforcement finds it: what its kinds of rows share, and the proof that the account governs it."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import rest
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import tasks
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.controller_facts import CURRENT
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import SHAPE, strange
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.inventory import CONNECTED
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import (
    Properties,
    in_view,
    of_object,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import element, reference
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import flag, many, value

# Stands where the name of a host stands, for plans, messages and the journal; no host can be called so.
CONTROLLER = "the vCenter"
# What enforcement and its way back need (docs/vsphere.md, "The account that hardens").
GOVERNING = (
    "System.Read",
    "Alarm.Create",
    "Alarm.Delete",
    "Alarm.Edit",
    "Authorization.ModifyPermissions",
    "Authorization.ModifyRoles",
    "DVPortgroup.Modify",
    "DVSwitch.ResourceManagement",
    "Global.Settings",
    "Host.Config.AdvancedConfig",
    "Host.Config.AuthenticationStore",
    "Host.Config.DateTime",
    "Host.Config.Image",
    "Host.Config.NetService",
    "Host.Config.Network",
    "Host.Config.Settings",
    "Host.Inventory.EditCluster",
    "VirtualMachine.Config.AdvancedConfig",
    "VirtualMachine.Config.CPUCount",
    "VirtualMachine.Config.EditDevice",
    "VirtualMachine.Config.MksControl",
    "VirtualMachine.Config.Resource",
    "VirtualMachine.Config.Settings",
)
# Where an account may hold them instead of at the root folder. Machines are tens of thousands: their folders count.
PLACES = ("Datacenter", "Folder", "ComputeResource", "HostSystem", "DistributedVirtualSwitch")
# Objects in one question.
AT_ONCE = 250


class Controller(object):
    """The vCenter of a session. held: the privileges that the account holds, see rights, once they were asked for."""

    def __init__(self, session):
        about = session.content["about"]
        self.session = session
        self.name = CONTROLLER
        self.uuid = str(about.get("instanceUuid", ""))
        # It has answered: there is no other state in which it could be asked.
        self.connection = CONNECTED
        self.held = {}
        self._read = {}

    def manager(self, name):
        """The id of a manager of the service content. :raises ChangeError: the server has none."""
        found = self.session.content.get(name)
        if not found:
            raise ChangeError("the server has no %s" % name)
        return found

    def call(self, ref_type, moid, method, arguments=""):
        """What a method returns, as plain data. :raises SoapFault: the server refused."""
        return [value(found) for found in self.session.call(ref_type, moid, method, arguments)]

    def once(self, key, read):
        """read(), asked for once however many rows want it, until something is written."""
        if key not in self._read:
            self._read[key] = read()
        return self._read[key]

    def written(self):
        """What was read is not what is any more."""
        self._read.clear()

    def again(self, _paths):
        """The vCenter as it is now."""
        self.written()
        return self

    def all(self, wanted):
        """{id: Found} of every object of a type."""
        return self.once(wanted.type, lambda: {found.moid: found for found in in_view(self.session, wanted, {})})

    def run(self, ref_type, moid, method, arguments, what):
        """Call a method that starts a task, and wait for it. what: it is about.

        :raises ChangeError: it failed. :raises Lost: nobody knows what became of it, so that it has to be put back.
        """
        fault = tasks.run(self.session, {what: lambda: self.call(ref_type, moid, method, arguments)[0]}).get(what)
        if fault is not None:
            raise fault.error("%s: %s" % (what, fault))

    def asked(self, path):
        """An answer of the vSphere Automation API, asked for once."""
        return self.once(path, lambda: self._api(lambda api: api.get(path)))

    def told(self, method, path, content):
        """Tell the vSphere Automation API to set something. :raises Unreadable: it refused."""
        self._api(lambda api: api.tell(method, path, content))

    def _api(self, ask):
        with rest.opened(self.session) as api:
            return ask(api)

    def remember_rights(self):
        """Note what the account may do now, so that a proof can say what it has lost."""
        self.held = rights(self.session)


def rights(session):
    """{id: (name, privileges of GOVERNING)} of what the session's account holds on the root folder and all below it
    that is no machine, by whatever way: of its own or through groups, handed down or globally.

    :raises ChangeError: the server does not say it.
    """
    places = [("Folder", str(session.content["rootFolder"]), "the root folder")]
    for ref_type in PLACES:
        seen = in_view(session, Properties(ref_type, {"name": None}, page=1000), {})
        places += [(found.type, found.moid, str(found.name)) for found in seen]
    try:
        login = of_object(session, CURRENT, session.content["sessionManager"], {}).values["currentSession"]
        held = {}
        for first in range(0, len(places), AT_ONCE):
            held.update(_held(session, login["key"], places[first : first + AT_ONCE]))
    except SHAPE as error:
        raise ChangeError("what the account may do was not told: %s" % strange(error))
    return {moid: (name, held[moid]) for _type, moid, name in places}


def _held(session, login, places):
    answer = session.call(
        "AuthorizationManager",
        session.content["authorizationManager"],
        "HasPrivilegeOnEntities",
        "".join(reference("entity", ref_type, moid) for ref_type, moid, _name in places)
        + element("sessionId", login)
        + "".join(element("privId", name) for name in GOVERNING),
    )
    return {
        str(found["entity"]): frozenset(
            str(one["privId"]) for one in many(found.get("privAvailability")) if flag(one["isGranted"])
        )
        for found in map(value, answer)
    }


def lost(session, held):
    """What is wrong after a change, or nothing: the account has to hold what it held. session: a new one."""
    now = rights(session)
    for moid, (name, privileges) in held.items():
        gone = sorted(privileges - now.get(moid, ("", frozenset()))[1])
        if gone:
            return "the account has lost %s on %s" % (", ".join(gone), name)
    return ""
