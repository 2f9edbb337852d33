# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the case files: what each check says about facts that pass, fail, or miss something."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evaluate import evaluate
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import load

CASES = Path(__file__).parent / "cases"
KEYS = {"expect", "facts", "gold", "message", "unused"}


@dataclass
class Case:
    check: str
    number: int
    expect: str
    facts: dict[str, Any]
    gold: dict[str, Any] = field(default_factory=dict)
    message: str = ""
    # Leaves the test does not read: nulling them must not matter, so they are left alone.
    unused: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.check}-{self.number}-{self.expect}"

    def evaluate(self, facts: dict[str, Any] | None = None):
        standard = load_standard()
        gold = {**gold_config.defaults(), **copy.deepcopy(self.gold)}
        return evaluate(standard.checks[self.check], self.facts if facts is None else facts, gold, standard.gold)


def all_cases() -> list[Case]:
    return [case for path in sorted(CASES.glob("*.yml")) for case in _cases(path)]


def _cases(path: Path):
    for entry in load(str(path)) or []:
        for number, case in enumerate(entry["cases"], start=1):
            extra = set(case) - KEYS
            if extra:
                raise ValueError(f"{path.name}: unknown key {extra} in case {number} of {entry['check']}")
            yield Case(
                check=entry["check"],
                number=number,
                expect=case["expect"],
                facts=case.get("facts", {}),
                gold={**entry.get("gold", {}), **case.get("gold", {})},
                message=case.get("message", ""),
                unused=tuple(case.get("unused", ())),
            )


def leaves(value: Any, path: tuple = ()):
    """Yield the path of every leaf (scalars and empty containers) of a nested document."""
    if isinstance(value, dict) and value:
        for key, entry in value.items():
            yield from leaves(entry, (*path, key))
    elif isinstance(value, list) and value:
        for index, entry in enumerate(value):
            yield from leaves(entry, (*path, index))
    else:
        yield path


def replaced(document: Any, path: tuple, new: Any) -> Any:
    """A copy of the document with another value at a path."""
    copied = copy.deepcopy(document)
    target = copied
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = new
    return copied
