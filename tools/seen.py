# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each check has been seen to pass, to fail and to be unknown.

The tests write tests/output/seen-<where>.json for `unit` (fixtures), `booted` (the lab's libvirt host), `vm` (the
full virtual machine) and `vsphere` (the simulated vCenter), and seen-enforced.json, seen-enforced_vm.json and
seen-enforced_vsphere.json for what roles put right there. tests/seen.json is the committed snapshot of them, which
docs/ is made from: not every machine can boot the targets.

    python tools/seen.py             take over what the tests on this machine have just seen
    python tools/seen.py --check     exit 1 when a check lacks evidence, or when the snapshot claims what was not seen
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / ".collections"))

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Check, Standard, load_standard  # noqa: E402

SNAPSHOT = CHECKOUT / "tests" / "seen.json"
FRESH = CHECKOUT / "tests" / "output"
WHERE = {"unit": "unit fixture", "booted": "booted host", "vm": "virtual machine", "vsphere": "simulated vCenter"}
WANTED = ("pass", "fail", "unknown")
# The platforms whose checks need all three of WANTED, and where they can be seen.
PROVEN = {"kvm": ("unit", "booted", "vm"), "vsphere": ("unit", "vsphere")}
BOOTED_SHARE = 0.5  # of the failures, the share that is to be produced by breaking a booted host

BROKEN = "break"  # how a status came about begins with this when the target was broken for it
NEVER = "never: "  # and with this where it cannot come about on a target; the reason follows

# Places of their own, one for each lane: {check: {where: how a role was seen to put it right}}
LANES = ENFORCED, ENFORCED_VM, ENFORCED_VSPHERE = "enforced", "enforced_vm", "enforced_vsphere"

PLACES = (*WHERE, *LANES)

# {where: {check id: {status: how it came about}}}
Seen = dict[str, dict[str, dict[str, str]]]


def load_snapshot() -> Seen:
    """The committed snapshot; places nobody has recorded yet are empty."""
    recorded = json.loads(SNAPSHOT.read_text(encoding="utf-8")) if SNAPSHOT.exists() else {}
    return {where: recorded.get(where, {}) for where in PLACES}


def load_fresh() -> Seen:
    """What the tests on this machine wrote; a place that was not run is absent."""
    paths = {where: FRESH / f"seen-{where}.json" for where in PLACES}
    return {where: _read(path) for where, path in paths.items() if path.exists()}


def _read(path: Path) -> dict[str, dict[str, str]]:
    """One file of the tests: {"checks": {id: {status: how}}}, or from the unit cases {id: [statuses]}."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if "checks" in document:
        return document["checks"]
    return {check_id: dict.fromkeys(found, "case") for check_id, found in document.items()}


def decided_by_machine(standard: Standard, platform: str = "kvm") -> list[Check]:
    """The checks of a platform whose verdict comes from facts: they need all three of WANTED."""
    return [check for check in standard.checks.values() if check.platform == platform and "manual" not in check.data]


def statuses(seen: Seen, check_id: str) -> set[str]:
    """Every status a check was seen to give anywhere."""
    return {status for where in WHERE for status in statuses_at(seen, where, check_id)}


def statuses_at(seen: Seen, where: str, check_id: str) -> list[str]:
    """The statuses a check was seen to give at one place, sorted."""
    found = seen.get(where, {}).get(check_id, {})
    return sorted(status for status, how in found.items() if not how.startswith(NEVER))


def booted_failures(standard: Standard, seen: Seen) -> tuple[int, int]:
    """(checks seen to fail on the booted host because it was broken, checks that can fail)."""
    checks = decided_by_machine(standard)
    broken = [seen["booted"].get(check.id, {}).get("fail", "").startswith(BROKEN) for check in checks]
    return sum(broken), len(checks)


def faults(standard: Standard, snapshot: Seen, fresh: Seen) -> list[str]:
    """What is wrong with the evidence, one sentence each."""
    found = []
    for check in [check for platform in PROVEN for check in decided_by_machine(standard, platform)]:
        lacking = [status for status in WANTED if status not in statuses(snapshot, check.id)]
        if lacking:
            found.append(f"{check.id} has never been seen to be {', '.join(lacking)}")
    for check in decided_by_machine(standard, "vsphere"):
        shown = _repeatable(snapshot.get("vsphere", {}).get(check.id, {}))
        lacking = [status for status in WANTED if status not in shown]
        if lacking:
            found.append(f"{check.id} has never been made to be {', '.join(lacking)} on a {WHERE['vsphere']}")
    for where in WHERE:
        place = snapshot.get(where, {})
        for check_id, claimed in place.items():
            if check_id not in standard.checks:
                found.append(f"tests/seen.json names {check_id} ({where}), which is no check: run `make docs`")
            elif where in fresh and (gone := _repeatable(claimed) - set(fresh[where].get(check_id, {}))):
                found.append(f"{check_id} was not seen to be {', '.join(sorted(gone))} in this run ({WHERE[where]})")
    found += _enforcement_faults(standard, snapshot, fresh)
    failed, checks = booted_failures(standard, snapshot)
    if failed < BOOTED_SHARE * checks:
        found.append(f"only {failed} of {checks} checks were seen to fail on a broken host, half are wanted")
    return found


def _enforcement_faults(standard: Standard, snapshot: Seen, fresh: Seen) -> list[str]:
    """Sightings of enforcement that a run of their lane did not have again."""
    gone = [
        check_id
        for lane in LANES
        for check_id in snapshot.get(lane, {})
        if check_id not in standard.checks or (lane in fresh and check_id not in fresh[lane])
    ]
    return [f"{check_id} was not seen to be put right in this run" for check_id in gone]


def _repeatable(claimed: dict[str, str]) -> set[str]:
    """The statuses every machine has to see again; what a plain audit finds depends on the machine below the lab."""
    return {status for status, how in claimed.items() if how == "case" or how.startswith((BROKEN, NEVER))}


def update() -> None:
    """Write the snapshot: the fresh places replace the recorded ones."""
    merged = {**load_snapshot(), **load_fresh()}
    ordered = {where: merged[where] for where in PLACES}
    SNAPSHOT.write_text(json.dumps(ordered, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Update, or check."""
    standard = load_standard()
    if not arguments:
        update()
        return 0
    if arguments != ["--check"]:
        print(__doc__)
        return 2
    fresh = load_fresh()
    found = faults(standard, load_snapshot(), fresh)
    print("\n".join(found))
    failed, checks = booted_failures(standard, load_snapshot())
    print(f"{checks} kvm checks are decided by facts, {failed} of them were seen to fail on a booted host.")
    print(f"{len(decided_by_machine(standard, 'vsphere'))} vSphere checks are decided by facts.")
    print(f"Seen on this machine: {', '.join(fresh) or 'nothing'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
