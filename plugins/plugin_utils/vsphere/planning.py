# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would be done to the subjects of an endpoint: each is judged and planned as soon as it is read. No I/O."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.controller import CONTROLLER
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.alike import Alike
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.disposition import excepted_from
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import REBOOT, WHOLE, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.verdicts import Verdicts
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import port_group_vlans
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.port_group_vlans import Claims
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.controller_scope import Scope


@dataclass(frozen=True)
class Login:
    """Who this run is, as the endpoint sees it. address: where it comes from, None where it does not tell."""

    address: str | None = None
    name: str = ""


class Planning:
    """Plans the subjects of one endpoint, the vCenter before its hosts; only names of hosts and plans are kept.

    given: the options of the action enforce, and `account`. variables: gold_* of the inventory host. exceptions: the
    records of the register. checks: those to be enforced. own: see Situation.own_machines. of_all: whether the run is
    for all hosts.

    After end(): proposals {area: {host, or CONTROLLER after them: what would be done to it}}; waiting_elsewhere: names
    of hosts aside that wait for a restart.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        standard: Standard,
        variables: Mapping[str, Any],
        exceptions: Sequence[Mapping[str, Any]],
        checks: Sequence[str],
        login: Login,
        own: Mapping[str, Any],
        of_all: bool,
    ) -> None:
        self.proposals: dict[str, dict[str, Proposal]] = {}
        self.waiting_elsewhere: set[str] = set()
        self._given = given
        self._standard = standard
        self._judged = only(standard, checks)
        self._variables = variables
        self._exceptions = exceptions
        self._checks = checks
        self._login = login
        self._own = own
        self._named = port_groups(variables)
        self._alike = Alike()
        self._scopes = {area: Scope(standard, of_all=of_all) for area in given["areas"]}

    def __call__(self, name: str, subject: Mapping[str, Any], facts: Mapping[str, Any] | None, aside: bool) -> None:
        """name: of the host, or CONTROLLER. facts: None where nobody could read it. aside: it is not selected: nothing
        but whether it waits for a restart is of interest."""
        if facts is None:
            for scope in self._scopes.values():
                scope.claim(name, Claims(unread=True))
                self._unseen(name, subject, self._checks, scope)
            return
        # What hosts answer alike is read once, and planners get facts of their own.
        situation, unknown = self._situation(subject, plain(facts))
        if aside:
            self._look_aside(name, situation)
            return
        situation = replace(situation, own_machines=self._own)
        covered = _excepted(situation, self._checks)
        claims = Claims() if name == CONTROLLER else _claims(situation, self._named)
        for area, scope in self._scopes.items():
            planned = proposal.propose(area, situation, self._standard, "vsphere")
            spared = [proposal.propose(area, one, self._standard, "vsphere") for one in covered]
            scope.add(name, planned, spared)
            scope.claim(name, claims)
            if unknown.intersection(proposal.area_checks(self._standard, area, "vsphere")) and name != CONTROLLER:
                self._unseen(name, subject, unknown, scope)

    def end(self) -> Planning:
        """Itself, with what came of it."""
        self.proposals = self._found()
        return self

    def __getstate__(self) -> dict[str, Any]:
        # When it comes back from another process, only what came of it is of interest.
        return {"proposals": self._found(), "waiting_elsewhere": self.waiting_elsewhere}

    def _found(self) -> dict[str, dict[str, Proposal]]:
        return {area: scope.proposals(area) for area, scope in self._scopes.items()}

    def _unseen(self, name: str, subject: Mapping[str, Any], checks: Iterable[str], scope: Scope) -> None:
        """Note checks of a host that nobody could judge."""
        scope.unseen(name)
        scope.withheld(name, self._excepted_from(subject, checks))

    def _look_aside(self, name: str, situation: Situation) -> None:
        for area in self._scopes:
            if any(map(waits, proposal.propose(area, situation, self._standard, "vsphere").rows)):
                self.waiting_elsewhere.add(name)

    def _excepted_from(self, subject: Mapping[str, Any], checks: Iterable[str]) -> list[str]:
        """Those of the checks that an exception of the subject is about, whatever it would cover there."""
        now = dt.datetime.now(dt.timezone.utc)
        return [
            check for check in checks if excepted_from(self._exceptions, subject, now, self._standard.checks[check])
        ]

    def _situation(self, subject: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[Situation, frozenset[str]]:
        """What is known of one subject, and the checks that are unknown there."""
        values = self._alike.gold(gold.effective(self._variables, subject)).values
        results = assess(
            self._alike.clean(facts),
            standard=self._judged,
            gold=values,
            now=dt.datetime.now(dt.timezone.utc),
            subject=subject,
            exceptions=self._exceptions,
            alike=self._alike,
        )["results"]
        found = Verdicts.of(results)
        # A check that is judged elsewhere (on the vCenter, on its hosts) has no facts here to be planned from.
        wanted = found.judged if self._given["enforce"] == "always" else found.failing
        unknown = frozenset(result["check"] for result in results if result["measured"] == "unknown")
        situation = Situation(
            facts=facts,
            gold=values,
            checks=wanted - found.excepted,
            account=self._given["account"],
            source=self._login.address,
            known_as=self._login.name,
            allow_vm_changes=frozenset(uuid.lower() for uuid in self._given["allow_vm_changes"]),
            excepted={**found.items, **dict.fromkeys(found.excepted, frozenset({WHOLE}))},
            options=plain(self._given["options"]),
        )
        return situation, unknown


def only(standard: Standard, checks: Iterable[str]) -> Standard:
    """The standard with some of its checks, by id, and the measures that have one of them."""
    wanted = frozenset(checks)
    measures = [
        replace(measure, checks=[check for check in measure.checks if check.id in wanted])
        for measure in standard.measures.values()
    ]
    return replace(standard, measures={measure.id: measure for measure in measures if measure.checks})


def port_groups(variables: Mapping[str, Any]) -> frozenset[str]:
    """The names of port groups for which gold has a VLAN on some of the hosts.

    :raises ValueError: the gold configuration has another shape.
    """
    gold.effective(variables)
    overrides = variables.get("gold_overrides") or []
    given = [variables, *(entry["gold"] for entry in overrides)]
    return frozenset(str(name) for one in given for name in one.get(port_group_vlans.SETTING) or ())


def _claims(situation: Situation, named: frozenset[str]) -> Claims:
    """What one host has against changes of the port groups that gold names."""
    try:
        return port_group_vlans.claims(situation, named) if named else Claims()
    except proposal.FACTS_LACKING:
        return Claims(unread=True)


def waits(row: Mapping[str, Any]) -> bool:
    """Whether a row says of what was written already that it is in force after a restart."""
    return row["kind"] == "by_hand" and row.get("pending") == REBOOT


def _excepted(situation: Situation, checks: Sequence[str]) -> list[Situation]:
    """The same for each check that an exception covers, wholly or in part, as if there were none."""
    covered = [check for check in checks if situation.excepted.get(check)]
    return [replace(situation, checks=frozenset({check}), excepted={}) for check in covered]
