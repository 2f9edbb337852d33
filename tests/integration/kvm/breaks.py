# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Break tests: read breaks/*.yml and run them, a fresh host for each round (breaks/README.md has the format)."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from typing import Any

import yaml

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest
from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted

DIRECTORY = pathlib.Path(__file__).resolve().parent / "breaks"
STATUSES = (outcome.PASS, outcome.FAIL, outcome.UNKNOWN, outcome.MANUAL, outcome.NOT_APPLICABLE, outcome.NOT_EVALUATED)


class BreakFileError(ValueError):
    """A break file is malformed; the message names file, entry, key, what was found and what is expected."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One break test; the fields are the keys of breaks/README.md."""

    area: str
    position: int
    check: str
    break_: list[str]
    setup: list[str] = dataclasses.field(default_factory=list)
    gold: dict[str, Any] = dataclasses.field(default_factory=dict)
    restart: list[str] = dataclasses.field(default_factory=list)
    expect_before: str = "pass"
    expect: str = "fail"
    message: str = ""
    round: int = 1
    variant: str = "monolithic"

    @property
    def id(self) -> str:
        """The name of the test."""
        return f"{self.area}[{self.position}]-{self.check}"

    @property
    def batch(self) -> tuple[str, str, int]:
        """What shares one booted host."""
        return (self.area, self.variant, self.round)


FIELDS = {
    field.name.rstrip("_"): field for field in dataclasses.fields(Entry) if field.name not in ("area", "position")
}
CHOICES = {
    "expect_before": STATUSES,
    "expect": STATUSES,
    "variant": booted.VARIANTS,
    "round": tuple(range(1, 10)),
}
KINDS = {"setup": list, "break": list, "restart": list, "gold": dict, "check": str, "message": str}


def load(directory: pathlib.Path = DIRECTORY) -> list[Entry]:
    """Return the entries of every break file, in order.

    :raises BreakFileError: a file is not a list of entries, or an entry has a wrong key or value.
    """
    entries = []
    for path in sorted(directory.glob("*.yml")):
        listed = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        if not isinstance(listed, list):
            raise BreakFileError(f"{path.name}: found {type(listed).__name__}, expected a list of entries")
        entries += [_entry(path, position, data) for position, data in enumerate(listed)]
    return entries


def _entry(path: pathlib.Path, position: int, data: Any) -> Entry:
    where = f"{path.name}, entry {position}"
    if not isinstance(data, dict):
        raise BreakFileError(f"{where}: found {type(data).__name__}, expected a mapping")
    where += f" ({data.get('check')})"
    for key, value in data.items():
        if key not in FIELDS:
            raise BreakFileError(
                f"{where}: no key {key!r}, did you mean {nearest(key, FIELDS)!r}? Keys: {', '.join(FIELDS)}"
            )
        if key in CHOICES and value not in CHOICES[key]:
            raise BreakFileError(f"{where}: {key} is {value!r}, expected one of {', '.join(map(str, CHOICES[key]))}")
        if key in KINDS and not isinstance(value, KINDS[key]):
            raise BreakFileError(f"{where}: {key} is {value!r}, expected {KINDS[key].__name__}")
        if KINDS.get(key) is list and not all(isinstance(item, str) for item in value):
            raise BreakFileError(f"{where}: {key} holds something else than text: {value!r}")
    for key in ("check", "break"):
        if not data.get(key):
            raise BreakFileError(f"{where}: {key} is missing or empty")
    arguments = {FIELDS[key].name: value for key, value in data.items()}
    return Entry(path.stem, position, **arguments)


class Rounds:
    """Runs each round once, when the first of its tests asks, and keeps what was measured for the others."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._done: dict[tuple[str, str, int], Round | Exception] = {}

    def of(self, entry: Entry) -> Round:
        """Return the round an entry belongs to; the error of a round that could not run is raised for all its tests."""
        if entry.batch not in self._done:
            try:
                self._done[entry.batch] = Round([other for other in self._entries if other.batch == entry.batch])
            except Exception as error:
                self._done[entry.batch] = error
        found = self._done[entry.batch]
        if isinstance(found, Exception):
            raise found
        return found


class Round:
    """One booted host: all setups, an audit, all breaks, an audit."""

    def __init__(self, entries: list[Entry]) -> None:
        self.errors: dict[int, str] = {}
        self._entries = entries
        _area, variant, number = entries[0].batch
        host = booted.BootedHost(f"break-{number}-{os.getpid()}", variant)
        with contextlib.ExitStack() as stack:
            stack.callback(host.stop)
            self._host = host
            self.before = self._measure("setup")
            self.after = self._measure("break_")

    def _measure(self, phase: str) -> dict[int, dict[str, Any]]:
        """Run one phase of every entry, then audit; returns each entry's result by the entry's position."""
        for entry in self._entries:
            script = "\n".join(getattr(entry, phase))
            done = self._host.lab.run(["/bin/sh", "-e", "-c", script], timeout=120)
            if done.returncode:
                self.errors.setdefault(
                    entry.position, f"{phase.rstrip('_')} ended with {done.returncode}: {done.stdout}{done.stderr}"
                )
        self._host.restart(sorted({unit for entry in self._entries for unit in entry.restart}))
        facts = self._host.facts()
        measured = {}
        for entry in self._entries:
            try:
                measured[entry.position] = booted.result_of(self._host.assess(facts, entry.gold), entry.check)
            except (KeyError, ValueError) as error:
                self.errors.setdefault(entry.position, str(error))
        return measured

    def judge(self, entry: Entry) -> None:
        """Assert what the entry expects, and note it as seen.

        :raises AssertionError: with what was measured and why.
        """
        assert entry.position not in self.errors, self.errors[entry.position]
        before, after = self.before[entry.position], self.after[entry.position]
        assert before["measured"] == entry.expect_before, f"after setup: {_shown(before)}"
        assert after["measured"] == entry.expect, f"after break: {_shown(after)}"
        told = f"{after['message']} {after['items']}"
        assert entry.message in told, f"{entry.message!r} is not in {told!r}"
        for status in (entry.expect_before, entry.expect):
            self._host.seen.status(entry.check, status, f"break {entry.area}[{entry.position}]")


def _shown(result: dict[str, Any]) -> str:
    keys = ("measured", "message", "actual", "expected", "items")
    return ", ".join(f"{key}={str(result[key])[:600]}" for key in keys)
