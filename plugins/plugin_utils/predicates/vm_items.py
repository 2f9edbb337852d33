# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge every virtual machine of a host, and nothing but the whole list.

What libvirt lists is not all there may be (amendments.md, per-VM checks): a guest that runs outside libvirt is a
failing item of every per-VM check, and a list with hidden machines is unknown, also when it is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import MAPPING
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.visibility import unseen

NO_VM = "libvirt lists no virtual machine and no other guest runs on this host"
NO_RUNNING_VM = "no virtual machine runs on this host"

Judge = Callable[[Mapping[str, Any]], Outcome]


def machines(facts: Mapping[str, Any], *, running: bool = False) -> list[Mapping[str, Any]]:
    """The virtual machines in `facts["vms"]`; with `running` only those that run now.

    :raises MissingFact: the list, or what decides about one of its entries, was not read.
    """
    entries = listed(facts, "vms")
    for entry in entries:
        if not isinstance(entry, MAPPING) or not isinstance(entry.get("id"), str) or not entry["id"]:
            raise MissingFact("vms holds an entry without an id")
    return [entry for entry in entries if not running or flag(entry, "active")]


def hidden(facts: Mapping[str, Any]) -> list[Outcome]:
    """Items for what libvirt does not manage or does not show, from `facts["visibility"]` (libvirt.visibility)."""
    return unseen(facts["visibility"])


def each_vm(facts: Mapping[str, Any], judge: Judge, *, running: bool = False) -> Outcome:
    """Judge each machine of the host as it runs and as it is defined; the worst decides.

    facts: vms and visibility. judge(vm) sees one version of a machine at a time and may raise MissingFact.
    """
    items = hidden(facts) + [one(vm, lambda vm=vm: both(vm, judge)) for vm in machines(facts, running=running)]  # type: ignore[misc]
    return o.combine(items, empty=o.not_applicable(NO_RUNNING_VM if running else NO_VM))


def one(vm: Mapping[str, Any], test: Callable[[], Outcome]) -> Outcome:
    """The item of one machine: its id is the UUID, which exceptions are bound to; its name goes into the message."""
    try:
        found = test()
    except MissingFact as error:
        found = o.unknown(str(error))
    if found.status != o.PASS:
        found.message = f"{str(vm.get('name') or 'unnamed')[:80]}: {found.message}"
    return o.item(vm["id"], found)


def both(vm: Mapping[str, Any], judge: Judge) -> Outcome:
    """Judge a machine as it is now, and as its definition makes it at the next start."""
    configured = need(vm, "configured")
    if not isinstance(configured, MAPPING):
        raise MissingFact("configured is not a mapping")
    found = judge(vm)
    if found.status != o.PASS:
        return found
    if not configured:
        found.persistent = True
        return found
    later = judge({**vm, **configured})
    if later.status == o.PASS:
        found.persistent = True
        return found
    if later.status == o.FAIL:
        return o.failed(
            later.actual, later.expected, f"right now, but not after the next start: {later.message}", persistent=False
        )
    return later


def listed(mapping: Mapping[str, Any], key: str) -> list[Any]:
    """The list under a key.

    :raises MissingFact: absent, null, or not a list.
    """
    found = need(mapping, key)
    if not isinstance(found, list):
        raise MissingFact(f"{key} is not a list")
    return found


def entries(mapping: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Like listed, for lists of mappings."""
    found = listed(mapping, key)
    if not all(isinstance(entry, MAPPING) for entry in found):
        raise MissingFact(f"{key} holds an entry that was not read")
    return found


def texts(mapping: Mapping[str, Any], key: str) -> list[str]:
    """Like listed, for lists of texts."""
    found = listed(mapping, key)
    if not all(isinstance(entry, str) for entry in found):
        raise MissingFact(f"{key} holds an entry that was not read")
    return found


def setting(conf: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """A setting of qemu.conf (fact qemu.conf), or `default` where the file does not set it.

    :raises MissingFact: the file was not read, or the setting has no value.
    """
    settings = need(conf, "settings")
    if not isinstance(settings, MAPPING):
        raise MissingFact("the settings of qemu.conf were not read")
    if key not in settings:
        return default
    found = need(settings, key, what="qemu.conf")
    if isinstance(found, list) and None in found:
        raise MissingFact(f"qemu.conf: {key} holds an entry that was not read")
    return found


def in_force(daemon: Mapping[str, Any]) -> Outcome:
    """Whether what qemu.conf says is what libvirt's daemon read (fact qemu.daemon): it reads the file at start only."""
    if flag(daemon, "in_force"):
        return o.passed("in force")
    return o.failed(
        "older",
        "a daemon started after the last change",
        "not in force: qemu.conf is newer than the daemon that reads it",
    )


def flag(mapping: Mapping[str, Any], key: str) -> bool:
    found = need(mapping, key)
    if not isinstance(found, bool):
        raise MissingFact(f"{key} is neither true nor false")
    return found


def whole(mapping: Mapping[str, Any], key: str) -> int:
    """A whole number that is not negative."""
    found = need(mapping, key)
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise MissingFact(f"{key} is not a number of zero or more")
    return found


def text(mapping: Mapping[str, Any], key: str) -> str:
    found = need(mapping, key)
    if not isinstance(found, str):
        raise MissingFact(f"{key} is not a text")
    return found


def declared(gold: Mapping[str, Any], vm: Mapping[str, Any]) -> Any:
    """What a gold mapping says about a machine, by UUID or by name; None when it does not name it."""
    found = gold.get(vm["id"])
    return gold.get(text(vm, "name")) if found is None and gold else found
