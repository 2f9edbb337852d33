# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What needs no host: the collector, the assessor, and the facts kept, with 200 domains of libvirt's test driver."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from typing import Any

import many_domains
from clock import BIN, CHECKOUT, WORK, Figure, in_turn

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Host
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import assess as assessor
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import lookup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.gold import effective, load_settings
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, load_standard

DOMAINS = 200
MODULE_BUDGET = 2.0  # seconds
ASSESS_BUDGET = 5000  # checks a second and core
KEPT_BUDGET = 50_000  # bytes


def _uri() -> str:
    return many_domains.write(WORK / f"{DOMAINS}-domains.xml", DOMAINS)


def module() -> list[Figure]:
    """Seconds the collector takes, every part of it, with 200 domains."""
    uri, walls = _uri(), []
    for _round in range(5):
        started = time.monotonic()
        facts = collector.collect(Host(uri))
        walls.append(time.monotonic() - started)
    read = len(facts.get("vms") or [])
    if read != DOMAINS:
        raise SystemExit(f"the collector read {read} domains of {DOMAINS}: {facts['collector']['errors'][:5]}")
    best = sorted(walls)[len(walls) // 2]
    slowest = max(facts["collector"]["seconds"].items(), key=lambda part: part[1])
    return [
        Figure(
            f"kvm_info, {DOMAINS} domains, in the module's process",
            f"{best:.2f} s ({min(walls):.2f} to {max(walls):.2f}); slowest part {slowest[0]} {slowest[1]:.2f} s",
            "`benchmarks module`: collector.collect, 5 times; libvirt's test driver",
            f"at most {MODULE_BUDGET:.0f} s",
            best > MODULE_BUDGET,
        )
    ]


def assess() -> list[Figure]:
    """Checks a second of the pure function, on the facts of this machine with few and with many domains."""
    standard = load_standard()
    gold = effective({name: setting.default for name, setting in load_settings().items()})
    now = datetime.now(timezone.utc)
    names = dict.fromkeys(("id", "name", "endpoint", "slug", "product"), "this-machine")
    subject = {**names, "platform": "kvm", "kind": "host", "tags": {}}
    figures = []
    for domains in (4, DOMAINS):
        facts = collector.collect(Host(many_domains.write(WORK / f"{domains}-domains.xml", domains)))
        # kvm_info's answer comes as JSON: only plain types reach the assessor.
        facts = json.loads(json.dumps(facts))
        runs, started = 0, time.process_time()
        while time.process_time() - started < 2 or runs < 3:
            assessor.assess(facts, standard=standard, gold=gold, now=now, subject=subject)
            runs += 1
        once = (time.process_time() - started) / runs
        checks = sum(_judgements(check, facts) for check in standard.checks.values())
        figures.append(
            Figure(
                f"assess, {domains} domains",
                f"{checks / once:,.0f} checks/s per core ({checks:,} checks in {1000 * once:.0f} ms)",
                "`benchmarks assess`: assess.assess on this machine's facts, 2 s of CPU time or more; a check that "
                "judges each VM, NIC or rule counts once for each",
                f"at least {ASSESS_BUDGET:,} checks/s",
                checks / once < ASSESS_BUDGET,
            )
        )
    return figures


def _judgements(check: Check, facts: dict[str, Any]) -> int:
    """How many things a check judges in these facts: each VM when it reads VMs, else the items of its list, or one."""
    if check.platform not in ("all", "kvm"):
        return 0
    paths = [check.data["each"]] if "each" in check.data else []
    paths += [path.rstrip("?") for path in check.data.get("facts", {}).values() if path.startswith("vms")]
    found = [lookup(facts, path) for path in paths]
    return max([1, *(len(items) for items in found if isinstance(items, list))])


def kept() -> list[Figure]:
    """Bytes of facts that an audit leaves on the inventory host, read from a fact cache."""
    cache = WORK / "facts"
    command = [
        str(BIN / "ansible-playbook"), "--inventory", str(CHECKOUT / "examples/demo/inventory.yml"),
        str(CHECKOUT / "playbooks/audit.yml"),
        "--extra-vars", json.dumps({"hypervisor_libvirt_uri": _uri(), "hypervisor_report_dir": str(WORK / "report")}),
    ]  # fmt: skip
    in_turn({"audit": command}, 0, ANSIBLE_CACHE_PLUGIN="jsonfile", ANSIBLE_CACHE_PLUGIN_CONNECTION=str(cache))
    stored = json.loads(next(cache.glob("*this-machine*")).read_text(encoding="utf-8"))
    if "__payload__" in stored:  # ansible-core 2.19 and later keep where each value came from beside it
        stored = json.loads(stored["__payload__"])
    facts = {name: value for name, value in stored.items() if name.startswith("hypervisor_")}
    if not facts:
        raise SystemExit(f"the audit left no hypervisor_* facts, only {sorted(stored)}")
    size = len(json.dumps(facts).encode())
    return [
        Figure(
            f"facts kept on the inventory host, {DOMAINS} domains",
            f"{size:,} bytes",
            "`benchmarks kept`: an audit of this machine, as the jsonfile fact cache stores it",
            f"less than {KEPT_BUDGET:,} bytes",
            size >= KEPT_BUDGET,
        )
    ]
