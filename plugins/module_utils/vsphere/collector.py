# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything an audit needs to know of a vCenter and its hosts, or of a stand-alone ESXi host.

Few calls for all hosts and machines; hosts one after the other, so that a thousand never are in memory at once.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import datetime
from collections import deque

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import (
    controller_facts,
    host_facts,
    host_methods,
    machines,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import SHAPE, Facts, strange
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.inventory import Inventory, reachable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import begin, in_view
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import many, number

# Calls to hosts at one time; a vCenter passes each on to its host and waits.
THREADS = 16
# Hosts that are being asked or wait to be taken.
AHEAD = 48
HOST_PARTS = ("properties", "methods", "esxcli", "virtual_machines")
NOT_CHOSEN = "not read: it is not among the hosts to be read"


class Subject(object):
    """kind: host or controller; name; uuid: of the hardware or the vCenter; facts: the document, None where the subject
    cannot be read, then reason says why."""

    def __init__(self, kind, name, uuid, facts=None, reason=None):
        self.kind = kind
        self.name = name
        self.uuid = uuid
        self.facts = facts
        self.reason = reason


def collect(session, denied=(), progress=lambda *_counts: None, threads=THREADS, share=None, choose=None):
    """Each Subject, the vCenter first. denied: [{principal, vm}] whose effective rights are read (gold_deny_map).

    progress(hosts read, hosts in all, machines read) is called after each step; share: see retrieve.in_view, for the
    machines. choose(names of all hosts) returns the names of those to read; the others have a reason instead of facts.
    What it raises is passed on.

    :raises Lost, SoapFault: nothing can be read at all. What fails later is a reason of the subjects it concerns.
    """
    inventory = Inventory(session)
    if not inventory.hosts and "HostSystem" in inventory.refused:
        raise Lost("%s: the hosts cannot be listed: %s" % (session.endpoint, inventory.refused["HostSystem"]))
    names = [found.name for found in inventory.hosts.values()]
    fleet = Fleet(session, inventory, progress, choose(names) if choose else None)
    if len(inventory.hosts) > host_facts.PROPERTIES.page:
        fleet.begin_hosts()
    fleet.read_machines(share)
    if fleet.stand_alone:
        for subject in fleet.hosts(threads):
            if subject.facts is not None:
                controller_facts.add_to_host(subject.facts, session, inventory, fleet, denied)
            yield subject
        return
    yield fleet.controller(denied)
    yield from fleet.hosts(threads)


class Fleet(object):
    """One run over an endpoint. chosen: names of the hosts to read, None for all. machines: {host id: [entry]}."""

    def __init__(self, session, inventory, progress, chosen=None):
        self._session = session
        self._inventory = inventory
        self._progress = progress
        self._chosen = chosen
        self._errors = {}
        self._begun = None
        self.about = session.content["about"]
        self.stand_alone = self.about.get("apiType") != "VirtualCenter"
        self.machines = {}
        self.uuids = {}
        self._without_host = set()
        self._memory = {}
        self._vm_problem = None
        # Why machines may be hidden from the account, in words; [] where it may read everything.
        self.blind_spots = controller_facts.blind_spots(session)

    def begin_hosts(self):
        """Have the server gather the properties of many hosts while their machines are read."""
        with contextlib.suppress(Lost, SoapFault):  # what is wrong is told when they are read
            self._begun = begin(self._session, host_facts.PROPERTIES, self._inventory.unknown)

    def read_machines(self, share=None):
        """All machines, by host. Where they cannot be read, every host's `vms` says why."""
        names, count = self._inventory.datastore_names(), 0

        def read(found):
            host = found.values.get("runtime.host")
            try:
                entry, errors = machines.entry(found, names, self._inventory.release_of(host))
            except SHAPE as error:
                entry = {"id": str(found.moid)}
                errors = [{"path": "vms[%s]" % found.moid, "reason": strange(error)}]
            return found.moid, host, entry, errors

        try:
            for moid, host, entry, errors in in_view(
                self._session, machines.PROPERTIES, self._inventory.unknown, read, share
            ):
                self.machines.setdefault(host, []).append(entry)
                self._errors.setdefault(host, []).extend(errors)
                self.uuids[moid] = entry["id"]
                if host is None:
                    self._without_host.add(moid)
                self._weigh(host, entry)
                count += 1
                if count % 250 == 0:
                    self._progress(0, len(self._inventory.hosts), count)
        except SoapFault as error:
            self._vm_problem = str(error)
        self._progress(0, len(self._inventory.hosts), count)

    def named(self):
        """{id: (name, id of its parent, None where it was not read)} of hosts and datastores."""
        named = [*self._inventory.hosts.values(), *self._inventory.datastores.values()]
        return {found.moid: (found.name, found.values.get("parent")) for found in named}

    def _weigh(self, host, entry):
        """Add a machine's memory to that of its host; None from the first one on that does not tell."""
        size = {None: None, "poweredOn": number(entry.get("mem_max_b"))}.get(entry.get("power"), 0)
        before = self._memory.get(host, 0)
        self._memory[host] = None if size is None or before is None else before + size

    def controller(self, denied):
        """The vCenter's own subject."""
        facts = Facts()
        facts.put("host.name", self._session.endpoint.name)
        controller_facts.about(facts, self.about)
        controller_facts.fill(facts, self._session, self._inventory, self, denied)
        document = facts.finished(now(), controller_facts.PARTS, {})
        return Subject("controller", self._session.endpoint.name, self.about.get("instanceUuid"), document)

    def hosts(self, threads):
        """Each host, in the server's order; those without a live connection have a reason instead of facts."""
        waiting = dict(self._inventory.hosts)
        machines_read = sum(len(entries) for entries in self.machines.values())
        done = 0
        for moid, found in self._inventory.hosts.items():
            if not reachable(found):
                waiting.pop(moid)
                done += 1
                yield self._silent(found)
        for moid, cluster in self._inventory.unseen_hosts():
            yield Subject("host", moid, None, reason="not read: the account may not see this host of %s" % cluster)
        try:
            for moid, subject in ahead(threads, self._host, self._live()):
                waiting.pop(moid, None)
                done += 1
                self._progress(done, len(self._inventory.hosts), machines_read)
                yield subject
        except (Lost, SoapFault) as error:
            for found in waiting.values():
                yield self._silent(found, "not read: %s" % error)
            return
        for found in waiting.values():
            yield self._silent(found, "not read: the host has left %s during the audit" % self._session.endpoint.name)

    def _live(self):
        for found in in_view(self._session, host_facts.PROPERTIES, self._inventory.unknown, begun=self._begun):
            if reachable(found):
                yield found

    def _silent(self, found, reason=None):
        state = found.values.get("runtime.connectionState", "unknown")
        return Subject(
            "host",
            found.name,
            found.values.get("hardware.systemInfo.uuid"),
            reason=reason or "unreachable: the host is %s at %s" % (state, self._session.endpoint.name),
        )

    def _host(self, found):
        """(id, Subject) of one host; runs in a thread. One that answers nonsense takes no other with it."""
        if self._chosen is not None and found.name not in self._chosen:
            return found.moid, self._silent(found, NOT_CHOSEN)
        try:
            return found.moid, self._read(found)
        except SHAPE as error:
            return found.moid, self._silent(found, strange(error))

    def _read(self, found):
        facts = Facts()
        read = host_facts.Read(found, self._inventory.unknown, self._inventory.distributed, self.stand_alone)
        host_facts.fill(facts, read)
        host_methods.encryption(facts, read)
        host_methods.fill(facts, read, self._session, found.moid)
        facts.put("host.controller", "" if self.stand_alone else self._session.endpoint.name)
        cluster, errors = self._inventory.cluster(found, self._memory)
        facts.put("cluster", cluster)
        facts.errors += errors
        facts.attempt("storage.datastores", lambda: self._datastores_of(facts, read))
        self._machines_of(facts, found)
        document = facts.finished(now(), HOST_PARTS, {})
        uuid = found.values.get("hardware.systemInfo.uuid")
        return Subject("host", found.name, uuid, document)

    def _datastores_of(self, facts, read):
        entries, errors = self._inventory.storage(many(read.told("datastore")))
        facts.errors += errors
        return entries

    def _machines_of(self, facts, found):
        if self._vm_problem:
            facts.lost("vms", self._vm_problem)
            facts.put("visibility", {"complete": False, "gaps": [self._vm_problem], "unmatched": []})
            return
        entries = self.machines.get(found.moid, [])
        facts.put("vms", entries)
        facts.errors += self._errors.get(found.moid, [])
        gaps = list(self.blind_spots)
        on_host = many(found.values.get("vm"))
        hidden = [moid for moid in on_host if moid not in self.uuids or moid in self._without_host]
        if hidden:
            gaps.append("the account may not see %d virtual machines of the host" % len(hidden))
        facts.put("visibility", {"complete": not gaps, "gaps": gaps, "unmatched": []})


def ahead(threads, work, items):
    """work(item) for each item, in their order, a bounded number of them at a time and waiting."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        pending = deque()
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) >= AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def now():
    """This machine's time, UTC, as ISO 8601."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
