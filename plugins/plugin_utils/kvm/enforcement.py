# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enforce areas on one KVM host: collect, assess, plan, and change under guard."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm import collector_archive
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm.guard import Guard, ask
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.answer import Answer
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import Proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.verdicts import Verdicts, judge
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import lookup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import Standard


class Enforcement:
    """One call of the action enforce for a host.

    action: runs modules on the host. given: its options. variables: gold_* of the host. base: its subject, the id
    still without the hardware's UUID. exceptions: the records of the register.
    """

    def __init__(
        self,
        action: ActionBase,
        task_vars: Mapping[str, Any],
        given: Mapping[str, Any],
        standard: Standard,
        variables: Mapping[str, Any],
        base: Mapping[str, Any],
        exceptions: Sequence[Mapping[str, Any]],
    ) -> None:
        self._action = action
        self._vars = task_vars
        self._given = given
        self._standard = standard
        self._variables = variables
        self._subject = dict(base)
        self._exceptions = exceptions
        self._user = str(action._play_context.remote_user or "root")

    def run(self, checks: Sequence[str], answer: Answer) -> None:
        """Enforce these checks, and tell the answer what became of each area.

        :raises HostError, Lost: the host cannot be asked.
        """
        given = self._given
        guard = Guard(self._action, self._vars, given["rollback_seconds"])
        question = {
            "libvirt_uri": given["libvirt_uri"],
            "time_limit": given["time_limit"],
            "collector": collector_archive.archive(),
        }
        facts = plain(ask(self._action, "kvm_info", question, self._vars)["facts"])
        self._subject["id"] = evidence.subject_id(self._subject["endpoint"], lookup(facts, "host.uuid"))
        values = gold.effective(self._variables, self._subject)
        verdicts = judge(facts, self._standard, values, self._subject, self._exceptions)
        wanted = verdicts.wanted(checks, given["enforce"])
        access = guard.access(values) if wanted else None
        situation = self._situation(facts, values, wanted, verdicts, access)
        for area in given["areas"]:
            found = proposal.propose(area, situation, self._standard)
            refused = found.refusal or refusal(given["allow_orchestrated"], area, found, access)
            if refused:
                answer.refuse(area, refused)
            elif found.rows and (together := not_together(area, answer.former)):
                answer.defer(area, together)
            elif found.rows and given["state"] == "applied":
                answer.add(area, found, self._change(guard, found, access, values))
            else:
                answer.plan(area, found)

    def _situation(
        self,
        facts: Mapping[str, Any],
        values: Mapping[str, Any],
        wanted: frozenset[str],
        verdicts: Verdicts,
        access: Mapping[str, Any] | None,
    ) -> Situation:
        client = (access or {}).get("client") or {}
        return Situation(
            facts=facts,
            gold=values,
            checks=wanted,
            account=client.get("user") or self._user,
            source=client.get("address"),
            controller_port=client.get("local_port"),
            inbound=(access or {}).get("inbound", ()),
            outbound=(access or {}).get("outbound", ()),
            allow_vm_changes=frozenset(uuid.lower() for uuid in self._given["allow_vm_changes"]),
            excepted=verdicts.items,
            options=plain(self._given["options"]),
        )

    def _change(
        self, guard: Guard, found: Proposal, access: Mapping[str, Any] | None, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        about = {
            "run_id": self._given["run_id"],
            "controller": f"{self._user} from {socket.gethostname()}",
            "checks": list(found.checks),
        }
        started = time.monotonic()
        if found.guarded:
            done = guard.change(found.area, list(found.rows), about, proposal.Access.of(access or {}), values)
        else:
            done = guard.settings(found.area, list(found.rows), about, rollback_after=0)
        return {**done, "seconds": round(time.monotonic() - started, 1)}


def refusal(allowed: Sequence[str], area: str, found: Proposal, access: Mapping[str, Any] | None) -> str:
    """Reasons that lie with the host or the run, not with one check's plan. allowed: hypervisor_allow_orchestrated."""
    if not found.rows or access is None:
        return ""
    owners = access["orchestrators"]
    if owners and area not in allowed:
        return (
            f"{', '.join(owners)} runs on this host and owns its settings; "
            f"add {area} to hypervisor_allow_orchestrated if it does not own these"
        )
    return proposal.people_fault(proposal.Access.of(access)) if found.guarded else ""


def not_together(area: str, former: Mapping[str, Any]) -> str:
    """Why an area has to wait for another run, after what this one did before; nothing where it need not."""
    changed = {
        check
        for entry in former["areas"].values()
        for row in entry.get("updated", {}).values()
        for check in row["checks"]
    }
    together = sorted(proposal.NOT_TOGETHER.get(area, frozenset()) & changed)
    return f"not in the same run as {', '.join(together)}: run again once people have logged in" if together else ""
