# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From where an ESXi host is administered: the addresses that may use its rule sets (11.4.2, 11.4.12)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet, of_cidrs
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import networks
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows, management_segment


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
    # An address of a vCenter may be left from one that has long been gone.
    if not facts["host"]["controller"] and not _within(situation.source, admitted):
        raise Refusal(
            f"this run comes from {situation.source or 'an address the host did not tell'}, which is not in "
            f"{', '.join(cidrs)}: it would lock itself out"
        )
    wanted = {*cidrs, *([str(ipaddress.ip_network(vcenter))] if vcenter else [])}
    return [host_rows.ruleset_sources(name, wanted) for name in affected]


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
    "vsphere-11.4.12-dedicated": management_segment.dedicated,
    "vsphere-11.4.12-traffic-separation": management_segment.separated,
    "vsphere-11.4.2-allowed-ips": administration_sources,
    "vsphere-11.4.12-source-limits": segment_sources,
}
