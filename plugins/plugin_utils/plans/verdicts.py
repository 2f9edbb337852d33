# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an assessment asks of an enforcement: the checks that fail, and what the Authority has accepted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import redaction
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard


@dataclass(frozen=True)
class Verdicts:
    """failing, excepted: ids of checks; items: of each check, the ids of its items that are excepted."""

    failing: frozenset[str]
    excepted: frozenset[str]
    items: Mapping[str, frozenset[str]]

    def wanted(self, checks: Sequence[str], enforce: str) -> frozenset[str]:
        """Those of the checks that are to be planned. enforce: drift for those that fail, always for all."""
        chosen = frozenset(checks) if enforce == "always" else self.failing & frozenset(checks)
        return chosen - self.excepted


def judge(
    facts: Mapping[str, Any],
    standard: Standard,
    gold: Mapping[str, Any],
    subject: Mapping[str, Any],
    exceptions: Sequence[Mapping[str, Any]],
) -> Verdicts:
    """Assess a subject by its facts of this moment. exceptions: records of the register."""
    results = assess(
        redaction.redact(facts),
        standard=standard,
        gold=gold,
        now=dt.datetime.now(dt.timezone.utc),
        subject=subject,
        exceptions=exceptions,
    )["results"]
    return Verdicts(
        failing=frozenset(proposal.failing(results)),
        excepted=frozenset(result["check"] for result in results if result["status"] == "excepted"),
        items={
            result["check"]: frozenset(item["id"] for item in result["items"] if item["status"] == "excepted")
            for result in results
        },
    )
