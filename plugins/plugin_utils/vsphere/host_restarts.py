# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart ESXi hosts that wait for it: one after the other in a cluster, a few clusters side by side.

That a host is put into maintenance mode is in the journal before it is, so that a controller that dies leaves a trace
by which dwp.hypervisor.revert takes it out again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import engine, maintenance
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.host import Host, read
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import VsphereError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import SHAPE, strange
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.inventory import CONNECTED
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.updated import no_restarts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import journal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import RESTART, Journal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.restart_rules import Refusal, refusal

# Clusters in which a host is restarted at the same time.
AT_ONCE = 4
# How long a host that is back may take until high availability counts on it again, in seconds.
SETTLE_SECONDS = 300
PATHS = (maintenance.PARENT, maintenance.MAINTENANCE)
Entry = dict[str, Any]
LogIn = Callable[[], AbstractContextManager[Any]]


class Restarts:
    """Of one endpoint, in an open session.

    log_in: opens a further session. prove_seconds: how long the proof of a host that is back may take; return_seconds:
    how long it may take to come back. say: shows a line to the operator.
    """

    def __init__(
        self,
        session: Any,
        log_in: LogIn,
        kept: Journal,
        run_id: str,
        prove_seconds: int,
        say: Callable[[str], None],
        return_seconds: float = maintenance.RETURN_SECONDS,
    ) -> None:
        self._session = session
        self._log_in = log_in
        self._journal = kept
        self._run_id = run_id
        self._prove_seconds = prove_seconds
        self._return_seconds = return_seconds
        self._say = say
        self._lock = threading.Lock()
        self._stopped = ""
        self._unfinished: dict[str, journal.Record] = {}

    def left_behind(self) -> list[str]:
        """A line for each of the hosts that a run before has put into maintenance mode and that are in it still."""
        traces = self._journal.unfinished()
        if not traces:
            return []
        hosts = read(self._session, PATHS)
        return [
            f"{host.name}: {left_behind(traces[host.uuid])}"
            for host in hosts.values()
            if host.uuid in traces and _in_maintenance(host)
        ]

    def would(self, waiting: Mapping[str, Sequence[str]]) -> Entry:
        """Which hosts would be restarted as things are, and which not, and why. waiting: {host: checks that wait}."""
        done = no_restarts()
        self._unfinished = self._journal.unfinished()
        for group in self._clusters(waiting, done):
            for host in group:
                refused, cluster, _vsan = self._asked(host)
                if refused:
                    done["left"][host.name] = refused.reason
                else:
                    done["restarted"][host.name] = {
                        "checks": list(waiting[host.name]), "cluster": cluster, "seconds": 0.0,
                    }  # fmt: skip
        return done

    def restart(self, waiting: Mapping[str, Sequence[str]]) -> Entry:
        """Restart them. No further host is begun anywhere once one has failed.

        :raises ValueError, OSError: nothing was restarted: another run is at it, or the journal cannot be written.
        """
        done = no_restarts()
        with self._journal.locked():
            self._unfinished = self._journal.unfinished()
            pool = ThreadPoolExecutor(max_workers=AT_ONCE)
            try:
                running = [
                    pool.submit(self._cluster, group, waiting, done) for group in self._clusters(waiting, done)
                ]  # fmt: skip
                for future in running:
                    future.result()
            finally:
                # Who interrupts this waits for the hosts that are being restarted, and no further one is begun.
                self._stopped = self._stopped or "the run"
                pool.shutdown(cancel_futures=True)
        return done

    def _clusters(self, waiting: Mapping[str, Sequence[str]], done: Entry) -> list[list[Host]]:
        """The hosts, by name, of each cluster; a host outside of clusters is alone."""
        hosts = read(self._session, PATHS, frozenset(waiting))
        for name in sorted(set(waiting) - set(hosts)):
            done["left"][name] = "it is not there any more"
        groups: dict[str, list[Host]] = {}
        for name in sorted(hosts):
            try:
                groups.setdefault(str(hosts[name].known(maintenance.PARENT)), []).append(hosts[name])
            except engine.SERVER_ERRORS as error:
                done["left"][name] = str(error)
        return list(groups.values())

    def _cluster(self, group: Sequence[Host], waiting: Mapping[str, Sequence[str]], done: Entry) -> None:
        begun = False
        for host in group:
            if self._stopped:
                done["left"][host.name] = f"not attempted, as {self._stopped} failed before it"
                continue
            refused, cluster, vsan = self._asked(host, SETTLE_SECONDS if begun else 0)
            if refused:
                done["left"][host.name] = refused.reason
                continue
            begun, started = True, time.monotonic()
            self._tell(f"{host.name} of {cluster or 'no cluster'}: into maintenance mode, to be restarted")
            try:
                fault = self._one(host, vsan)
            except (ValueError, OSError) as error:
                fault = f"the journal: {error}"
            seconds = round(time.monotonic() - started, 1)
            if fault:
                self._stopped = self._stopped or host.name
                done["faults"][host.name] = fault
            else:
                done["restarted"][host.name] = {
                    "checks": list(waiting[host.name]), "cluster": cluster, "seconds": seconds,
                }  # fmt: skip
                self._tell(f"{host.name}: restarted in {seconds} s")

    def _asked(self, host: Host, patience: float = 0) -> tuple[Refusal | None, str, bool]:
        """(why it may not go, its cluster's name, whether that has vSAN), as things are now.

        patience: for how many seconds it is asked again where the reason may pass.
        """
        deadline, pause = time.monotonic() + patience, maintenance.SHORT
        while True:
            found = self._once(host)
            if not (found[0] and found[0].passing) or time.monotonic() > deadline:
                return found
            time.sleep(pause)
            pause = min(2 * pause, maintenance.LONG)

    def _once(self, host: Host) -> tuple[Refusal | None, str, bool]:
        try:
            around = maintenance.around(self._session, host)
            if host.name not in around["members"]:
                return Refusal("it was renamed meanwhile"), "", False
            refused = refusal(host.name, around)
        except engine.SERVER_ERRORS as error:
            return Refusal(f"what its restart would cost was not read: {error}"), "", False
        except SHAPE as error:
            return Refusal(f"what its restart would cost was not read: {strange(error)}"), "", False
        cluster = around["cluster"] or {"name": "", "vsan": False}
        trace = self._unfinished.get(host.uuid)
        if refused and trace and around["members"][host.name]["maintenance"]:
            refused = Refusal(left_behind(trace))
        return refused, cluster["name"], cluster["vsan"]

    def _one(self, host: Host, vsan: bool) -> str:
        """Restart a host; returns what went wrong."""
        kept = {"kind": "maintenance", "name": "", "old": False, "new": True, "checks": []}
        with self._lock:
            record = self._journal.start(
                RESTART, self._run_id, [{"name": host.name, "uuid": host.uuid, "settings": [kept]}]
            )
        entry = record["hosts"][0]
        try:
            fault, known = self._through(host, vsan)
            if not fault:
                entry["state"] = journal.REVERTED
                return ""
            out, told = self._taken_out(host, known)
            entry.update(state=journal.ROLLED_BACK if out else journal.STARTED, reason=f"{fault}; {told}"[:1000])
            return f"{fault}; {told}"
        finally:
            self._journal.keep(record)

    def _through(self, host: Host, vsan: bool) -> tuple[str, bool]:
        """(what went wrong, whether it is known what became of the last step)."""
        try:
            maintenance.enter(host, vsan)
            asked = maintenance.restart(host)
            fault = maintenance.returned(self._ways_in(), host, asked, self._return_seconds)
            if fault:
                return f"it did not come back within {self._return_seconds:.0f} s: {fault}", True
            with self._ways_in()() as session:
                maintenance.leave(host.again(PATHS, session))
        except engine.SERVER_ERRORS as error:
            return str(error), not isinstance(error, VsphereError)
        return str(engine.prove(self._log_in, host, self._prove_seconds)), True

    def _taken_out(self, host: Host, known: bool) -> tuple[bool, str]:
        """Take a host out of maintenance mode that was put into it; (whether it is out, what to tell)."""
        try:
            with self._ways_in()() as session:
                now = host.again(PATHS, session)
                if now.connection != CONNECTED:
                    return False, (
                        f"it is {now.connection} and may still be in maintenance mode: when it is back, "
                        "dwp.hypervisor.revert takes it out"
                    )
                if not maintenance.current(now, ""):
                    later = "" if known else "; if it enters it later, dwp.hypervisor.revert takes it out"
                    return known, f"it is not in maintenance mode{later}"
                maintenance.leave(now)
        except engine.SERVER_ERRORS as error:
            return False, f"it could NOT be taken out of maintenance mode: {error}; dwp.hypervisor.revert tries again"
        return True, "it was taken out of maintenance mode"

    def _ways_in(self) -> LogIn:
        """Of a vCenter the session that is open; of a host that is asked itself a new one, as its own ends with it."""
        through = self._session.content["about"]["apiType"] == "VirtualCenter"
        return (lambda: nullcontext(self._session)) if through else self._log_in

    def _tell(self, line: str) -> None:
        with self._lock:
            self._say(visible(line))


def _in_maintenance(host: Host) -> bool:
    try:
        return maintenance.current(host, "") is True
    except engine.SERVER_ERRORS:
        return False


def left_behind(record: Mapping[str, Any]) -> str:
    """What to do about a host that a run has left in maintenance mode. record: the journal's."""
    return (
        f"run {record['run_id']} on {record['controller']} put it into maintenance mode and did not take it out: see "
        f"whether it is well; dwp.hypervisor.revert with hypervisor_areas: [{RESTART}] and hypervisor_revert_run: "
        f"{record['run_id']} takes it out"
    )
