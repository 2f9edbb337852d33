# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the YAML files of test entries (breaks/, enforced/): one file an area, each a list of entries."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, TypeVar

import yaml

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import PENDING
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest
from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted

STATUSES = (outcome.PASS, outcome.FAIL, outcome.UNKNOWN, outcome.MANUAL, outcome.NOT_APPLICABLE, outcome.NOT_EVALUATED)
CHOICES: dict[str, tuple[Any, ...]] = {
    "expect_before": STATUSES,
    "expect": STATUSES,
    "expect_after": STATUSES,
    "expect_restored": STATUSES,
    "variant": booted.VARIANTS,
    "pending": PENDING,
    "round": tuple(range(1, 30)),
}
KINDS: dict[str, type] = {
    "setup": list, "break": list, "restart": list, "gold": dict, "variables": dict, "check": str, "message": str,
    "by_hand": str, "refused": str,
}  # fmt: skip
T = TypeVar("T")


class EntryFileError(ValueError):
    """A file of entries is malformed; the message names file, entry, key, what was found and what is expected."""


def load(directory: pathlib.Path, kind: type[T], required: Sequence[str]) -> list[T]:
    """Return the entries of every file, in order, as `kind`: a dataclass whose first fields are area and position.

    :raises EntryFileError: a file is not a list of entries, or an entry has a wrong key or value.
    """
    entries = []
    for path in sorted(directory.glob("*.yml")):
        listed = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        if not isinstance(listed, list):
            raise EntryFileError(f"{path.name}: found {type(listed).__name__}, expected a list of entries")
        entries += [_entry(path, position, data, kind, required) for position, data in enumerate(listed)]
    return entries


def _entry(path: pathlib.Path, position: int, data: Any, kind: type[T], required: Sequence[str]) -> T:
    where = f"{path.name}, entry {position}"
    fields = {
        field.name.rstrip("_"): field
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
        if field.name not in ("area", "position")
    }
    if not isinstance(data, dict):
        raise EntryFileError(f"{where}: found {type(data).__name__}, expected a mapping")
    where += f" ({data.get('check')})"
    for key, value in data.items():
        if key not in fields:
            raise EntryFileError(
                f"{where}: no key {key!r}, did you mean {nearest(key, fields)!r}? Keys: {', '.join(fields)}"
            )
        if key in CHOICES and value not in CHOICES[key]:
            raise EntryFileError(f"{where}: {key} is {value!r}, expected one of {', '.join(map(str, CHOICES[key]))}")
        if key in KINDS and not isinstance(value, KINDS[key]):
            raise EntryFileError(f"{where}: {key} is {value!r}, expected {KINDS[key].__name__}")
        if KINDS.get(key) is list and not all(isinstance(item, str) for item in value):
            raise EntryFileError(f"{where}: {key} holds something else than text: {value!r}")
    for key in required:
        if not data.get(key):
            raise EntryFileError(f"{where}: {key} is missing or empty")
    return kind(path.stem, position, **{fields[key].name: value for key, value in data.items()})
