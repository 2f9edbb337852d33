# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run directory of many subjects: this machine's real results, varied from subject to subject in a fixed way.

.venv/bin/python benchmarks/fleet.py 1000 /tmp/fleet      writes /tmp/fleet/run/subjects/*.json
"""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import many_domains
from clock import BIN, CHECKOUT, WORK, Figure

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Host
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import rollup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.evidence import slug
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import effective, load_settings
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard, load_standard

MOMENT = datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)
SUPPLIERS = ("Northern Hosting", "Example Ltd", "Estates IT")
SIZES = (10, 100, 1000)
SECONDS, MEGABYTES, FRONT_PAGE = 20, 500, 300_000
# A process of its own, so that the largest memory is that of the report and of nothing else.
REPORT = """
import datetime as dt, json, resource, sys, time
sys.path.insert(0, ".collections")
from ansible_collections.dwp.hypervisor.plugins.action import report as action
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import formats
given = {key: argument.get("default") for key, argument in action.ARGUMENTS.items()}
given.update(report_dir=sys.argv[1], run_id="run", started="2026-11-25T11:59:00Z", fail_on=[])
given["formats"] = list(formats.FORMATS) if sys.argv[2] == "all" else sys.argv[2].split(",")
wall, cpu = time.monotonic(), time.process_time()
action.report(given, False, dt.datetime(2026, 11, 25, 12, 0, 5, tzinfo=dt.timezone.utc))
print(json.dumps({
    "wall": time.monotonic() - wall, "cpu": time.process_time() - cpu,
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""
# One in five failures is excepted, one in seven results differs from the machine's own.
EXCEPTED_EVERY, CHANGED_EVERY = 5, 7


def write(directory: Path, subjects: int, domains: int = 4) -> Path:
    """Write the result files of `subjects` subjects into <directory>/run; returns the run directory."""
    standard = load_standard()
    facts = collector.collect(Host(many_domains.write(WORK / f"{domains}-domains.xml", domains)))
    document = _assessed(json.loads(json.dumps(facts)), standard)
    run = run_directory.prepare(directory, "run")
    for number in range(subjects):
        run_directory.write(run, dict([run_directory.subject_file(_varied(document, number, standard))]))
    return run


def _assessed(facts: dict[str, Any], standard: Standard) -> dict[str, Any]:
    gold = effective({name: setting.default for name, setting in load_settings().items()})
    subject = {**dict.fromkeys(("id", "name", "endpoint", "slug"), "this-machine"), "platform": "kvm", "kind": "host"}
    return assess(facts, standard=standard, gold=gold, now=MOMENT, subject={**subject, "tags": {}})


def _varied(document: dict[str, Any], number: int, standard: Standard) -> dict[str, Any]:
    """The same document for another subject: names of its own, and every seventh result another one."""
    name = f"hv{number:04}.site{number % 4}.example"
    identity = f"{name}/00000000-0000-4000-8000-{number:012x}"
    results = [_result(found, number, index, identity) for index, found in enumerate(document["results"])]
    measures = [
        rollup.roll_up(measure, [found for found in results if found["measure"] == measure.id], identity, False)
        for measure in standard.measures.values()
    ]
    subject = {
        **document["subject"], "id": identity, "name": name, "endpoint": name, "slug": slug(identity),
        "product": f"Debian GNU/Linux 12.{number % 9}, libvirt 9.0.0, QEMU 7.2",
        "tags": {"supplier": SUPPLIERS[number % 3], "service": f"service {number % 20}"},
        "verdict": rollup.verdict(measures), "score": rollup.score(measures),
    }  # fmt: skip
    drift = [{**entry, "subject": identity} for entry in document["drift"]]
    return {**document, "subject": subject, "results": results, "measures": measures, "drift": drift}


def _result(found: dict[str, Any], number: int, index: int, subject: str) -> dict[str, Any]:
    result = {**found, "subject": subject}
    if (number + index) % CHANGED_EVERY == 0 and found["status"] in (o.PASS, o.FAIL, o.UNKNOWN):
        passing = found["status"] != o.PASS
        result.update(
            status=o.PASS if passing else o.FAIL,
            measured=o.PASS if passing else o.FAIL,
            actual="as the gold configuration has it" if passing else f"value {number % 50} of {subject[:6]}",
            message="" if passing else f"host {number} has another value here, which the gold configuration refuses",
            items=[],
            items_total=0,
        )
    if result["status"] == o.FAIL and (number * 31 + index) % EXCEPTED_EVERY == 0:
        result.update(
            status=o.EXCEPTED,
            exception={
                "id": f"EX-{index:03}",
                "risk_ref": f"RISK-{index:04}",
                "expires_on": f"2027-0{index % 9 + 1}-15",
            },
        )
    return result


def report() -> list[Figure]:
    """Reading, merging, every format, and sealing: 10, 100 and 1,000 subjects, each in a process of its own."""
    figures, walls = [], {}
    for subjects in SIZES:
        folder = WORK / f"fleet-{subjects}"
        shutil.rmtree(folder, ignore_errors=True)
        run = write(folder, subjects)
        found = _reported(folder, "all")
        walls[subjects] = found["cpu"]
        size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file()) / 1e6
        large = subjects == SIZES[-1]
        checks = len(json.loads(next((run / "subjects").glob("*.json")).read_bytes())["results"])
        figures.append(
            Figure(
                f"report in every format, {subjects:,} subjects ({subjects * checks:,} results)",
                f"{found['wall']:.1f} s, CPU {found['cpu']:.1f} s, {found['megabytes']:.0f} MB of memory",
                f"`benchmarks report`: one process; {size:,.0f} MB written, sealing included",
                f"at most {SECONDS} s and {MEGABYTES} MB" if large else "",
                large and (found["wall"] > SECONDS or found["megabytes"] > MEGABYTES),
            )
        )
        if large:
            front = (run / "report.html").stat().st_size
            what, how = f"front page, {subjects:,} subjects", "`benchmarks report`: report.html"
            budget = f"at most {FRONT_PAGE:,} bytes"
            figures.append(Figure(what, f"{front:,} bytes", how, budget, front > FRONT_PAGE))
        shutil.rmtree(folder)
    growth = (walls[SIZES[2]] / SIZES[2]) / (walls[SIZES[1]] / SIZES[1])
    per_subject = "CPU of a subject at 1,000 against 100"
    figures.append(Figure("growth of the report", f"{growth:.2f} x", per_subject, "at most 1.2 x", growth > 1.2))
    return figures


def _reported(folder: Path, formats: str) -> dict[str, float]:
    command = [str(BIN / "python"), "-c", REPORT, str(folder), formats]
    done = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=300)
    return json.loads(done.stdout.splitlines()[-1])
