# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles of a vCenter, and who holds which on what."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.controller_facts import ROLES
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.places import Places
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, of_object
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import WORDS, element, reference
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import Ref, flag, many, number

# Every role has these; the server adds them by itself.
EVERYBODYS = frozenset(("System.Anonymous", "System.Read", "System.View"))
# Between the principal and the object in the name of a permission, and the role and the privilege in that of a grant.
ON, GRANTS = " on ", " grants "
ENTITIES = Properties("ManagedEntity", {"name": None, "parent": None}, page=1000)
MACHINES = Properties("VirtualMachine", {"config.instanceUuid": None}, page=1000)
ROOT = Properties("Folder", {"name": None})


def _roles(controller):
    def read():
        found = of_object(controller.session, ROLES, controller.manager("authorizationManager"), {})
        return {str(role["name"]): role for role in many(found.values["roleList"])}

    return controller.once("roles", read)


def _role(controller, name):
    if name not in _roles(controller):
        raise ChangeError("the vCenter has no role %s" % name)
    return _roles(controller)[name]


def grants(controller, name):
    """Whether a role grants a privilege. name: role and privilege, with " grants " between them."""
    role, _grants, privilege = name.rpartition(GRANTS)
    return privilege in _privileges(_role(controller, role))


def _privileges(role):
    return {str(found) for found in many(role.get("privilege"))} - EVERYBODYS


def set_grants(controller, changes):
    """The same, set; what else the role grants stays. :raises ChangeError: it is a role of the product's own."""
    for name, wanted in changes:
        called, _grants, privilege = name.rpartition(GRANTS)
        controller.written()
        role = _role(controller, called)
        if flag(role["system"]):
            raise ChangeError("the role %s comes with the product and cannot be edited" % called)
        kept = _privileges(role) - {privilege} | ({privilege} if wanted else set())
        _tell(
            controller, "UpdateAuthorizationRole",
            element("roleId", role["roleId"]) + element("newName", called)
            + "".join(element("privIds", one) for one in sorted(kept)),
        )  # fmt: skip


def permission(controller, name):
    """{role, propagate} of a principal on an object, None where it has no permission of its own there.

    name: the principal (a group with a leading %) and, after " on ", the object, see _entity.
    """
    who, _on, where = name.partition(ON)
    found = _permissions(controller, _entity(controller, where)).get(who.casefold())
    if found is None:
        return None
    by_id = {number(role["roleId"]): known for known, role in _roles(controller).items()}
    role = by_id.get(number(found["roleId"]))
    if role is None:
        raise ChangeError("the role of %s was not read" % name)
    return {"role": role, "propagate": flag(found["propagate"])}


def _permissions(controller, entity):
    def read():
        answer = controller.call(
            "AuthorizationManager", controller.manager("authorizationManager"), "RetrieveEntityPermissions",
            reference("entity", entity.type, entity) + element("inherited", "false"),
        )  # fmt: skip
        return {_label(found).casefold(): found for found in answer}

    return controller.once("permissions of " + entity, read)


def _label(found):
    return ("%" if flag(found["group"]) else "") + str(found["principal"])


def _entity(controller, name):
    """name: a machine's instance UUID, or of another object the name, or the path where others have that name too.

    :raises ChangeError: no object of the inventory is called so, or several are.
    """
    machines, others, types = controller.once("entities", lambda: _entities(controller))
    found = machines.get(name) or others.find(name)
    if len(found) != 1:
        paths = [others.path(moid) for moid in found if moid in types][:5]
        hint = ": name it by its path, %s" % " or ".join(sorted(paths)) if paths else ""
        raise ChangeError("%d objects of the inventory are called %s, expected one%s" % (len(found), name, hint))
    return Ref(found[0], types.get(found[0], MACHINES.type))


def _entities(controller):
    """({instance UUID: [id]}, Places of all others, {id: type} of those)"""
    machines = {}
    for one in controller.all(MACHINES).values():
        machines.setdefault(one.values.get("config.instanceUuid"), []).append(one.moid)
    # A view shows what is below the folder it begins at.
    root = of_object(controller.session, ROOT, Ref(controller.session.content["rootFolder"], "Folder"), {})
    others = [one for one in [root, *controller.all(ENTITIES).values()] if one.type != MACHINES.type]
    known = {str(one.moid): (one.values.get("name"), str(one.values.get("parent") or "")) for one in others}
    return machines, Places(known), {str(one.moid): one.type for one in others}


def set_permissions(controller, changes):
    """The same, set; None takes the permission away."""
    for name, wanted in changes:
        who, _on, where = name.partition(ON)
        entity = _entity(controller, where)
        target = reference("entity", entity.type, entity)
        person, group = who.lstrip("%"), WORDS[who.startswith("%")]
        if wanted is None:
            method, what = "RemoveEntityPermission", element("user", person) + element("isGroup", group)
        else:
            method = "SetEntityPermissions"
            what = "<permission>%s%s%s%s</permission>" % (
                element("principal", person),
                element("group", group),
                element("roleId", _role(controller, wanted["role"])["roleId"]),
                element("propagate", WORDS[wanted["propagate"]]),
            )
        _tell(controller, method, target + what)


def _tell(controller, method, arguments):
    controller.call("AuthorizationManager", controller.manager("authorizationManager"), method, arguments)
    controller.written()
