# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on remote access (11.4.6): protocols, root, the list of administrators, what is in force.

Where an ssh server answers differently for different connections (Match), the worst connection decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import remote_access_platforms, ssh_settings
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded, mappings, texts

# No encryption of their own: no gold configuration may allow them.
NEVER_ENABLED = ("telnet", "rsh", "libvirt_tcp", "winrm_http")
WILDCARDS = "*?"


def protocols_declared(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`protocols`: [{name, enabled, active, listening, listen}]. Each is off, or declared in gold_remote_protocols."""
    wanted = gold["gold_remote_protocols"]
    faults = [f"{name} may not be enabled" for name in NEVER_ENABLED if wanted.get(name) == "enabled"]
    faults += [
        f"{name} is {value!r}, expected enabled or disabled"
        for name, value in wanted.items()
        if value not in ("enabled", "disabled")
    ]
    if faults:
        return o.failed(None, wanted, "gold_remote_protocols: " + "; ".join(faults))
    items = [o.item(_name(entry), guarded(_protocol, entry, wanted)) for entry in mappings(facts["protocols"])]
    return o.combine(
        items, empty=o.unknown("no protocol was examined"), expected={name: wanted.get(name) for name in wanted}
    )


def _protocol(entry: Mapping[str, Any], wanted: Mapping[str, Any]) -> Outcome:
    name = need(entry, "name")
    states = {key: entry.get(key) for key in ("enabled", "active", "listening")}
    if wanted.get(name, "disabled") == "enabled":
        return o.passed(states, "enabled", persistent=_bool(states, "enabled") == _bool(states, "listening"))
    if states["active"] is True or states["listening"] is True:
        where = ", ".join(map(str, entry.get("listen") or [])) or "a socket"
        return o.failed(
            states,
            "disabled",
            f"{name} answers on {where} and is not declared enabled",
            persistent=states["enabled"] is True,
        )
    if states["enabled"] is True:
        return o.failed(
            states, "disabled", f"{name} is off now but starts at boot, and is not declared enabled", persistent=False
        )
    for key in states:
        _bool(states, key)
    return o.passed(states, "disabled", persistent=True)


def _bool(states: Mapping[str, Any], key: str) -> bool:
    value = states.get(key)
    if not isinstance(value, bool):
        raise MissingFact(f"{key} was not read")
    return value


def ssh_root_denied(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`contexts`: what sshd answers per connection. Root is refused from everywhere."""
    wanted = gold["gold_ssh_permit_root"]
    items = []
    for context in mappings(facts["contexts"]):
        if need(context, "user") != "root":
            continue
        found = need(context, "settings", "permitrootlogin")
        if found == wanted:
            verdict = o.passed(found, wanted)
        else:
            verdict = o.failed(found, wanted, f"permitrootlogin is {found} for root from {need(context, 'address')}")
        items.append(o.item(need(context, "id"), verdict))
    return o.combine(items, empty=o.unknown("no connection as root was examined"), expected=wanted)


def ssh_allow_list(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """`contexts`, `accounts` [{name, usable}], `groups` {name: [members]}: only named administrators are let in."""
    authorised = {str(name) for name in gold["gold_remote_admins"]}
    if not authorised:
        return o.failed(
            None, "named administrators", "gold_remote_admins is empty: nobody is authorised to log in from elsewhere"
        )
    usable = {need(account, "name"): account.get("usable") for account in mappings(facts["accounts"])}
    groups = facts["groups"]
    items = []
    for context in mappings(facts["contexts"]):
        settings = need(context, "settings")
        verdict = guarded(_admits, settings, usable, groups, authorised)
        items.append(o.item(need(context, "id"), verdict))
    return o.combine(items, empty=o.unknown("no connection was examined"), expected=sorted(authorised))


def _admits(
    settings: Mapping[str, Any], usable: Mapping[str, Any], groups: Mapping[str, Any], authorised: set[str]
) -> Outcome:
    lists = {key: texts(need(settings, key), key) for key in ("allowusers", "allowgroups", "denyusers", "denygroups")}
    expected = sorted(authorised)
    if not lists["allowusers"] and not lists["allowgroups"]:
        return o.failed([], expected, "neither AllowUsers nor AllowGroups is set: every account may log in")
    wild = [
        pattern for key in ("allowusers", "allowgroups") for pattern in lists[key] if _wild(pattern.partition("@")[0])
    ]
    if wild:
        return o.failed(wild, expected, f"the pattern {wild[0]} does not name an account or group")
    named = {pattern.partition("@")[0] for pattern in lists["allowusers"]}
    admitted = named if lists["allowusers"] else None
    if lists["allowgroups"]:
        members = {member for group in lists["allowgroups"] for member in _members(groups, group)}
        # sshd wants both lists to agree where both are set.
        admitted = members if admitted is None else admitted & members
    admitted = (admitted or set()) - set(lists["denyusers"])
    admitted -= {member for group in lists["denygroups"] if not _wild(group) for member in groups.get(group) or []}
    extra = sorted(name for name in admitted - authorised if usable.get(name, True) is not False)
    undecided = [name for name in extra if name in usable and usable[name] is None]
    if [name for name in extra if name not in undecided]:
        return o.failed(extra, expected, f"{', '.join(extra[:10])} may log in and is not a named administrator")
    if undecided:
        raise MissingFact(f"whether {undecided[0]} can log in was not read")
    return o.passed(sorted(admitted), expected)


def _members(groups: Mapping[str, Any], group: str) -> list[str]:
    members = groups.get(group)
    if not isinstance(members, list) or not members:
        # An empty answer of a directory looks the same as an empty group (amendments.md).
        raise MissingFact(f"the members of group {group} are not known to the host")
    if any(not isinstance(member, str) for member in members):
        raise MissingFact(f"the members of group {group} were not all read")
    return members


def _wild(pattern: str) -> bool:
    return any(char in pattern for char in WILDCARDS)


def ssh_in_force(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """`servers`: each read its configuration after the files' last change."""
    items = []
    for server in mappings(facts["servers"]):
        loaded = server.get("in_force")
        why = str(server.get("in_force_why") or "")
        if not isinstance(loaded, bool):
            verdict = o.unknown("whether the server has read its configuration was not found out")
        elif loaded:
            verdict = o.passed(why, "read after the last change")
        else:
            verdict = o.failed(why, "read after the last change", f"not in force: {why}")
        items.append(o.item(need(server, "id"), verdict))
    return o.combine(items, empty=o.unknown("no ssh server was examined"))


def ssh_keywords_understood(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """`servers`: no keyword of the configuration is one that sshd ignores."""
    items = []
    for server in mappings(facts["servers"]):
        ignored = texts(need(server, "ignored_keywords"), "ignored_keywords")
        verdict = o.failed(ignored, [], f"sshd ignores: {ignored[0]}") if ignored else o.passed([], [])
        items.append(o.item(need(server, "id"), verdict))
    return o.combine(items, empty=o.unknown("no ssh server was examined"))


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("name") or "?")


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "protocols_declared": protocols_declared,
    "ssh_root_denied": ssh_root_denied,
    "ssh_allow_list": ssh_allow_list,
    "ssh_in_force": ssh_in_force,
    "ssh_keywords_understood": ssh_keywords_understood,
    **ssh_settings.PREDICATES,
    **remote_access_platforms.PREDICATES,
}
