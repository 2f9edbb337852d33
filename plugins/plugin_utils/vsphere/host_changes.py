# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change ESXi hosts of one endpoint and their vCenter without locking anybody out, and take changes back.

Old values are on the controller's disk before anything is written. Where somebody could be locked out, hosts go one
after the other: another way in has to exist before, a new login and the host's connection are proved afterwards, and
where the proof fails the old values are put back through vCenter. Of the vCenter itself a new login is proved, and that
the account may still do what it could.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Union

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import appliance_settings, engine
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.controller import CONTROLLER, Controller
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.host import Host, read
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.kinds import KINDS
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.inventory import CONNECTED
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import REBOOT, Row
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.lockdown_mode import (
    CONSOLE,
    DISABLED,
    NORMAL,
    people,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import journal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import Journal

LogIn = Callable[[], AbstractContextManager[Any]]
# How often the way back is tried when the endpoint does not answer, and how long in all.
RETRY_SECONDS, RETURN_SECONDS = 5, 90
# Hosts that are changed at once where nobody can be locked out.
AT_ONCE = 8
# What a fault says where a host has kept some of what was written, so that revert can still take it back.
LEFT = ("NOT put back", "NOT be put back")
# Who comes in where lockdown mode keeps people out, and the mode itself: {kind of row: name}.
LOCKDOWN_KINDS = {"lockdown": "", "lockdown_exceptions": "", "console": CONSOLE}
Target = Union[Host, Controller]


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
        # Of hosts whose old values are in force after a restart only: {host: checks}, see revert.
        self.waiting: dict[str, list[str]] = {}
        # What hosts are proved in, until they are changed: see _proving.
        self._proofs = ExitStack()
        self._proof: Any = None

    def differing(self, rows: Mapping[str, Sequence[Row]]) -> Done:
        """What would be changed. rows: {host: its rows}; all hosts are read at once, now."""
        return self._compared(rows)[0]

    def change(self, area: str, run_id: str, rows: Mapping[str, Sequence[Row]], guarded: Iterable[str]) -> Done:
        """Bring hosts to their rows. guarded: hosts on which somebody could be locked out.

        :raises ValueError, OSError: nothing was changed: another run is at it, or old values cannot be kept.
        """
        with self._journal.locked():
            # Compared in here: what another run sets until then would be kept as a value it never had.
            done, hosts = self._compared(rows)
            if not done.changes:
                return done
            kept = [_entry(hosts[name], changes) for name, changes in done.changes.items()]
            record = self._journal.start(area, run_id, kept)
            done.change = record["id"]
            try:
                with ExitStack() as self._proofs:
                    self._each(record, hosts, done, frozenset(guarded))
            finally:
                self._proof = None
                self._journal.keep(record)
        return done

    def _compared(self, rows: Mapping[str, Sequence[Row]]) -> tuple[Done, dict[str, Target]]:
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

    def _each(self, record: dict[str, Any], hosts: Mapping[str, Target], done: Done, guarded: frozenset[str]) -> None:
        """One after the other where somebody could be locked out, and if all went well the others side by side."""
        stopped = ""
        free = []
        for entry in record["hosts"]:
            name = entry["name"]
            if name not in guarded:
                free.append(entry)
                continue
            fault = _not_attempted(stopped) if stopped else self._guarded(hosts[name], done.changes[name])
            stopped = stopped or (name if fault else "")
            _note(entry, done, fault)
        if stopped:
            for entry in free:
                _note(entry, done, _not_attempted(stopped))
        else:
            _side_by_side(free, hosts, done)
        self._last_look(record, done, guarded)

    def _guarded(self, host: Target, changes: list[Any]) -> str:
        """Change one host and prove it; returns what is wrong, once it was taken back."""
        try:
            fault = self._kept_out(host, changes)
        except engine.SERVER_ERRORS as error:
            fault = str(error)
        fault = fault or _written(host, changes)
        if fault:
            return fault
        lost = engine.prove(self._log_in if host.name == CONTROLLER else self._proving, host, self._seconds)
        return f"{lost}; {self._taken_back(host.name, host.uuid, changes)}" if lost else ""

    @contextmanager
    def _proving(self) -> Iterator[Any]:
        """A session that was opened after a host was changed.

        Of a vCenter it serves all hosts: another login there tells nothing of them, what goes to the host is the call.
        Where it fails, the next is a new one.
        """
        if self._proof is None or not self._through_vcenter:
            self._proof = self._proofs.enter_context(self._log_in())
        try:
            yield self._proof
        except engine.SERVER_ERRORS:
            self._proof = None
            raise

    def _kept_out(self, host: Target, changes: list[Any]) -> str:
        """Why nobody could take the change back if it went wrong, or nothing."""
        if isinstance(host, Controller):
            host.remember_rights()
            rules = next((change.new for change in changes if change.kind == "appliance_firewall"), None)
            left = [] if rules is None else appliance_settings.cut_off(host, rules)
            return f"the hosts {', '.join(left[:5])} would not reach the vCenter any more" if left else ""
        return self._no_way_in(host, changes)

    def _no_way_in(self, host: Host, changes: list[Any]) -> str:
        """Why nobody could reach a host in lockdown mode that has lost its vCenter, or nothing. Asked now."""
        after = {change.kind: change.new for change in changes if change.kind in LOCKDOWN_KINDS}
        if not after:
            return ""
        if after.get("lockdown", DISABLED) != DISABLED and not self._through_vcenter:
            return "a host without a vCenter is never put into lockdown mode"
        now = host.again(("config.option", "config.lockdownMode"))
        for kind, name in LOCKDOWN_KINDS.items():
            after.setdefault(kind, KINDS[kind].current(now, name))
        # Strict mode stops the console; that it may was confirmed when it was planned.
        if after["lockdown"] == NORMAL and not people([*after["lockdown_exceptions"], *after["console"]]):
            return (
                f"nobody is exempt from lockdown mode and {CONSOLE} names nobody who logs in: without its vCenter it "
                "would be lost"
            )
        return ""

    @property
    def _through_vcenter(self) -> bool:
        return bool(self._session.content["about"]["apiType"] == "VirtualCenter")

    def _taken_back(self, name: str, uuid: str, changes: list[Any]) -> str:
        """Put old values back, again and again for RETURN_SECONDS; returns what to tell.

        Every old value is a whole one, so that what an attempt before has put back is put back once more.
        """
        deadline = time.monotonic() + RETURN_SECONDS
        for opened in self._ways_back(name):
            try:
                with opened() as session:
                    rows = [{"kind": change.kind, "name": change.name} for change in changes]
                    left = engine.put_back(engine.hosts_again(session, rows, {name: uuid})[name], changes)
                if not left:
                    break
                fault = f"NOT put back: {'; '.join(left)}"
            except (*engine.SERVER_ERRORS, KeyError) as error:
                fault = f"its old values could NOT be put back: {error}; dwp.hypervisor.revert has them"
            if time.monotonic() > deadline:
                return fault
            time.sleep(RETRY_SECONDS)
        return "its old values were put back"

    def _ways_back(self, name: str) -> Iterator[LogIn]:
        """Sessions to put old values back in, by turns: a new one, as the one before may be gone, and the open one, as
        a firewall lets what is connected stay connected, and a new login may be what the change has cost."""
        ways: list[LogIn] = [self._log_in, lambda: nullcontext(self._session)]
        return itertools.cycle(reversed(ways) if name == CONTROLLER else ways)

    def _last_look(self, record: dict[str, Any], done: Done, guarded: frozenset[str]) -> None:
        """The state of a connection lags behind: those proved first are looked at again when all are done."""
        names = [
            entry["name"] for entry in record["hosts"] if entry["name"] in guarded & done.changes.keys() - {CONTROLLER}
        ]
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
                _note(entry, done, f"{state}; {self._taken_back(name, entry['uuid'], done.changes[name])}")

    def revert(self, record: dict[str, Any], force: bool, check_mode: bool) -> dict[str, list[str]]:
        """Take one change back, host by host. Returns {host: what was left, and why}.

        What somebody has changed since is left, unless force. In check mode it only says what would be left. `waiting`
        then has the hosts that wait for a restart.
        """
        left = {}
        with self._journal.locked():
            rows = [setting for entry in record["hosts"] for setting in entry["settings"]]
            hosts = engine.hosts_again(self._session, rows, {entry["name"]: entry["uuid"] for entry in record["hosts"]})
            for entry in record["hosts"]:
                if entry["state"] not in (journal.STARTED, journal.CONFIRMED):
                    continue
                faults, changes = _reverted(hosts.get(entry["name"]), entry, force, check_mode)
                left[entry["name"]] = faults
                waits = [check for change in changes if change.pending == REBOOT for check in change.checks]
                if waits and not faults:
                    self.waiting.setdefault(entry["name"], []).extend(waits)
                if not check_mode and not faults:
                    entry["state"] = journal.REVERTED
            if not check_mode:
                self._journal.keep(record)
        return left


def _entry(host: Target, changes: Iterable[Any]) -> dict[str, Any]:
    settings = [
        {"kind": change.kind, "name": change.name, "old": change.old, "new": change.new, "checks": change.checks,
         "pending": change.pending}
        for change in changes
    ]  # fmt: skip
    return {"name": host.name, "uuid": host.uuid, "settings": settings}


def _written(host: Target, changes: list[Any]) -> str:
    try:
        engine.write(host, changes)
    except engine.SERVER_ERRORS as error:
        return str(error)
    return ""


def _side_by_side(entries: list[dict[str, Any]], hosts: Mapping[str, Target], done: Done) -> None:
    pool = ThreadPoolExecutor(max_workers=AT_ONCE)
    try:
        running = {pool.submit(_written, hosts[entry["name"]], done.changes[entry["name"]]): entry for entry in entries}
        for future in as_completed(running):
            _note(running[future], done, future.result())
    finally:
        # Who interrupts this waits for the hosts that are being changed, and no further one is begun.
        pool.shutdown(cancel_futures=True)


def _not_attempted(failed: str) -> str:
    return f"not attempted, as {failed} failed before it"


def _note(entry: dict[str, Any], done: Done, fault: str) -> None:
    """Into the journal's entry and into what is returned; what could not be put back can still be reverted."""
    if fault:
        done.faults[entry["name"]] = fault
        done.changes.pop(entry["name"], None)
        left = any(words in fault for words in LEFT)
        entry.update(state=journal.STARTED if left else journal.ROLLED_BACK, reason=fault[:1000])
    else:
        entry["state"] = journal.CONFIRMED


def _reverted(
    host: Target | None, entry: Mapping[str, Any], force: bool, check_mode: bool
) -> tuple[list[str], list[Any]]:
    """Put one host's old values back; returns what was left, and what was (in check mode would be) put back."""
    if host is None:
        return ["it is not there any more"], []
    if host.connection != CONNECTED:
        return [f"the host is {host.connection}"], []
    left, changes = [], []
    for setting in entry["settings"]:
        change = engine.found_change(host, setting["kind"], setting["name"], setting["new"], setting["old"])
        try:
            now = KINDS[change.kind].current(host, change.name)
        except engine.SERVER_ERRORS as error:
            left.append(f"{change.setting}: {error}")
            continue
        if engine.same(now, change.new):
            continue
        if not engine.same(now, change.old) and not force:
            shown = KINDS[change.kind].shown(now)
            left.append(
                f"{change.setting} is {shown!r}, neither what it was nor what was set: somebody changed it since"
            )
            continue
        found = engine.found_change(host, change.kind, change.name, now, change.new)
        found.pending, found.checks = setting.get("pending", ""), setting["checks"]
        changes.append(found)
    if not check_mode:
        # The other way round: lockdown mode goes before those who are exempt from it come back.
        left += engine.put_back(host, [change.back() for change in changes])
    return left, changes
