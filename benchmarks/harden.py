# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Booted hosts of the lab hardened with the gold configuration of extensions/molecule/kvm-harden."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import yaml
from clock import CHECKOUT, WORK, Figure, in_turn
from over_ssh import HOST, REPORTS, lab_host, playbook

SCENARIO = CHECKOUT / "extensions/molecule/kvm-harden"
RATIO_BUDGET = 1.3
ROUNDS = 9
FLEET = 20


def first() -> list[Figure]:
    """An untouched host hardened, and once more; then without drift against its audit."""
    with lab_host() as inventory:
        site = site_inventory([inventory], "harden")
        prepare(HOST)
        how = "`benchmarks harden`: once; whole process, both audits, guard and proofs included"
        figures = [
            Figure(f"{which} harden of an untouched host", once(site, "serial"), how) for which in ("first", "second")
        ]
        return [*figures, *without_drift(site)]


def without_drift(site: Path) -> list[Figure]:
    """harden.yml against audit.yml of the measures in which this host has nothing left to set."""
    chosen = f'{{"hypervisor_measures": {json.dumps(settled_measures())}}}'
    audit = [*playbook(site), "--extra-vars", chosen]
    times = in_turn({"audit": audit, "harden": as_harden(audit)}, ROUNDS)
    ratios = [mine / theirs for mine, theirs in zip(times["harden"].wall, times["audit"].wall, strict=True)]
    how = f"`benchmarks harden`: {ROUNDS} rounds in turn, the measures in which nothing drifts"
    return [
        Figure("audit of a hardened host", str(times["audit"]), how),
        Figure("harden of the same host, nothing drifts", str(times["harden"]), how),
        Figure(
            "harden without drift against audit",
            f"{median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})",
            how,
            f"at most {RATIO_BUDGET} x",
            median(ratios) > RATIO_BUDGET,
        ),
    ]


def fleet() -> list[Figure]:
    """Twenty untouched hosts hardened in one run, all on this machine."""
    names = [f"{HOST}-{number}" for number in range(FLEET)]
    lab = [sys.executable, "-m", "tests.lab.kvm"]
    inventories = []
    try:
        for name in names:
            up = subprocess.run(
                [*lab, "up", name], cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=900
            )
            inventories.append(Path(up.stdout.splitlines()[-1]))
            prepare(name)
        site = site_inventory(inventories, "fleet")
        return [
            Figure(f"first harden of {FLEET} untouched hosts, {words}", once(site, serial), "`benchmarks fleet`: once")
            for words, serial in (("ten at a time", "10"), ("once more, ten at a time", "10"))
        ]
    finally:
        for name in names:
            subprocess.run([*lab, "down", name], cwd=CHECKOUT, check=False, capture_output=True, timeout=300)


def site_inventory(inventories: Sequence[Path], name: str) -> Path:
    """The lab's hosts with the gold configuration of the scenario's site."""
    hosts = {}
    for path in inventories:
        hosts.update(yaml.safe_load(path.read_text(encoding="utf-8"))["all"]["hosts"])
    site = yaml.safe_load((SCENARIO / "vars" / "site.yml").read_text(encoding="utf-8"))
    WORK.mkdir(parents=True, exist_ok=True)
    found = WORK / f"{name}-inventory.yml"
    found.write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": site}}), encoding="utf-8")
    return found


def prepare(name: str) -> None:
    """Give a host what a site has: a log server, enrolled people."""
    script = (SCENARIO / "prepare.sh").read_text(encoding="utf-8")
    command = [sys.executable, "-m", "tests.lab.kvm", "exec", name, "--", "sh", "-c", script]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, timeout=120)


def as_harden(audit: list[str]) -> list[str]:
    return [word.replace("playbooks/audit.yml", "playbooks/harden.yml") for word in audit]


def once(inventory: Path, serial: str) -> str:
    """One run of harden.yml: its time, Ansible's count of tasks, the settings that were changed."""
    options = (
        ["--forks", "20"] if serial == "serial" else ["--forks", "20", "--extra-vars", f"hypervisor_serial={serial}"]
    )
    started = time.monotonic()
    done = subprocess.run(
        as_harden(playbook(inventory, *options)),
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")},
        check=False,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    wall = time.monotonic() - started
    if done.returncode:
        raise SystemExit(f"harden.yml: exit code {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    tasks = sum(int(count) for count in re.findall(r" ok=(\d+)", done.stdout))
    hosts = json.loads((latest() / "changes" / "changes.json").read_bytes())["hosts"]
    settings = sum(host["settings_changed"] for host in hosts)
    return f"{wall:.1f} s, {tasks} tasks, {settings} settings changed"


def latest() -> Path:
    runs = [path for path in REPORTS.iterdir() if (path / "changes").is_dir()]
    return max(runs, key=lambda path: path.stat().st_mtime)


def settled_measures() -> list[str]:
    """The measures in which the last harden left nothing that could be set, and that have something to judge."""
    found = json.loads((latest() / "after" / "results.json").read_bytes())
    drifting = {entry["measure"] for entry in found["drift"]}
    return [entry["measure"] for entry in found["measures"] if entry["measure"] not in drifting]
