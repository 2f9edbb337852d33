# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to ask people for: every check that is manual on some subject, and attestation stubs ready to fill in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.register_fields import OTHER_STANDARDS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, Standard

STUBS = "attestation-stubs.yml"
MAX_REASONS = 10
_HEAD = """---
# Attestation stubs: one for each check that needs a signed statement and has none in date.
# Fill in what is empty, delete what does not apply, give each an id of its own, and name the file in
# hypervisor_attestations_file. As it stands it is refused: an empty signature counts for nothing.
# docs/attestations.md explains every key.
"""


def wanted(results: Iterable[Mapping[str, Any]], standard: Standard) -> list[dict[str, Any]]:
    """One entry per check that counts as manual somewhere, in the order of the standard."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        if result["status"] != o.MANUAL:
            continue
        check = standard.checks.get(result["check"])
        entry = found.setdefault(result["check"], _entry(result, check))
        entry["subjects"].append(result["subject"])
        if result["message"] and result["message"] not in entry["reasons"] and len(entry["reasons"]) < MAX_REASONS:
            entry["reasons"].append(result["message"])
    order = {check: number for number, check in enumerate(standard.checks)}
    return sorted(found.values(), key=lambda entry: (order.get(entry["check"], len(order)), entry["check"]))


def _entry(result: Mapping[str, Any], check: Check | None) -> dict[str, Any]:
    passes = check.passes if check else str(result["expected"] or "")
    return {
        "measure": result["measure"],
        "check": result["check"],
        "title": result["title"],
        "obligation": result["obligation"],
        "ask": str(check.data["manual"]) if check and "manual" in check.data else f"show that {passes}",
        "passes": passes,
        "reasons": [],
        "subjects": [],
    }


def stubs(entries: Sequence[Mapping[str, Any]], names: Mapping[str, str], marking: str) -> bytes:
    """The stubs as a register that only lacks what people have to say.

    names: subject id -> the name to write; musts come first, what is only advised after them.
    """
    lines = [_HEAD, f"# {_comment(marking)}\n"]
    ordered = sorted(entries, key=lambda entry: entry["obligation"] != "must")
    for number, entry in enumerate(ordered, 1):
        lines.append(_stub(number, entry, names))
    return ("".join(lines) + ("" if ordered else "[]\n")).encode("utf-8", "backslashreplace")


def _stub(number: int, entry: Mapping[str, Any], names: Mapping[str, str]) -> str:
    subjects = [names.get(subject, subject) for subject in entry["subjects"]]
    other = next((found for found in OTHER_STANDARDS if found in entry["ask"] + entry["passes"]), None)
    lines = [
        "",
        f"# {entry['measure']}  {_comment(entry['title'])}"
        + ("" if entry["obligation"] == "must" else f"  ({entry['obligation']})"),
        f"# Ask for: {_comment(entry['ask'])}",
        f"# Good enough when: {_comment(entry['passes'])}",
        *(f"# Why: {_comment(reason)}" for reason in entry["reasons"] if reason != entry["ask"]),
        f"- id: AT-{number:03}",
        f"  checks: [{entry['check']}]",
        "  subjects:",
        *(f"    - {json.dumps(name)}" for name in subjects),
        '  statement: ""',
        "  # One of: evidence_ref (words), evidence_url, evidence_file (hashed when the run begins)",
        '  evidence_ref: ""',
        *([f"  # satisfied_by: {other}"] if other else []),
        '  signed_by: ""',
        '  accepted_by: ""  # another person',
        '  signed_on: ""  # YYYY-MM-DD',
        '  expires_on: ""',
        "",
    ]
    return "\n".join(lines)


def _comment(text: str) -> str:
    """Text of a target may not end its comment: one printable line."""
    return "".join(char if char.isprintable() else " " for char in str(text))[:500]
