# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures that gold declares for single virtual machines, the same for every platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.machines import Vm
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import declared

LIMITS = {"network_kib": (1, 4194303), "disk_iops": (1, 10**9), "cpu_percent": (1, 100000)}


def limit(limits: Mapping[str, Any], vm: Vm, key: str) -> int | None:
    """What gold_vm_limits declares for a machine, else its default.

    :raises Refusal: an unknown key, or a figure that is none.
    """
    for entry in (declared(limits, vm), limits.get("default")):
        if entry is None:
            continue
        strange = sorted(set(entry) - set(LIMITS)) if isinstance(entry, Mapping) else [str(entry)]
        if strange:
            raise Refusal(f"gold_vm_limits has {strange[0]!r}, expected {', '.join(LIMITS)}")
        if key in entry:
            low, high = LIMITS[key]
            figure = entry[key]
            if isinstance(figure, bool) or not isinstance(figure, int) or not low <= figure <= high:
                raise Refusal(f"gold_vm_limits: {key} is {figure!r}, expected a whole number from {low} to {high}")
            return figure
    return None


def number(policy: str, wanted: Mapping[str, Any], key: str) -> float | None:
    """A number of a policy's entry, greater than zero; None where it has none. policy: its name in gold.

    :raises Refusal: something else.
    """
    found = wanted.get(key)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found <= 10**9:
        raise Refusal(f"{policy}: {key} is {found!r}, expected a number greater than 0")
    return found
