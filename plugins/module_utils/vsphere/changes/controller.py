# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vCenter as an enforcement finds it: what its kinds of rows share, and the proof that the account governs it."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import rest
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import tasks
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.host import CONNECTED
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.controller_facts import CURRENT
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import SHAPE, strange
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import in_view, of_object
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import element, reference
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import flag, many, value

# Stands where the name of a host stands, for plans, messages and the journal; no host can be called so.
CONTROLLER = "the vCenter"
# What enforcement and its way back need (docs/vsphere.md, "The account that hardens").
GOVERNING = (
    "System.Read",
    "Alarm.Create",
    "Authorization.ModifyPermissions",
    "Authorization.ModifyRoles",
    "Global.Settings",
    "Host.Config.AdvancedConfig",
    "Host.Config.NetService",
    "Host.Config.Settings",
    "Host.Inventory.EditCluster",
)


class Controller(object):
    """The vCenter of a session. held: the privileges of GOVERNING that the account holds, once they were asked for."""

    def __init__(self, session):
        about = session.content["about"]
        self.session = session
        self.name = CONTROLLER
        self.uuid = str(about.get("instanceUuid", ""))
        # It has answered: there is no other state in which it could be asked.
        self.connection = CONNECTED
        self.held = frozenset()
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

    def named(self, wanted, name):
        """The one object of a type that has the name. :raises ChangeError: there is none, or more than one."""
        found = [one for one in self.all(wanted).values() if one.values.get("name") == name]
        if len(found) != 1:
            raise ChangeError("%d objects of type %s are called %s, expected one" % (len(found), wanted.type, name))
        return found[0]

    def run(self, ref_type, moid, method, arguments, what):
        """Call a method that starts a task, and wait for it. what: it is about.

        :raises ChangeError: it failed. :raises Lost: nobody knows what became of it, so that it has to be put back.
        """
        fault = tasks.run(self.session, {what: lambda: self.call(ref_type, moid, method, arguments)[0]}).get(what)
        if fault is not None:
            told = "%s: %s" % (what, fault)
            raise ChangeError(told, fault.name) if fault.name else Lost(told)

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
    """Those privileges of GOVERNING that the session's account holds at the root folder.

    :raises ChangeError: the server does not say it.
    """
    try:
        login = of_object(session, CURRENT, session.content["sessionManager"], {}).values["currentSession"]
        answer = session.call(
            "AuthorizationManager",
            session.content["authorizationManager"],
            "HasPrivilegeOnEntities",
            reference("entity", "Folder", session.content["rootFolder"])
            + element("sessionId", login["key"])
            + "".join(element("privId", name) for name in GOVERNING),
        )
        found = many(value(answer[0]).get("privAvailability"))
        return frozenset(str(one["privId"]) for one in found if flag(one["isGranted"]))
    except SHAPE as error:
        raise ChangeError("what the account may do was not told: %s" % strange(error))


def lost(session, held):
    """What is wrong after a change, or nothing: the account has to hold what it held. session: a new one."""
    gone = sorted(held - rights(session))
    return "the account has lost %s" % ", ".join(gone) if gone else ""
