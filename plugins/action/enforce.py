# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enforce areas of the gold configuration on one host: collect, assess, plan, and change under guard."""

from __future__ import annotations

import datetime as dt
import json
import socket
import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment import redaction
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.assessment.assess import assess, select
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import register_files
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm import collector_archive
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.kvm.guard import Guard, HostError, Lost, ask
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plain import plain
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal, run_options
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.facts_path import lookup
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import visible
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere.connection import CONNECTION, connection_of

ARGUMENTS: dict[str, Any] = {
    "platform": {"type": "str", "choices": ["kvm", "vsphere"], "required": True},
    "areas": {"type": "list", "elements": "str"},
    "state": {"type": "str", "choices": ["planned", "applied"], "default": "applied"},
    "enforce": {"type": "str", "choices": ["drift", "always"], "default": "drift"},
    "checks": {"type": "list", "elements": "str"},
    "measures": {"type": "list", "elements": "str"},
    "exceptions_file": {"type": "path"},
    "allowed_signers": {"type": "path"},
    "run_id": {"type": "str"},
    "rollback_seconds": {"type": "int", "default": 180},
    "allow_vm_changes": {"type": "list", "elements": "str", "default": []},
    "allow_orchestrated": {"type": "list", "elements": "str", "default": []},
    "options": {"type": "dict", "default": {}, "options": run_options.SPEC},
    "libvirt_uri": {"type": "str", "default": "qemu:///system"},
    "time_limit": {"type": "int", "default": 60},
    "state_dir": {"type": "path", "default": "hypervisor-state"},
    **CONNECTION,
}
# Options that a role does not pass on: where the task does not give them, the variable hypervisor_<option> does.
RUN_VARIABLES = tuple(set(ARGUMENTS) - {"platform", "areas", "state", "checks"})
ROLLBACK_SECONDS = (20, 3600)
# What this run did so far to the host, kept as a fact for the areas that follow and for the report.
FACT = "hypervisor_enforcement"
MAX_MESSAGE = 4000
display = Display()


class ActionModule(ActionBase):
    """See plugins/modules/enforce.py for the documentation."""

    _supports_check_mode = True
    _supports_diff = True
    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        for option in RUN_VARIABLES:
            name = f"hypervisor_{option}"
            if option not in self._task.args and name in task_vars:
                self._task.args[option] = self._templar.template(task_vars[name])
        try:
            run_options.check_names(self._task.args.get("options"))
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        _result, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        low, high = ROLLBACK_SECONDS
        if not low <= given["rollback_seconds"] <= high:
            raise AnsibleActionFail(
                f"hypervisor_rollback_seconds is {given['rollback_seconds']}, expected {low} to {high}"
            )
        given["run_id"] = given["run_id"] or dt.datetime.now(dt.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        self._name = task_vars["inventory_hostname"]
        self._vars = task_vars
        former = plain((task_vars.get("ansible_facts") or {}).get(FACT) or {})
        self._former = former if former.get("run_id") == given["run_id"] else {"run_id": given["run_id"], "areas": {}}
        try:
            return self._enforce(given)
        except (ValueError, OSError, HostError, Lost) as error:
            raise AnsibleActionFail(str(error)) from error

    def _enforce(self, given):
        standard = load_standard()
        given["areas"] = given["areas"] or proposal.areas(standard, given["platform"])
        chosen = _checks(standard, given)
        if given["platform"] == "vsphere":
            return self._vsphere(given, standard, chosen)
        subject = {"id": self._name, "name": self._name, "endpoint": self._name, "platform": "kvm", "kind": "host",
                   "groups": plain(self._vars.get("group_names") or [])}  # fmt: skip
        guard = Guard(self, self._vars, given["rollback_seconds"])
        question = {
            "libvirt_uri": given["libvirt_uri"],
            "time_limit": given["time_limit"],
            "collector": collector_archive.archive(),
        }
        facts = ask(self, "kvm_info", question, self._vars)["facts"]
        facts = plain(facts)
        subject["id"] = evidence.subject_id(self._name, lookup(facts, "host.uuid"))
        values = gold.effective(gold.from_variables(self._templar, self._vars), subject)
        failing = self._failing(given, standard, facts, values, subject)
        wanted = frozenset(chosen if given["enforce"] == "always" else [check for check in chosen if check in failing])
        wanted -= self._excepted
        access = guard.access(values) if wanted else None
        situation = self._situation(given, facts, values, wanted, access)
        answer = _Answer(self._name, standard)
        for area in given["areas"]:
            found = proposal.propose(area, situation, standard)
            refusal = found.refusal or self._refusal(given, area, found, access)
            if refusal:
                answer.refuse(area, refusal)
            elif found.rows and (together := self._not_together(area)):
                answer.defer(area, together)
            elif found.rows and given["state"] == "applied":
                answer.add(area, found, self._change(guard, given, found, access, values))
            else:
                answer.plan(area, found)
        return answer.result(self._former, fail=not self._task.check_mode)

    def _vsphere(self, given, standard, chosen):
        """The same for every ESXi host behind an endpoint, from here: nothing runs on the inventory host."""
        # Needed for this platform alone, and it reads much of Python.
        from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import soap
        from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import VsphereError
        from ansible_collections.dwp.hypervisor.plugins.plugin_utils.vsphere import endpoint_audit, enforcement

        base = {"endpoint": self._name, "platform": "vsphere", "groups": plain(self._vars.get("group_names") or [])}
        variables = gold.from_variables(self._templar, self._vars)
        registers = self._registers(given, standard)
        connection = connection_of(self, self._vars)
        enforcement = enforcement.Enforcement(
            {**given, "account": connection["user"]},
            standard,
            variables,
            base,
            register_files.records_of(registers, "exceptions"),
            display.display,
        )
        try:
            endpoint = endpoint_audit.endpoint_of(given, self._name, connection)
            areas = enforcement.run(endpoint, chosen, self._task.check_mode)
        except (VsphereError, soap.SoapFault) as error:
            raise HostError(str(error)) from error
        for name, reason in enforcement.unread.items():
            display.warning(visible(f"{self._name}: {name} is left alone, as it could not be read: {reason}")[:500])
        answer = _Answer(self._name, standard)
        for area, entry in areas.items():
            answer.take(area, entry)
        return answer.result(self._former, fail=not self._task.check_mode)

    def _not_together(self, area):
        changed = {
            check
            for entry in self._former["areas"].values()
            for row in entry.get("updated", {}).values()
            for check in row["checks"]
        }
        together = sorted(proposal.NOT_TOGETHER.get(area, frozenset()) & changed)
        return f"not in the same run as {', '.join(together)}: run again once people have logged in" if together else ""

    @staticmethod
    def _registers(given, standard):
        return register_files.read(
            {"exceptions": given["exceptions_file"], "attestations": None}, standard, given["allowed_signers"]
        )

    def _failing(self, given, standard, facts, values, subject):
        registers = self._registers(given, standard)
        document = assess(
            redaction.redact(facts),
            standard=standard,
            gold=values,
            now=dt.datetime.now(dt.timezone.utc),
            subject=subject,
            exceptions=register_files.records_of(registers, "exceptions"),
        )
        self._excepted = frozenset(result["check"] for result in document["results"] if result["status"] == "excepted")
        self._excepted_items = {
            result["check"]: frozenset(item["id"] for item in result["items"] if item["status"] == "excepted")
            for result in document["results"]
        }
        return proposal.failing(document["results"])

    def _situation(self, given, facts, values, wanted, access):
        client = (access or {}).get("client") or {}
        return Situation(
            facts=facts,
            gold=values,
            checks=wanted,
            account=client.get("user") or str(self._play_context.remote_user or "root"),
            source=client.get("address"),
            controller_port=client.get("local_port"),
            inbound=(access or {}).get("inbound", ()),
            outbound=(access or {}).get("outbound", ()),
            allow_vm_changes=frozenset(uuid.lower() for uuid in given["allow_vm_changes"]),
            excepted=self._excepted_items,
            options=plain(given["options"]),
        )

    @staticmethod
    def _refusal(given, area, found, access):
        """Reasons that lie with the host or the run, not with one check's plan."""
        if not found.rows:
            return ""
        owners = access["orchestrators"]
        if owners and area not in given["allow_orchestrated"]:
            return (
                f"{', '.join(owners)} runs on this host and owns its settings; "
                f"add {area} to hypervisor_allow_orchestrated if it does not own these"
            )
        if found.guarded:
            return proposal.people_fault(proposal.Access.of(access))
        return ""

    def _change(self, guard, given, found, access, values):
        about = {
            "run_id": given["run_id"],
            "controller": f"{self._play_context.remote_user or 'root'} from {socket.gethostname()}",
            "checks": list(found.checks),
        }
        started = time.monotonic()
        if found.guarded:
            done = guard.change(found.area, list(found.rows), about, proposal.Access.of(access), values)
        else:
            done = guard.settings(found.area, list(found.rows), about, rollback_after=0)
        return {**done, "seconds": round(time.monotonic() - started, 1)}


def _checks(standard, given):
    """The checks this call may enforce: of its areas, of the measures and checks that were asked for."""
    measures = select(standard, given["measures"])
    known = [check for area in given["areas"] for check in proposal.area_checks(standard, area, given["platform"])]
    for check in given["checks"] or ():
        if check not in standard.checks:
            raise ValueError(f"{check} is not a check of SS-009's standard data")
    asked = set(known if given["checks"] is None else given["checks"])
    return [check for check in known if check in asked and standard.checks[check].measure in measures]


_NOTHING: dict[str, Any] = {
    "refused": "", "deferred": "", "updated": {}, "by_hand": [], "pending": [], "planned": [], "change": "",
    "seconds": 0.0,
}  # fmt: skip


class _Answer:
    """What the task returns, gathered over the areas, and said aloud while it happens."""

    def __init__(self, name, standard):
        self._name = name
        self._standard = standard
        self._areas: dict[str, dict[str, Any]] = {}
        self._diff: list[Any] = []

    def refuse(self, area, reason):
        """Nothing of the area was changed, and the task fails."""
        self._areas[area] = {**_NOTHING, "refused": reason}

    def defer(self, area, reason):
        """Nothing of the area was changed in this run; that is no failure."""
        self._areas[area] = {**_NOTHING, "deferred": reason}
        display.display(f"  {self._name} {area}: {reason}")

    def plan(self, area, found):
        """What was planned and not asked of the host."""
        by_hand = [{"checks": row["checks"], "what": row["what"]} for row in found.rows if row["kind"] == "by_hand"]
        planned = list(found.checks) if len(by_hand) < len(found.rows) else []
        self._areas[area] = {**_NOTHING, "by_hand": by_hand, "planned": planned}

    def add(self, area, found, done):
        """What the module changed, or in check mode would change."""
        waits = {check: row["pending"] for row in found.rows if row.get("pending") for check in row["checks"]}
        updated = {
            setting: {**entry, "measures": sorted({self._standard.checks[check].measure for check in entry["checks"]})}
            for setting, entry in done["updated"].items()
        }
        self._diff += done.get("diff", [])
        entry = {
            **_NOTHING,
            "updated": updated,
            "by_hand": done["by_hand"],
            "pending": [{"check": check, "waits_for": what} for check, what in sorted(waits.items())],
            "change": done["change"],
            "seconds": done["seconds"],
        }
        self._show(area, entry)

    def take(self, area, entry):
        """What became of an area on all the hosts of an endpoint."""
        by_host: dict[str, list[str]] = {}
        for one in entry["updated"].values():
            lines = by_host.setdefault(one["host"], ["", ""])
            for at, value in enumerate((one["old"], one["new"])):
                lines[at] += f"{one['setting']}: {json.dumps(value)}\n"
        self._diff += [
            {"before_header": visible(name), "after_header": visible(name), "before": before, "after": after}
            for name, (before, after) in by_host.items()
        ]
        self._show(area, entry)

    def _show(self, area, done):
        self._areas[area] = done
        updated = done["updated"]
        for setting, entry in updated.items():
            old, new = (str(entry[key])[:60] if entry[key] is not None else "-" for key in ("old", "new"))
            line = f"  {self._name} {area} {', '.join(entry['measures'])}  {setting}: {old} -> {new}"
            display.display(visible(line))
        if updated:
            display.display(f"  {self._name} {area}: {len(updated)} settings in {done['seconds']} s")

    def result(self, former, fail):
        """The task's result; a refusal fails it unless this is check mode.

        former: what this run did to the host before, {run_id, areas}.
        """
        refused = {area: entry["refused"] for area, entry in self._areas.items() if entry["refused"]}
        faults = [
            f"{area} on {name}: {fault}"
            for area, entry in self._areas.items()
            for name, fault in entry.get("faults", {}).items()
        ]
        answer = {
            "changed": any(entry["updated"] for entry in self._areas.values()),
            "areas": self._areas,
            "planned": [area for area, entry in self._areas.items() if entry["planned"]],
            "diff": self._diff,
            "ansible_facts": {FACT: {**former, "areas": {**former["areas"], **self._areas}}},
        }
        if refused:
            told = "; ".join(f"{area}: {reason}" for area, reason in refused.items())
            answer["msg"] = f"nothing was changed in {told}"
            answer["failed"] = fail
            if not fail:
                display.warning(f"{self._name}: would refuse {told}")
        if faults:
            answer["msg"] = visible("; ".join([*([answer["msg"]] if refused else []), *faults]))[:MAX_MESSAGE]
            answer["failed"] = True
        return answer
