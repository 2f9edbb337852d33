# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All breaks, by the file they stand in."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks import (
    access,
    library,
    logging,
    network,
    permissions,
    platform,
    virtual_machines,
)
from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks.steps import Break

AREAS = {
    "access": access.BREAKS,
    "library": library.BREAKS,
    "logging": logging.BREAKS,
    "network": network.BREAKS,
    "permissions": permissions.BREAKS,
    "platform": platform.BREAKS,
    "virtual_machines": virtual_machines.BREAKS,
}
BREAKS = [entry for entries in AREAS.values() for entry in entries]


def place_of(entry: Break) -> str:
    """Where an entry stands: its file and its place there."""
    return next(f"{area}[{entries.index(entry)}]" for area, entries in AREAS.items() if entry in entries)


def names() -> list[str]:
    """The names of the tests."""
    return [f"{place_of(entry)}-{entry.check}" for entry in BREAKS]


def never(check: str) -> dict[str, str]:
    """{status: why} of what cannot occur on a target."""
    return {status: why for entry in BREAKS if entry.check == check for status, why in entry.never.items()}
