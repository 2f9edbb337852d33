# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting another program and minding how it ends."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def run(command: list[str], *, cwd: Path, limit: int = 120) -> str:
    """What a program printed; it has to succeed."""
    done = subprocess.run(
        command, cwd=cwd, check=False, capture_output=True, text=True, timeout=limit,
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
    )  # fmt: skip
    assert done.returncode == 0, f"{command[0]}: exit code {done.returncode}\n{done.stdout}{done.stderr}"[-4000:]
    return done.stdout
