# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of planners about virtual machines share: the recorded host, changed in one place, as a situation."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold as gold_config
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.recorded_host import ReplayHost

RECORDING = Path(__file__).parents[3] / "module_utils" / "kvm" / "recordings" / "debian12.json"
VM1, VM2 = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


@functools.cache
def _recorded() -> dict[str, Any]:
    return collector.collect(ReplayHost(json.loads(RECORDING.read_text())))


def situation(change=None, gold=None, allow=(), family="debian", options=None) -> Situation:
    """The recorded host: vm1 runs, vm2 is shut off. change(facts) puts something out of order."""
    facts = copy.deepcopy(_recorded())
    facts["host"]["family"] = family
    if change:
        change(facts)
    return Situation(
        facts=facts,
        gold={**gold_config.defaults(), **(gold or {})},
        checks=frozenset(),
        account="ansible",
        source="10.213.0.1",
        allow_vm_changes=frozenset(allow),
        options=options or {},
    )


def conf(**settings):
    """A change: what qemu.conf sets."""
    return lambda facts: facts["qemu"]["conf"]["settings"].update(settings)


def both(*changes):
    """Several changes as one."""

    def change(facts):
        for one in changes:
            one(facts)

    return change


def vm(facts, uuid):
    """One machine of the facts."""
    return next(entry for entry in facts["vms"] if entry["id"] == uuid)


def kinds(rows):
    """What the rows are, in order."""
    return [row["kind"] for row in rows]


def of_kind(rows, kind):
    """The rows of a kind."""
    return [row for row in rows if row["kind"] == kind]


def told(rows):
    """What a person has to do, as one text."""
    return "\n".join(row["what"] for row in rows if row["kind"] == "by_hand")
