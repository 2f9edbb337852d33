# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change ESXi hosts of one endpoint without locking anybody out, and take changes back.

Old values are on the controller's disk before anything is written. Where somebody could be locked out, hosts go one
after the other: another way in has to exist before, a new login and the host's connection are proved afterwards, and
where the proof fails the old values are put back through vCenter.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import engine
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.host import CONNECTED, KINDS, Host, read
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.lockdown_mode import CONSOLE, NORMAL
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import journal as journal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import Journal

LogIn = Callable[[], AbstractContextManager[Any]]
# How often the way back is tried when the endpoint does not answer, and how long in all.
RETRY_SECONDS, RETURN_SECONDS = 5, 90
# What a fault says where a host has kept some of what was written, so that revert can still take it back.
LEFT = ("NOT put back", "NOT be put back")


@dataclass
class Done:
    """What became of the hosts.

    changes: {host: those made, in check mode to be made}; faults: {host: why it failed}; change: its id in the journal.
    """

    changes: dict[str, list[Any]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    change: str = ""


class Hosts:
    """The hosts of an endpoint, to be changed in an open session.

    log_in: opens a further session; rollback_seconds: how long a proof may take.
    """

    def __init__(self, session: Any, log_in: LogIn, kept: Journal, rollback_seconds: int) -> None:
        self._session = session
        self._log_in = log_in
        self._journal = kept
        self._seconds = rollback_seconds

    def differing(self, rows: Mapping[str, Sequence[Row]]) -> Done:
        """What would be changed. rows: {host: its rows}; all hosts are read at once, now."""
        return self._compared(rows)[0]

    def change(self, area: str, run_id: str, rows: Mapping[str, Sequence[Row]], guarded: Iterable[str]) -> Done:
        """Bring hosts to their rows. guarded: hosts on which somebody could be locked out.

        :raises ValueError, OSError: nothing was changed: another run is at it, or old values cannot be kept.
        """
        done, hosts = self._compared(rows)
        if not done.changes:
            return done
        with self._journal.locked():
            kept = [_entry(hosts[name], changes) for name, changes in done.changes.items()]
            record = self._journal.start(area, run_id, kept)
            done.change = record["id"]
            try:
                self._each(record, hosts, done, frozenset(guarded))
            finally:
                self._journal.keep(record)
        return done

    def _compared(self, rows: Mapping[str, Sequence[Row]]) -> tuple[Done, dict[str, Host]]:
        done = Done()
        hosts = engine.hosts_of(self._session, [row for mine in rows.values() for row in mine], frozenset(rows))
        for name, mine in rows.items():
            if name not in hosts:
                done.faults[name] = "it is not there any more"
                continue
            try:
                found = engine.differences(hosts[name], mine)
            except engine.SERVER_ERRORS as error:
                done.faults[name] = str(error)
                continue
            if found:
                done.changes[name] = found
        return done, hosts

    def _each(self, record: dict[str, Any], hosts: Mapping[str, Host], done: Done, guarded: frozenset[str]) -> None:
        stopped = ""
        for entry in record["hosts"]:
            name = entry["name"]
            if stopped:
                fault = f"not attempted, as {stopped} failed before it"
            elif name in guarded:
                fault = self._guarded(hosts[name], done.changes[name])
                stopped = name if fault else ""
            else:
                fault = _written(hosts[name], done.changes[name])
            _note(entry, done, fault)
        self._last_look(record, done, guarded)

    def _guarded(self, host: Host, changes: list[Any]) -> str:
        """Change one host and prove it; returns what is wrong, once it was taken back."""
        try:
            fault = self._no_way_in(host, changes)
        except engine.SERVER_ERRORS as error:
            fault = str(error)
        fault = fault or _written(host, changes)
        if fault:
            return fault
        lost = engine.prove(self._log_in, host.name, self._seconds)
        return f"{lost}; {self._taken_back(host.name, changes)}" if lost else ""

    def _no_way_in(self, host: Host, changes: list[Any]) -> str:
        """Why nobody could reach a host in lockdown mode that has lost its vCenter, or nothing. Asked now."""
        mode = next((change.new for change in changes if change.kind == "lockdown"), None)
        if mode is None or mode == "lockdownDisabled":
            return ""
        if self._session.content["about"]["apiType"] != "VirtualCenter":
            return "a host without a vCenter is never put into lockdown mode"
        after = {(change.kind, change.name): change.new for change in changes}
        now = read(self._session, ("config.option",), (host.name,))[host.name]
        ways = {}
        for kind, name in (("lockdown_exceptions", ""), ("console", CONSOLE)):
            ways[name] = after[kind, name] if (kind, name) in after else KINDS[kind].current(now, name)
        # Strict mode stops the console; that it may was confirmed when it was planned.
        if mode == NORMAL and not ways[""] and not ways[CONSOLE]:
            return f"nobody is exempt from lockdown mode and {CONSOLE} is empty: without its vCenter it would be lost"
        return ""

    def _taken_back(self, name: str, changes: list[Any]) -> str:
        """Put old values back over a session of its own, for the one before may be gone; returns what to tell."""
        deadline = time.monotonic() + RETURN_SECONDS
        while True:
            try:
                with self._log_in() as session:
                    rows = [{"kind": change.kind, "name": change.name} for change in changes]
                    left = engine.put_back(engine.hosts_of(session, rows, (name,))[name], changes)
                return f"NOT put back: {'; '.join(left)}" if left else "its old values were put back"
            except (*engine.SERVER_ERRORS, KeyError) as error:
                if time.monotonic() > deadline:
                    return f"its old values could NOT be put back: {error}; dwp.hypervisor.revert has them"
            time.sleep(RETRY_SECONDS)

    def _last_look(self, record: dict[str, Any], done: Done, guarded: frozenset[str]) -> None:
        """The state of a connection lags behind: those proved first are looked at again when all are done."""
        names = [entry["name"] for entry in record["hosts"] if entry["name"] in guarded & done.changes.keys()]
        if not names:
            return
        try:
            now = read(self._session, (), names)
        except engine.SERVER_ERRORS as error:
            now = {}
            unseen = str(error)
        else:
            unseen = "it is not there any more"
        for entry in record["hosts"]:
            name = entry["name"]
            if name in names and (name not in now or now[name].connection != CONNECTED):
                state = f"the host is {now[name].connection}" if name in now else unseen
                _note(entry, done, f"{state}; {self._taken_back(name, done.changes[name])}")

    def revert(self, record: dict[str, Any], force: bool, check_mode: bool) -> dict[str, list[str]]:
        """Take one change back, host by host. Returns {host: what was left, and why}.

        What somebody has changed since is left, unless force. In check mode it only says what would be left.
        """
        left = {}
        with self._journal.locked():
            rows = [setting for entry in record["hosts"] for setting in entry["settings"]]
            hosts = engine.hosts_of(self._session, rows, frozenset(entry["name"] for entry in record["hosts"]))
            for entry in record["hosts"]:
                if entry["state"] not in (journal.STARTED, journal.CONFIRMED):
                    continue
                faults = _reverted(hosts.get(entry["name"]), entry, force, check_mode)
                left[entry["name"]] = faults
                if not check_mode and not faults:
                    entry["state"] = journal.REVERTED
            if not check_mode:
                self._journal.keep(record)
        return left


def _entry(host: Host, changes: Iterable[Any]) -> dict[str, Any]:
    settings = [
        {"kind": change.kind, "name": change.name, "old": change.old, "new": change.new, "checks": change.checks}
        for change in changes
    ]
    return {"name": host.name, "uuid": host.uuid, "settings": settings}


def _written(host: Host, changes: list[Any]) -> str:
    try:
        engine.write(host, changes)
    except engine.SERVER_ERRORS as error:
        return str(error)
    return ""


def _note(entry: dict[str, Any], done: Done, fault: str) -> None:
    """Into the journal's entry and into what is returned; what could not be put back can still be reverted."""
    if fault:
        done.faults[entry["name"]] = fault
        done.changes.pop(entry["name"], None)
        left = any(words in fault for words in LEFT)
        entry.update(state=journal.STARTED if left else journal.ROLLED_BACK, reason=fault[:1000])
    else:
        entry["state"] = journal.CONFIRMED


def _reverted(host: Host | None, entry: Mapping[str, Any], force: bool, check_mode: bool) -> list[str]:
    """Put one host's old values back; returns what was left."""
    if host is None:
        return ["the host is not there any more"]
    if host.connection != CONNECTED:
        return [f"the host is {host.connection}"]
    left, changes = [], []
    for setting in entry["settings"]:
        change = engine.Change(setting["kind"], setting["name"], setting["new"], setting["old"])
        try:
            now = KINDS[change.kind].current(host, change.name)
        except engine.SERVER_ERRORS as error:
            left.append(f"{change.setting}: {error}")
            continue
        if engine.same(now, change.new):
            continue
        if not engine.same(now, change.old) and not force:
            left.append(f"{change.setting} is {now!r}, neither what it was nor what was set: somebody changed it since")
            continue
        changes.append(engine.Change(change.kind, change.name, now, change.new))
    if not check_mode:
        # The other way round: lockdown mode goes before those who are exempt from it come back.
        left += engine.put_back(host, [change.back() for change in changes])
    return left
