# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds which privileges of a vCenter (11.2.5, 11.2.8, 11.4.4, 11.4.5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import texts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import entries, text
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.roles import (
    EVERYTHING,
    among,
    granted,
    label,
    untold,
)

# Privileges of the vSphere API by what they reach.
CRYPTO = re.compile(r"Cryptographer\.")
LOOKING = re.compile(r"ContentLibrary\.(GetConfiguration|ReadStorage|TypeIntrospection|ProbeSubscription)$")
IMAGES = re.compile(
    r"ContentLibrary\.|Datastore\.FileManagement$|VirtualMachine\.Provisioning\.(CreateTemplateFromVM|MarkAsTemplate|MarkAsVM"
    r"|DeployTemplate|CloneTemplate|GetVmFiles|PutVmFiles)$"
)
LOGS = re.compile(
    r"Host\.Config\.(AdvancedConfig|Settings|SystemManagement|NetService)$|Global\.(Settings|Diagnostics)$|Authorization\.Modify"
)
INTO_GUESTS = re.compile(
    r"VirtualMachine\.GuestOperations\.|VirtualMachine\.Interact\.(ConsoleInteract|GuestControl|CreateScreenshot|PutUsbScanCodes)$"
    r"|VirtualMachine\.Provisioning\.(DiskRandomAccess|DiskRandomRead|FileRandomAccess|GetVmFiles)$|Datastore\.FileManagement$"
    r"|Cryptographer\.(Access|Decrypt|AddDisk)$"
)


def uses_keys(privilege: str) -> bool:
    """Keys and encryption."""
    return bool(CRYPTO.match(privilege))


def handles_images(privilege: str) -> bool:
    """Images are checked in or out."""
    return bool(IMAGES.match(privilege)) and not LOOKING.match(privilege)


def changes_logs(privilege: str) -> bool:
    """Logging is redirected or stopped, or that is granted."""
    return bool(LOGS.match(privilege))


def enters_guests(privilege: str) -> bool:
    """Guests are entered, or their disks read."""
    return bool(INTO_GUESTS.match(privilege))


def _holders(facts: Mapping[str, Any], reaches: Callable[[str], bool]) -> dict[str, tuple[str, list[str]]]:
    """{principal on object: (principal, privileges)} of the permissions whose role holds a privilege that `reaches`.

    Global permissions among them, where the vCenter tells them (from 9.0 on, pitfall P17): they hold on every object.
    """
    held = {
        text(role, "name"): [name for name in texts(role.get("privileges"), "privileges of a role") if reaches(name)]
        for role in entries(facts, "roles")
    }
    found = {}
    assigned = [] if facts["assigned"] is None else granted(facts, "assigned")
    for permission in [*granted(facts), *({**entry, "entity": EVERYTHING} for entry in assigned)]:
        role = text(permission, "role")
        if role not in held:
            raise MissingFact(f"the role {role[:60]} was not read")
        if held[role]:
            found[f"{label(permission)} on {text(permission, 'entity')}"] = (label(permission), held[role])
    return found


def _limited(
    facts: Mapping[str, Any], reaches: Callable[[str], bool], allowed: Iterable[Any], what: str, setting: str
) -> Outcome:
    names = list(allowed)
    items = []
    for where, (who, privileges) in sorted(_holders(facts, reaches).items()):
        actual = privileges[:10]
        if among(who, names):
            items.append(o.item(where, o.passed(actual)))
        else:
            items.append(o.item(where, o.failed(actual, None, f"{who} may {what} and is not in {setting}")))
    expected = f"held by {', '.join(map(str, names)) or 'nobody'} only (besides the built-in administrators)"
    hidden = untold(facts)
    if hidden:
        items.append(o.item(EVERYTHING, hidden))
    return o.combine(items, empty=o.passed("nobody", expected), expected=expected)


def crypto_limited(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Cryptographic privileges are held by those declared. facts: roles, permissions, version, assigned."""
    return _limited(
        facts,
        uses_keys,
        gold["gold_crypto_admins"],
        "use keys and encryption",
        "gold_crypto_admins",
    )


def images_limited(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Images are checked in and out by those declared. facts: roles, permissions, version, assigned."""
    return _limited(
        facts,
        handles_images,
        gold["gold_image_admins"],
        "check images in or out",
        "gold_image_admins",
    )


def logs_separated(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Nobody but log administrators redirects or stops logging, or grants that.

    facts: roles, permissions, version, assigned.
    """
    return _limited(facts, changes_logs, gold["gold_log_admins"], "change or stop logging", "gold_log_admins")


def guests_closed(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Ways into guests are held by those whose task it is. facts: roles, permissions, version, assigned."""
    return _limited(
        facts,
        enters_guests,
        gold["gold_guest_access_principals"],
        "reach into guests",
        "gold_guest_access_principals",
    )


PREDICATES = {
    "vsphere_crypto_limited": crypto_limited,
    "vsphere_images_limited": images_limited,
    "vsphere_logs_separated": logs_separated,
    "vsphere_guests_closed": guests_closed,
}
