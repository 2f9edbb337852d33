# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the subjects of one endpoint have in common, worked out once. Pure: no I/O, no Ansible.

The hosts behind a vCenter are set up alike: the same packages, rule sets and options. A part of the facts that was met
before is the same object each time, redacted and encoded already; a check that reads nothing but such parts says the
same again. What is compared is the whole text of a part, never a digest of it, and every host has its own evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.redaction import redact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.encoding import Lines, compact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import MOST, Encoder, Repeated
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check

Result = dict[str, Any]
_ERRORS = ("collector", "errors")


@dataclass(frozen=True)
class Gold:
    """A gold configuration as plain data, and what evidence and results say of it."""

    values: dict[str, Any]
    sources: dict[str, str]
    about: dict[str, Any]


class Alike(Lines):
    """Takes the facts documents of one endpoint, one after the other, and encodes what is made of them."""

    def __init__(self) -> None:
        # (path, text of what the target sent): what is kept of it, and the places from which something was cut
        self._slices: dict[tuple[str, str], tuple[Any, list[str]]] = {}
        self._parts: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._golds: dict[str, Gold] = {}
        self._results: dict[tuple[Any, ...], Result] = {}
        self._drifts: dict[int, dict[str, Any]] = {}
        self._measures: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._above: tuple[Any, dict[str, Result]] = (None, {})
        # By id: of what is kept in here, so that no other object can have it.
        self._kept: dict[int, Gold | None] = {}
        self._texts: dict[tuple[int, int], str] = {}
        self._encoder = Encoder()

    def text(self, value: Any, depth: int) -> str:
        if id(value) not in self._kept:
            return super().text(value, depth)
        found = self._texts.get((id(value), depth))
        if found is None:
            found = self._texts[id(value), depth] = super().text(value, depth)
        return found

    def entry(self, value: Any) -> str:
        return self._encoder(value)

    def clean(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """The facts as plain data without what looks like a secret, as redaction.redact has it."""
        return {key: self._part(key, part) for key, part in redact(facts, self._once).items()}

    def _once(self, path: str, value: Any, work: Callable[[], tuple[Any, list[str]]]) -> tuple[Any, list[str]]:
        try:
            key = (path, compact(value))
        except (TypeError, ValueError):  # an infinite number, or no JSON at all
            return work()
        found = self._slices.get(key)
        if found is None:
            found = work()
            if len(self._slices) < MOST:
                self._slices[key] = found
                self._kept[id(found[0])] = None
        return found

    def _part(self, name: str, part: Any) -> Any:
        if not isinstance(part, dict) or not all(id(value) in self._kept for value in part.values()):
            return part
        key = (name, *part, *map(id, part.values()))
        found = self._parts.get(key)
        if found is None:
            found = part
            if len(self._parts) < MOST:
                self._parts[key] = found
                self._kept[id(found)] = None
        return found

    def gold(self, values: Mapping[str, Any]) -> Gold:
        """A gold configuration: the same object for the same text."""
        found = self._kept.get(id(values))
        if found is None:
            text = compact(plain(values))
            found = self._golds.get(text)
        if found is None:
            kept = plain(values)
            found = self._golds[text] = Gold(kept, gold_config.sources(kept), gold_config.about(kept))
            self._kept.update({id(kept): found, id(found.sources): None})
        return found

    def result(
        self, check: Check, facts: Mapping[str, Any], gold: Mapping[str, Any], subject: str, judge: Callable[[], Result]
    ) -> Result | Repeated:
        """What judge makes of a check; made before, where the check reads what another subject has too.

        facts: from clean; gold: the values of one from gold().
        """
        key: list[Any] = [check.id, id(gold)]
        for part, entry in check.reads:
            value = facts.get(part)
            if entry is not None and isinstance(value, dict):
                value = value.get(entry)
            if value is not None and id(value) not in self._kept:
                return judge()
            key.append(id(value))
        whole = tuple(key)
        common = self._results.get(whole)
        if common is None:
            made = judge()
            if len(self._results) >= MOST:
                return made
            common = self._results[whole] = made
        return Repeated(common, subject)

    def drift(self, result: Mapping[str, Any], make: Callable[[], dict[str, Any]]) -> Mapping[str, Any]:
        """What make makes of a result; made once of one that subjects share."""
        if not isinstance(result, Repeated) or result.common is None:
            return make()
        # As many as there are results that are shared, which are kept as long as this is.
        found = self._drifts.get(id(result.common))
        if found is None:
            found = self._drifts[id(result.common)] = make()
        return Repeated(found, result["subject"])

    def measure(self, entry: dict[str, Any]) -> Repeated:
        """A measure of a subject; the same object for all on which it has come out alike."""
        return Repeated(self._measures.setdefault(tuple(entry.values())[1:], entry), entry["subject"])

    def taken(
        self, results: Iterable[Mapping[str, Any]], subject: str, take: Callable[[], Mapping[str, Result]]
    ) -> dict[str, Repeated]:
        """What take makes of the results of a controller, made once for all its hosts."""
        if self._above[0] is not results:
            self._above = (results, dict(take()))
        return {check: Repeated(common, subject) for check, common in self._above[1].items()}
