# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of two runs of 1,000 subjects: proving it, and comparing the second run with the first."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sys
import time
from pathlib import Path

from clock import WORK, Figure

from ansible_collections.dwp.hypervisor.plugins.action import report as action
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import run_history
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard

SUBJECTS = 1000
# What a host with a few dozen virtual machines leaves.
FACTS = {"vms": [{"id": f"vm-{number}", "xml": "x" * 900} for number in range(60)]}
BUDGET = 5.0


def verify() -> list[Figure]:
    """verify.py of a pack of 1,000 subjects with all its files, as a process of its own; median of three."""
    reports = WORK / "archive"
    shutil.rmtree(reports, ignore_errors=True)
    _report(reports, "first")
    _report(reports, "second")
    pack = reports / "second"
    size = sum(path.stat().st_size for path in pack.rglob("*") if path.is_file()) / 1e6
    seconds = sorted(_timed(pack) for _round in range(3))[1]
    how = f"{SUBJECTS} subjects, {size:.0f} MB in {len(list(pack.rglob('*')))} files"
    compared = _compare(reports)
    shutil.rmtree(reports)
    return [
        Figure("verify of 1,000 subjects", f"{seconds:.1f} s", how, f"≤ {BUDGET:.0f} s", seconds > BUDGET),
        Figure("comparison of 1,000 subjects with the run before", f"CPU {compared:.1f} s", "reading it included"),
    ]


def _compare(reports: Path) -> float:
    """CPU seconds of comparing the second run with the first, once its own results are in memory."""
    documents, _unreadable = run_directory.read_subjects(reports / "second")
    history = run_history.History(reports, reports / "second")
    started = time.process_time()
    found = history.comparison(documents, history.document, reports / "second", load_standard())
    seconds = time.process_time() - started
    if not found or found["counts"]["unchanged"] < SUBJECTS * 36:
        raise SystemExit(f"the comparison compared nothing: {found and found['counts']}")
    return seconds


def _report(reports: Path, run: str) -> None:
    """Write the results of all subjects and the report over them."""
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
    action.report({**given, "report_dir": str(reports), "run_id": run, "started": now.isoformat()}, False, now)


def _timed(pack: Path) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-I", str(pack / "verify.py")], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started
