# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a playbook with the checkout as the collection, the way a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[4]


def run_playbook(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """ansible-playbook in `folder` with the inventory.yml that lies there."""
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.yml", *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            **environment,
        },
    )
