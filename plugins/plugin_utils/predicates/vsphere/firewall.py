# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall of ESXi and that of the vCenter appliance (11.4.2, 11.4.9, 11.4.12)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet, everything, of_cidrs
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import networks
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.network import strict
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import guarded, mappings
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import entries, flag, text, whole
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import (
    known,
    names_of,
    version,
)

# The version from which a rule set says itself whether it, and its list of addresses, can be set (pitfall P2).
OWNERSHIP = (8, 0, 2)
INBOUND = ("inbound", "both")

Families = Mapping[int, AddressSet]


def _union(*sets: Families) -> dict[int, AddressSet]:
    found = {4: AddressSet(4), 6: AddressSet(6)}
    for each in sets:
        found = {family: found[family] | each[family] for family in found}
    return found


def default_block(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """The firewall runs and blocks what no rule set allows, both ways. facts: enabled, loaded, incoming, outgoing."""
    expected = "enabled and loaded, incoming and outgoing traffic blocked by default"
    actual = {key: facts[key] for key in ("enabled", "loaded", "incoming", "outgoing")}
    if any(not isinstance(value, bool) for value in actual.values()):
        raise MissingFact("a state of the firewall is neither true nor false")
    words = {
        "enabled": "the firewall is off",
        "loaded": "the firewall's module is not loaded",
        "incoming": "incoming traffic is let through by default",
        "outgoing": "outgoing traffic is let through by default",
    }
    faults = [why for key, why in words.items() if not actual[key]]
    return o.failed(actual, expected, "; ".join(faults)) if faults else o.passed(actual, expected)


def rulesets_declared(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Enabled rule sets are declared, and their services run. facts: rulesets, services, version.

    What ESXi does not let anybody switch off is left out: those it requires, and since 8.0.2 those it owns.
    """
    running = {text(service, "id"): flag(service, "running") for service in mappings(facts["services"], "services")}
    release, allowed = version(facts["version"]), gold["gold_vsphere_rulesets"]
    items = []
    for ruleset in entries(facts, "rulesets"):
        if flag(ruleset, "enabled"):
            items.append(o.item(text(ruleset, "id"), guarded(_ruleset, ruleset, running, release, allowed)))
    return o.combine(items, empty=o.unknown("no enabled rule set was read"), expected=sorted(map(str, allowed)))


def _ruleset(
    ruleset: Mapping[str, Any], running: Mapping[str, bool], release: tuple[int, ...], allowed: list[Any]
) -> Outcome:
    name, service = text(ruleset, "id"), text(ruleset, "service")
    if flag(ruleset, "required") or not known(ruleset, "user_controllable", OWNERSHIP, release, default=True):
        return o.passed("owned by ESXi")
    if name not in allowed:
        return o.failed("enabled", "disabled", f"{name} is enabled and not in gold_vsphere_rulesets")
    if service and running.get(service) is False:
        return o.failed("enabled", "disabled", f"{name} is enabled while its service {service} is stopped")
    return o.passed("enabled")


def sources_limited(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Rule sets of administration are open to administration networks and the vCenter only.

    facts: rulesets, version, vcenter.
    """
    wanted = [str(name) for name in gold["gold_vsphere_mgmt_rulesets"]]
    admitted = _union(networks("gold_admin_cidrs", gold["gold_admin_cidrs"]), _vcenter(facts["vcenter"]))
    chosen = [entry for entry in entries(facts, "rulesets") if text(entry, "id") in wanted]
    return _sources(
        chosen, admitted, facts, "no rule set of gold_vsphere_mgmt_rulesets was read", sorted(gold["gold_admin_cidrs"])
    )


def segment_sources_limited(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Whatever comes in comes from named networks: the administration's and the hosts' own.

    facts: rulesets, version, vcenter.
    """
    admin, hosts = gold["gold_admin_cidrs"], gold["gold_mgmt_cidrs"]
    admitted = _union(
        networks("gold_admin_cidrs", admin), networks("gold_mgmt_cidrs", hosts), _vcenter(facts["vcenter"])
    )
    chosen = [entry for entry in entries(facts, "rulesets") if text(entry, "direction") in INBOUND]
    return _sources(chosen, admitted, facts, "no rule set for incoming traffic was read", sorted([*admin, *hosts]))


def _vcenter(address: Any) -> Families:
    return {family: of_cidrs(family, [address] if address else []) for family in (4, 6)}


def _sources(
    rulesets: list[Mapping[str, Any]], admitted: Families, facts: Mapping[str, Any], none: str, expected: Any
) -> Outcome:
    if not rulesets:
        raise MissingFact(none)
    release = version(facts["version"])
    items = []
    for ruleset in rulesets:
        if flag(ruleset, "enabled"):
            items.append(o.item(text(ruleset, "id"), guarded(_source, ruleset, admitted, release)))
    return o.combine(items, empty=o.passed("none of them is enabled", expected), expected=expected)


def _source(ruleset: Mapping[str, Any], admitted: Families, release: tuple[int, ...]) -> Outcome:
    name = text(ruleset, "id")
    if not known(ruleset, "ip_list_configurable", OWNERSHIP, release, default=True):
        return o.not_applicable("ESXi does not let anybody limit its addresses", name)
    if flag(ruleset, "all_ip"):
        return o.failed("any address", None, f"{name} is open to every address")
    allowed = names_of(ruleset, "allowed")
    try:
        beyond = [
            str(part) for family in (4, 6) for part in (of_cidrs(family, allowed) - admitted[family]).text() if part
        ]
    except ValueError:
        raise MissingFact(f"the addresses of {name} are no addresses") from None
    if beyond:
        return o.failed(allowed, None, f"{name} is open to {', '.join(beyond[:3])}")
    return o.passed(allowed)


def controller_sources(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The appliance's firewall admits named networks and refuses the rest. facts: rules, as they are asked in turn."""
    admitted = _union(
        networks("gold_admin_cidrs", gold["gold_admin_cidrs"]), networks("gold_mgmt_cidrs", gold["gold_mgmt_cidrs"])
    )
    rules, expected = entries(facts, "rules"), sorted([*gold["gold_admin_cidrs"], *gold["gold_mgmt_cidrs"]])
    if not rules:
        return o.failed([], expected, "the appliance's firewall has no rule: every address is let in")
    left = {4: everything(4), 6: everything(6)}
    let_in = {4: AddressSet(4), 6: AddressSet(6)}
    for rule in rules:
        family, matched = _matched(rule)
        policy = text(rule, "policy")
        if policy == "ACCEPT":
            let_in[family] |= left[family] & matched
        elif policy not in ("REJECT", "IGNORE"):
            return o.unknown(f"a rule with the policy {policy[:40]} was not understood", None, expected)
        elif text(rule, "interface") not in ("", "*"):
            continue  # it refuses on one interface only
        left[family] = left[family] - matched
    let_in = {family: let_in[family] | left[family] for family in let_in}
    beyond = [part for family in (4, 6) for part in (let_in[family] - admitted[family]).text() if part]
    actual = [f"{text(rule, 'policy')} {text(rule, 'address')}/{whole(rule, 'prefix')}" for rule in rules]
    if beyond:
        return o.failed(actual, expected, f"the appliance lets in {', '.join(beyond[:3])}")
    return o.passed(actual, expected)


def _matched(rule: Mapping[str, Any]) -> tuple[int, AddressSet]:
    try:
        network = ipaddress.ip_network(f"{text(rule, 'address')}/{whole(rule, 'prefix')}", strict=False)
    except ValueError:
        raise MissingFact("a rule of the appliance's firewall was not understood") from None
    return network.version, of_cidrs(network.version, [str(network)])


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vsphere_default_block": default_block,
    "vsphere_rulesets_declared": rulesets_declared,
    "vsphere_sources_limited": strict(sources_limited),
    "vsphere_segment_sources": strict(segment_sources_limited),
    "vsphere_controller_sources": strict(controller_sources),
}
