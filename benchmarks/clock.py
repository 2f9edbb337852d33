# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a benchmark reports, and how a process is timed."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

CHECKOUT = Path(__file__).resolve().parents[1]
WORK = CHECKOUT / ".cache" / "benchmarks"
BIN = CHECKOUT / ".venv" / "bin"
sys.path.insert(0, str(CHECKOUT / ".collections"))


@dataclass
class Figure:
    """One row: what was measured, the value with its unit, the budget in words, whether it was missed, and how."""

    what: str
    value: str
    how: str
    budget: str = ""
    missed: bool = False


@dataclass
class Times:
    """Wall and CPU seconds of the runs of one command; CPU is that of the process and its children on this machine."""

    wall: list[float]
    cpu: list[float]

    @property
    def typical(self) -> float:
        return median(self.wall)

    @property
    def work(self) -> float:
        return median(self.cpu)

    def __str__(self) -> str:
        return f"{self.typical:.2f} s ({min(self.wall):.2f} to {max(self.wall):.2f}), CPU {self.work:.2f} s"


def in_turn(commands: dict[str, list[str]], runs: int, limit: int = 300, **settings: str) -> dict[str, Times]:
    """Run the commands one after the other, round by round, after one round that warms caches and connections."""
    found = {name: Times([], []) for name in commands}
    for turn in range(runs + 1):
        for name, command in commands.items():
            wall, cpu = _once(command, limit, settings)
            if turn:
                found[name].wall.append(wall)
                found[name].cpu.append(cpu)
    return found


def _once(command: list[str], limit: int, settings: dict[str, str]) -> tuple[float, float]:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        command, cwd=CHECKOUT, env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), **settings},
        check=False, capture_output=True, text=True, timeout=limit,
    )  # fmt: skip
    wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
