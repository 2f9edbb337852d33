# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enforce areas on the ESXi hosts of one endpoint and on the vCenter itself, in one session."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from functools import partial
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import collector, own_machines
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.controller import CONTROLLER
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.engine import SERVER_ERRORS
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.kinds import CUTTING_OFF
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.answer import nothing
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import REBOOT
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.side_by_side import Elsewhere, several_cores
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import several, visible
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.updated import no_restarts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import (
    endpoint_audit,
    host_restarts,
    host_selection,
    planning,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.host_changes import Done, Hosts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.journal import Journal

Entry = dict[str, Any]
NOT_SELECTED = f"it is not selected ({host_selection.VARIABLE})"


class Enforcement:
    """One call of the action enforce for an endpoint.

    given: the action's options. variables: gold_* of the inventory host. base: what its subjects have in common.
    exceptions: the records of the register. say: shows a line to the operator.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        standard: Standard,
        variables: Mapping[str, Any],
        base: Mapping[str, Any],
        exceptions: Sequence[Mapping[str, Any]],
        say: Callable[[str], None],
    ) -> None:
        self._given = given
        self._standard = standard
        self._variables = variables
        self._base = dict(base)
        self._exceptions = exceptions
        self._say = say
        # What waits for a restart of its host: {host: checks}, of what areas have set and of what was set before.
        self._waiting: dict[str, list[str]] = {}
        # The same of hosts that are not selected, and that nobody restarts.
        self._waiting_elsewhere: set[str] = set()
        self.restarts = no_restarts()
        # Whose names are in the answers: hosts whose subjects were read.
        self.unread: dict[str, str] = {}
        # Names of the ESXi hosts the run is for; None: all of them, their vCenter and what they share.
        self.selected: frozenset[str] | None = None

    def run(
        self, endpoint: Any, checks: Sequence[str], check_mode: bool, ready: Callable[[], None]
    ) -> dict[str, Entry]:
        """{area: what became of it}, see plugins/modules/enforce.py; `restarts` then says what became of the hosts.

        ready: returns when the hosts may be changed, and raises what is in the way.

        :raises VsphereError, SoapFault: the endpoint cannot be used.
        :raises ValueError: a pattern of the hosts to be changed matches none; nothing was changed.
        """
        with logged_in(endpoint) as session:
            proposals = self._proposals(session, endpoint.name, checks)
            ready()
            kept = Journal(self._given["state_dir"], endpoint.name)
            hosts = Hosts(session, lambda: logged_in(endpoint), kept, self._given["rollback_seconds"])
            refused = {area: reason for area, found in proposals.items() if (reason := _refusal(found))}
            done: dict[str, Entry] = {}
            for area, found in proposals.items():
                failed = [name for name, entry in done.items() if entry["faults"]]
                if area in refused:
                    done[area] = {**empty_entry(), "refused": refused[area]}
                elif refused and not check_mode and self._given["state"] == "applied":
                    # Everything is planned before anything is changed.
                    done[area] = {**empty_entry(), "deferred": f"not attempted, as {next(iter(refused))} is refused"}
                elif failed:
                    done[area] = {**empty_entry(), "deferred": f"not attempted, as {failed[0]} failed before it"}
                else:
                    done[area] = self._tried(area, found, hosts, check_mode)
            if self._given["state"] == "applied":
                restarts = host_restarts.Restarts(
                    session, lambda: logged_in(endpoint), kept, self._given["run_id"], self._given["rollback_seconds"],
                    self._tell,
                )  # fmt: skip
                self._tell_left_behind(restarts)
                self._restart(restarts, done, check_mode)
                for area, found in proposals.items():
                    if done[area]["by_hand"]:
                        done[area]["by_hand"] = _by_hand(found, self.restarts["restarted"])
            return done

    def _tell_left_behind(self, restarts: host_restarts.Restarts) -> None:
        try:
            lines = restarts.left_behind()
        except (*SERVER_ERRORS, ValueError, OSError) as error:
            lines = [f"whether a run before has left hosts in maintenance mode is not known: {error}"]
        for line in lines:
            self._tell(line)

    def _tell(self, line: str) -> None:
        self._say(visible(f"  {self._base['endpoint']} {line}"))

    def _restart(self, restarts: host_restarts.Restarts, done: Mapping[str, Entry], check_mode: bool) -> None:
        """Restart what waits for it, where the operator allows it and every area has been set."""
        if not self._may_restart:
            return
        stopped = [name for name, entry in done.items() if entry["refused"] or entry["faults"]]
        if self._waiting and stopped:
            why = f"not restarted, as {stopped[0]} was refused or failed"
            self.restarts = {**no_restarts(), "left": dict.fromkeys(sorted(self._waiting), why)}
        elif self._waiting:
            try:
                self.restarts = (restarts.would if check_mode else restarts.restart)(self._waiting)
            except (*SERVER_ERRORS, ValueError, OSError) as error:
                self.restarts = {**no_restarts(), "faults": {self._base["endpoint"]: str(error)}}
        self.restarts["left"].update(dict.fromkeys(sorted(self._waiting_elsewhere), NOT_SELECTED))

    @property
    def _may_restart(self) -> bool:
        return bool(self._given["options"].get("restart_esxi_hosts")) and self._given["state"] == "applied"

    def _tried(self, area: str, found: Mapping[str, Proposal], hosts: Hosts, check_mode: bool) -> Entry:
        """What became of an area. Where it breaks off, what the areas before it have set is told all the same."""
        try:
            return self._area(area, found, hosts, check_mode)
        except (*SERVER_ERRORS, ValueError, OSError) as error:
            return {**empty_entry(), "by_hand": _by_hand(found), "faults": {self._base["endpoint"]: str(error)}}

    def _proposals(self, session: Any, name: str, checks: Sequence[str]) -> dict[str, dict[str, Proposal]]:
        """{area: {host: what would be done to it}}; a host's facts are let go as soon as it is planned.

        The vCenter is among the hosts, as CONTROLLER, after them: what they share is set there once.

        :raises ValueError: see run.
        """
        choose = partial(self._choose, session) if self._given["esxi_hosts"] else None
        login = _login(session)
        named = planning.port_groups(self._variables)
        here = planning.Planning(
            self._given,
            self._standard,
            self._variables,
            self._exceptions,
            checks,
            login,
            own_machines.found(session, login.address) if named else {},
            choose is None,
        )
        plan: planning.Planning | Elsewhere[planning.Planning] = here
        names = endpoint_audit.Names(self._base)
        progress = endpoint_audit.Progress(name, self._say)
        controller = None
        for read in collector.collect(session, (), progress, choose=choose):
            subject = names.subject(read, controller)
            if read.kind == "controller":
                controller = subject
            called = CONTROLLER if read.kind == "controller" else str(read.name)
            aside = called != CONTROLLER and self.selected is not None and read.name not in self.selected
            if read.facts is None and aside:
                continue
            if read.facts is None:
                self.unread[str(read.name)] = str(read.reason)
            plan(called, subject, read.facts, aside)
            if called == CONTROLLER and progress.of_hosts >= endpoint_audit.MANY_HOSTS and several_cores():
                plan = Elsewhere(here)
        planned = plan.end()
        self._waiting_elsewhere = planned.waiting_elsewhere
        return planned.proposals

    def _choose(self, session: Any, names: Sequence[str]) -> Collection[str]:
        """The hosts to read, once those to change are known.

        :raises ValueError: see run.
        """
        endpoint = str(self._base["endpoint"])
        stand_alone = session.content["about"]["apiType"] != "VirtualCenter"
        self.selected = host_selection.chosen(self._given["esxi_hosts"], names, endpoint, stand_alone)
        self._tell(
            f"{len(self.selected):,} of {len(names):,} ESXi hosts are selected: {several(sorted(self.selected))}"
        )
        # Whether another one waits for a restart is told by its facts.
        return names if self._may_restart else self.selected

    def _area(self, area: str, found: Mapping[str, Proposal], hosts: Hosts, check_mode: bool) -> Entry:
        entry = {**empty_entry(), "by_hand": _by_hand(found)}
        for name, planned in found.items():
            self.waits(name, [row["checks"] for row in planned.rows if planning.waits(row)])
        rows = {
            name: [row for row in planned.rows if row["kind"] != "by_hand"]
            for name, planned in found.items()
            if any(row["kind"] != "by_hand" for row in planned.rows)
        }
        if not rows:
            return entry
        if self._given["state"] == "planned":
            checks = {check for name in rows for check in found[name].checks}
            return {**entry, "planned": sorted(checks)}
        started = time.monotonic()
        if check_mode:
            done = hosts.differing(rows)
        else:
            guarded = [name for name in rows if found[name].guarded or _cuts_off(rows[name])]
            done = hosts.change(area, self._given["run_id"], rows, guarded)
        entry.update(self._done(done, rows), seconds=round(time.monotonic() - started, 1), change=done.change)
        return entry

    def waits(self, name: str, checks: Sequence[Sequence[str]]) -> None:
        """Note what waits for a restart of a host. checks: those of each setting."""
        for found in checks:
            self._waiting[name] = list(dict.fromkeys([*self._waiting.get(name, ()), *found]))

    def _done(self, done: Done, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> Entry:
        updated = {
            name: {
                change.setting: {
                    **dict(zip(("old", "new"), change.shown)),
                    "checks": change.checks,
                    "measures": sorted({self._standard.checks[check].measure for check in change.checks}),
                }
                for change in changes
            }
            for name, changes in done.changes.items()
        }
        for name, changes in done.changes.items():
            self.waits(name, [change.checks for change in changes if change.pending == REBOOT])
        waiting = dict.fromkeys(
            (check, name, row["pending"])
            for name in done.changes
            for row in rows[name]
            if row["pending"]
            for check in row["checks"]
        )
        # vSphere shows a machine's settings as they are set, and not whether it was started with them.
        pending = [
            {"check": check, "host": name, "waits_for": what, "unseen": what == "vm_power"}
            for check, name, what in waiting
        ]
        return {"updated": updated, "pending": pending, "faults": done.faults}


def _cuts_off(rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(row["kind"] in CUTTING_OFF for row in rows)


def empty_entry() -> Entry:
    """An area of which nothing became anything, on any host."""
    return {**nothing(), "faults": {}}


def _refusal(found: Mapping[str, Proposal]) -> str:
    """Why an area is refused, or nothing. What gold says is the same for all hosts: where it is refused on one, the
    others would be refused too, or be left half done."""
    common: dict[str, list[str]] = {}
    for name, planned in found.items():
        if planned.refusal:
            common.setdefault(planned.refusal, []).append(name)
    return several([f"{several(names)}: {refusal}" for refusal, names in common.items()], "; ")


def _by_hand(found: Mapping[str, Proposal], restarted: Container[str] = ()) -> list[Entry]:
    """One entry for what several hosts have in common. restarted: hosts that nobody has to restart any more."""
    common: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for name, planned in found.items():
        for row in planned.rows:
            if row["kind"] == "by_hand" and not (planning.waits(row) and name in restarted):
                common.setdefault((tuple(row["checks"]), row["what"]), []).append(name)
    return [
        {"checks": list(checks), "what": f"{several(names)}: {what}", "hosts": names}
        for (checks, what), names in common.items()
    ]


def _login(session: Any) -> planning.Login:
    try:
        current = session.instance.content.sessionManager.currentSession
    except Exception:  # pylint: disable=broad-except
        # pyVmomi raises whatever the server answers; without the address, what depends on it is refused.
        return planning.Login()
    if current is None:
        return planning.Login()
    return planning.Login(str(current.ipAddress or "") or None, str(current.userName or ""))
