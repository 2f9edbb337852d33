# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the process of each virtual machine is confined: its account, its label, its system calls (11.2.1, 11.2.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    NO_RUNNING_VM,
    entries,
    flag,
    hidden,
    in_force,
    setting,
    text,
    whole,
)

ROOT = ("root", "0", "+0")
FILTERED = 2  # proc(5): Seccomp is 0 off, 1 strict, 2 filter.


Judge = Callable[[Mapping[str, Any]], Outcome]


def _processes(facts: Mapping[str, Any], judge: Judge) -> list[Outcome]:
    """One item per process that libvirt started for a guest, and one per guest that libvirt does not know."""
    items = hidden(facts)
    for process in entries(facts, "processes"):
        if not text(process, "domain"):
            continue  # hidden() has it.
        try:
            found = judge(process)
        except MissingFact as error:
            found = o.unknown(str(error))
        if found.status != o.PASS:
            found.message = f"{str(process.get('guest') or 'unnamed')[:80]}: {found.message}"
        items.append(o.item(text(process, "domain"), found))
    return items


def _account(conf: Mapping[str, Any], key: str) -> list[Outcome]:
    """An item for an account in qemu.conf; none where that is left to libvirt's build, which proves nothing (P9)."""
    name = setting(conf, key)
    if name is None:
        return []
    if str(name) in ROOT:
        return [
            o.item(
                key, o.failed(name, "not root", f"qemu.conf sets {key} to root for every machine started from now on")
            )
        ]
    return [o.item(key, o.passed(name, "not root"))]


def vm_unprivileged(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """No guest runs as root, and none will. facts: processes, visibility, conf, daemon."""

    def judge(process: Mapping[str, Any]) -> Outcome:
        uid = whole(process, "uid")
        return o.passed(uid, "not root") if uid else o.failed(uid, "not root", "its process runs as root")

    found = _processes(facts, judge)
    configured = _account(facts["conf"], "user")
    if configured:
        configured.append(o.item("qemu.conf", in_force(facts["daemon"])))
    return o.combine(found + configured, empty=o.not_applicable(NO_RUNNING_VM), expected="not root")


def vm_confined(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """A security module confines every guest, and libvirt starts none without.

    facts: processes, visibility, conf, daemon, selinux_enforcing.
    """
    conf = facts["conf"]
    driver = setting(conf, "security_driver")
    names = driver if isinstance(driver, list) else [driver]
    items = [
        _at("security_driver", driver, "none" not in names, "qemu.conf switches the security driver off"),
        _at(
            "security_default_confined",
            setting(conf, "security_default_confined", 1),
            None,
            "guests start unconfined by default",
        ),
    ]
    if gold["gold_require_confined"]:
        required = setting(conf, "security_require_confined", 0)
        items.append(
            _at("security_require_confined", required, None, "libvirt also starts guests that nothing confines")
        )
    items.append(o.item("qemu.conf", in_force(facts["daemon"])))
    enforcing = flag(facts, "selinux_enforcing")
    items += _processes(facts, lambda process: _label(text(process, "label"), enforcing))
    return o.combine(
        items, empty=o.not_applicable(NO_RUNNING_VM), expected="every guest confined, and no other started"
    )


def _at(key: str, value: Any, holds: bool | None, message: str) -> Outcome:
    """An item for a setting of qemu.conf: it has to be 1, or `holds` decides."""
    good = value == 1 if holds is None else holds
    shown = "not set" if value is None else value
    return o.item(
        key,
        o.passed(shown)
        if good
        else o.failed(shown, 1 if holds is None else "not none", f"{key} is {shown}: {message}"),
    )


def _label(label: str, selinux_enforcing: bool) -> Outcome:
    expected = "an enforced label of SELinux or AppArmor"
    if not label:
        return o.failed("none", expected, "no security module confines its process")
    if re.match(r"libvirt-\S+ \(enforce\)$", label):
        return o.passed(label, expected)
    if re.match(r"[^:]+:[^:]+:svirt\w*:", label):
        if selinux_enforcing:
            return o.passed(label, expected)
        return o.failed(label, expected, "SELinux is permissive")
    return o.failed(label, expected, "its label does not confine it")


def vm_syscalls_filtered(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """QEMU's system call filter is on. facts: processes, visibility, conf, daemon."""
    sandbox = setting(facts["conf"], "seccomp_sandbox", -1)
    off = sandbox == 0
    message = "qemu.conf switches the filter of system calls off"
    items = [
        o.item("seccomp_sandbox", o.failed(sandbox, "not 0", message) if off else o.passed(sandbox, "not 0")),
        o.item("qemu.conf", in_force(facts["daemon"])),
    ]

    def judge(process: Mapping[str, Any]) -> Outcome:
        mode = whole(process, "seccomp")
        if mode == FILTERED:
            return o.passed(mode, FILTERED)
        return o.failed(mode, FILTERED, "no filter of system calls is on its process")

    return o.combine(items + _processes(facts, judge), empty=o.not_applicable(NO_RUNNING_VM))


def emulation_unprivileged(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """What emulates devices has no privileges. facts: processes, helpers, visibility, conf."""

    def judge(process: Mapping[str, Any]) -> Outcome:
        capabilities = text(process, "capeff")
        actual = {"uid": whole(process, "uid"), "capabilities": capabilities}
        if not re.match(r"^[0-9a-f]{1,32}$", capabilities):
            raise MissingFact("capeff was not read")
        if not actual["uid"]:
            return o.failed(actual, "no root, no capability", "its devices are emulated by root")
        if capabilities.strip("0"):
            return o.failed(actual, "no root, no capability", f"its process holds capabilities ({capabilities})")
        return o.passed(actual)

    items = _processes(facts, judge) + _account(facts["conf"], "swtpm_user")
    for helper in entries(facts, "helpers"):
        if text(helper, "kind") in ("tpm", "file system") or text(helper, "name") == "qemu-storage-daemon":
            items.append(o.item(f"{helper['name']} {whole(helper, 'pid')}", _helper(helper)))
    return o.combine(items, empty=o.not_applicable(NO_RUNNING_VM), expected="no root, no capability")


def _helper(helper: Mapping[str, Any]) -> Outcome:
    try:
        if whole(helper, "uid"):
            return o.passed(helper["uid"], "not root")
        # virtiofsd needs root to serve files of many owners, and shuts itself into its own tree and call filter.
        if (
            helper["kind"] == "file system"
            and flag(helper, "own_mount_namespace")
            and whole(helper, "seccomp") == FILTERED
        ):
            return o.passed("root in its own sandbox", "not root, or sandboxed")
    except MissingFact as error:
        return o.unknown(str(error))
    return o.failed("root", "not root, or sandboxed", f"{helper['name']} runs as root without a sandbox")


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vm_unprivileged": vm_unprivileged,
    "vm_confined": vm_confined,
    "vm_syscalls_filtered": vm_syscalls_filtered,
    "drivers_emulation_unprivileged": emulation_unprivileged,
}
