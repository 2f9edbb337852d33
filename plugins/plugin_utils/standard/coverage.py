# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pass of a measure proves on a platform: how many of its deciding checks a machine reads, and how many a
person states."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, Measure

AUTOMATED = "automated"
PARTIAL = "partial"
ATTESTATION_ONLY = "attestation only"
PLATFORM_CANNOT = "platform cannot"
NOT_TESTED = "not tested"
WORDS = {
    AUTOMATED: "Every deciding check is read from the system: a pass is measured.",
    PARTIAL: "Some deciding checks are read from the system, others need a signed statement or another system.",
    ATTESTATION_ONLY: "No deciding check can be read from the system: a pass rests on a signed statement alone.",
    PLATFORM_CANNOT: "The platform has nothing that could be read or stated; the limit is written with the measure.",
    NOT_TESTED: "This version has no check here: the measure counts as unknown.",
}
_STATED = frozenset(("attestation", "external"))


@dataclass(frozen=True)
class Coverage:
    """One cell of the coverage matrix. read, stated: number of deciding checks."""

    word: str
    read: int
    stated: int


def checks_of(measure: Measure, platform: str) -> list[Check]:
    """The checks of a measure that are run on a platform."""
    return [check for check in measure.checks if check.platform in ("all", platform)]


def coverage(measure: Measure, platform: str) -> Coverage:
    """What a pass of this measure on this platform rests on; supplementary checks decide nothing and do not count."""
    deciding = [check for check in checks_of(measure, platform) if check.tier == 1]
    stated = sum(check.evidence in _STATED for check in deciding)
    read = len(deciding) - stated
    if not deciding:
        word = PLATFORM_CANNOT if platform in measure.limits else NOT_TESTED
    elif not read:
        word = ATTESTATION_ONLY
    else:
        word = PARTIAL if stated else AUTOMATED
    return Coverage(word, read, stated)
