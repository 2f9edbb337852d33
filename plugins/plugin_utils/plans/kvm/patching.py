# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Security updates of a KVM host (11.4.8): listed for a person, and installed only where the operator asked for it.

hypervisor_options: {install_updates: true} asks for it. Left out of that all the same: what is on hold, what running
guests hang on, and kernels while the enforcement of driver signatures waits for a restart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.drivers import ENFORCED_BY_ARGUMENT

KERNELS = re.compile(r"^(linux-(image|modules|headers)|kernel|grub|shim)")
# Installing these restarts what running guests hang on, or leaves them on the old program.
CARRIERS = re.compile(r"^(qemu|libvirt|openvswitch|dnsmasq|swtpm|seabios|ovmf|edk2)")
# The module's commands have a time limit; a service of its own ends what it began whatever happens to who asked.
IN_A_SERVICE = ("systemd-run", "--wait", "--collect", "--quiet", "--setenv=DEBIAN_FRONTEND=noninteractive", "--")
KEEP_FILES = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
BATCH = 10
SHOWN = 30


def pending(situation: Situation) -> list[Row]:
    """kvm-11.4.8-pending."""
    updates = [entry for entry in situation.facts["patch"]["pending"] if not entry["hold"]]
    rows: list[Row] = []
    holds = situation.facts["patch"]["holds"]
    if holds:
        rows.append(
            plan.by_hand(
                f"on hold, and not installed by anything: {_names(holds)}; release them or register an exception"
            )
        )
    if not updates:
        return rows
    if situation.options.get("install_updates") is not True:
        text = f"{len(updates)} security updates wait: {_names([_called(entry) for entry in updates])}"
        return [
            *rows,
            plan.by_hand(
                f"{text}; move the guests away and install them, one host at a time, or allow it: "
                "hypervisor_options: {install_updates: true}"
            ),
        ]
    left = _left_out(situation, updates)
    for why, names in left.items():
        rows.append(plan.by_hand(f"not installed, {why}: {_names(names)}"))
    spared = {name for names in left.values() for name in names}
    names = [entry["id"] for entry in updates if entry["id"] not in spared]
    if situation.family == "rhel":
        return rows + _dnf(situation)
    return rows + (_apt(names) if names else [])


def _called(entry: Mapping[str, Any]) -> str:
    return f"{entry['id']} {entry['available']}".strip()


def _names(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _left_out(situation: Situation, updates: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    found = {}
    if _guests_run(situation):
        found["guests run on them (move the guests away first)"] = [
            entry["id"] for entry in updates if CARRIERS.match(entry["id"])
        ]
    if _signing_waits(situation):
        found["driver signatures wait to be enforced (restart the host first)"] = [
            entry["id"] for entry in updates if KERNELS.match(entry["id"])
        ]
    return {why: names for why, names in found.items() if names}


def _guests_run(situation: Situation) -> bool:
    return any(vm.get("active") for vm in situation.facts.get("vms") or [])


def _signing_waits(situation: Situation) -> bool:
    """Whether the next start enforces driver signatures and the kernel that runs does not."""
    boot = situation.facts.get("boot") or {}
    configured = any(ENFORCED_BY_ARGUMENT.match(argument) for argument in boot.get("arguments_configured") or ())
    return configured and boot.get("module_sig_enforce") is not True


def _apt(names: Sequence[str]) -> list[Row]:
    steps = [plan.run(*IN_A_SERVICE, "apt-get", "-q", "update", undo=["true"])]
    for start in range(0, len(names), BATCH):
        chosen = names[start : start + BATCH]
        install = ("apt-get", "-q", "-y", *KEEP_FILES, "install", "--only-upgrade", "--", *chosen)
        steps.append(plan.run(*IN_A_SERVICE, *install, undo=["true"]))
    return [{**plan.activate(steps), "pending": "maintenance"}]


def _dnf(situation: Situation) -> list[Row]:
    """dnf lists advisories, not packages: what is left out is left out by name patterns."""
    excluded = ["qemu*", "libvirt*", "openvswitch*", "dnsmasq*", "swtpm*", "seabios*", "edk2*"]
    excludes = [f"--exclude={name}" for name in excluded] if _guests_run(situation) else []
    if _signing_waits(situation):
        excludes += ["--exclude=kernel*", "--exclude=grub2*", "--exclude=shim*"]
    upgrade = plan.run(*IN_A_SERVICE, "dnf", "-q", "-y", "upgrade", "--security", *excludes, undo=["true"])
    return [{**plan.activate([upgrade]), "pending": "maintenance"}]


PLANS: dict[str, Planner] = {"kvm-11.4.8-pending": pending}
