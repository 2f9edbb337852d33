# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of two runs of 1,000 subjects: proving it, and comparing the second run with the first."""

from __future__ import annotations

import datetime as dt
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from clock import WORK, Figure

from ansible_collections.dwp.hypervisor.plugins.action import report as action
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import assess, evidence, gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import load_standard

SUBJECTS = 1000
# What a host with a few dozen virtual machines leaves.
FACTS = {"vms": [{"id": f"vm-{number}", "xml": "x" * 900} for number in range(60)]}
BUDGET = 5.0


def verify() -> list[Figure]:
    """verify.py of a pack of 1,000 subjects with all its files, as a process of its own; median of three."""
    reports = WORK / "archive"
    shutil.rmtree(reports, ignore_errors=True)
    first = _report(reports, "first")
    second = _report(reports, "second")
    pack = reports / "second"
    size = sum(path.stat().st_size for path in pack.rglob("*") if path.is_file()) / 1e6
    seconds = sorted(_timed(pack) for _ in range(3))[1]
    how = f"{SUBJECTS} subjects, {size:.0f} MB in {sum(1 for _ in pack.rglob('*'))} files"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shutil.rmtree(reports)
    return [
        Figure("verify of 1,000 subjects", f"{seconds:.1f} s", how, f"≤ {BUDGET:.0f} s", seconds > BUDGET),
        Figure(
            "comparison with the run before, 1,000 subjects", f"{second - first:.1f} s",
            f"report of a second run against that of a first ({first:.1f} s); {memory:.0f} MB at most",
        ),
    ]  # fmt: skip


def _report(reports: Path, run: str) -> float:
    """Write the results of all subjects and the report over them; returns the seconds of the report."""
    standard, values = load_standard(), gold.defaults()
    now = dt.datetime.now(dt.timezone.utc)
    directory = run_directory.prepare(reports, run)
    for number in range(SUBJECTS):
        name = f"kvm{number:04}"
        subject = {"id": name, "name": name, "slug": evidence.slug(name), "platform": "kvm", "kind": "host",
                   "endpoint": name, "tags": {}}  # fmt: skip
        document = assess.assess(FACTS, standard=standard, gold=values, now=now, subject=subject)
        run_directory.write(directory, dict([run_directory.subject_file(document)]))
        record = evidence.build(subject, FACTS, collected_at=now, collection="1.0.0", gold=values, gold_sources={})
        run_directory.write(directory, {f"evidence/{subject['slug']}.json": evidence.encode(record)})
    given = {key: argument.get("default") for key, argument in action.ARGUMENTS.items()}
    started = time.monotonic()
    action.report({**given, "report_dir": str(reports), "run_id": run, "started": now.isoformat()}, False, now)
    return time.monotonic() - started


def _timed(pack: Path) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-I", str(pack / "verify.py")], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started
