# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an enforcement has done. Pure.

Of settings {setting: {old, new, checks, measures}}, of an endpoint {host: {setting: ...}}; of restarts see no_restarts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def each_setting(updated: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(setting, {old, new, checks, measures}); of an endpoint, the host stands before the setting."""
    for name, found in updated.items():
        # A host's entry holds settings, a setting's a list of checks.
        if isinstance(found.get("checks"), list):
            yield name, found
        else:
            yield from ((f"{name} {setting}", entry) for setting, entry in found.items())


def no_restarts() -> dict[str, dict[str, Any]]:
    """Of hosts that waited for a restart, none; plugins/modules/enforce.py documents the keys."""
    return {"restarted": {}, "left": {}, "faults": {}}
