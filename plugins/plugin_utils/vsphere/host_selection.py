# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ESXi hosts of an endpoint a run is for, by the patterns of hypervisor_esxi_hosts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import several, visible
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import nearest

VARIABLE = "hypervisor_esxi_hosts"
_NO_LETTERS = str.maketrans("", "", "*?[]!")


def chosen(patterns: Sequence[str], names: Collection[str], endpoint: str, stand_alone: bool) -> frozenset[str]:
    """Those of the hosts' names that a pattern matches, whatever the case, as names of hosts have none.

    A host without a vCenter is known by the inventory's name, the endpoint, too: reports call it so.

    :raises ValueError: a pattern matches none; its writer would believe that a host was hardened.
    """
    called = {name: (name.lower(), endpoint.lower()) if stand_alone else (name.lower(),) for name in names}
    found: set[str] = set()
    for pattern in patterns:
        matched = {name for name, words in called.items() if any(fnmatchcase(word, pattern.lower()) for word in words)}
        if not matched:
            raise ValueError(_unmatched(pattern, sorted(names, key=str.lower), endpoint))
        found |= matched
    return frozenset(found)


def _unmatched(pattern: str, names: Sequence[str], endpoint: str) -> str:
    # Whoever leaves the domain out is nearer to his host than the letters say.
    words = {word: name for name in reversed(names) for word in (name.lower(), name.lower().partition(".")[0])}
    hint = words.get(nearest(pattern.lower().translate(_NO_LETTERS), words) or "")
    return visible(
        f"{VARIABLE}: {pattern!r} matches no ESXi host of {endpoint}"
        + (f"; did you mean {hint}?" if hint else ".")
        + f" Hosts there: {several(names) or 'none that the account sees'}. Hosts of other endpoints are left out by "
        "--limit."
    )
