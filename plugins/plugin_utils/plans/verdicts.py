# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an assessment asks of an enforcement: the checks that fail, and what the Authority has accepted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Verdicts:
    """failing, judged, excepted: ids of checks. judged: those measured to pass or fail from facts of the subject.

    items: of each check, the ids of its items that are excepted.
    """

    failing: frozenset[str]
    judged: frozenset[str]
    excepted: frozenset[str]
    items: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, results: Iterable[Mapping[str, Any]]) -> Verdicts:
        """From the results of assess. What fails counts unless it is excepted; unknown never does."""
        results = list(results)
        return cls(
            failing=frozenset(
                result["check"] for result in results if result["measured"] == "fail" and result["status"] == "fail"
            ),
            judged=frozenset(result["check"] for result in results if result["measured"] in ("pass", "fail")),
            excepted=frozenset(result["check"] for result in results if result["status"] == "excepted"),
            items={
                result["check"]: frozenset(item["id"] for item in result["items"] if item["status"] == "excepted")
                for result in results
            },
        )
