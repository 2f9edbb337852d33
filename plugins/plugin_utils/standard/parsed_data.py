# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures and gold settings as JSON, parsed and checked when they were written (tools/gen_docs.py).

Parsing and checking the YAML takes 50 ms of every run, a twentieth of the audit of a host; this takes a fifth of it. It
counts only while every file has the content it was made from: whoever edits one has it read and checked again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
FILE = Path(__file__).with_name("parsed_data.json")


def parsed(paths: Iterable[Path]) -> dict[Path, Any] | None:
    """What the files hold, or None when one of them is not as it was when this was written."""
    known, found = _known(), {}
    for path in paths:
        entry = known.get(_name(path))
        if entry is None or entry["sha256"] != hashlib.sha256(path.read_bytes()).hexdigest():
            return None
        found[path] = entry["data"]
    return found


def text(files: Mapping[Path, Any]) -> str:
    """The content of parsed_data.json for {file: what it holds}, one line a file.

    :raises ValueError: JSON cannot hold what a file holds, for example a date or a key that is no text.
    """
    lines = []
    for path, data in sorted(files.items()):
        entry = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "data": data}
        line = json.dumps(entry, ensure_ascii=False)
        if json.loads(line)["data"] != data:
            raise ValueError(f"{_name(path)} holds what JSON cannot hold, such as a key that is no text")
        lines.append(f"{json.dumps(_name(path))}: {line}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _name(path: Path) -> str:
    return path.relative_to(HERE).as_posix() if path.is_relative_to(HERE) else ""


@lru_cache(maxsize=1)
def _known() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(FILE.read_bytes())
    except (OSError, ValueError):
        return {}
    return found
