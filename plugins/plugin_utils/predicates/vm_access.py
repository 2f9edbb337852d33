# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways from the host into a guest: consoles, disks opened on the host, guest agents, shared identities (11.4.5)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import (
    NO_VM,
    entries,
    flag,
    hidden,
    machines,
    one,
    setting,
    text,
    texts,
)

GUEST_AGENT = "org.qemu.guest_agent.0"
# Displays without a network listener of their own.
LOCAL_DISPLAYS = ("sdl", "dbus", "egl-headless")
# Programs whose only purpose is to open a guest's disk outside the guest.
OPENERS = ("qemu-nbd", "guestmount", "guestfish", "libguestfs")
# What libvirt's polkit driver can grant that shows or touches what is inside a guest (https://libvirt.org/aclpolkit.html).
LIBVIRT_DOMAIN = "org.libvirt.api.domain."
INTO_GUESTS = (
    "block-read",
    "block-write",
    "core-dump",
    "fs-freeze",
    "fs-trim",
    "mem-read",
    "open-device",
    "open-graphics",
    "open-namespace",
    "read-secure",
    "screenshot",
    "send-input",
    "send-signal",
    "set-password",
    "snapshot",
)
# The only SASL mechanism of QEMU's that encrypts by itself (qemu.conf, vnc_sasl).
ENCRYPTING_SASL = {"gssapi"}


def consoles(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """No console answers on the network without TLS and proof of who connects.

    facts: vms, visibility, conf, processes, sasl. A running machine is judged by what its process was told, and then by
    its definition and qemu.conf, which decide about the next start.
    """
    conf = facts["conf"]
    told = {text(process, "domain"): process for process in entries(facts, "processes") if text(process, "domain")}
    encrypting = set(texts(facts["sasl"], "mechanisms"))
    encrypts = bool(encrypting) and encrypting <= ENCRYPTING_SASL
    local_only = gold["gold_console_policy"] == "loopback"

    def judge(vm: Mapping[str, Any]) -> Outcome:
        defined = entries({**vm, **need(vm, "configured")}, "consoles")
        later = _judged([_expected(console, conf) for console in defined], local_only, encrypts)
        if not flag(vm, "active"):
            return later
        if vm["id"] not in told:
            raise MissingFact("its process was not seen")
        listeners = [
            _expected(console, conf)
            for console in entries(vm, "consoles")
            if text(console, "type") not in ("vnc", "spice")
        ]
        now = _judged([*entries(told[vm["id"]], "consoles"), *listeners], local_only, encrypts)
        if now.status == o.PASS and later.status == o.FAIL:
            return o.failed(
                later.actual,
                later.expected,
                f"right now, but not after the next start: {later.message}",
                persistent=False,
            )
        now.persistent = True if now.status == o.PASS else None
        return now

    items = hidden(facts) + [one(vm, lambda vm=vm: judge(vm)) for vm in machines(facts)]  # type: ignore[misc]
    return o.combine(items, empty=o.not_applicable(NO_VM))


def _expected(console: Mapping[str, Any], conf: Mapping[str, Any]) -> dict[str, Any]:
    """What QEMU will be told about a console of a definition, under the settings of qemu.conf and their defaults."""
    kind = text(console, "type")
    prefix = kind if kind in ("vnc", "spice") else "chardev"
    # qemu.conf: vnc_tls_x509_verify defaults to default_tls_x509_verify and then to 0, the chardev one to 1.
    fallback = setting(conf, "default_tls_x509_verify", 1 if prefix == "chardev" else 0)
    verify = setting(conf, f"{prefix}_tls_x509_verify", fallback)
    wanted = text(console, "tls")
    tls = wanted == "yes" or (wanted == "" and setting(conf, f"{prefix}_tls") == 1)
    addresses, sockets = texts(console, "listen"), texts(console, "sockets")
    if texts(console, "networks"):
        addresses = ["the address of a libvirt network"]
    elif addresses == [""] and setting(conf, f"{prefix}_auto_unix_socket") == 1:
        addresses, sockets = [], ["made by libvirt"]
    elif addresses == [""]:
        # Without an address QEMU's character devices listen everywhere; libvirt's default for displays is loopback.
        addresses = [str(setting(conf, f"{prefix}_listen", "127.0.0.1")) if prefix != "chardev" else "0.0.0.0"]
    return {
        "type": kind,
        "listen": ", ".join(addresses),
        "socket": sockets[0] if sockets and not addresses else "",
        "tls": tls,
        "verify_peer": tls and verify == 1 and kind != "spice",
        "sasl": setting(conf, f"{prefix}_sasl") == 1,
        "plain": text(console, "default_mode") != "secure" if kind == "spice" else not tls,
    }


def _judged(found: list[Mapping[str, Any]], local_only: bool, encrypts: bool) -> Outcome:
    expected = (
        "loopback or a UNIX socket"
        if local_only
        else "loopback, a UNIX socket, or TLS with client certificates or SASL"
    )
    for console in found:
        fault = _fault(console, local_only, encrypts)
        if fault:
            return o.failed([dict(entry) for entry in found], expected, fault)
    return o.passed([dict(entry) for entry in found], expected)


def _fault(console: Mapping[str, Any], local_only: bool, encrypts: bool) -> str:
    kind, address = text(console, "type"), text(console, "listen")
    if kind in LOCAL_DISPLAYS or (text(console, "socket") and not address) or _is_local(address):
        return ""
    where = f"its {kind} console answers on {address[:60]}"
    if local_only:
        return where
    sasl, encrypted = flag(console, "sasl"), flag(console, "tls") and not flag(console, "plain")
    if encrypted and (flag(console, "verify_peer") or sasl):
        return ""
    if sasl and encrypts:
        return ""
    return f"{where} {'without proof of who connects' if encrypted else 'without enforced TLS'}"


def _is_local(addresses: str) -> bool:
    """True when every address of a comma-separated list is a loopback address."""
    for address in addresses.split(","):
        try:
            if not ipaddress.ip_address(address.strip()).is_loopback:
                return False
        except ValueError:
            if address.strip() != "localhost":
                return False
    return bool(addresses)


def guest_access(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """The host does not open guests' disks. facts: vms, visibility, pools, helpers, access.

    What an agent inside a guest refuses cannot be seen from the host: a machine with one is manual.
    """
    vms = machines(facts)
    if not vms:
        return o.combine(hidden(facts) + _opened(facts, set(), []), empty=o.not_applicable(NO_VM))
    disks, directories = _disk_paths(vms), [text(pool, "path") for pool in entries(facts, "pools")]
    items = hidden(facts) + _opened(
        facts, disks, [path.rstrip("/") + "/" for path in directories if path and not path.startswith("/dev")]
    )
    items += [one(vm, lambda vm=vm: _agent(vm)) for vm in vms]  # type: ignore[misc]
    return o.combine(items, empty=o.not_applicable(NO_VM))


def _disk_paths(vms: list[Mapping[str, Any]]) -> set[str]:
    found: set[str] = set()
    for vm in vms:
        for version in (vm, {**vm, **need(vm, "configured")}):
            for disk in entries(version, "disks"):
                found.update(text(link, "path") for link in [disk, *entries(disk, "backing")])
    return found - {""}


def _opened(facts: Mapping[str, Any], disks: set[str], directories: list[str]) -> list[Outcome]:
    """A failing item for everything that holds a guest's disk open on the host."""
    access, items, devices = facts["access"], [], set()

    def of_a_guest(path: str) -> bool:
        return path in disks or path.startswith(tuple(directories))

    for process in entries(facts, "helpers"):
        if text(process, "kind") == "disk access":
            sources = texts(process, "sources")
            if text(process, "name") in OPENERS or any(of_a_guest(path) for path in sources):
                message = f"{text(process, 'name')} opens {', '.join(sources[:3]) or 'a disk'} on the host"
                items.append(o.item(f"process {need(process, 'pid')}", o.failed(sources, "no such process", message)))
    for loop in entries(access, "loops"):
        backing = text(loop, "backing").replace(" (deleted)", "")
        if of_a_guest(backing):
            devices.add(text(loop, "device"))
            items.append(
                o.item(
                    text(loop, "device"),
                    o.failed(backing, "no loop device", f"a loop device shows {backing[:200]} on the host"),
                )
            )
    for nbd in entries(access, "nbds"):
        devices.add(text(nbd, "device"))
        items.append(
            o.item(
                text(nbd, "device"),
                o.failed(need(nbd, "pid"), "not connected", "a network block device is connected on the host"),
            )
        )
    for mount in entries(access, "mounts"):
        source = text(mount, "source")
        if source in disks or source.startswith(tuple(f"{device}p" for device in devices)) or source in devices:
            target = text(mount, "target")
            items.append(
                o.item(
                    target, o.failed(source, "not mounted", f"a guest's disk is mounted on the host at {target[:200]}")
                )
            )
    return items


def _agent(vm: Mapping[str, Any]) -> Outcome:
    names = {
        text(channel, "name")
        for version in (vm, {**vm, **need(vm, "configured")})
        for channel in entries(version, "channels")
    }
    if GUEST_AGENT in names:
        return o.manual("has a guest agent: show that it refuses guest-exec and guest-file-*", sorted(names))
    return o.passed(sorted(names), "no guest agent channel")


def guest_permissions(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """libvirt gives nobody who only administers the hypervisor a way into guests. facts: driver, rules.

    Judged from what polkit's rules can answer (part polkit). Without the polkit driver every client that may connect
    read-write may do everything (pitfall P8).
    """
    if text(facts, "driver") != "polkit":
        return o.failed(
            facts["driver"],
            "polkit",
            "libvirt asks nobody: whoever may connect can open every console and read every memory",
        )
    trusted = {str(name) for name in gold["gold_guest_access_principals"]}
    items = []
    for rule in entries(facts, "rules"):
        faults = [_granted(answer, trusted) for answer in entries(rule, "returns")]
        found = o.combine([fault for fault in faults if fault is not None], empty=o.passed("nothing granted"))
        items.append(o.item(text(rule, "path"), found))
    return o.combine(items, empty=o.passed("no rule", "no rule that grants it"))


def _granted(answer: Mapping[str, Any], trusted: set[str]) -> Outcome | None:
    """The verdict on one answer of a rule; None when it opens no way into a guest."""
    result, patterns = text(answer, "result"), texts(answer, "actions")
    reached = sorted(
        action for action in INTO_GUESTS if any(_covers(pattern, LIBVIRT_DOMAIN + action) for pattern in patterns)
    )
    if result in ("no", "admin") or not reached:
        return None
    who = texts(answer, "users") + [f"%{name}" for name in texts(answer, "groups")]
    if who and set(who) <= trusted:
        return o.passed(who, sorted(trusted))
    if result == "unknown":
        return o.unknown("what this rule answers could not be read", reached)
    message = f"grants {', '.join(reached[:4])} to {', '.join(who[:5]) or 'everybody'}"
    return o.failed({"who": who or "everybody", "may": reached}, sorted(trusted), message)


def _covers(pattern: str, action: str) -> bool:
    return action.startswith(pattern[:-1]) if pattern.endswith("*") else action == pattern


def identities_disjoint(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Nobody who administers the hypervisor administers what runs in its guests. facts: accounts.

    The people inside guests come from an export, gold_guest_administrators: without one nobody can say.
    """
    exported = {str(name).casefold() for name in gold["gold_guest_administrators"]}
    privileged = [entry for entry in entries(facts, "accounts") if flag(entry, "privileged")]
    if not privileged:
        raise MissingFact("accounts shows no privileged account, not even root")
    # root is everywhere and a person nowhere: it is judged by 11.2.4 and 11.4.6.
    names = sorted(
        {text(entry, "name") for entry in privileged} | {str(name) for name in gold["gold_hypervisor_admins"]}
    )
    names = [name for name in names if name != "root"]
    if not exported:
        return o.manual("no export of the guests' administrators was given (gold_guest_administrators)", names)
    both_sides = [name for name in names if name.casefold() in exported]
    if both_sides:
        return o.failed(
            both_sides, "nobody on both sides", f"{', '.join(both_sides[:5])} administer the hypervisor and guests"
        )
    return o.passed(names, "nobody on both sides")


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vm_consoles": consoles,
    "vm_guest_access": guest_access,
    "vm_guest_permissions": guest_permissions,
    "vm_identities_disjoint": identities_disjoint,
}
