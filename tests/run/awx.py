# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The thin AWX project (examples/awx), run as AWX runs it: through ansible-runner, as job types Run and Check.

The collection comes from the built artefact, not from the checkout; the target is a booted host where the lab can
run, else this machine. What AWX keeps of a job is looked at: its artefacts and the size of its events.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import ansible_runner
import yaml
from artefact import BUILD, install
from stage import CHECKOUT, environment
from table import lacks_lab

FOLDER = BUILD / "awx"
HOST = "awx"
LIMIT = 240  # seconds for one job
# awx/settings/defaults.py: MAX_EVENT_RES_DATA; the result of a larger event is dropped.
EVENT_LIMIT = 700_000
COMPARED = ("subjects", "by_status", "score")  # of the summaries of the two job types


def main() -> None:
    """Prepare the project, run both job types, compare."""
    collections = install(FOLDER / "install")
    check_requirements()
    lab = lacks_lab() is None
    inventory = start_lab_host() if lab else CHECKOUT / "examples" / "demo" / "inventory.yml"
    try:
        summaries = [run_job(collections, inventory, job_type) for job_type in ("run", "check")]
    finally:
        if lab:
            lab_command("down", HOST)
    run, check = ({key: summary[key] for key in COMPARED} for summary in summaries)
    if run != check:
        sys.exit(f"job type Check gives another result than Run:\n{check}\n{run}")
    print(f"both job types, on {'a booted host' if lab else 'this machine'}: {run}")


def check_requirements() -> None:
    """The project asks for this collection in a version that the artefact satisfies."""
    asked = yaml.safe_load((CHECKOUT / "examples/awx/collections/requirements.yml").read_text(encoding="utf-8"))
    version = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    wanted = {entry["name"]: entry["version"] for entry in asked["collections"]}
    if wanted != {"dwp.hypervisor": f">={version}"}:
        sys.exit(f"examples/awx asks for {wanted}, galaxy.yml builds dwp.hypervisor {version}")


def run_job(collections: Path, inventory: Path, job_type: str) -> dict:
    """Run the project once in a private data directory of its own and return its hypervisor_summary."""
    private = FOLDER / job_type
    shutil.rmtree(private, ignore_errors=True)
    shutil.copytree(CHECKOUT / "examples" / "awx", private / "project")
    reports = private / "reports"
    runner = ansible_runner.run(
        private_data_dir=str(private),
        playbook="audit.yml",
        inventory=str(inventory),
        cmdline="--check" if job_type == "check" else None,
        extravars={"awx_job_id": 4711, "hypervisor_report_dir": str(reports), "hypervisor_fail_on": []},
        envvars={"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_CONFIG": str(_empty_settings())},
        settings={"idle_timeout": LIMIT, "job_timeout": LIMIT},
        quiet=True,
    )
    events = list(runner.events)
    output = "".join(event.get("stdout", "") + "\n" for event in events)
    if runner.status != "successful":
        sys.exit(f"job type {job_type}: {runner.status}\n{output}")
    largest = max(len(json.dumps(event.get("event_data", {}).get("res", {}))) for event in events)
    if largest > EVENT_LIMIT:
        sys.exit(f"job type {job_type}: an event of {largest} bytes, AWX drops what exceeds {EVENT_LIMIT}")
    ends = [event["event_data"] for event in events if event["event"] == "playbook_on_stats"]
    artefacts = ends[0].get("artifact_data", {})
    if "hypervisor_summary" not in artefacts:
        sys.exit(f"job type {job_type}: no hypervisor_summary among the job's artefacts: {sorted(artefacts)}")
    report = reports / "4711" / "report.html"
    if not report.is_file():
        sys.exit(f"job type {job_type}: no {report}")
    print(f"job type {job_type}: {len(events)} events, the largest {largest} bytes, {report.stat().st_size} of report")
    return artefacts["hypervisor_summary"]


def _empty_settings() -> Path:
    """An ansible.cfg with nothing in it: AWX does not have the checkout's."""
    path = FOLDER / "ansible.cfg"
    path.write_text("[defaults]\n", encoding="utf-8")
    return path


def start_lab_host() -> Path:
    """Boot a host of the lab and return its inventory."""
    return Path(lab_command("up", HOST).splitlines()[-1])


def lab_command(*words: str) -> str:
    """Run a command of the lab and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab.kvm", *words],
        cwd=CHECKOUT, check=False, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"lab {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    os.environ.update(environment())
    main()
