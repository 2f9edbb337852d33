# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check registers on their own, say where each record stands, and write them as YAML, JSON or CSV."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import register_files, register_state
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.controller_action import ControllerAction, show
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.evidence import write_private
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers import register_csv, register_scope
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.register_fields import (
    ATTESTATION_FIELDS,
    EXCEPTION_FIELDS,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import PLATFORMS, load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible

FIELDS = {"exceptions": EXCEPTION_FIELDS, "attestations": ATTESTATION_FIELDS}
FAIL_ON = ("pending", "expiring", "expired", "review_due", "unused", "unsigned", "new_match")
ARGUMENTS: dict[str, Any] = {
    "exceptions_file": {"type": "path"},
    "attestations_file": {"type": "path"},
    "allowed_signers": {"type": "path"},
    "exceptions_to": {"type": "path"},
    "attestations_to": {"type": "path"},
    "fail_on": {"type": "list", "elements": "str", "choices": list(FAIL_ON), "default": []},
}
SUFFIXES = (".yml", ".yaml", ".json", ".csv")


class ActionModule(ControllerAction):
    """See plugins/modules/registers.py for the documentation."""

    ARGUMENTS = ARGUMENTS

    def answer(self, given, task_vars):
        result = checked(given, _hosts(task_vars), dt.datetime.now(dt.timezone.utc), self._task.check_mode)
        show(result["console"])
        return result


def _hosts(task_vars):
    """The inventory's hosts that have a platform, as subjects whose hardware UUID nobody knows."""
    hosts = []
    for name in task_vars["groups"]["all"]:
        platform = task_vars["hostvars"][name].get("hypervisor_platform")
        if platform in PLATFORMS[1:]:
            groups = [group for group, members in task_vars["groups"].items() if name in members]
            hosts.append({"id": name, "name": name, "endpoint": name, "platform": str(platform), "groups": groups})
    return hosts


def checked(given, hosts, now, check_mode=False):
    """The action's result.

    :raises ValueError: no register is named, one is malformed, or a file to write has no known ending.
    """
    files = {kind: given[f"{kind}_file"] for kind in register_files.KINDS}
    if not any(files.values()):
        raise ValueError("name a register: hypervisor_exceptions_file or hypervisor_attestations_file")
    for kind in register_files.KINDS:
        _check_target(given[f"{kind}_to"], files[kind], kind)
    found = register_files.read(files, load_standard(), given["allowed_signers"])
    result: dict[str, Any] = {"changed": False, "console": [], "reached": []}
    for kind in register_files.KINDS:
        register = found[kind]
        result[kind] = _about(kind, register, hosts, now) if register else None
        if register is None:
            continue
        result["console"] += _console(kind, register, result[kind])
        result["reached"] += _reached(given["fail_on"], kind, result[kind])
        if given[f"{kind}_to"]:
            data = rendered(register["records"], given[f"{kind}_to"], FIELDS[kind])
            target = Path(given[f"{kind}_to"])
            result["changed"] |= not target.is_file() or target.read_bytes() != data
            if result["changed"] and not check_mode:
                write_private(target, data)
    if result["reached"]:
        result.update(failed=True, msg="; ".join(result["reached"]))
    return result


def _check_target(target, source, kind):
    if not target:
        return
    if not source:
        raise ValueError(f"{kind}_to is {target}, and {kind}_file is not given: there is nothing to write")
    if not target.endswith(SUFFIXES):
        raise ValueError(f"{kind}_to is {target}, expected a file that ends in one of {', '.join(SUFFIXES)}")


def rendered(records, target, fields):
    """A register in the format that the name of a file asks for."""
    if target.endswith(".csv"):
        return register_csv.render(records, fields)
    if target.endswith(".json"):
        return json.dumps(records, indent=2, ensure_ascii=False).encode() + b"\n"
    return yaml.safe_dump(records, sort_keys=False, allow_unicode=True, width=120, explicit_start=True).encode()


def _about(kind, register, hosts, now):
    shown = register_state.plain_records(kind, register["records"], now)
    for record, entry in zip(register["records"], shown):
        covered = [host for host in hosts if register_scope.covers_subject(register_files.bare(record), host)]
        entry["hosts"] = [host["name"] for host in covered]
        entry["new_matches"] = [
            host["name"] for host in covered if not register_scope.approved_for(register_files.bare(record), host)
        ]
        if hosts and not covered:
            entry["notes"].append("unused")
    return {"sha256": register["sha256"], "signature": register["signature"], "records": shown}


def _console(kind, register, about):
    lines = [f"{register['source']}: {len(about['records'])} {kind}, well-formed"]
    lines.append(f"  {about['signature']['banner'] or 'signed by ' + str(about['signature']['signer'])}")
    for entry in about["records"]:
        due = f" within {entry['due_within']} days" if entry["due_within"] else ""
        notes = "".join(f", {note.replace('_', ' ')}" for note in entry["notes"])
        new = f", not approved for {', '.join(entry['new_matches'][:5])}" if entry["new_matches"] else ""
        lines.append(visible(f"  {entry['id']}  {entry['state']}{due}, until {entry['expires_on']}{notes}{new}"))
    return lines


def _reached(fail_on, kind, about):
    found = []
    if "unsigned" in fail_on and about["signature"]["state"] != "verified":
        found.append(str(about["signature"]["banner"]))
    for entry in about["records"]:
        words = {entry["state"], *entry["notes"], *(["new_match"] if entry["new_matches"] else [])}
        found += [f"{kind[:-1]} {entry['id']} is {word.replace('_', ' ')}" for word in fail_on if word in words]
    return found
