# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall of an ESXi host: what it blocks, which rule sets are enabled, and who may use them (11.4.2, 11.4.9,
11.4.12)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.addresses import AddressSet, of_cidrs
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan, vsphere_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.services import networks

# The rule sets by which vCenter keeps a host: its heartbeats, and the port it is asked on. Never switched off.
VCENTER = ("vpxHeartbeats", "vSphereClient")
# Rule sets that something may need which no fact shows; nobody finds out before it is gone. Those after `HBR` ESXi owns
# itself from 8.0.2 on (pitfall P2), and only older releases let them be switched off.
NEEDED_UNSEEN = {
    "nfsClient": "no datastore comes over NFS",
    "nfs41Client": "no datastore comes over NFS 4.1",
    "iSCSI": "no datastore comes over iSCSI",
    "dhcp": "no VMkernel adapter gets its address by DHCP",
    "DHCPv6": "no VMkernel adapter gets its address by DHCPv6",
    "dns": "the host resolves no names",
    "fdm": "the host is in no cluster with vSphere HA",
    "iofiltervp": "no machine has a storage policy with an I/O filter",
    "faultTolerance": "no machine is protected by Fault Tolerance",
    "HBR": "no machine is replicated by vSphere Replication",
    "DVSSync": "the host is on no distributed switch",
    "rabbitmqproxy": "no product talks to the host by it",
    "cmmds": "the host has no vSAN",
    "rdt": "the host has no vSAN",
    "vsanEncryption": "the host has no vSAN",
    "vsanvp": "the host has no vSAN",
    "esxupdate": "the host is never updated from a depot",
}


def default_block(situation: Situation) -> list[Row]:
    """vsphere-11.4.9-default-block: refused while vCenter would lose the host."""
    firewall = situation.facts["firewall"]
    rows = [vsphere_rows.blocked(name) for name in ("incoming", "outgoing") if not firewall[f"{name}_blocked"]]
    if situation.facts["host"]["controller"]:
        enabled = {entry["id"] for entry in firewall["rulesets"] if entry["enabled"]}
        lacking = [name for name in VCENTER if name not in enabled]
        if rows and lacking:
            raise Refusal(
                f"the rule set {', '.join(lacking)} is not enabled: with everything else blocked, vCenter would lose "
                "the host; enable it first"
            )
    if not firewall["enabled"] or not firewall["loaded"]:
        rows.append(
            plan.by_hand("esxcli network firewall load, then esxcli network firewall set --enabled true: the API cannot")
        )
    return rows


def rulesets(situation: Situation) -> list[Row]:
    """vsphere-11.4.9-rulesets: what nobody declared, or whose service is stopped, is disabled."""
    running = {service["id"]: service["running"] for service in situation.facts["remote_access"]["services"]}
    allowed, rows = situation.gold["gold_vsphere_rulesets"], []
    for entry in situation.facts["firewall"]["rulesets"]:
        name = entry["id"]
        if not entry["enabled"] or entry["required"] or entry.get("user_controllable") is False:
            continue
        stopped = bool(entry["service"]) and running.get(entry["service"]) is False
        if name in allowed and not stopped:
            continue
        if name in VCENTER:
            rows.append(plan.by_hand(f"vCenter keeps the host by {name}: declare it in gold_vsphere_rulesets"))
        elif name in NEEDED_UNSEEN:
            rows.append(
                plan.by_hand(f"disable the rule set {name} if {NEEDED_UNSEEN[name]}; else add it to gold_vsphere_rulesets")
            )
        else:
            rows.append(vsphere_rows.ruleset(name, enabled=False))
    return rows


def administration_sources(situation: Situation) -> list[Row]:
    """vsphere-11.4.2-allowed-ips."""
    wanted = set(situation.gold["gold_vsphere_mgmt_rulesets"])
    chosen = [entry for entry in situation.facts["firewall"]["rulesets"] if entry["id"] in wanted]
    return _limited(situation, chosen, _cidrs(situation, "gold_admin_cidrs"))


def segment_sources(situation: Situation) -> list[Row]:
    """vsphere-11.4.12-source-limits: rule sets of administration as above, the others also for the hosts' own networks.

    The list of a rule set that also lets traffic out says whom the host may ask: that is a person's to widen.
    """
    found = situation.facts["firewall"]["rulesets"]
    mine = set(situation.gold["gold_vsphere_mgmt_rulesets"])
    admin = _cidrs(situation, "gold_admin_cidrs")
    both = [*admin, *_cidrs(situation, "gold_mgmt_cidrs")]
    admitted = _admitted(situation, both)
    inbound = [entry for entry in found if entry["direction"] == "inbound" and entry["id"] not in mine]
    rows = _limited(situation, [e for e in found if e["id"] in mine and e["direction"] in ("inbound", "both")], admin)
    _refuse_own_segment(situation, inbound, both)
    rows += _limited(situation, inbound, both)
    for entry in found:
        if entry["direction"] == "both" and entry["id"] not in mine and _open(entry, admitted):
            rows.append(
                plan.by_hand(
                    f"limit the addresses of the rule set {entry['id']} by hand: its list also says whom the host may "
                    "ask, and its servers need not be in gold_admin_cidrs or gold_mgmt_cidrs"
                )
            )
    return rows


def _cidrs(situation: Situation, setting: str) -> list[str]:
    if not situation.gold[setting]:
        raise Refusal(f"{setting} is empty: nobody could administer the host; name the networks")
    try:
        networks(setting, situation.gold[setting])
        return [str(ipaddress.ip_network(str(text), strict=False)) for text in situation.gold[setting]]
    except ValueError as error:
        raise Refusal(str(error)) from error


def _admitted(situation: Situation, cidrs: Iterable[str]) -> dict[int, AddressSet]:
    vcenter = situation.facts["host"]["controller_address"]
    found = [*cidrs, *([str(ipaddress.ip_network(vcenter))] if vcenter else [])]
    return {family: of_cidrs(family, found) for family in (4, 6)}


def _limited(situation: Situation, chosen: Iterable[Mapping[str, Any]], cidrs: list[str]) -> list[Row]:
    """Rows for those of the chosen rule sets that are open to more than they may be."""
    facts, admitted = situation.facts, _admitted(situation, cidrs)
    affected = [entry["id"] for entry in chosen if _open(entry, admitted)]
    if not affected:
        return []
    vcenter = facts["host"]["controller_address"]
    if facts["host"]["controller"] and not vcenter:
        raise Refusal("the address of the vCenter (summary.managementServerIp) was not read: it would be locked out")
    if not vcenter and not _within(situation.source, admitted):
        raise Refusal(
            f"this run comes from {situation.source or 'an address the host did not tell'}, which is not in "
            f"{', '.join(cidrs)}: it would lock itself out"
        )
    wanted = {*cidrs, *([str(ipaddress.ip_network(vcenter))] if vcenter else [])}
    return [vsphere_rows.ruleset_sources(name, wanted) for name in affected]


def _refuse_own_segment(situation: Situation, inbound: Iterable[Mapping[str, Any]], cidrs: list[str]) -> None:
    """vMotion, HA and the like come from the other hosts' adapters, which are in the networks of this one's."""
    admitted = _admitted(situation, cidrs)
    if not any(_open(entry, admitted) for entry in inbound):
        return
    for adapter in situation.facts["network"]["vmkernel"]:
        if adapter["address"] and not _within(adapter["address"], admitted):
            raise Refusal(
                f"{adapter['id']} has the address {adapter['address']}, which is in neither gold_admin_cidrs nor "
                "gold_mgmt_cidrs: other hosts of its network would be cut off; add the network"
            )


def _within(address: str | None, admitted: Mapping[int, AddressSet]) -> bool:
    if not address:
        return False
    network = ipaddress.ip_network(address)
    rest = of_cidrs(network.version, [str(network)]) - admitted[network.version]
    return not any(rest.text())


def _open(entry: Mapping[str, Any], admitted: Mapping[int, AddressSet]) -> bool:
    """Whether an enabled rule set, whose list can be set, is open to more than it may be."""
    if not entry["enabled"] or entry.get("ip_list_configurable") is False:
        return False
    if entry["all_ip"]:
        return True
    return any(any((of_cidrs(family, entry["allowed"]) - admitted[family]).text()) for family in (4, 6))


PLANS: dict[str, Planner] = {
    "vsphere-11.4.9-default-block": default_block,
    "vsphere-11.4.9-rulesets": rulesets,
    "vsphere-11.4.2-allowed-ips": administration_sources,
    "vsphere-11.4.12-source-limits": segment_sources,
}
