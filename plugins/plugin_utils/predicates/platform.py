# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on the platform and how it boots (11.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.moments import hours_between
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.visibility import unseen

SERVER_TARGET = "multi-user.target"


def hardware_hypervisor_active(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """No software emulation: /dev/kvm exists and every domain has type kvm. Without domains only the host part
    applies."""
    expected = "/dev/kvm, and every domain of type kvm"
    if facts["dev_kvm"] is not True:
        return o.failed("/dev/kvm is absent", expected, "the hardware hypervisor is not available: /dev/kvm is absent")
    items = []
    for vm in facts["vms"]:
        kind = need(vm, "type")
        found = o.passed(kind, expected) if kind == "kvm" else o.failed(kind, expected, f"runs with type={kind}")
        items.append(o.item(need(vm, "id"), found))
    items += unseen(facts["visibility"])
    return o.combine(items, empty=o.passed("no domain is defined; /dev/kvm exists", expected), expected=expected)


def host_minimised(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """A server target, no display manager, no second hypervisor, and the position on record."""
    expected = {
        "position": "type1_minimised_host",
        "target": SERVER_TARGET,
        "display manager": "none",
        "others": "none",
    }
    actual = {
        "position": gold["gold_kvm_type_position"] or "undecided",
        "target": facts["target"],
        "display manager": facts["display_manager"] or "none",
        "others": ", ".join(facts["others"]) or "none",
    }
    wrong = [f"{key} is {actual[key]}" for key in expected if actual[key] != expected[key]]
    return o.failed(actual, expected, "; ".join(wrong)) if wrong else o.passed(actual, expected)


def tpm2_present(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Version 2 (or 2.0); the kernel shows the version since 5.6, so an unknown version is unknown and not a fail."""
    if facts["present"] is not True:
        return o.failed("no TPM", "TPM 2.0 or later", "the host has no TPM that is switched on")
    if not facts["version"]:
        raise MissingFact("a TPM is present, its version was not read")
    found = f"TPM {facts['version']}"
    major = str(facts["version"]).partition(".")[0]
    if major.isdigit() and int(major) >= 2:
        return o.passed(found, "TPM 2.0 or later")
    return o.failed(found, "TPM 2.0 or later", f"the TPM is of version {facts['version']}")


def launch_measured(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    expected = "an event log with content, and a PCR 0 that is not all zero"
    actual = {"event log": facts["event_log"], "pcr0": facts["pcr0"] or "no SHA-256 bank"}
    if facts["event_log"] is not True:
        return o.failed(actual, expected, "the firmware left no event log")
    if not str(facts["pcr0"]).strip("0"):
        return o.failed(actual, expected, "PCR 0 of the SHA-256 bank is empty: nothing was measured")
    return o.passed(actual, expected)


def attestation_passing(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The agent answers on the host, and the verifier off the host was satisfied recently."""
    hours = gold["gold_attestation_max_age_hours"]
    expected = f"agent active and enabled; the verifier passed the host within {hours} h"
    agent = {key: need(facts["agent"], key, what="keylime agent") for key in ("active", "enabled")}
    if agent["active"] is not True or agent["enabled"] is not True:
        return o.failed(agent, expected, "no attestation agent is running and enabled")
    evidence = gold["gold_attestation_evidence"]
    if not evidence:
        return o.manual(
            "the agent runs; the verifier's answer was not supplied in gold_attestation_evidence", agent, expected
        )
    actual = {
        **agent,
        "status": evidence.get("status"),
        "time": evidence.get("time"),
        "verifier": evidence.get("verifier"),
    }
    if evidence.get("status") != "pass":
        return o.failed(actual, expected, f"the verifier says {evidence.get('status')!r}")
    age = hours_between(evidence.get("time"), facts["now"], "gold_attestation_evidence.time")
    if not 0 <= age <= hours:
        return o.failed(actual, expected, f"the verifier's answer is {age:.0f} h old")
    return o.passed(actual, expected)


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "hardware_hypervisor_active": hardware_hypervisor_active,
    "host_minimised": host_minimised,
    "tpm2_present": tpm2_present,
    "launch_measured": launch_measured,
    "attestation_passing": attestation_passing,
}
