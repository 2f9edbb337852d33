# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of IP addresses of one family as sorted intervals: what a firewall lets through is a set, not a sample."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

BITS = {4: 32, 6: 128}


@dataclass(frozen=True)
class AddressSet:
    """Addresses of one family (4 or 6) as disjoint, sorted, inclusive intervals."""

    family: int
    spans: tuple[tuple[int, int], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __or__(self, other: AddressSet) -> AddressSet:
        if not other.spans or self.spans == other.spans:
            return self
        return AddressSet(self.family, joined_spans(self.spans + other.spans)) if self.spans else other

    def __and__(self, other: AddressSet) -> AddressSet:
        found, left, right = [], 0, 0
        while left < len(self.spans) and right < len(other.spans):
            (low, high), (start, end) = self.spans[left], other.spans[right]
            if max(low, start) <= min(high, end):
                found.append((max(low, start), min(high, end)))
            if high < end:
                left += 1
            else:
                right += 1
        return AddressSet(self.family, tuple(found))

    def __sub__(self, other: AddressSet) -> AddressSet:
        return self & other.complement() if self.spans and other.spans else self

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self.spans, (number, 1 << 129)) - 1
        return place >= 0 and self.spans[place][0] <= number <= self.spans[place][1]

    def complement(self) -> AddressSet:
        found, start = [], 0
        for low, high in self.spans:
            if start < low:
                found.append((start, low - 1))
            start = high + 1
        top = (1 << BITS[self.family]) - 1
        if start <= top:
            found.append((start, top))
        return AddressSet(self.family, tuple(found))

    def text(self, limit: int = 6) -> list[str]:
        """The set as prefixes, the first `limit` of them; "any" for everything."""
        if not self.complement():
            return ["any IPv%d address" % self.family]
        found: list[str] = []
        for low, high in self.spans:
            kind = ipaddress.IPv4Address if self.family == 4 else ipaddress.IPv6Address
            for network in ipaddress.summarize_address_range(kind(low), kind(high)):
                if len(found) == limit:
                    return [*found, "..."]
                found.append(str(network) if network.num_addresses > 1 else str(network.network_address))
        return found


def everything(family: int) -> AddressSet:
    """Every address of a family."""
    return AddressSet(family, ((0, (1 << BITS[family]) - 1),))


def of_cidrs(family: int, cidrs: Iterable[str]) -> AddressSet:
    """The addresses of one family in a list of addresses and prefixes; those of the other family are left out.

    :raises ValueError: an entry is neither address nor prefix.
    """
    return _of_cidrs(family, tuple(str(cidr).strip() for cidr in cidrs))


# The rule sets of a fleet name the same networks on each host.
@lru_cache(maxsize=1024)
def _of_cidrs(family: int, cidrs: tuple[str, ...]) -> AddressSet:
    networks = [ipaddress.ip_network(cidr, strict=False) for cidr in cidrs]
    spans = [(int(network[0]), int(network[-1])) for network in networks if network.version == family]
    return AddressSet(family, joined_spans(tuple(spans)))


def of_span(family: int, low: int, high: int) -> AddressSet:
    """The addresses from low to high, both included."""
    return AddressSet(family, ((low, high),)) if low <= high else AddressSet(family)


def joined_spans(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Spans in order and without overlaps or neighbours; nft refuses overlaps in a set."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)
