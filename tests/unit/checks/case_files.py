# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the case files: what each check says about facts that pass, fail, or miss something.

Facts are written out, or taken from a sample document (`sample`) with what differs (`change`: {path: value}, null to
leave it out). Of a sample only what the check names is kept, of large branches the keys in `reads`: {branch: [key]}.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.evaluate import evaluate
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import steps
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import load

CASES = Path(__file__).parent / "cases"
SAMPLES = Path(__file__).parents[1] / "plugins" / "plugin_utils" / "vsphere_facts"
KEYS = {"expect", "facts", "gold", "message", "unused", "sample", "change"}
# Kept of each item of a list whatever `reads` says: how items are told apart.
NAMES = {"id", "name", "system"}


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
                facts=case["facts"] if "facts" in case else _facts(entry, case),
                gold={**entry.get("gold", {}), **case.get("gold", {})},
                message=case.get("message", ""),
                unused=tuple(case.get("unused", ())),
            )


def _facts(entry: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    name = case.get("sample", entry.get("sample"))
    return sampled(name, entry["check"], entry.get("reads", {}), case.get("change", {})) if name else {}


def sampled(name: str, check_id: str, reads: Mapping[str, list[str]], change: Mapping[str, Any]) -> dict[str, Any]:
    """What a check reads of a sample document, changed."""
    document = sample(name)
    kept: dict[str, Any] = {}
    for path in paths_of(load_standard().checks[check_id]):
        source, target, way = document, kept, steps(path)
        for step in way[:-1]:
            source, target = source.get(step) or {}, target.setdefault(step, {})
        if way[-1] in source:
            target[way[-1]] = _only(copy.deepcopy(source[way[-1]]), reads.get(path))
    for path, value in change.items():
        kept = _changed(kept, steps(path), value)
    return kept


@lru_cache(maxsize=8)
def sample(name: str) -> dict[str, Any]:
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def paths_of(check: Check) -> list[str]:
    """Every fact path of the whole document that a check names, the optional ones too, without their mark."""
    data = check.data
    rules = [*data.get("not_applicable", []), *data.get("all", [])]
    if "each" not in data:
        rules += [rule for rule in (data, data.get("persistent", {})) if "fact" in rule]
    named = [
        *data.get("facts", {}).values(),
        *(rule["fact"] for rule in rules),
        *([data["each"]] if "each" in data else []),
    ]
    return list(dict.fromkeys(str(path).rstrip("?") for path in named))


def _only(value: Any, keys: list[str] | None) -> Any:
    if keys is None:
        return value
    if isinstance(value, list):
        return [{key: entry[key] for key in entry if key in NAMES or key in keys} for entry in value]
    return {key: value[key] for key in keys if key in value}


def _changed(document: Any, way: tuple, value: Any) -> Any:
    step, rest = way[0], way[1:]
    copied = copy.copy(document)
    if value is None and not rest:
        copied.pop(step, None)
    elif isinstance(copied, list):
        copied[step] = _changed(copied[step], rest, value) if rest else value
    else:
        copied[step] = _changed(copied.get(step) or {}, rest, value) if rest else value
    return copied


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
