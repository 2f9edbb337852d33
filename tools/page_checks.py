# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/checks.md: per check, where it was seen to pass, to fail and to be unknown."""

from __future__ import annotations

from pathlib import Path

from markdown_text import table
from seen import (
    BROKEN,
    ENFORCED,
    ENFORCED_VM,
    ENFORCED_VSPHERE,
    NEVER,
    PROVEN,
    WANTED,
    WHERE,
    Seen,
    booted_failures,
    decided_by_machine,
)

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, Standard

PAGE = Path("docs/checks.md")


def pages(standard: Standard, seen: Seen) -> dict[Path, str]:
    """{path: text} of the one page."""
    checks = decided_by_machine(standard)
    failed, count = booted_failures(standard, seen)
    lines = [
        "# Where each check has been seen to work",
        "",
        "A check is done when it has been seen to pass, to fail, and to be unknown because its facts were missing. The",
        "tests record where they saw which; `make docs` takes the record over, and `make test` fails when a check",
        "lacks any of the three or when a recorded sighting does not happen again.",
        "",
        f"{count} KVM checks are decided by facts. {failed} of them have been seen to fail on a booted host that was",
        'broken for the purpose; the table says "(broken)".',
        "",
        f"{sum(map(enforceable, checks))} of them a role can put right. The last column says where one did",
        "(twice being once) and revert to take it back; what is written and waits for a restart says so.",
        "",
        *table(
            ["check", *(WHERE[where] for where in PROVEN["kvm"]), "enforced: seen on"],
            [
                [
                    f"[{check.id}](measures/{check.measure}.md)",
                    *(_cell(seen[where].get(check.id, {})) for where in PROVEN["kvm"]),
                    _enforced(check, seen[ENFORCED], seen[ENFORCED_VM]),
                ]
                for check in checks
            ],
        ),
        "",
        "## VMware vSphere",
        "",
        *_vsphere(standard, seen),
    ]
    return {PAGE: "\n".join(lines) + "\n"}


def _vsphere(standard: Standard, seen: Seen) -> list[str]:
    """The checks of vSphere: what a fixture and the simulated vCenter show, and no real one yet."""
    checks = decided_by_machine(standard, "vsphere")
    rows = [
        [
            f"[{check.id}](measures/{check.measure}.md)",
            *(_cell(seen[where].get(check.id, {})) for where in PROVEN["vsphere"]),
            _judged_on(check),
            _enforced(check, seen[ENFORCED_VSPHERE]),
        ]
        for check in checks
    ]
    return [
        f"{len(checks)} vSphere checks are decided by facts. They have been seen on the sample documents of",
        "`tests/unit/plugins/plugin_utils/vsphere_facts`, and over its API on the simulated vCenter, which was changed",
        'for the purpose, as hands, hardware and lacking rights do ("broken"); not yet on a real host.',
        "",
        f"{sum(map(enforceable, checks))} of them a role can put right, as far as [vSphere](vsphere.md) says. The",
        "last column says where one did (twice being once) and revert took it back: no vCenter of the vendor's yet.",
        "",
        *table(["check", *(WHERE[where] for where in PROVEN["vsphere"]), "judged on", "enforced: seen on"], rows),
    ]


def _judged_on(check: Check) -> str:
    return {"host": "each host", "controller": "the vCenter, inherited by its hosts"}.get(check.judged_on, "both")


def enforceable(check: Check) -> bool:
    """Whether a role can put it right."""
    return bool(check.data.get("enforced"))


def _enforced(check: Check, *lanes: dict[str, dict[str, str]]) -> str:
    if not enforceable(check):
        return ""
    told = [
        where + (f" (waits for {how.partition(', waits for ')[2]})" if ", waits for " in how else "")
        for lane in lanes
        for where, how in sorted(lane.get(check.id, {}).items())
    ]
    return ", ".join(told) or "not seen"


def _cell(found: dict[str, str]) -> str:
    return ", ".join(_shown(status, found[status]) for status in (*WANTED, "not_applicable") if status in found)


def _shown(status: str, how: str) -> str:
    if how.startswith(NEVER):
        return f"never {status} ({how.removeprefix(NEVER)})"
    return f"{status} (broken)" if how.startswith(BROKEN) else status
