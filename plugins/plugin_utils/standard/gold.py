# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gold configuration: its settings as data, their floors, and what is in force for a subject."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.expect import (
    ExpectationError,
    check_expectation,
    describe,
    holds,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.parsed_data import parsed
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import DataError, LineMap, load, nearest

SETTINGS_DIR = Path(__file__).parents[1] / "gold_settings"
TYPES: dict[str, Any] = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}
KEYS = {"name", "type", "elements", "choices", "default", "floor", "floor_reason", "threshold_source", "description"}


class GoldError(ValueError):
    """A gold setting is missing, unknown or has a value of the wrong type."""


@dataclass(frozen=True)
class GoldSetting:
    """One setting of the gold configuration.

    floor: the weakest value the standard allows, as an expectation on the value itself; None only with floor_reason.
    threshold_source: dwp (the standard names it), `substitute: <source>` (a sibling standard would, a substitute is
    used)
    or site (only the site can know it).
    """

    name: str
    type: str
    default: Any
    floor: Mapping[str, Any] | None
    floor_reason: str
    threshold_source: str
    description: str
    area: str
    elements: str | None = None
    choices: tuple[Any, ...] = ()

    def floor_fault(self, value: Any) -> str:
        """Say why a value is weaker than the standard allows, or an empty string."""
        if self.floor is None:
            return ""
        try:
            if holds(value, self.floor):
                return ""
        except MissingFact as error:
            return f"{self.name}: {error}"
        return f"{self.name} is {value!r}, weaker than the standard allows ({describe(self.floor)})"


class WeakGold(Exception):
    """A gold value asks for less than the standard allows."""


class Floored(dict[str, Any]):
    """Gold values for whoever writes them: none is given out that is below its floor.

    A default that is below is not declared yet, as an empty list of networks: planners say themselves what is to be.
    """

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        setting = load_settings().get(name)
        fault = "" if setting is None or value == setting.default else setting.floor_fault(value)
        if fault:
            raise WeakGold(fault)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


def settings_files() -> list[Path]:
    """The files of the gold settings, one for each role."""
    return sorted(SETTINGS_DIR.glob("*.yml"))


@lru_cache(maxsize=1)
def load_settings() -> dict[str, GoldSetting]:
    """Read every gold_settings/<role>.yml.

    :raises DataError: naming file, line and key.
    """
    settings: dict[str, GoldSetting] = {}
    known = parsed(settings_files())
    for path in settings_files():
        for index, entry in enumerate(known[path] if known else load(str(path)) or []):
            if not known:
                _inspect(path, index, entry)
            setting = _setting(path.stem, entry)
            if setting.name in settings:
                raise DataError(f"{setting.name} is defined twice", file=f"gold_settings/{path.name}")
            settings[setting.name] = setting
    return settings


def _inspect(path: Path, index: int, entry: Mapping[str, Any]) -> None:
    file = f"gold_settings/{path.name}"

    def refuse(key: str, message: str, **details: Any) -> DataError:
        return DataError(message, file=file, line=LineMap(str(path)).line((index, key)), key=key, **details)

    for key in entry:
        if key not in KEYS:
            raise refuse(key, f'unknown key "{key}"', nearest=nearest(key, KEYS))
    for key in ("name", "type", "default", "threshold_source", "description"):
        if key not in entry:
            raise refuse("name", f'gold setting {entry.get("name", "?")} lacks "{key}"')
    if not str(entry["name"]).startswith("gold_") or entry["type"] not in TYPES:
        raise refuse(
            "type", "a gold setting is named gold_* and has a type", found=entry["type"], expected=", ".join(TYPES)
        )
    if entry.get("floor") is None and not entry.get("floor_reason"):
        raise refuse("name", f"{entry['name']} has no floor and no floor_reason")
    if entry.get("floor") is not None:
        try:
            check_expectation(entry["floor"])
        except ExpectationError as error:
            raise refuse("floor", str(error)) from None


def _setting(area: str, entry: Mapping[str, Any]) -> GoldSetting:
    kept = {
        key: entry[key]
        for key in ("name", "type", "default", "threshold_source", "description", "elements")
        if key in entry
    }
    return GoldSetting(
        floor=entry.get("floor"), floor_reason=entry.get("floor_reason", ""), area=area,
        choices=tuple(entry.get("choices", ())), **kept,
    )  # fmt: skip


def from_variables(templar: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Every gold_* variable of an inventory host, templated by the action's templar, as plain data."""
    return dict(plain(templar.template({name: value for name, value in variables.items() if name.startswith("gold_")})))


def effective(given: Mapping[str, Any], subject: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The gold values in force for one subject: what was given, overridden by matching `gold_overrides`.

    `given` holds gold_* variables; keys that are not gold settings are ignored except misspelt gold_* names.

    :raises GoldError: a setting is undefined, unknown, or has a value of the wrong type.
    """
    settings = load_settings()
    values = {name: value for name, value in given.items() if name.startswith("gold_") and name != "gold_overrides"}
    for patterns, changed in _overrides(given.get("gold_overrides") or []):
        names = [str((subject or {}).get(key, "")) for key in ("id", "name", "endpoint")]
        if any(fnmatch.fnmatch(name, pattern) for pattern in patterns for name in names):
            values.update(changed)
    missing = sorted(set(settings) - set(values))
    if missing:
        raise GoldError(
            f"undefined: {', '.join(missing)}. List dwp.hypervisor.gold in the play's roles, it defines all of them"
        )
    _check_values(values)
    return values


def _overrides(entries: Any) -> list[tuple[list[str], dict[str, Any]]]:
    """[(patterns, settings)] of gold_overrides. One that matches nobody is checked too: it may match tomorrow.

    :raises GoldError: an entry of another shape, or a setting that is unknown or has a wrong value.
    """
    if not isinstance(entries, list):
        raise GoldError(f"gold_overrides is {entries!r}, expected a list of {{subjects: pattern, gold: {{...}}}}")
    found = []
    for number, entry in enumerate(entries, 1):
        where = f"entry {number} of gold_overrides"
        if not isinstance(entry, dict) or set(entry) != {"subjects", "gold"} or not isinstance(entry["gold"], dict):
            raise GoldError(f"{where} is {entry!r}, expected {{subjects: pattern, gold: {{...}}}}")
        patterns = [entry["subjects"]] if isinstance(entry["subjects"], str) else entry["subjects"]
        if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
            raise GoldError(f"subjects of {where} is {patterns!r}, expected a pattern or a list of patterns")
        try:
            _check_values(entry["gold"])
        except GoldError as error:
            raise GoldError(f"{where}: {error}") from None
        found.append((patterns, entry["gold"]))
    return found


def _check_values(values: Mapping[str, Any]) -> None:
    settings = load_settings()
    for name, value in values.items():
        if name not in settings:
            hint = nearest(name, settings)
            raise GoldError(
                f"{name} is not a setting of the gold configuration" + (f"; did you mean {hint}?" if hint else "")
            )
        _check_value(settings[name], value)


def sources(values: Mapping[str, Any]) -> dict[str, str]:
    """Where each value in force comes from, for the evidence."""
    return {
        name: "default" if values[name] == setting.default else "inventory or play variable"
        for name, setting in load_settings().items()
    }


def defaults() -> dict[str, Any]:
    """Every gold setting at its default."""
    return {name: setting.default for name, setting in load_settings().items()}


def _check_value(setting: GoldSetting, value: Any) -> None:
    kind = TYPES[setting.type]
    wrong = not isinstance(value, kind) or (isinstance(value, bool) and setting.type in ("int", "float"))
    if wrong:
        raise GoldError(f"{setting.name} is {value!r}, expected {setting.type}")
    if setting.type == "list" and setting.elements:
        _check_elements(setting, value)
    if setting.choices and value not in setting.choices:
        hint = nearest(value, setting.choices)
        choices = ", ".join(map(str, setting.choices))
        raise GoldError(
            f"{setting.name} is {value!r}, expected one of {choices}" + (f"; did you mean {hint}?" if hint else "")
        )


def _check_elements(setting: GoldSetting, values: list[Any]) -> None:
    for value in values:
        if isinstance(value, (dict, list)) != (setting.elements == "dict") or isinstance(value, list):
            raise GoldError(f"{setting.name} holds {value!r}, expected a list of {setting.elements}")


def non_default(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every value that differs from its default, for the report."""
    settings = load_settings()
    return [
        {
            "name": name,
            "value": values[name],
            "default": setting.default,
            "floor_ok": not setting.floor_fault(values[name]),
            "threshold_source": setting.threshold_source,
        }
        for name, setting in sorted(settings.items())
        if values[name] != setting.default
    ]


def about(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a results document says of the gold configuration it was judged by."""
    return {"sha256": digest(values), "non_default": non_default(values)}


def digest(values: Mapping[str, Any]) -> str:
    """SHA-256 over the effective gold configuration in canonical JSON, without the setting that approves this very
    value."""
    text = json.dumps(
        {name: value for name, value in values.items() if name != "gold_baseline_sha256"},
        sort_keys=True,
        separators=(",", ":"),
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()
