# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles and permissions of a vCenter (11.2.2, 11.2.3, 11.4.1).

Roles are known by name: the numbers of the built-in ones differ between releases. What a principal may do is its role
on an object; a permission on a child replaces what the parent hands down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import texts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import entries, flag, text
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import version

ADMIN, NO_ACCESS = "Admin", "NoAccess"
# With it an account may give itself everything else.
GOVERNS = "Authorization.ModifyPermissions"
# The object of a global permission.
EVERYTHING = "everything"
# vCenter's own services have an account each in the single sign-on domain, named after service and machine (UUID).
_SERVICE = re.compile(r"[a-z][a-z0-9_-]*-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# The service whose account every vCenter has: its domain is the single sign-on domain, vsphere.local unless renamed.
_VPXD = re.compile(r"vpxd(-extension)?-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SSO_DOMAIN = "vsphere.local"
# Principals of that domain to which every vCenter gives permissions when it is installed, and of a stand-alone host.
_OF_VCENTER = {
    *("administrator", "administrators", "autoupdate", "nsxadministrators", "nsxauditors", "nsxviadministrators"),
    *("registryadministrators", "serviceproviderusers", "syncusers", "trustedadmins", "vclsadmin"),
    *("vsphereclientsolutionusers", "vstatsgroup", "workloadstorage"),
}
_OF_ESXI = {"root", "vpxuser", "dcui"}


def label(permission: Mapping[str, Any]) -> str:
    """The principal of a permission as gold settings write it."""
    return ("%" if flag(permission, "group") else "") + text(permission, "principal")


class BuiltIn:
    """Knows the principals that come with the product. names: every principal there is, as DOMAIN\\name or name@domain.

    An administrator of the directory may be called Administrator too: only the single sign-on domain's own is built in.
    """

    def __init__(self, names: Iterable[str]) -> None:
        found = [split(name) for name in names]
        self._domains = {SSO_DOMAIN} | {domain for domain, name in found if domain and _VPXD.fullmatch(name)}

    @property
    def domains(self) -> frozenset[str]:
        """The names that the single sign-on domain may have, in small letters."""
        return frozenset(self._domains)

    def holds(self, principal: str) -> bool:
        domain, name = split(principal)
        if not domain:
            return name in _OF_ESXI
        return domain in self._domains and (name in _OF_VCENTER or bool(_SERVICE.fullmatch(name)))


def split(principal: str) -> tuple[str, str]:
    """(domain, name), both in small letters; the domain of a local account is empty."""
    bare = principal.casefold()
    if "\\" in bare:
        domain, _sign, name = bare.rpartition("\\")
        return domain, name
    name, _sign, domain = bare.rpartition("@")
    return (domain, name) if name else ("", bare)


def granted(facts: Mapping[str, Any], key: str = "permissions") -> list[Mapping[str, Any]]:
    """The permissions of everybody who does not come with the product."""
    found = entries(facts, key)
    product = BuiltIn(text(entry, "principal") for entry in found)
    return [entry for entry in found if not product.holds(text(entry, "principal"))]


def same(one: Any, other: Any) -> bool:
    """Whether two principals are one: case does not count in their names."""
    return str(one).casefold() == str(other).casefold()


def among(name: str, names: Iterable[Any]) -> bool:
    """Whether a principal is one of those named."""
    return any(same(name, entry) for entry in names)


def fine_grained(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Permissions are those that were declared, no more and no fewer. facts: permissions."""
    declared = gold["gold_vsphere_permissions"]
    expected = "the permissions of gold_vsphere_permissions and no others"
    faults = [entry for entry in declared if not well_formed(entry)]
    if faults:
        return o.failed(
            faults[:5],
            "principal, role and objects",
            "an entry of gold_vsphere_permissions lacks principal, role or objects",
        )
    items = []
    held = granted(facts)
    for permission in held:
        who, role, where = label(permission), text(permission, "role"), text(permission, "entity")
        if role == NO_ACCESS or (role == ADMIN and flag(permission, "root")):
            continue  # 11.2.3 judges denials, object_scoped the administrators at the root
        if any(matches(permission, entry) for entry in declared):
            found = o.passed(role)
        else:
            found = o.failed(role, None, f"{who} holds {role} on {where}, which is not declared")
        items.append(o.item(f"{who} on {where}", found))
    for entry in declared:
        for name in entry["objects"]:
            if not any(matches(permission, {**entry, "objects": [name]}) for permission in held):
                missing = o.failed("none", entry["role"], f"declared, and not granted: {entry['role']}")
                items.append(o.item(f"{entry['principal']} on {name}", missing))
    return o.combine(
        items, empty=o.failed([], expected, "no permission is declared in gold_vsphere_permissions"), expected=expected
    )


def well_formed(entry: Any) -> bool:
    """Whether an entry of gold_vsphere_permissions has principal, role and objects."""
    return (
        isinstance(entry, Mapping)
        and all(isinstance(entry.get(key), str) and entry[key] for key in ("principal", "role"))
        and isinstance(entry.get("objects"), list)
        and bool(entry["objects"])
    )


def matches(permission: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Whether a permission is one that an entry of gold_vsphere_permissions declares."""
    return (
        same(label(permission), entry["principal"])
        and text(permission, "role") == entry["role"]
        and any(is_on(permission, name) for name in entry["objects"])
    )


def is_on(permission: Mapping[str, Any], name: str) -> bool:
    """Whether a permission is on what a gold setting names: by name, where no other object has it, or by path."""
    return name == text(permission, "entity") or name == text(permission, "entity_path")


def object_scoped(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Permissions below the root exist, and few groups administer everything. facts: permissions, roles, assigned.

    Whoever may change permissions there may give himself the rest; so does a global permission (from 9.0 on; before, it
    is global_permissions that asks for them).
    """
    found = granted(facts)
    governing = {
        text(role, "name") for role in entries(facts, "roles") if GOVERNS in texts(role["privileges"], "privileges")
    }
    scoped = [entry for entry in found if not flag(entry, "root") and text(entry, "role") != NO_ACCESS]
    items = [
        o.item(
            "below the root",
            o.passed(len(scoped)) if scoped else o.failed(0, "at least one", "every permission is on the root folder"),
        )
    ]
    everywhere = [] if facts["assigned"] is None else granted(facts, "assigned")
    held = [*(entry for entry in found if flag(entry, "root")), *everywhere]
    admins = sorted({label(entry) for entry in held if text(entry, "role") in {ADMIN, *governing}})
    for name in admins:
        single = o.failed(name, "a group", f"{name} administers everything, and is no group")
        items.append(o.item(name, o.passed(name) if name.startswith("%") else single))
    most = gold["gold_max_root_admins"]
    count = o.passed(admins, f"at most {most}")
    if len(admins) > most:
        count = o.failed(admins, f"at most {most}", f"{len(admins)} principals administer everything")
    items.append(o.item("administrators at the root", count))
    return o.combine(
        items, empty=count, expected=f"permissions on folders, pools or machines; at most {most} groups at the root"
    )


def untold(facts: Mapping[str, Any], expected: Any = None) -> Outcome | None:
    """What is to be said where global permissions were not read, None where they were. facts: version, assigned.

    No public API tells of them before vCenter 9.0 (pitfall P17), and they reach every object: a person looks.
    """
    if facts["assigned"] is not None:
        return None
    if version(facts["version"]) < (9, 0):
        why = "this vCenter does not tell its global permissions: look in the client, and attest what they grant"
        return o.manual(why, None, expected)
    return o.unknown("rbac.global_permissions was not read")


def global_permissions(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Global permissions are the declared ones. facts: version, assigned (nothing reads them before 9.0; P17)."""
    expected = "the permissions of gold_vsphere_global_permissions and no others"
    hidden = untold(facts, expected)
    if hidden:
        return hidden
    items = []
    for permission in granted(facts, "assigned"):
        who, role = label(permission), text(permission, "role")
        listed = any(
            isinstance(entry, Mapping) and same(who, entry.get("principal")) and entry.get("role") == role
            for entry in gold["gold_vsphere_global_permissions"]
        )
        found = (
            o.passed(role) if listed else o.failed(role, None, f"{who} holds {role} everywhere, which is not declared")
        )
        items.append(o.item(who, found))
    return o.combine(
        items, empty=o.passed([], expected, "nobody but vCenter itself holds a global permission"), expected=expected
    )


def deny_capability(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """A single machine can be denied: the role that grants nothing is there. facts: roles."""
    for role in entries(facts, "roles"):
        if text(role, "name") == NO_ACCESS:
            granted = texts(role.get("privileges"), "privileges of NoAccess")
            if granted:
                return o.failed(granted[:10], [], "the role NoAccess grants privileges")
            return o.passed(NO_ACCESS, NO_ACCESS)
    return o.failed("none", NO_ACCESS, "there is no role NoAccess")


def explicit_deny(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Each declared denial is a permission with the role NoAccess on the machine itself. facts: permissions."""
    wanted, outcome = _denials(gold)
    if outcome:
        return outcome
    items = []
    denied = [entry for entry in entries(facts, "permissions") if text(entry, "role") == NO_ACCESS]
    for principal, uuid in wanted:
        # A folder may be called as a machine's UUID is written.
        there = any(
            same(label(entry), principal)
            and same(text(entry, "entity"), uuid)
            and text(entry, "entity_type") == "VirtualMachine"
            for entry in denied
        )
        found = (
            o.passed("denied")
            if there
            else o.failed("not denied", NO_ACCESS, "it has no permission with the role NoAccess")
        )
        items.append(o.item(f"{principal} on {uuid}", found))
    covered = {uuid.casefold() for _principal, uuid in wanted}
    for uuid in gold["gold_sensitive_vms"]:
        if str(uuid).casefold() not in covered:
            items.append(
                o.item(uuid, o.failed("nobody", None, "declared sensitive, and gold_deny_map denies it to nobody"))
            )
    return o.combine(items, empty=o.manual("nothing is declared"), expected="NoAccess on the machine for each entry")


def _denials(gold: Mapping[str, Any]) -> tuple[list[tuple[str, str]], Outcome | None]:
    declared = gold["gold_deny_map"]
    if any(
        not isinstance(entry, Mapping) or not entry.get("principal") or not entry.get("domain_uuid")
        for entry in declared
    ):
        return [], o.failed(declared, None, "an entry of gold_deny_map lacks principal or domain_uuid")
    if not declared and not gold["gold_sensitive_vms"]:
        return [], o.manual(
            "no virtual machine is declared sensitive: declare gold_deny_map, or sign that nobody has to be denied any"
        )
    return [(str(entry["principal"]), str(entry["domain_uuid"])) for entry in declared], None


def deny_effective(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Whoever is denied a machine holds nothing on it, by whatever way. facts: effective.

    Two group permissions on one object add up, and global permissions hand down: only the effective rights show it.
    They are told for one person at a time.
    """
    wanted, outcome = _denials(gold)
    if outcome:
        return outcome
    asked = {
        (text(entry, "principal").casefold(), text(entry, "vm").casefold()): entry
        for entry in entries(facts, "effective")
    }
    items = []
    for principal, uuid in wanted:
        entry = asked.get((principal.casefold(), uuid.casefold()))
        if principal.startswith("%"):
            found = o.manual(
                "effective rights are told per person: name a member of this group in gold_deny_map as well"
            )
        elif entry is None:
            found = o.unknown("its effective rights were not read")
        else:
            rights = texts(entry.get("privileges"), "privileges")
            left = f"still holds {', '.join(rights[:5])}"
            found = o.failed(rights[:20], [], left) if rights else o.passed([], [])
        items.append(o.item(f"{principal} on {uuid}", found))
    return o.combine(items, empty=o.manual("gold_deny_map names nobody"), expected="no privilege on the machine")


def from_directory(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Administrators come from the directory. facts: accounts, version, assigned. Break-glass accounts may be local."""
    spared = gold["gold_breakglass_accounts"]
    found = {text(account, "name"): account for account in entries(facts, "accounts")}
    for entry in [] if facts["assigned"] is None else entries(facts, "assigned"):
        if text(entry, "role") == ADMIN:
            source = "directory" if split(text(entry, "principal"))[0] else "local"
            found[label(entry)] = {"privileged": True, "source": source}
    product = BuiltIn(name.lstrip("%") for name in found)
    items, people = [], 0
    for name, account in found.items():
        if not flag(account, "privileged"):
            continue
        # The single sign-on domain may have another name than vsphere.local.
        source = "local" if split(name.lstrip("%"))[0] in product.domains else text(account, "source")
        if source == "directory":
            people += 1
            items.append(o.item(name, o.passed(source)))
        elif product.holds(name.lstrip("%")) or among(name, spared):
            items.append(o.item(name, o.passed("built in, or break-glass")))
        else:
            items.append(o.item(name, o.failed(source, "directory", f"the administrator {name} is a local account")))
    hidden = untold(facts)
    if hidden:
        items.append(o.item(EVERYTHING, hidden))
    if not people:
        items.append(
            o.item(
                "directory", o.failed("none", "a group of the directory", "no administrator comes from the directory")
            )
        )
    return o.combine(items, empty=o.unknown("no account was read"), expected="administrators of the directory")


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vsphere_fine_grained": fine_grained,
    "vsphere_object_scoped": object_scoped,
    "vsphere_global_permissions": global_permissions,
    "vsphere_deny_capability": deny_capability,
    "vsphere_explicit_deny": explicit_deny,
    "vsphere_deny_effective": deny_effective,
    "vsphere_from_directory": from_directory,
}
