# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""results.json: the run document itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.encoding import in_lines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.evidence import LINE_DEPTH
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import Encoder
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters.json_text import array, compact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard

FILE = "results.json"


def files(run: Mapping[str, Any], _standard: Standard) -> Iterator[tuple[str, Iterator[bytes]]]:
    """results.json, in pieces."""
    yield FILE, chunks(run)


def chunks(run: Mapping[str, Any]) -> Iterator[bytes]:
    """The run document as JSON, in pieces: as one text a fleet's results take as much memory as the results.

    A line for each result, which the verification script can name.
    """
    for number, (key, value) in enumerate(run.items()):
        yield f"{',' if number else '{'}\n{compact(key)}:".encode("ascii")
        if key == "results":
            yield from array(value, encode=Encoder())
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from array(value)
        else:
            yield in_lines(value, LINE_DEPTH - 1).encode("ascii")
    yield b"}\n"


def render(run: Mapping[str, Any]) -> bytes:
    """The run document as JSON, whole."""
    return b"".join(chunks(run))
