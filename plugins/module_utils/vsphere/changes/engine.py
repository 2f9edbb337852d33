# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings ESXi hosts and their vCenter to the rows of a plan: reads what is, compares, writes only differences.

A row is {kind, name, value, checks} of kinds.KINDS; a list can have `remove` instead: what may not be in it. `stays`
are values that are as good: all areas are planned before one is changed, and an area before may have set more.
The rows of one host are one change: where the server refuses one of them, those before it are put back. The vCenter
stands among the hosts under the name controller.CONTROLLER.
"""

from __future__ import annotations

import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import controller, machine
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.controller import CONTROLLER, Controller
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import (
    ChangeError,
    PartlyDone,
    Refused,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.host import read
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.kinds import KINDS
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import VsphereError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import SHAPE, Unreadable, strange
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.inventory import CONNECTED
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault

REFUSALS = (ChangeError, SoapFault, Unreadable)
SERVER_ERRORS = (*REFUSALS, VsphereError)
# Faults of a server that may still be at work on the same call, sent before.
BUSY = frozenset(("ConcurrentAccess", "TaskInProgress"))
SETTLING_SECONDS, SETTLING_PAUSE = 5, 0.25


class Change(object):
    """One setting of one host that differs: its kind and name, old and new value, and the checks that ask for it.

    called: its name for people; pending: what it waits for once it is written, "" for nothing.
    """

    def __init__(self, kind, name, old, new, checks=(), called=None):
        self.kind = kind
        self.name = name
        self.old = old
        self.new = new
        self.checks = list(checks)
        self.called = called or name
        self.pending = ""

    @property
    def key(self):
        """(kind, name)"""
        return (self.kind, self.name)

    @property
    def setting(self):
        """What it is called where people read it."""
        title = KINDS[self.kind].title
        return title % self.called if "%s" in title else title

    @property
    def shown(self):
        """(old value, new value) as people are shown them."""
        return tuple(KINDS[self.kind].shown(found) for found in (self.old, self.new))

    def back(self):
        """The change that takes this one back."""
        return Change(self.kind, self.name, self.new, self.old, self.checks, self.called)


def found_change(host, kind, name, old, new):
    """A Change of a host that is called as people know what it is about."""
    return Change(kind, name, old, new, (), KINDS[kind].called(host, name))


def hosts_of(session, rows, names=None):
    """{name: Host}, read for these rows, with the virtual machines that they are about.

    The vCenter is a Controller among them where `names` has it.
    """
    hosts = {}
    if names is None or set(names) - {CONTROLLER}:
        hosts = read(session, sorted({path for row in rows for path in KINDS[row["kind"]].paths}), names)
    machines = machine.of_rows(session, rows)
    for host in hosts.values():
        host.machines = machines.get(host.moid, {})
    if names is not None and CONTROLLER in names:
        hosts[CONTROLLER] = Controller(session)
    return hosts


def hosts_again(session, settings, kept):
    """The hosts of {name: hardware UUID} as far as they are there, to give them old values back.

    A host may have been renamed since, or another one been given its name; a machine may have moved to another host and
    is put back wherever it is. settings: rows, or what the journal keeps of them.
    """
    found = {}
    if set(kept) - {CONTROLLER}:
        everywhere = hosts_of(session, settings)
        machines = {uuid: one for host in everywhere.values() for uuid, one in host.machines.items()}
        for name, uuid in kept.items():
            # Boards that share a UUID are told apart by their names.
            alike = [host for host in everywhere.values() if host.uuid == uuid]
            same_name = [host for host in alike if host.name == name]
            for host in same_name or (alike if len(alike) == 1 else []):
                host.machines = machines
                found[name] = host
    if CONTROLLER in kept:
        target = Controller(session)
        if target.uuid == kept[CONTROLLER]:
            found[CONTROLLER] = target
    return found


def differences(host, rows):
    """The Changes that bring a host to its rows, in the order in which they have to be written.

    :raises ChangeError, SoapFault: what is now cannot be read, or the host is not connected.
    """
    if host.connection != CONNECTED:
        raise ChangeError("the host is %s" % host.connection)
    found = {}
    for row in rows:
        key = (row["kind"], row["name"])
        if key not in found:
            old = _current(host, *key)
            found[key] = found_change(host, key[0], key[1], old, old)
        change = found[key]
        change.new = _wanted(change.new, row)
        change.pending = change.pending or row.get("pending", "")
        change.checks += [check for check in row["checks"] if check not in change.checks]
    order = list(KINDS)
    changed = [change for change in found.values() if not same(change.old, change.new)]
    return sorted(changed, key=lambda change: order.index(change.kind))


def _current(host, kind, name):
    try:
        return KINDS[kind].current(host, name)
    except SHAPE as error:
        raise ChangeError("%s %s: %s" % (kind, name, strange(error)))


def _wanted(current, row):
    if "remove" in row:
        return [entry for entry in current if entry not in row["remove"]]
    return current if current in row.get("stays", ()) else row["value"]


def same(one, other):
    """Whether two values are equal; the order of a list means nothing, and to Python 1 is True."""
    if isinstance(one, list) and isinstance(other, list):
        return sorted(one) == sorted(other)
    return type(one) is type(other) and one == other


def write(host, changes):
    """Write the changes of one host, all or none.

    :raises ChangeError: which was refused and why, and what could not be put back.
    """
    done = []
    order = list(KINDS)
    for batch in _batches(sorted(changes, key=lambda change: order.index(change.kind))):
        try:
            _send(host, batch)
        except SERVER_ERRORS as error:
            made = _made(batch, error)
            names = ", ".join(change.setting for change in batch if change not in made or made == batch)
            left = put_back(host, done + made)
            raise ChangeError("%s was refused: %s%s" % (names, error, _told(left)))
        done += batch
    try:
        take_up(host, changes)
    except SERVER_ERRORS as error:
        left = put_back(host, done)
        raise ChangeError("the log service did not take up its options: %s%s" % (error, _told(left)))


def _batches(changes):
    """What the server takes as one is one; of the rest, each is noted as soon as it is done."""
    batches = []
    for change in changes:
        together = KINDS[change.kind].together
        if together and batches and KINDS[batches[-1][-1].kind].together == together:
            batches[-1].append(change)
        else:
            batches.append([change])
    return batches


def _send(host, batch):
    """Have the server make a batch of changes.

    Sent again after its answer was lost, a call may be refused for what it has done itself: a refusal after which the
    server has what was wanted is none.
    """
    deadline = time.monotonic() + SETTLING_SECONDS
    try:
        KINDS[batch[0].kind].write(host, batch)
        return
    except PartlyDone as error:
        refusal, left = error, error.refused
    except REFUSALS as error:
        name = getattr(error, "name", "") or type(error).__name__
        refusal, left = error, [Refused([change.key for change in batch], name, str(error))]
    while True:
        there = _there(host, batch)
        # What nobody knows of is no refusal: it may not be over.
        left = [one for one in left if not one.name or not one.keys <= there]
        if not left:
            return
        if not BUSY.intersection(one.name for one in left) or time.monotonic() > deadline:
            raise PartlyDone(left) if isinstance(refusal, PartlyDone) else refusal
        time.sleep(SETTLING_PAUSE)


def _there(host, batch):
    """The keys of those changes of a batch that the server has now. :raises VsphereError: nobody knows."""
    kind = KINDS[batch[0].kind]
    try:
        now = kind.again(host, batch)
        return {change.key for change in batch if same(_current(now, *change.key), change.new)}
    except REFUSALS:
        return frozenset()


def _made(batch, error):
    """What of a batch that failed was made, or may have been: without an answer nobody knows."""
    if isinstance(error, PartlyDone):
        return error.made(batch)
    return batch if isinstance(error, VsphereError) else []


def _told(left):
    return "; NOT put back: %s" % "; ".join(left) if left else "; what was written before it was put back"


def take_up(host, changes):
    """Have the log service read options that were changed."""
    if any(change.name.startswith(KINDS[change.kind].of_logs) for change in changes):
        host.cli.run("system syslog reload")


def put_back(host, changes):
    """Give every setting its old value again, the last first; returns what could not be put back, with the reason."""
    left = []
    for batch in _batches([change.back() for change in reversed(changes)]):
        for part in KINDS[batch[0].kind].parts(batch):
            try:
                _send(host, part)
            except SERVER_ERRORS as error:
                made = _made(part, error) if isinstance(error, PartlyDone) else []
                left += ["%s: %s" % (change.setting, error) for change in part if change not in made]
    try:
        take_up(host, changes)
    except SERVER_ERRORS as error:
        left.append("the log service: %s" % error)
    return left


def prove(log_in, host, seconds):
    """Log in anew and ask whether the host is connected, and answers a call through its vCenter.

    log_in: makes a context manager of a Session that did not exist before. Asks until it is so or the time is over. Of
    the vCenter it asks whether the account may still do what it could. Returns what is wrong, or nothing.
    """
    deadline = time.monotonic() + seconds
    while True:
        fault = _proof(log_in, host)
        if not fault or time.monotonic() >= deadline:
            return fault
        time.sleep(2)


def _proof(log_in, host):
    try:
        with log_in() as session:
            if host.name == CONTROLLER:
                return controller.lost(session, host.held)
            now = host.again((), session)
            if now.connection != CONNECTED:
                return "the host is %s" % now.connection
            # The state alone may be a minute old: this call goes to the host.
            now.call("serviceSystem", "HostServiceSystem", "RefreshServices")
            return ""
    except SERVER_ERRORS as error:
        return str(error)
