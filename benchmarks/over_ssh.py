# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A booted host of the lab over ssh: an audit against a ping, and twenty hosts in one run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import yaml
from clock import BIN, CHECKOUT, WORK, Figure, in_turn

HOST = "bench"
RATIO_BUDGET = 2.0
ROUNDS = 9
REPORTS = WORK / "report"
FLEETS = (1, 10, 20)


def audit() -> list[Figure]:
    """The whole ansible-playbook process, report included, against `ansible -m ping` of the same host."""
    with lab_host() as inventory:
        times = in_turn({"ping": ping(inventory), "audit": playbook(inventory)}, ROUNDS)
    ratios = [mine / theirs for mine, theirs in zip(times["audit"].wall, times["ping"].wall, strict=True)]
    ratio = median(ratios)
    fastest = min(times["audit"].wall) / min(times["ping"].wall)
    work = times["audit"].work / times["ping"].work
    how = f"`benchmarks audit`: {ROUNDS} rounds in turn, connection kept (ControlPersist)"
    return [
        Figure("`ansible -m ping`, one host over ssh", str(times["ping"]), how),
        Figure("audit of the same host, report included", str(times["audit"]), how),
        Figure(
            "audit against ping",
            f"{ratio:.2f} x ({min(ratios):.2f} to {max(ratios):.2f}); best of each {fastest:.2f} x; CPU {work:.2f} x",
            how,
            f"at most {RATIO_BUDGET} x",
            ratio > RATIO_BUDGET,
        ),
    ]


def twenty() -> list[Figure]:
    """The controller's CPU per host as hosts are added: names for one booted host, a connection of its own each."""
    figures, base = [], 0.0
    with lab_host() as inventory:
        for count in FLEETS:
            fleet = several_names(inventory, count)
            times = in_turn({"audit": playbook(fleet, "--forks", "20")}, 2)["audit"]
            base = base or times.work
            extra = "" if count == 1 else f", each further host {(times.work - base) / (count - 1):.2f} s of CPU"
            figures.append(
                Figure(
                    f"{count} host{'s' if count > 1 else ''} in one run",
                    f"{times}{extra}",
                    "`benchmarks twenty`: median of 2, 20 forks; CPU of the controller",
                )
            )
    return figures


@contextmanager
def lab_host() -> Iterator[Path]:
    """A fresh booted host and an empty archive of reports, because both grow older with use; yields the inventory."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    lab = [sys.executable, "-m", "tests.lab.kvm"]
    up = subprocess.run([*lab, "up", HOST], cwd=CHECKOUT, check=False, capture_output=True, text=True, timeout=900)
    if up.returncode:
        raise SystemExit(f"no host of the lab: {up.stderr}")
    try:
        yield Path(up.stdout.splitlines()[-1])
    finally:
        subprocess.run([*lab, "down", HOST], cwd=CHECKOUT, check=False, capture_output=True, timeout=300)


def ping(inventory: Path) -> list[str]:
    return [str(BIN / "ansible"), "--inventory", str(inventory), "all", "--module-name", "ansible.builtin.ping"]


def playbook(inventory: Path, *options: str) -> list[str]:
    settings = ("--extra-vars", f"hypervisor_report_dir={REPORTS}", "--extra-vars", '{"hypervisor_fail_on": []}')
    return [
        str(BIN / "ansible-playbook"), "--inventory", str(inventory), str(CHECKOUT / "playbooks/audit.yml"),
        *settings, *options,
    ]  # fmt: skip


def several_names(inventory: Path, count: int) -> Path:
    """An inventory that names the one host several times, with an ssh connection for each name."""
    asked = [BIN / "ansible-inventory", "--inventory", inventory, "--host", HOST, "--yaml"]
    shown = subprocess.run(asked, cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=60, env=os.environ)
    variables = yaml.safe_load(shown.stdout)
    WORK.mkdir(parents=True, exist_ok=True)
    hosts = {
        f"{HOST}-{number}": {**variables, "ansible_control_path": f"%(directory)s/{HOST}-{number}"}
        for number in range(count)
    }
    path = WORK / f"{count}-hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    return path
