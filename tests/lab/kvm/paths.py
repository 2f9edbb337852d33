# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the lab keeps what it builds (cache) and what is running (state)."""

from __future__ import annotations

import os
import pathlib
import re

FILES = pathlib.Path(__file__).resolve().parent / "files"
# Interface names have 15 characters and unix sockets 107: names stay short.
HOST_NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")


class LabError(Exception):
    """The lab cannot do what was asked; the message says why and what to do."""


def cache() -> pathlib.Path:
    """Return the cache directory, outside any checkout; it is made when absent."""
    base = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    path = base / "dwp-hypervisor-lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


# A vSphere target runs as anybody, and only root may write to /run.
STATE = pathlib.Path("/run/dwp-hypervisor-lab") if os.geteuid() == 0 else cache() / "run"


def host_state(name: str) -> pathlib.Path:
    """Return the state directory of one lab host; refuses names that are no plain host name."""
    if not HOST_NAME.fullmatch(name):
        raise LabError(f"{name!r} is no lab host name: use a-z, 0-9 and '-', a letter first, at most 24 characters")
    return STATE / name
