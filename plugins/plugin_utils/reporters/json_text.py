# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON as the reporters write it: ASCII, in pieces, the same bytes for the same data.

ASCII, so that lone surrogates and bidirectional controls in a VM's name stay visible escapes in every reader.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

compact = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def array(entries: Iterable[Any], at_once: int = 250) -> Iterator[bytes]:
    """A JSON array, in pieces of so many entries."""
    rest, comma = iter(entries), ""
    yield b"["
    while piece := list(islice(rest, at_once)):
        yield f"{comma}{compact(piece)[1:-1]}".encode("ascii")
        comma = ","
    yield b"]"
