# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The standard as data: one YAML file per measure, loaded, checked and indexed.

The loader refuses what it does not know with file, line, key and the nearest valid key: a misspelt key in a check is a
check that silently tests something else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import registry
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import facts_path
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.expect import (
    ExpectationError,
    check_expectation,
    gold_names,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import (
    GoldSetting,
    load_settings,
    settings_files,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.parsed_data import parsed
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import DataError, LineMap, load, nearest

MEASURES_DIR = Path(__file__).parents[1] / "measures"
PLATFORMS = ("all", "kvm", "vsphere", "hyperv")
SECTIONS = {
    "11.1": "Hypervisor platform architectural choices",
    "11.2": "Device emulation and access control",
    "11.3": "VM management",
    "11.4": "Administration of hypervisor host and software",
}
OBLIGATIONS = ("must", "should", "advisory")
SEVERITIES = ("critical", "high", "medium", "low")
EVIDENCE = ("host", "vm", "controller", "external", "attestation")
JUDGED_ON = ("host", "controller", "both")

# key: (type, required)
MEASURE_KEYS: dict[str, tuple[Any, bool]] = {
    "id": (str, True),
    "title": (str, True),
    "text": (str, True),
    "obligation": (OBLIGATIONS, True),
    "severity": (SEVERITIES, True),
    "kind": (("technical", "procedural", "mixed"), True),
    "role": (str, True),
    "nist_csf": (list, True),
    "nist_csf_2": (list, True),
    "cis_v8": (list, True),
    "interpretation": (str, True),
    "limits": (dict, False),
    "checks": (list, True),
}
CHECK_KEYS: dict[str, tuple[Any, bool]] = {
    "id": (str, True),
    "name": (str, True),
    "title": (str, True),
    "platform": (PLATFORMS, True),
    "tier": ((1, 2), False),
    "obligation": (OBLIGATIONS, False),
    "severity": (SEVERITIES, False),
    "evidence": (EVIDENCE, True),
    "judged_on": (JUDGED_ON, False),
    "probe": (str, True),
    "passes": (str, True),
    "fix": (str, True),
    "each": (str, False),
    "id_key": (str, False),
    "where": (list, False),
    "empty": (dict, False),
    "fact": (str, False),
    "expect": (dict, False),
    "all": (list, False),
    "test": (str, False),
    "facts": (dict, False),
    "gold": (list, False),
    "manual": (str, False),
    "not_applicable": (list, False),
    "persistent": (dict, False),
    "setting": (str, False),
    "role": (str, False),
    "enforced": (bool, False),
    "disruption": (dict, False),
    "threshold_source": (str, False),
    "attestation_may_override": (("unknown",), False),
    "verified": (bool, False),
    "source": (list, False),
}
TEST_KEYS: dict[str, tuple[Any, bool]] = {"fact": (str, True), "expect": (dict, True), "label": (str, False)}
NOT_APPLICABLE_KEYS = {**TEST_KEYS, "reason": (str, True)}
EMPTY_KEYS: dict[str, tuple[Any, bool]] = {
    "status": (("fail", "manual", "unknown", "not_applicable"), True),
    "reason": (str, True),
}
DISRUPTION_KEYS: dict[str, tuple[Any, bool]] = {
    "restart": (str, False),
    "reboot": (bool, False),
    "maintenance": (bool, False),
    "vm_power": (bool, False),
    "lockout": ((0, 1, 2, 3), False),
    "rollback": (str, False),
}


@dataclass(frozen=True)
class Check:
    """One objective test of a measure on one platform. Field meanings: docs/checks-on-their-own.md."""

    id: str
    measure: str
    name: str
    title: str
    platform: str
    tier: int
    obligation: str
    severity: str
    evidence: str
    probe: str
    passes: str
    fix: str
    role: str
    setting: str
    data: Mapping[str, Any] = field(repr=False)

    @cached_property
    def reads(self) -> tuple[tuple[str, str | None], ...]:
        """The parts of the facts document that the check can see: (part, entry of it or None for all of it)."""
        data = self.data
        rules = [data, *data.get("not_applicable", ()), *data.get("where", ()), *data.get("all", ())]
        rules += [data["persistent"]] if "persistent" in data else []
        paths = [
            "collector.errors",
            *(rule["fact"] for rule in rules if "fact" in rule),
            *data.get("facts", {}).values(),
        ]
        paths += [data["each"]] if "each" in data else []
        found = [facts_path.steps(path.rstrip("?")) for path in paths]
        return tuple((str(path[0]), str(path[1]) if len(path) > 1 else None) for path in found)

    @property
    def disruption(self) -> dict[str, Any]:
        found = self.data.get("disruption", {})
        defaults = {
            "restart": None,
            "reboot": False,
            "maintenance": False,
            "vm_power": False,
            "lockout": 0,
            "rollback": "",
        }
        return {**defaults, **found}

    @cached_property
    def judged_on(self) -> str:
        """On which kind of subject it is judged: host, controller or both. The evidence decides, unless it says."""
        by_evidence = {"host": "host", "vm": "host", "controller": "controller"}
        return str(self.data.get("judged_on") or by_evidence.get(self.evidence, "both"))

    @cached_property
    def gold(self) -> list[str]:
        """Every gold setting this check compares with, in the order of the file."""
        return _gold_of(self.data)


@dataclass(frozen=True)
class Measure:
    """One of the 36 numbered requirements."""

    id: str
    title: str
    text: str
    section: str
    obligation: str
    severity: str
    kind: str
    role: str
    nist_csf: list[str]
    nist_csf_2: list[str]
    cis_v8: list[str]
    interpretation: str
    limits: dict[str, str]
    checks: list[Check]


@dataclass(frozen=True, eq=False)
class Standard:
    """All measures in the standard's own order, and the gold settings their checks compare with.

    Each is itself alone, so that what follows from it can be kept by it.
    """

    id: str
    version: str
    measures: dict[str, Measure]
    gold: dict[str, GoldSetting]

    @cached_property
    def checks(self) -> dict[str, Check]:
        return {check.id: check for measure in self.measures.values() for check in measure.checks}


def load_standard(directory: Path = MEASURES_DIR) -> Standard:
    """Load and check every measure file. The result is cached: it never changes within a run.

    :raises DataError: naming file, line, key, what was found and the nearest valid name.
    """
    return _load_standard(str(directory))


@lru_cache(maxsize=4)
def _load_standard(directory: str) -> Standard:
    gold = load_settings()
    files = files_of(Path(directory))
    known = parsed([*files, *settings_files()])
    measures = [_built(known[path]) if known else _measure(path, gold) for path in files]
    seen: dict[str, str] = {}
    for measure in measures:
        for check in measure.checks:
            if check.id in seen:
                raise DataError(
                    f"check {check.id} is already in measure {seen[check.id]}", file=f"measures/{measure.id}.yml"
                )
            seen[check.id] = measure.id
    return Standard(*_edition(Path(directory)), {measure.id: measure for measure in measures}, gold)


def files_of(directory: Path) -> list[Path]:
    """The files of the measures, in the standard's own order."""
    return sorted(directory.glob("*.yml"), key=lambda path: [int(part) for part in path.stem.split(".")])


def _edition(directory: Path) -> tuple[str, str]:
    """(id, version) of the standard that a directory of measures is.

    :raises DataError: its file EDITION is missing or does not hold the two words.
    """
    try:
        words = (directory / "EDITION").read_text(encoding="utf-8").split()
    except OSError as exc:
        raise DataError(f"cannot be read: {exc.strerror or exc}", file=str(directory / "EDITION")) from None
    if len(words) != 2:
        raise DataError("names the edition", file=str(directory / "EDITION"), found=words, expected="SS-009 2.0")
    return words[0], words[1]


class _File:
    """One measure file under inspection: complains with file and line."""

    def __init__(self, path: Path):
        self.name = f"measures/{path.name}"
        self.lines = LineMap(str(path))

    def refuse(self, where: tuple[Any, ...], message: str, **details: Any) -> DataError:
        key = str(where[-1]) if where else None
        return DataError(message, file=self.name, line=self.lines.line(where), key=key, **details)

    def check_keys(
        self, where: tuple[Any, ...], found: Any, allowed: Mapping[str, tuple[Any, bool]], what: str
    ) -> None:
        if not isinstance(found, dict):
            raise self.refuse(where, f"{what} is a mapping", found=found, expected="a mapping")
        for key, value in found.items():
            if key not in allowed:
                raise self.refuse((*where, key), f'unknown key "{key}" in {what}', nearest=nearest(key, allowed))
            self._check_type((*where, key), value, allowed[key][0], f'"{key}" of {what}')
        for key, (_kind, required) in allowed.items():
            if required and key not in found:
                raise self.refuse(where, f'{what} lacks "{key}"')

    def _check_type(self, where: tuple[Any, ...], value: Any, kind: Any, what: str) -> None:
        if isinstance(kind, tuple):
            if value not in kind:
                choices = ", ".join(map(str, kind))
                raise self.refuse(
                    where,
                    f"{what} has no such value",
                    found=value,
                    expected=f"one of {choices}",
                    nearest=nearest(value, kind),
                )
        elif not isinstance(value, kind):
            raise self.refuse(where, f"{what} has the wrong type", found=value, expected=kind.__name__)


def _measure(path: Path, gold: Mapping[str, GoldSetting]) -> Measure:
    source = _File(path)
    data = load(str(path))
    source.check_keys((), data, MEASURE_KEYS, f"measure {path.stem}")
    if data["id"] != path.stem:
        raise source.refuse(("id",), "the id differs from the file name", found=data["id"], expected=path.stem)
    for index, entry in enumerate(data["checks"]):
        _inspect(source, index, entry, data, gold)
    measure = _built(data)
    if data["kind"] == "mixed" and not any(check.evidence in ("attestation", "external") for check in measure.checks):
        raise source.refuse(("kind",), "a mixed measure needs an attestation or external check")
    return measure


def _built(data: Mapping[str, Any]) -> Measure:
    kept = {key: data[key] for key in MEASURE_KEYS if key not in ("checks", "limits")}
    return Measure(
        section=".".join(data["id"].split(".")[:2]),
        limits=data.get("limits", {}),
        checks=[_check(entry, data) for entry in data["checks"]],
        **kept,
    )


def _check(data: Mapping[str, Any], measure: Mapping[str, Any]) -> Check:
    return Check(
        id=data["id"],
        measure=measure["id"],
        name=data["name"],
        title=data["title"],
        platform=data["platform"],
        tier=data.get("tier", 1),
        obligation=data.get("obligation", measure["obligation"]),
        severity=data.get("severity", measure["severity"]),
        evidence=data["evidence"],
        probe=data["probe"],
        passes=data["passes"],
        fix=data["fix"],
        role=data.get("role", measure["role"]),
        setting=data.get("setting", data.get("fact", data["name"])),
        data=data,
    )


def _inspect(source: _File, index: int, data: Any, measure: Mapping[str, Any], gold: Mapping[str, GoldSetting]) -> None:
    where = ("checks", index)
    label = data.get("id", "?") if isinstance(data, dict) else "?"
    source.check_keys(where, data, CHECK_KEYS, f"check {label}")
    if not re.fullmatch(rf"{data['platform']}-{re.escape(measure['id'])}-[a-z0-9-]+", data["id"]):
        raise source.refuse((*where, "id"), "the id is <platform>-<measure>-<words>", found=data["id"])
    for key, allowed in (("where", TEST_KEYS), ("all", TEST_KEYS), ("not_applicable", NOT_APPLICABLE_KEYS)):
        for number, entry in enumerate(data.get(key, [])):
            source.check_keys((*where, key, number), entry, allowed, f"{key} of {label}")
            _check_test(source, (*where, key, number), entry)
    for key, allowed in (("empty", EMPTY_KEYS), ("disruption", DISRUPTION_KEYS), ("persistent", TEST_KEYS)):
        if key in data:
            source.check_keys((*where, key), data[key], allowed, f"{key} of {label}")
    if "persistent" in data:
        _check_test(source, (*where, "persistent"), data["persistent"])
    _check_form(source, where, data, gold)


def _check_form(
    source: _File, where: tuple[Any, ...], data: Mapping[str, Any], gold: Mapping[str, GoldSetting]
) -> None:
    """A check has exactly one way to decide: fact + expect, all, test, or manual."""
    forms = [key for key in ("fact", "all", "test", "manual") if key in data]
    if len(forms) != 1:
        raise source.refuse(where, f"check {data['id']} decides by exactly one of fact, all, test, manual", found=forms)
    if "fact" in data:
        if "expect" not in data:
            raise source.refuse(where, f'check {data["id"]} lacks "expect"')
        _check_test(source, where, data)
    if "test" in data and data["test"] not in registry.predicates(data["platform"]):
        raise source.refuse(
            (*where, "test"),
            f'no predicate named "{data["test"]}"',
            nearest=nearest(data["test"], registry.predicates(data["platform"])),
        )
    for name, path in data.get("facts", {}).items():
        _check_path(source, (*where, "facts", name), str(path).rstrip("?"))
    if "each" in data:
        _check_path(source, (*where, "each"), data["each"])
        if "empty" not in data:
            raise source.refuse(where, f'check {data["id"]} has "each" and must say what an empty list means ("empty")')
    for name in _gold_of(data):
        if name not in gold:
            raise source.refuse(where, f"no gold setting named {name}", nearest=nearest(name, gold))


def _check_test(source: _File, where: tuple[Any, ...], entry: Mapping[str, Any]) -> None:
    _check_path(source, (*where, "fact"), entry["fact"])
    try:
        check_expectation(entry["expect"])
    except ExpectationError as error:
        raise source.refuse((*where, "expect"), str(error)) from None


def _check_path(source: _File, where: tuple[Any, ...], path: Any) -> None:
    try:
        facts_path.steps(path)
    except (facts_path.PathError, TypeError) as error:
        raise source.refuse(where, f"not a fact path: {error}", found=path) from None


def _gold_of(data: Mapping[str, Any]) -> list[str]:
    names = list(data.get("gold", []))
    for entry in (data, data.get("persistent", {}), *data.get("all", []), *data.get("where", [])):
        names.extend(gold_names(entry.get("expect", {})))
    return list(dict.fromkeys(names))
