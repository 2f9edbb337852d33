# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run directory of many subjects: this machine's real results, varied from subject to subject in a fixed way.

.venv/bin/python benchmarks/fleet.py 1000 /tmp/fleet      writes /tmp/fleet/run/subjects/*.json
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import many_domains
from clock import WORK

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Host
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils import rollup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assess import assess
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import slug
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.gold import effective, load_settings
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import Standard, load_standard

MOMENT = datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)
SUPPLIERS = ("Northern Hosting", "Example Ltd", "Estates IT")
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


if __name__ == "__main__":
    print(write(Path(sys.argv[2]), int(sys.argv[1])))
