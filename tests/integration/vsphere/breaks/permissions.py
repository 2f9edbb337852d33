# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what in a vCenter, and how people log in there (11.2.2 to 11.2.8, 11.4.1, 11.4.3 to 11.4.5)."""

from __future__ import annotations

from typing import Any

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks.steps import (
    Break,
    Step,
    deny,
    deny_path,
    document,
    grant,
    machine,
    refuse,
    role,
    root,
    vm_folder,
)

PERMISSIONS = "/api/vcenter/authorization/permissions"
PROVIDERS = "/api/vcenter/identity/providers"
DECLARED = [
    {"principal": "auditor@vsphere.local", "role": "ReadOnly", "objects": ["Datacenters"]},
    {"principal": "%LAB\\vm-operators", "role": "VM operator", "objects": ["vm"]},
    {"principal": "%LAB\\vm-admins", "role": "NoCryptoAdmin", "objects": ["vm"]},
    {"principal": "%LAB\\image-admins", "role": "Image administrator", "objects": ["lab"]},
]


def _provider(kind: str) -> list[dict[str, Any]]:
    return [{"provider": "1", "name": "directory", "config_tag": kind, "is_default": True, "domain_names": ["LAB"]}]


def _holds(privilege: str) -> list[Step]:
    """Somebody whom nobody has named holds a privilege."""
    return [role("too-much", privilege), grant("LAB\\bob", "too-much", vm_folder)]


def _global(name: str) -> dict[str, Any]:
    return {
        "permission": "global-2",
        "info": {
            "object": {"type": "GlobalAcl", "id": "global-permission"},
            "principal": {"type": "USER", "name": name, "domain": "LAB"},
            "role": "-1",
            "propagating": True,
        },
    }


BREAKS = [
    Break(
        "vsphere-11.2.2-custom-roles",
        {
            "pass": [],
            "fail": [grant("LAB\\bob", "VM operator", vm_folder)],
            "unknown": [refuse("RetrieveAllPermissions")],
        },
        "bob",
        {"gold_vsphere_permissions": DECLARED},
    ),
    Break(
        "vsphere-11.2.2-object-scope",
        {"pass": [], "fail": [grant("LAB\\bob", "Admin", root)], "unknown": [refuse("RetrieveAllPermissions")]},
        "bob",
    ),
    Break(
        "vsphere-11.2.2-global-perms",
        {"pass": [], "fail": [document(PERMISSIONS, _global("bob"))], "unknown": [deny_path(PERMISSIONS)]},
        "bob",
    ),
    Break(
        "vsphere-11.2.3-capability",
        {"pass": [], "unknown": [deny("roleList", "AuthorizationManager")]},
        never={"fail": "NoAccess is a role of the product, which nobody can edit or remove"},
    ),
    Break(
        "vsphere-11.2.3-noaccess",
        {
            "fail": [],
            "pass": [grant("LAB\\carol", "NoAccess", machine)],
            "unknown": [refuse("RetrieveAllPermissions")],
        },
        "no permission with the role NoAccess",
    ),
    Break(
        "vsphere-11.2.3-global-override",
        {
            "fail": [grant("LAB\\carol", "ReadOnly", machine)],
            "pass": [grant("LAB\\carol", "NoAccess", machine)],
            "unknown": [refuse("FetchUserPrivilegeOnEntities")],
        },
        "still holds",
    ),
    Break(
        "vsphere-11.2.5-crypto-priv",
        {"pass": [], "fail": _holds("Cryptographer.Access"), "unknown": [deny("roleList", "AuthorizationManager")]},
        "bob may use keys",
    ),
    Break(
        "vsphere-11.2.8-privileges",
        {
            "pass": [],
            "fail": _holds("ContentLibrary.AddLibraryItem"),
            "unknown": [deny("roleList", "AuthorizationManager")],
        },
        "bob may check images in or out",
    ),
    Break(
        "vsphere-11.4.4-role-privs",
        {"pass": [], "fail": _holds("Global.Settings"), "unknown": [refuse("RetrieveAllPermissions")]},
        "bob may change or stop logging",
    ),
    Break(
        "vsphere-11.4.5-guest-ops",
        {
            "pass": [],
            "fail": _holds("VirtualMachine.GuestOperations.Execute"),
            "unknown": [refuse("RetrieveAllPermissions")],
        },
        "bob may reach into guests",
    ),
    # From 9.0 on a global permission counts too, and the list of them has to be read.
    Break(
        "vsphere-11.4.5-guest-ops",
        {"pass": [], "fail": [document(PERMISSIONS, _global("bob"))], "unknown": [deny_path(PERMISSIONS)]},
        "bob",
    ),
    Break(
        "vsphere-11.4.1-vcenter-idp",
        {
            "fail": [document(PROVIDERS, _provider("IntegratedWindowsAuthentication"))],
            "pass": [document(PROVIDERS, _provider("Oidc"))],
            "unknown": [deny_path(PROVIDERS)],
        },
        "Integrated Windows Authentication",
    ),
    Break(
        "vsphere-11.4.3-vcenter-federated",
        {
            "fail": [],
            "pass": [document(PROVIDERS, _provider("Oidc"))],
            "unknown": [document(PROVIDERS, [{"provider": "1"}])],
        },
        "no identity provider is the default",
    ),
    Break(
        "vsphere-11.4.1-directory-accounts",
        {
            "fail": [],
            "pass": [grant("LAB\\vm-admins", "Admin", root, group=True)],
            "unknown": [refuse("RetrieveAllPermissions")],
        },
        "no administrator comes from the directory",
    ),
]
