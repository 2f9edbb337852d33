# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of a vCenter itself, and what a stand-alone ESXi host has of them."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import appliance, key_providers
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import SHAPE, Facts, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.machines import options
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.places import Places
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import (
    Properties,
    in_view,
    of_object,
    of_objects,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault, element, reference
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import (
    Ref,
    flag,
    many,
    number,
    value,
)

PARTS = ("authorization", "alarms", "options", "key_providers", "appliance", "content")
ADMIN, READ, NO_ACCESS = "Admin", "System.Read", "NoAccess"
SUBTREES = ("vpxd.event.", "event.", "task.")
NAMED = {"name": None, "parent": None}
# What others are in. Hosts and datastores are known already.
CONTAINERS = ("Datacenter", "Folder", "ComputeResource", "ResourcePool")
ROLES = Properties("AuthorizationManager", {"roleList": None})
CURRENT = Properties("SessionManager", {"currentSession": None})
ALARMS = Properties(
    "Alarm", dict.fromkeys(("info.name", "info.enabled", "info.entity", "info.expression", "info.action"))
)
# What only a vCenter has; a stand-alone host has none of it, and that is known.
NONE_ON_ESXI = {
    "storage.library": {"libraries": [], "items": []},
    "rbac.global_permissions": [],
    "alarms": [],
    "identity.providers": [],
    "drift.clusters": [],
    "patch.clusters": [],
    "crypto.providers": [],
}


def about(facts, found):
    """Put host.* of the service's own description."""
    reason = "the service does not describe itself"
    facts.put("host.platform", "vsphere")
    facts.put("host.product", found.get("fullName"), reason)
    facts.put("host.product_line", found.get("productLineId"), reason)
    facts.put("host.version", found.get("version"), reason)
    facts.put("host.build", number(found.get("build")), reason)
    facts.put("host.os_id", "vcenter")
    facts.put("host.os_version", ".".join(str(found.get("version", "")).split(".")[:2]) or None, reason)
    facts.put("host.uuid", found.get("instanceUuid"), reason)
    facts.put("host.controller", "")
    facts.put("host.controller_address", "")


def fill(facts, session, inventory, fleet, denied):
    """Put everything of a vCenter into `facts`."""
    _authorization(facts, session, fleet, denied)
    facts.attempt("advanced_options", lambda: _options(session))
    facts.attempt("alarms", lambda: list(_alarms(session)))
    facts.attempt("crypto.providers", lambda: key_providers.read(session))
    _crypto_states(facts, inventory)
    facts.attempt("storage.datastores", lambda: _datastores(facts, inventory))
    appliance.fill(facts, session, inventory, fleet)


def _datastores(facts, inventory):
    datastores, errors = inventory.storage(inventory.all_datastores())
    facts.errors += errors
    return datastores


def _crypto_states(facts, inventory):
    if not inventory.hosts:
        facts.lost("crypto.hosts", "the account sees no host")
        return
    entries = []
    for found in inventory.hosts.values():
        name, state = str(found.name), found.values.get("runtime.cryptoState")
        entries.append({"id": name} if state is None else {"id": name, "state": state})
        if state is None:
            reason = found.missing.get("runtime.cryptoState", "runtime.cryptoState is unset")
            facts.lost("crypto.hosts[%s].state" % name, reason)
    facts.put("crypto.hosts", entries)


def add_to_host(document, session, _inventory, fleet, denied):
    """Add to a stand-alone host's document what it has of a vCenter's."""
    facts = Facts()
    facts.document = document
    facts.errors = document["collector"]["errors"]
    accounts = document.get("accounts")
    _authorization(facts, session, fleet, denied)
    if accounts is not None:
        document["accounts"] = accounts
    for path, found in NONE_ON_ESXI.items():
        facts.put(path, found)


def _authorization(facts, session, fleet, denied):
    manager = session.content.get("authorizationManager")
    roles = {}

    def read_roles():
        found = of_object(session, ROLES, manager, {})
        read = [
            {
                "id": number(role["roleId"]),
                "name": role["name"],
                "system": flag(role["system"]),
                "privileges": [str(name) for name in many(role.get("privilege"))],
            }
            for role in many(found.values["roleList"])
        ]
        roles.update({role["id"]: role["name"] for role in read})
        return read

    facts.attempt("rbac.roles", read_roles)
    facts.attempt("rbac.permissions", lambda: _permissions(session, manager, roles, fleet))
    permissions = facts.document.get("rbac", {}).get("permissions")
    if permissions is None:
        facts.lost("accounts", "the permissions were not read")
    else:
        facts.put("accounts", _principals(permissions))
    facts.attempt("rbac.effective", lambda: _effective(session, manager, fleet, denied))


def _permissions(session, manager, roles, fleet):
    if not roles:
        raise Unreadable("the roles were not read, and a permission names its role by a number")
    found = [value(entry) for entry in session.call("AuthorizationManager", manager, "RetrieveAllPermissions")]
    if not found:
        # Somebody administers every server: an answer without any permission says nothing of who.
        raise Unreadable("the server told of no permission at all")
    # Servers have no order of them, and what is the same in two audits should be kept the same.
    found.sort(key=lambda entry: (entry["entity"], entry["principal"], entry["group"]))
    entities = {str(entry["entity"]): entry["entity"] for entry in found}
    where = _places(session, fleet, [ref for moid, ref in entities.items() if moid not in fleet.uuids])
    root = session.content["rootFolder"]
    return [
        {
            "principal": entry["principal"],
            "group": flag(entry["group"]),
            "role": roles.get(number(entry["roleId"]), "role %s" % entry["roleId"]),
            "entity": fleet.uuids.get(entry["entity"]) or where.called(entry["entity"]),
            "entity_path": "" if entry["entity"] in fleet.uuids else where.path(entry["entity"]),
            "entity_id": str(entry["entity"]),
            "entity_type": entry["entity"].type,
            "root": entry["entity"] == root,
            "propagate": flag(entry["propagate"]),
        }
        for entry in found
    ]


def _places(session, fleet, references):
    """Where the objects of permissions are, among what may be called as they are."""
    seen = []
    for ref_type in CONTAINERS:
        seen += in_view(session, Properties(ref_type, dict(NAMED), page=1000), {})
    # A view shows what is below the folder it begins at.
    root = Ref(session.content["rootFolder"], "Folder")
    seen += of_objects(session, Properties("ManagedEntity", dict(NAMED)), [root, *references], {})
    known = fleet.named()
    # What the account may not see is known by its id.
    known.update({str(moid): (str(moid), None) for moid in references})
    known.update({found.moid: (found.values.get("name", ""), str(found.values.get("parent") or "")) for found in seen})
    return Places(known)


def _principals(permissions):
    accounts = {}
    for entry in permissions:
        name = ("%" if entry["group"] else "") + entry["principal"]
        local = entry["principal"].upper().startswith("VSPHERE.LOCAL\\") or "\\" not in entry["principal"]
        account = accounts.setdefault(
            name, {"name": name, "privileged": False, "source": "local" if local else "directory"}
        )
        account["privileged"] = account["privileged"] or entry["role"] == ADMIN
    return list(accounts.values())


def _effective(session, manager, fleet, denied):
    """What each pair of a principal and a machine that is closed to it may do in effect, groups and all."""
    by_uuid = {uuid: moid for moid, uuid in fleet.uuids.items()}
    found = []
    for entry in denied:
        moid = by_uuid.get(entry.get("vm"))
        if moid is None:
            continue
        answers = session.call(
            "AuthorizationManager",
            manager,
            "FetchUserPrivilegeOnEntities",
            reference("entities", "VirtualMachine", moid) + element("userName", entry["principal"]),
        )
        held = {str(name) for answer in answers for name in many(value(answer).get("privileges"))}
        found.append(
            {"principal": entry["principal"], "vm": entry["vm"], "privileges": sorted(held - {"System.Anonymous"})}
        )
    return found


def _options(session):
    found = {}
    for subtree in SUBTREES:
        try:
            answers = session.call(
                "OptionManager", session.content["setting"], "QueryOptions", element("name", subtree)
            )
        except SoapFault as error:
            if error.name != "InvalidName":
                raise
            continue
        found.update(options(answers))
    return found


def _alarms(session):
    references = session.call("AlarmManager", session.content["alarmManager"], "GetAlarm")
    for found in of_objects(session, ALARMS, [value(one) for one in references], {}):
        yield {
            "name": found.values.get("info.name", ""),
            "enabled": found.values.get("info.enabled") is True,
            "root": found.values.get("info.entity") == session.content["rootFolder"],
            "events": sorted(set(_events(found.values.get("info.expression")))),
            "actions": sorted(set(_actions(found.values.get("info.action")))),
        }


def _events(expression):
    """Event types within a nested expression."""
    if not isinstance(expression, dict):
        return
    if "eventType" in expression:
        kind = str(expression["eventType"])
        yield str(expression.get("eventTypeId") or kind) if kind in ("EventEx", "ExtendedEvent") else kind
    for inner in many(expression.get("expression")):
        yield from _events(inner)


def _actions(action):
    """Types of what an alarm does, within groups and triggers."""
    for entry in many(action):
        if not isinstance(entry, dict):
            continue
        kind = entry.get("_type", "")
        if kind in ("AlarmTriggeringAction", "GroupAlarmAction"):
            yield from _actions(entry.get("action"))
        elif kind:
            yield kind


def blind_spots(session):
    """Why machines may be hidden from this account, in words; [] where it may read everything below the root folder."""
    root, manager = session.content["rootFolder"], session.content.get("authorizationManager")
    try:
        login = of_object(session, CURRENT, session.content["sessionManager"], {}).values["currentSession"]
        answer = session.call(
            "AuthorizationManager",
            manager,
            "HasPrivilegeOnEntities",
            reference("entity", "Folder", root) + element("sessionId", login["key"]) + element("privId", READ),
        )
        held = [flag(found["isGranted"]) for found in many(value(answer[0]).get("privAvailability"))]
        if held != [True]:
            return ["the account may not read the root folder, so it may not see every machine"]
    except (SoapFault, Unreadable, *SHAPE):
        return ["the server does not say whether the account may see every machine"]
    return []
