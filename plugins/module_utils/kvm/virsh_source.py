# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshot of libvirt_source through virsh, for hosts without the Python binding.

One virsh for many commands, as each process costs a connection: the answers are told apart by a random mark, which no
VM's description can contain by design of its author. Volumes are left out: virsh lists them only as a table of names.
"""

from __future__ import annotations

import os
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_source import NoLibvirt

TIME_LIMIT = 30
AT_ONCE = 100
_UUID = re.compile(r"^[ \t]*([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b", re.MULTILINE)
_STATES = {"shut off": "shutoff", "in shutdown": "shutdown", "no state": "nostate", "idle": "blocked"}
# branch of the facts: (list, list of those that start by themselves, list of the active ones, description)
_OBJECTS = (
    ("networks", "net-list --all --uuid", "net-list --all --uuid --autostart", "net-list --uuid", "net-dumpxml"),
    ("pools", "pool-list --all --uuid", "pool-list --all --uuid --autostart", "pool-list --uuid", "pool-dumpxml"),
    ("nwfilters", "nwfilter-list", "", "", "nwfilter-dumpxml"),
    ("secrets", "secret-list", "", "", "secret-dumpxml"),
)


def snapshot(uri, run):
    """Return the same document as libvirt_source.snapshot.

    run: host.Host.run, with its time limit and its C locale.

    :raises NoLibvirt: no virsh, or it cannot connect.
    """
    virsh = _Virsh(uri, run)
    first = virsh.ask(["uri", "list --all --uuid", "list --all --uuid --autostart", "list --all --uuid --persistent"])
    if not first[0]:
        raise NoLibvirt("virsh at %s: %s" % (uri, virsh.complaint or "no answer"))
    found = {"uri": uri, "via": "virsh", "errors": virsh.errors}
    found["hypervisor"] = first[0].split(":", 1)[0].split("+", 1)[0].upper()
    found["version"] = run(["virsh", "--version"]).out.strip()[:40]
    uuids, autostart, persistent = (_UUID.findall(answer) for answer in first[1:4])
    found["domains"] = _domains(virsh, uuids, autostart, persistent)
    for branch, listing, starting, active, describe in _OBJECTS:
        found[branch] = _objects(virsh, branch, listing, starting, active, describe)
    for pool in found["pools"]:
        pool["volumes"] = virsh.error("volumes", "not read: the Python binding of libvirt is missing")
    return found


class _Virsh(object):
    def __init__(self, uri, run):
        self._base = ["virsh", "-r", "-q", "-c", uri]
        self._run = run
        self._mark = os.urandom(16).hex()
        self.errors = []
        self.complaint = ""

    def ask(self, commands):
        """Return one answer per command, "" where it failed (virsh goes on with the next one)."""
        answers = []
        for start in range(0, len(commands), AT_ONCE):
            some = commands[start : start + AT_ONCE]
            text = "; ".join("%s; echo %s" % (command, self._mark) for command in some)
            answer = self._run(self._base + [text], timeout=TIME_LIMIT)
            self.complaint = (answer.err.strip().splitlines() or [""])[-1][:200]
            parts = [part.strip() for part in answer.out.split(self._mark)]
            answers += (parts + [""] * len(some))[: len(some)]
        return answers

    def error(self, path, reason):
        if {"path": path, "reason": reason} not in self.errors:
            self.errors.append({"path": path, "reason": reason})


def _domains(virsh, uuids, autostart, persistent):
    commands = [
        command % domain for domain in uuids for command in ("domstate %s", "dumpxml %s", "dumpxml %s --inactive")
    ]
    answers = virsh.ask(commands)
    domains = []
    for index, domain in enumerate(uuids):
        state, live, inactive = answers[3 * index : 3 * index + 3]
        name = re.search(r"<name>([^<]*)</name>", live)
        state = _STATES.get(state, state) or None
        active = None if state is None else state not in ("shutoff", "crashed")
        record = {"uuid": domain, "name": name.group(1) if name else "", "state": state, "active": active}
        record.update(
            autostart=domain in autostart,
            persistent=domain in persistent,
            live_xml=(live if active else inactive or live) or None,
        )
        record["inactive_xml"] = inactive if active and record["persistent"] and inactive else None
        record["error"] = None if live and state else "virsh could not describe it"
        domains.append(record)
    return domains


def _objects(virsh, branch, listing, starting, active, describe):
    lists = virsh.ask([listing] + [command for command in (starting, active) if command])
    uuids, others = _UUID.findall(lists[0]), [_UUID.findall(answer) for answer in lists[1:]]
    found = []
    for identity, xml in zip(uuids, virsh.ask(["%s %s" % (describe, identity) for identity in uuids])):
        name = re.search(r"<name>([^<]*)</name>", xml) or re.search(r"<filter name='([^']*)'", xml)
        record = {"uuid": identity, "name": name.group(1) if name else "", "xml": xml or None}
        if not xml:
            virsh.error("%s[%s]" % (branch, identity), "virsh could not describe it")
        if others:
            record.update(autostart=identity in others[0], active=identity in others[1], persistent="<uuid>" in xml)
        found.append(record)
    return found
