# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small packet evaluator: which peers a ruleset lets through for one kind of packet and one port.

It runs sets of addresses, not single packets, through all base chains of a hook: a drop in any of them is final, an
accept only ends its own base chain (nft(8), "Verdict statements"; a drop in our table beats an accept in libvirt's).
A peer in `sure` gets through, a peer in `maybe` gets through or not depending on something nobody here understands,
every other peer is stopped. Conditions that the peer chooses himself (source port, pace) never keep him out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.packet_match import (
    FREE,
    MAX_PORT,
    UNKNOWN,
    Packet,
    Test,
    alternatives,
    match,
)

# The kernel refuses deeper jumps (NFT_JUMP_STACK_SIZE), so a ruleset that needs more did not come from a kernel.
MAX_JUMPS = 16
# Rules looked at for all questions about one ruleset; one that needs more (hostile, or a very large node) is answered
# "maybe". firewalld with two zones needs 3,000.
MAX_STEPS = 100_000
FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
VERDICTS = ("accept", "drop", "reject", "return")
BEFORE = {"input": ("prerouting", "input"), "forward": ("prerouting", "forward"), "output": ("output",)}


@dataclass(frozen=True)
class Flow:
    """Peers whose packets are at one point of the ruleset, for certain or perhaps."""

    sure: AddressSet
    maybe: AddressSet

    def __bool__(self) -> bool:
        return bool(self.sure) or bool(self.maybe)

    def __or__(self, other: Flow) -> Flow:
        return Flow(self.sure | other.sure, self.maybe | other.maybe) if other else self

    @property
    def doubtful(self) -> Flow:
        return Flow(AddressSet(self.sure.family), self.sure | self.maybe)

    @property
    def unclear(self) -> AddressSet:
        """Peers of whom it cannot be said whether they get through."""
        return self.maybe - self.sure


class _TooLong(Exception):
    """The budget of steps is spent."""


@dataclass
class Budget:
    """Steps left; one budget may serve many filters."""

    steps: int = MAX_STEPS


@dataclass(frozen=True)
class _Step:
    """One statement, made ready: a condition, or verdicts that each have a condition of their own."""

    tests: list[list[Test]]
    negated: bool = False
    verdicts: tuple[tuple[list[list[Test]], Any], ...] = ()
    opaque: bool = False

    @property
    def decides(self) -> bool:
        return self.opaque or bool(self.verdicts)

    @property
    def vague(self) -> bool:
        return any(
            test in (FREE, UNKNOWN) for conjunction in self.tests for test in conjunction if isinstance(test, str)
        )

    @property
    def never(self) -> bool:
        """A condition that no packet of this kind meets."""
        if self.decides:
            return False
        if self.negated:
            return any(all(test is True for test in conjunction) for conjunction in self.tests)
        return all(False in conjunction for conjunction in self.tests)


def flags_of(tables: Sequence[Mapping[str, Any]], own: Iterable[str] = ()) -> dict[str, bool]:
    """The Packet flags of a ruleset; own: the host's addresses, to know rewritten destinations that are this host."""
    statements = [
        statement
        for table in tables
        for chain in _mapping(table, "chains").values()
        for rule in _list(chain, "rules")
        for statement in (rule if isinstance(rule, list) else [])
    ]
    addresses = set(own) | {"redirect", "?"}
    targets = [target for table in tables for target in _list(table, "dnat")]
    return {
        "marks": "mark" in statements,
        "untracked": "notrack" in statements,
        "dnat": any(not isinstance(to, str) or to in addresses or to.rsplit(":", 1)[0] in addresses for to in targets),
    }


class Filter:
    """A ruleset made ready for one kind of packet.

    :raises MissingFact: a chain whose hook, or a table whose family, was not read.
    """

    def __init__(self, tables: Sequence[Mapping[str, Any]], packet: Packet, budget: Budget | None = None):
        self.packet = packet
        self._chains: dict[tuple[int, str], list[list[_Step]]] = {}
        self._tables = [table for table in tables if packet.family in FAMILIES.get(_need(table, "family"), ())]
        self._none = Flow(AddressSet(packet.family), AddressSet(packet.family))
        self._budget = budget or Budget()
        self._bases = [
            (number, name, chain)
            for hook in BEFORE[packet.hook]
            for number, table in enumerate(self._tables)
            for name, chain in _mapping(table, "chains").items()
            if "hook" in chain and _need(chain, "hook") == hook
        ]
        for number, name, _chain in self._bases:
            self._prepare(number, name)

    def spans(self) -> set[int]:
        """The ports at which the answer may change: the first port of every interval any rule tells apart."""
        found = {0}
        for steps in (step for chain in self._chains.values() for rule in chain for step in rule):
            for tests in [steps.tests, *(condition for condition, _verdict in steps.verdicts)]:
                for test in (test for conjunction in tests for test in conjunction):
                    if isinstance(test, tuple):
                        found.update(edge for low, high in test for edge in (low, high + 1) if 0 <= edge <= MAX_PORT)
        return found

    def through(self, peers: AddressSet, port: int) -> Flow:
        """The peers among `peers` whose packet to `port` (for output: our packet to theirs) passes every base chain."""
        flow = Flow(peers, AddressSet(peers.family))
        try:
            for number, name, chain in self._bases:
                accepted, fallen = self._chain(number, name, flow, port, 0)
                policy = chain.get("policy")
                if policy == "accept":
                    accepted |= fallen
                elif policy != "drop":
                    accepted |= fallen.doubtful
                flow = accepted
                if not flow:
                    break
        except _TooLong:
            return Flow(AddressSet(peers.family), peers)
        return flow

    # Making ready

    def _prepare(self, number: int, name: str) -> None:
        waiting = [name]
        while waiting:
            chain = waiting.pop()
            known = _mapping(self._tables[number], "chains")
            if (number, chain) in self._chains or chain not in known:
                continue
            sets = _mapping(self._tables[number], "sets")
            ready = []
            for rule in _list(known[chain], "rules"):
                steps = self._rule(rule if isinstance(rule, list) else [None], sets)
                if steps is not None:
                    ready.append(steps)
                    waiting += [target for step in steps for target in _targets(step)]
            self._chains[number, chain] = ready

    def _rule(self, rule: list[Any], sets: Mapping[str, Any]) -> list[_Step] | None:
        """The steps of a rule, or None where it can never match this kind of packet or decides nothing."""
        steps: list[_Step] = []
        for statement in rule:
            step = self._statement(statement, sets)
            if step is None:
                continue
            if step.never:
                break
            steps.append(step)
        while steps and not steps[-1].decides:
            steps.pop()
        # The conditions of a rule have no effects, so their order is free: what is certain comes first, lest a
        # condition nobody understands cast doubt on packets the rule cannot concern.
        first = next((number for number, step in enumerate(steps) if step.decides), 0)
        return sorted(steps[:first], key=lambda step: step.vague) + steps[first:] or None

    def _statement(self, statement: Any, sets: Mapping[str, Any]) -> _Step | None:
        try:
            return self._understood(statement, sets)
        except (TypeError, KeyError, ValueError, AttributeError, IndexError, RecursionError):
            # Not the shape nft writes: it could say anything about the packets that come this far.
            return _Step([], opaque=True)

    def _understood(self, statement: Any, sets: Mapping[str, Any]) -> _Step | None:
        if not isinstance(statement, dict):
            if statement in ("mark", "notrack", "continue"):
                return None
            return _Step([], verdicts=(([[]], statement),)) if statement in VERDICTS else _Step([], opaque=True)
        if len(statement) == 1:
            kind, body = next(iter(statement.items()))
            if kind in ("jump", "goto") and isinstance(body, str):
                return _Step([], verdicts=(([[]], {kind: body}),))
            if kind == FREE:
                return _Step([[FREE]])
            if kind == "match":
                tests, negated = match(body, self.packet, sets)
                return _Step(tests, negated)
            if kind == "vmap":
                return _Step([], verdicts=tuple(self._vmap(body, sets)))
        return _Step([], opaque=True)

    def _vmap(self, body: Mapping[str, Any], sets: Mapping[str, Any]) -> Iterable[tuple[list[list[Test]], Any]]:
        data = body["data"]
        if isinstance(data, str):
            found = sets.get(data.lstrip("@"))
            if not isinstance(found, dict) or found.get("unread") != "" or found.get("changes") is not False:
                # Packets that change the map may be let in by it; so may those of a map that was not read.
                data = [["*", {"opaque": "verdict map"}]]
            else:
                data = found["elements"]
        # The catch-all element stands anywhere in the list and decides last.
        for entry in sorted(data, key=lambda entry: entry[0] == "*"):
            tests: list[list[Test]] = (
                [[]] if entry[0] == "*" else alternatives(body["key"], entry[0], self.packet, sets)
            )
            yield tests, entry[1]

    # Running

    def _chain(self, number: int, name: str, flow: Flow, port: int, depth: int) -> tuple[Flow, Flow]:
        """Run a chain. Returns (accepted, back at the caller)."""
        accepted = returned = self._none
        if depth > MAX_JUMPS or (number, name) not in self._chains:
            return flow.doubtful, flow.doubtful
        for rule in self._chains[number, name]:
            self._budget.steps -= 1
            if self._budget.steps < 0:
                raise _TooLong
            matched = flow
            rest = self._none
            # Where a rule can only accept, packets that miss it lose nothing: met or not, what lets them through later
            # lets them through for certain.
            harmless = rule[-1].verdicts == _ACCEPT and all(not step.decides for step in rule[:-1])
            for step in rule:
                if step.verdicts:
                    passed, back, matched = self._decide(number, step, matched, port, depth)
                    accepted |= passed
                    returned |= back
                elif step.opaque:
                    accepted |= matched.doubtful
                    matched = matched.doubtful
                else:
                    yes, no = self._split(step.tests, matched, port)
                    before, (matched, missed) = matched, ((no, yes) if step.negated else (yes, no))
                    rest |= before if harmless and step.vague and matched.maybe and not matched.sure else missed
                if not matched:
                    break
            flow = rest | matched
            if not flow:
                break
        return accepted, returned | flow

    def _decide(self, number: int, step: _Step, flow: Flow, port: int, depth: int) -> tuple[Flow, Flow, Flow]:
        """Apply verdicts. Returns (accepted, returned to the caller of this chain, going on in this chain)."""
        accepted = returned = going_on = self._none
        for condition, verdict in step.verdicts:
            matched, flow = self._split(condition, flow, port)
            if not matched or verdict in ("drop", "reject"):
                continue
            if verdict == "accept":
                accepted |= matched
            elif verdict == "return":
                returned |= matched
            elif verdict == "continue":
                going_on |= matched
            elif isinstance(verdict, dict) and ("jump" in verdict or "goto" in verdict):
                kind, target = next(iter(verdict.items()))
                passed, back = self._chain(number, str(target), matched, port, depth + 1)
                accepted |= passed
                if kind == "jump":
                    going_on |= back
                else:
                    returned |= back
            else:
                accepted |= matched.doubtful
                going_on |= matched.doubtful
        return accepted, returned, going_on | flow

    def _split(self, tests: list[list[Test]], flow: Flow, port: int) -> tuple[Flow, Flow]:
        """Split a flow into what meets one of the alternatives and what meets none. Peers can be in both."""
        met = self._none
        for conjunction in tests:
            matched, missed = flow, self._none
            for test in conjunction:
                yes, no = self._one(test, matched, port)
                matched = yes
                missed |= no
            met |= matched
            flow = missed
        return met, flow

    def _one(self, test: Test, flow: Flow, port: int) -> tuple[Flow, Flow]:
        if isinstance(test, AddressSet):
            inside = Flow(flow.sure & test, flow.maybe & test)
            return inside, Flow(flow.sure - test, flow.maybe - test)
        if isinstance(test, tuple):
            test = any(low <= port <= high for low, high in test)
        if isinstance(test, bool):
            return (flow, self._none) if test else (self._none, flow)
        return (flow, flow) if test == FREE else (flow.doubtful, flow.doubtful)


_ACCEPT: Any = (([[]], "accept"),)


def _targets(step: _Step) -> list[str]:
    found = [next(iter(verdict.values())) for _tests, verdict in step.verdicts if isinstance(verdict, dict) and verdict]
    return [target for target in found if isinstance(target, str)]


def _mapping(holder: Any, key: str) -> Mapping[str, Any]:
    found = _need(holder, key)
    if not isinstance(found, dict):
        raise MissingFact(f"firewall.ruleset: {key} is not a mapping")
    return found


def _list(holder: Any, key: str) -> list[Any]:
    found = _need(holder, key)
    if not isinstance(found, list):
        raise MissingFact(f"firewall.ruleset: {key} is not a list")
    return found


def _need(holder: Any, key: str) -> Any:
    found = holder.get(key) if isinstance(holder, dict) else None
    if found is None:
        raise MissingFact(f"firewall.ruleset: {key} was not read")
    return found
