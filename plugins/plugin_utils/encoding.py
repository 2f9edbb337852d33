# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON as everything here is stored: ASCII, the same bytes for the same data, a line for what somebody may look for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any


def _as_dict(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


# ASCII, so that lone surrogates and bidirectional controls in a VM's name stay visible escapes in every reader.
_ENCODER = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, check_circular=False, separators=(",", ":"), default=_as_dict
)
# JSONEncoder.encode makes it anew for every value, as much work as encoding a small one: a fleet has half a million.
_MAKE: Any = getattr(json.encoder, "c_make_encoder", None)
_ENCODE: Any = _MAKE and _MAKE(
    None, _as_dict, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False
)


def _compact(value: Any) -> str:
    return "".join(_ENCODE(value, 0))


compact: Callable[[Any], str] = _compact if _ENCODE else _ENCODER.encode


class Lines:
    """JSON in which the entries of mappings and of lists of mappings have lines of their own, some levels deep."""

    def text(self, value: Any, depth: int) -> str:
        """A value, so many levels deep. :raises ValueError: it holds NaN or Infinity, which JSON does not have."""
        if depth and isinstance(value, dict) and value:
            parts = [f"{compact(str(key))}:{self.text(entry, depth - 1)}" for key, entry in value.items()]
            return "{\n" + ",\n".join(parts) + "}"
        if depth and isinstance(value, list) and value and isinstance(value[0], Mapping):
            return "[\n" + ",\n".join(map(self.entry, value)) + "]"
        return self.entry(value)

    def entry(self, value: Any) -> str:
        """A value on one line."""
        return compact(value)


in_lines = Lines().text
