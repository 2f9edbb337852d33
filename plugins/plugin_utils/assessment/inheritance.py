# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which subject a check is judged on, and what a host takes over from its controller (design.md section 4).

Roles, permissions, libraries and alarms belong to a vCenter. Each of its hosts stands or falls by them, so the vCenter
is judged once and its hosts carry the same result, with the exception or attestation that counts there. A stand-alone
host is its own controller: its checks are judged on its own facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, Standard

ON_HOSTS = "judged on each host of this controller"


def controller_of(subject: Mapping[str, Any]) -> str:
    """The id of the subject that controls a host, or an empty string."""
    return str(subject.get("controller") or "") if subject.get("kind") == "host" else ""


def elsewhere(check: Check, subject: Mapping[str, Any]) -> Outcome | None:
    """What a check says on a subject where it is not judged; None where it is.

    A host whose controller was not assessed cannot know what is judged there, and does not guess it from its own facts.
    """
    if subject.get("kind") == "controller" and check.judged_on == "host":
        return o.not_applicable(ON_HOSTS)
    controller = controller_of(subject)
    if controller and check.judged_on == "controller":
        return o.unknown(f"judged on the controller {controller}, whose results are missing")
    return None


def taken(
    results: Iterable[Mapping[str, Any]], subject: Mapping[str, Any], standard: Standard
) -> dict[str, dict[str, Any]]:
    """{check id: result} of what a host takes over from the results of its controller, as results of the host."""
    controller = controller_of(subject)
    if not controller:
        return {}
    return {
        result["check"]: {
            **result,
            "subject": subject["id"],
            "items": list(result["items"]),
            "message": f"{_said_of(controller)}{result['message'] or result['measured']}"[:500],
        }
        for result in results
        if result["subject"] == controller and standard.checks[result["check"]].judged_on == "controller"
    }


def is_taken(result: Mapping[str, Any], subject: Mapping[str, Any]) -> bool:
    """Whether a result of a subject is one of those that taken() gives."""
    controller = controller_of(subject)
    return bool(controller) and str(result["message"]).startswith(_said_of(controller))


def _said_of(controller: str) -> str:
    return f"judged on {controller}: "


def in_order(results: list[MutableMapping[str, Any]], standard: Standard) -> list[MutableMapping[str, Any]]:
    """Results in the order of the standard's checks."""
    place = {check_id: number for number, check_id in enumerate(standard.checks)}
    return sorted(results, key=lambda result: place[result["check"]])
