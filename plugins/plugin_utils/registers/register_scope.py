# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a record of a register is for. Pure: no I/O, no Ansible."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.register_fields import is_pattern

Record = Mapping[str, Any]


def covers_subject(record: Record, subject: Mapping[str, Any]) -> bool:
    """Whether a subject is in the scope of a record.

    Named by id or name, by a pattern (* and ?) on endpoint, name or id, or by one of its inventory groups; and on one
    of the platforms, where the record names any. Names are the inventory's and the controller's, never what a host
    calls itself. Case does not count.
    """
    if "platforms" in record and subject.get("platform") not in record["platforms"]:
        return False
    return _names(record.get("subjects", ()), subject) or _matches(
        record.get("groups", ()), subject.get("groups") or ()
    )


def approved_for(record: Record, subject: Mapping[str, Any]) -> bool:
    """Whether an exception's approval knew this subject. A pattern or a group may match more every day."""
    return "approved_subjects" not in record or _names(record["approved_subjects"], subject)


def names_items(record: Record) -> bool:
    """Whether a record is for single VMs or items only."""
    return "vms" in record or "items" in record


def covers_item(record: Record, item: Mapping[str, Any]) -> bool:
    """Whether a record is for this item of a result; one that names neither VMs nor items is for all of them.

    An item of a VM has an id that begins with the VM's UUID: `<uuid>` or `<uuid>/<its NIC>`. Only the beginning counts:
    whoever may rename a VM could put an approved UUID anywhere else.
    """
    if not names_items(record):
        return True
    item_id = str(item["id"]).casefold()
    if any(item_id == vm or item_id.startswith(f"{vm}/") for vm in record.get("vms", ())):
        return True
    if not _matches(record.get("items", ()), [item_id]):
        return False
    return "approved_items" not in record or item_id in {name.casefold() for name in record["approved_items"]}


def _names(entries: Iterable[str], subject: Mapping[str, Any]) -> bool:
    exact = {str(subject.get(key, "")).casefold() for key in ("id", "name")}
    wide = exact | {str(subject.get("endpoint", "")).casefold()}
    for entry in entries:
        wanted = entry.casefold()
        if wanted in exact:
            return True
        if is_pattern(wanted) and any(_pattern(wanted).fullmatch(name) for name in wide if name):
            return True
    return False


def _matches(entries: Iterable[str], names: Iterable[str]) -> bool:
    known = [name.casefold() for name in names]
    return any(_pattern(entry.casefold()).fullmatch(name) for entry in entries for name in known)


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text), re.DOTALL)
