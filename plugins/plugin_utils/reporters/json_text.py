# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON as the reporters write it: ASCII, in pieces, the same bytes for the same data.

ASCII, so that lone surrogates and bidirectional controls in a VM's name stay visible escapes in every reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.encoding import compact

_NEXT = ",\n"


def array(entries: Iterable[Any], at_once: int = 250, encode: Callable[[Any], str] = compact) -> Iterator[bytes]:
    """A JSON array, an entry a line so that a changed one can be named; in pieces of so many entries."""
    rest, before = iter(entries), "[\n"
    while piece := list(islice(rest, at_once)):
        yield f"{before}{_NEXT.join(map(encode, piece))}".encode("ascii")
        before = _NEXT
    yield b"]" if before != "[\n" else b"[]"
