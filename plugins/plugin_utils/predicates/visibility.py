# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the list of domains is all there is.

libvirt's access control filters what a client may see, and guests run by hand or by another tool never appear
(amendments.md), so a judgement over all virtual machines counts the ones it cannot see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import Outcome, need


def unseen(visibility: Mapping[str, Any]) -> list[Outcome]:
    """Items to add to a judgement over all domains: a fail for each unmatched process, an unknown where more may exist.

    visibility: the fact libvirt.visibility, {complete: bool, unmatched: [{pid, name, why, ...}], gaps: [str]}.
    """
    unexplained = "runs a guest that no visible domain accounts for"
    items = [
        o.item(
            f"process {process.get('pid')}",
            o.failed(
                dict(process),
                "every guest is a domain",
                f"{str(process.get('name') or 'a process')[:80]} {process.get('why') or unexplained}",
            ),
        )
        for process in need(visibility, "unmatched", what="libvirt.visibility")
    ]
    if need(visibility, "complete", what="libvirt.visibility") is not True:
        gaps = [str(gap) for gap in visibility.get("gaps") or ["not every domain is visible"]]
        items.append(
            o.item("unseen domains", o.unknown(f"the list of virtual machines is not complete: {'; '.join(gaps[:5])}"))
        )
    return items
