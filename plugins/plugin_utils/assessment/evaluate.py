# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluate one check on one facts document. Pure: no I/O, no Ansible, never raises for what a target said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import registry
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.expect import describe, holds, resolve
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import Errors, lookup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import GoldSetting
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check


class Scope:
    """Where facts are looked up: the whole document, or one item of a list with the document behind it."""

    def __init__(
        self, facts: Mapping[str, Any], errors: Errors, base: str = "", item_id: str | None = None, entry: Any = None
    ):
        self._facts = facts
        self._errors = errors
        self._base = base
        self._item_id = item_id
        self._entry = entry

    def item(self, base: str, item_id: str, entry: Any) -> Scope:
        return Scope(self._facts, self._errors, base, item_id, entry)

    def value(self, path: str) -> Any:
        """The fact at `path`, relative to the item when there is one.

        :raises MissingFact: absent, null, or listed in collector.errors.
        """
        if self._item_id is None:
            return self.host_value(path)
        reason = self._errors.reason(f"{self._base}.{path}", self._item_id)
        return self._known(lookup(self._entry, path), path, reason)

    def host_value(self, path: str) -> Any:
        """The fact at `path` of the whole document. A trailing `?` allows it to be absent, but not to be in error."""
        bare = path.rstrip("?")
        reason = self._errors.reason(bare)
        found = lookup(self._facts, bare)
        if path.endswith("?") and reason is None:
            return found
        return self._known(found, bare, reason)

    @staticmethod
    def _known(found: Any, path: str, reason: str | None) -> Any:
        if reason is not None:
            raise MissingFact(reason)
        if found is None:
            raise MissingFact(f"{path} was not read")
        return found


def scope_of(facts: Mapping[str, Any]) -> Scope:
    """Where the checks of one facts document look."""
    return Scope(facts, Errors(_errors_of(facts)))


def evaluate(
    check: Check, facts: Mapping[str, Any], gold: Mapping[str, Any], settings: Mapping[str, GoldSetting]
) -> Outcome:
    """Return the measured outcome of one check on a facts document."""
    return outcome_of(check, scope_of(facts), gold, settings)


def outcome_of(check: Check, scope: Scope, gold: Mapping[str, Any], settings: Mapping[str, GoldSetting]) -> Outcome:
    """Return the measured outcome of a check. A gold value below its floor is a fail whatever the facts say, but what
    nobody could read is unknown: a weak gold value says nothing of a host."""
    found = _guarded(lambda: _applicable(check, scope, gold))
    faults = {name: fault for name in check.gold if (fault := settings[name].floor_fault(gold[name]))}
    if not faults or found.status == o.NOT_APPLICABLE:
        return found
    why = "; ".join(faults.values())
    if found.status == o.UNKNOWN:
        # A test may stumble over the weak value itself.
        usual = {**gold, **{name: settings[name].default for name in faults}}
        missing = _guarded(lambda: _applicable(check, scope, usual))
        if missing.status == o.UNKNOWN:
            return o.unknown(f"{missing.message}; {why}", found.actual, found.expected)
    return Outcome(o.FAIL, found.actual, found.expected, why, found.items, found.persistent)


def _errors_of(facts: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = lookup(facts, "collector.errors")
    if not isinstance(entries, list):
        return []
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _guarded(test: Callable[[], Outcome]) -> Outcome:
    try:
        return test()
    except MissingFact as error:
        return o.unknown(str(error))
    except Exception as error:  # pylint: disable=broad-except
        # A facts document of a shape no collector writes must not end an audit of a fleet, and must not pass.
        return o.unknown(f"the facts have an unexpected shape ({type(error).__name__}: {str(error)[:120]})")


def _applicable(check: Check, scope: Scope, gold: Mapping[str, Any]) -> Outcome:
    data = check.data
    if "manual" in data:
        return o.manual(data["manual"])
    for rule in data.get("not_applicable", []):
        value = scope.host_value(rule["fact"])
        if holds(value, resolve(rule["expect"], gold)):
            return o.not_applicable(rule["reason"], {rule["fact"]: value})
    if "each" in data:
        return _each(check, scope, gold)
    return _decide(check, scope, gold)


def _each(check: Check, scope: Scope, gold: Mapping[str, Any]) -> Outcome:
    data = check.data
    entries = scope.host_value(data["each"])
    if not isinstance(entries, list):
        raise MissingFact(f"{data['each']} is not a list")
    outcomes = []
    for number, entry in enumerate(entries):
        item_id = str(lookup(entry, data.get("id_key", "id")) or f"#{number}")
        inner = scope.item(data["each"], item_id, entry)
        selected = _guarded(lambda inner=inner: _selected(data, inner, gold))  # type: ignore[misc]
        if selected.status == o.PASS:
            outcomes.append(o.item(item_id, _guarded(lambda inner=inner: _decide(check, inner, gold))))  # type: ignore[misc]
        elif selected.status == o.UNKNOWN:
            outcomes.append(o.item(item_id, selected))
    empty = Outcome(data["empty"]["status"], [], None, data["empty"]["reason"])
    return o.combine(outcomes, empty=empty)


def _selected(data: Mapping[str, Any], scope: Scope, gold: Mapping[str, Any]) -> Outcome:
    chosen = all(holds(scope.value(rule["fact"]), resolve(rule["expect"], gold)) for rule in data.get("where", []))
    return Outcome(o.PASS if chosen else o.NOT_APPLICABLE)


def _decide(check: Check, scope: Scope, gold: Mapping[str, Any]) -> Outcome:
    data = check.data
    if "test" in data:
        facts = {name: scope.host_value(path) for name, path in data.get("facts", {}).items()}
        return registry.predicates(check.platform)[data["test"]](facts, {name: gold[name] for name in check.gold})
    if "all" in data:
        return _all(data["all"], scope, gold)
    found = _compare(data, scope, gold)
    if "persistent" in data and found.status == o.PASS:
        return _with_persistence(found, _compare(data["persistent"], scope, gold))
    return found


def _all(rules: list[Mapping[str, Any]], scope: Scope, gold: Mapping[str, Any]) -> Outcome:
    """Every rule has to hold; one that fails decides over one that is unknown."""
    outcomes = []
    for rule in rules:
        found = _guarded(lambda rule=rule: _compare(rule, scope, gold))  # type: ignore[misc]
        outcomes.append(o.item(rule.get("label", rule["fact"]), found))
    combined = o.combine(outcomes, empty=o.unknown("the check has no rule"))
    combined.message = "; ".join(
        entry.message for entry in outcomes if entry.status == combined.status and entry.message
    )
    combined.actual = {entry.id: entry.actual for entry in outcomes}
    combined.expected = {entry.id: entry.expected for entry in outcomes}
    return combined


def _compare(rule: Mapping[str, Any], scope: Scope, gold: Mapping[str, Any]) -> Outcome:
    expectation = resolve(rule["expect"], gold)
    expected = describe(expectation)
    value = scope.value(rule["fact"])
    try:
        held = holds(value, expectation)
    except MissingFact as error:
        return o.unknown(f"{rule['fact']}: {error}", value, expected)
    label = rule.get("label", rule["fact"].rsplit(".", 1)[-1])
    if held:
        return o.passed(value, expected)
    return o.failed(value, expected, f"{label} is {str(value)[:200]}, expected {expected}")


def _with_persistence(running: Outcome, configured: Outcome) -> Outcome:
    """Running but not configured is a fail: the next restart takes it away."""
    if configured.status == o.PASS:
        running.persistent = True
        return running
    if configured.status == o.UNKNOWN:
        return o.unknown(
            f"in force now, but whether it survives a restart is unknown: {configured.message}", running.actual
        )
    message = f"in force now, but not configured to survive a restart ({configured.message})"
    return o.failed(running.actual, running.expected, message, persistent=False)
