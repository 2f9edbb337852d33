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

from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted, entry_files

DIRECTORY = pathlib.Path(__file__).resolve().parent / "breaks"


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


def load(directory: pathlib.Path = DIRECTORY) -> list[Entry]:
    """Return the entries of every break file, in order; see entry_files.load."""
    return entry_files.load(directory, Entry, required=("check", "break"))


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
