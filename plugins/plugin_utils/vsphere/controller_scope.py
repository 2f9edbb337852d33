# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts ask for and their vCenter holds: clusters, distributed switches. Asked by many, set once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.controller import CONTROLLER
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.kinds import CONTROLLER_KINDS, KINDS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, by_hand
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Proposal, merged
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.port_group_vlans import Claims
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import same_named

# What holds at once for every machine that is connected, on whatever host: all of them have to be allowed.
OF_MACHINES = frozenset(("distributed_security",))


class Scope:
    """The proposals of one area, gathered over the subjects of an endpoint.

    of_all: whether the run is for all its hosts. Where it is not, the vCenter and what hosts share stay as they are:
    hosts that were left out would change with it, and nobody has looked what they are excepted from.
    """

    def __init__(self, standard: Standard, of_all: bool = True) -> None:
        self._standard = standard
        self._of_all = of_all
        self._own: dict[str, Proposal] = {}
        self._asked: list[Row] = []
        self._spared: set[tuple[str, str]] = set()
        self._unseen: list[str] = []
        self._withheld: dict[str, str] = {}
        self._claims: dict[str, Claims] = {}

    def unseen(self, name: str) -> None:
        """A host that is there and whose machines nobody could judge."""
        self._unseen.append(name)

    def withheld(self, name: str, checks: Iterable[str]) -> None:
        """Checks that nobody could judge on a host, and that it has an exception for: what it shares is not known."""
        for check in checks:
            self._withheld.setdefault(check, name)

    def claim(self, name: str, claims: Claims) -> None:
        """What a host has against changes that others may ask for."""
        self._claims[name] = claims

    def add(self, name: str, planned: Proposal, excepted: Iterable[Proposal] = ()) -> None:
        """One subject, by name. excepted: what would be done to it if its exceptions did not cover their checks."""
        if name != CONTROLLER:
            self._asked += [row for row in planned.rows if _shared(row)]
            # What one host is excepted from or may not have done, another may not bring about by what both share.
            self._spared |= {
                (row["instead_of"][0], row["instead_of"][1]) for row in planned.rows if "instead_of" in row
            }
            for one in excepted:
                asked = {_subject(row) for row in planned.rows if set(row["checks"]) & set(one.checks)}
                self._spared |= {_subject(row) for row in one.rows if _shared(row)} - asked
            planned = replace(planned, rows=tuple(row for row in planned.rows if not _shared(row)))
        if planned.checks:
            self._own[name] = planned

    def proposals(self, area: str) -> dict[str, Proposal]:
        """{host, or CONTROLLER: what would be done}; the vCenter comes last, as hosts are proved through it."""
        found = same_named.together(area, self._own, self._claims, self._standard)
        own = found.pop(CONTROLLER, Proposal(area, ()))
        if not self._of_all:
            left = _left_to_all([*own.rows, *(row for row in self._asked if not self._left_alone(row))])
            return {**found, CONTROLLER: Proposal(area, tuple(left["checks"]), (left,))} if left["checks"] else found
        asked = [self._left_alone(row) or row for row in self._asked]
        rows = merged([*own.rows, *asked])
        checks = dict.fromkeys([*own.checks, *(check for row in asked for check in row["checks"])])
        if checks:
            risks = [self._risk(check) for row in asked if _shared(row) for check in row["checks"]]
            lockout = max([own.lockout, *risks])
            found[CONTROLLER] = replace(own, checks=tuple(checks), rows=tuple(rows), lockout=lockout)
        return found

    def _left_alone(self, row: Row) -> Row | None:
        """What a person has to decide instead of a row, None where it may be set."""
        if _subject(row) in self._spared:
            why = "one of the hosts that share it has an exception or may not be changed"
        elif held := [self._withheld[check] for check in row["checks"] if check in self._withheld]:
            why = f"{held[0]} could not be judged, and has an exception for it if it shares it"
        elif against := [f"{name}: {found}" for name, claims in self._claims.items() if (found := claims.against(row))]:
            why = against[0]
        elif (values := self._values(row)) and len(values) > 1:
            why = f"the gold configuration gives its hosts different values, {', '.join(values)}"
        elif row["kind"] in OF_MACHINES and self._unseen:
            why = f"{self._unseen[0]} could not be judged, and a machine there may be connected that may not be changed"
        else:
            return None
        return {**by_hand(f"{_called(row)}: left alone, as {why}"), "checks": row["checks"]}

    def _values(self, row: Row) -> Sequence[str]:
        """What the hosts that share a setting ask for, each value once."""
        return sorted({str(one["value"]) for one in self._asked if _subject(one) == _subject(row)})

    def _risk(self, check: str) -> int:
        return int(self._standard.checks[check].disruption["lockout"])


def _left_to_all(rows: Iterable[Row]) -> Row:
    """One line for all that a run of some hosts does not set."""
    rows = [row for row in rows if _shared(row)]
    called = dict.fromkeys(_called(row) for row in rows)
    checks = dict.fromkeys(check for row in rows for check in row["checks"])
    return {**by_hand(f"left to a run of all hosts: {', '.join(called)}"), "checks": list(checks)}


def _subject(row: Row) -> tuple[str, str]:
    return row["kind"], row["name"]


def _called(row: Row) -> str:
    kind = KINDS[row["kind"]]
    return kind.title % row["name"] if "%" in kind.title else kind.title


def _shared(row: Row) -> bool:
    return row["kind"] in CONTROLLER_KINDS
