# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vCenter with many hosts: a whole audit against pyVmomi's own bulk retrieval of the same properties."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clock import BIN, CHECKOUT, Figure

# (hosts, machines); the larger by its own name, for it takes a quarter of an hour.
SMALL, LARGE = (100, 1000), (1000, 10000)
BUDGET, MEMORY_BUDGET = 0.5, 500
BULK = Path(__file__).with_name("pyvmomi_bulk.py")
LIMIT = 1800
# Where reports are written: on a disk, thousands of files take longer to make when as many were removed in the minutes
# before (ext4 does not use their inodes again so soon).
MEMORY = Path("/dev/shm")
# PR_SET_CHILD_SUBREAPER of linux/prctl.h.
ADOPT = 36


@dataclass
class Cost:
    """One process with its children: wall and CPU seconds, and the largest of them in MB."""

    wall: float
    cpu: float
    memory: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s, CPU {self.cpu:.1f} s, {self.memory:.0f} MB"


def vsphere() -> list[Figure]:
    """100 hosts and 1,000 machines."""
    return measured(*SMALL)


def vsphere_large() -> list[Figure]:
    """1,000 hosts and 10,000 machines."""
    return measured(*LARGE)


def measured(hosts: int, machines: int) -> list[Figure]:
    """The two sides in turn, against one simulated vCenter that shares this machine's cores with them."""
    with target(hosts, machines) as inventory:
        bulk = cost([str(BIN / "python"), str(BULK), str(inventory)])
        reading = cost([str(BIN / "python"), str(BULK), str(inventory), "--collector"])
        archive = MEMORY / f"dwp-hypervisor-{os.getpid()}"
        command = [
            str(BIN / "ansible-playbook"), "--inventory", str(inventory), str(CHECKOUT / "playbooks" / "audit.yml"),
            "--extra-vars", f'{{"hypervisor_fail_on": [], "hypervisor_report_dir": "{archive}"}}',
        ]  # fmt: skip
        audit, again = cost(command), cost(command)
        shutil.rmtree(archive)
    size = f"{hosts:,} hosts, {machines:,} virtual machines"
    how = "`benchmarks vsphere`: one run each, in turn; the simulator shares the machine's cores"
    return [
        Figure(f"pyVmomi's own bulk retrieval, {size}", str(bulk), how),
        Figure(f"the collector alone, {size}", f"{reading}; CPU {reading.cpu / bulk.cpu:.2f} x", how),
        Figure(
            f"whole audit, {size}",
            f"{audit}; CPU {audit.cpu / bulk.cpu:.2f} x, wall {audit.wall / bulk.wall:.2f} x",
            how,
            f"at most {BUDGET} x of wall time and {MEMORY_BUDGET} MB" if hosts == LARGE[0] else "",
            hosts == LARGE[0] and (audit.wall > BUDGET * bulk.wall or audit.memory > MEMORY_BUDGET),
        ),
        Figure(
            f"the same, compared with the run before, {size}",
            f"{again}; CPU {again.cpu / bulk.cpu:.2f} x, wall {again.wall / bulk.wall:.2f} x",
            how,
        ),
    ]


@contextlib.contextmanager
def target(hosts: int, machines: int) -> Iterator[Path]:
    """The inventory of a vCenter of the lab."""
    name = f"bench{hosts}"
    # Its memory is not what is measured; with the lab's usual limit it would collect garbage on a core of the audit's.
    lab("up", name, "--hosts", str(hosts), "--vms", str(machines), GOGC="400")
    try:
        yield Path("/run/dwp-hypervisor-lab") / name / "inventory.yml"
    finally:
        lab("down", name)


def lab(*arguments: str, **settings: str) -> None:
    """The lab's command line. settings: of its environment."""
    command = [sys.executable, "-m", "tests.lab.vsphere", *arguments]
    subprocess.run(command, cwd=CHECKOUT, check=True, timeout=LIMIT, env={**os.environ, **settings})


def cost(command: list[str]) -> Cost:
    """Run a command once, as a child of a process of its own, so that its memory is not another's.

    What a command leaves running to be done in the background is adopted by that process, and counted.
    """
    reader, writer = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reader)
        ctypes.CDLL(None).prctl(ADOPT, 1, 0, 0, 0)
        done = subprocess.run(
            command, cwd=CHECKOUT, check=False, capture_output=True, text=True, timeout=LIMIT,
            env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")},
        )  # fmt: skip
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        text = (
            f"{used.ru_utime + used.ru_stime} {used.ru_maxrss / 1024}" if done.returncode == 0 else done.stdout[-2000:]
        )
        os.write(writer, text.encode())
        os._exit(done.returncode)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    _pid, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{text}")
    cpu, memory = map(float, text.split())
    return Cost(time.monotonic() - started, cpu, memory)
