# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall of an ESXi host: what it blocks, and which rule sets are enabled (11.4.9)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows

# The port a host is asked on, and the rule sets by which a vCenter keeps it, heartbeats first. Never switched off.
CLIENT = "vSphereClient"
VCENTER = ("vpxHeartbeats", CLIENT)
# Rule sets that something may need which no fact shows; nobody finds out before it is gone. From 8.0.2 on vCenter
# itself owns fdm and faultTolerance (HostFirewallSystemRuleSetId, pitfall P2), and only older releases disable them.
NFS = {"NFS": "nfsClient", "NFS41": "nfs41Client"}
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
    "vvold": "no datastore is a virtual volume",
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
    rows = [host_rows.blocked(name) for name in ("incoming", "outgoing") if not firewall[f"{name}_blocked"]]
    off = [name for name in ("loaded", "enabled") if not firewall[name]]
    rows += [host_rows.esxcli(f"network firewall.{name}", True) for name in off]
    enabled = {entry["id"] for entry in firewall["rulesets"] if entry["enabled"]}
    lacking = [name for name in _needed(situation) if name not in enabled]
    if rows and lacking:
        raise Refusal(
            f"the rule set {', '.join(lacking)} is not enabled: with everything else blocked, the host would be lost; "
            "enable it first"
        )
    return (_datastores_cut(situation, enabled) if rows else []) or rows


def _datastores_cut(situation: Situation, enabled: set[str]) -> list[Row]:
    """A firewall that is off, or lets out what no rule set allows, has let nobody miss a rule set."""
    rows = []
    for store in situation.facts["storage"]["datastores"]:
        name, kind = str(store["id"])[:80], store.get("kind")
        if kind is None:
            rows.append(plan.by_hand(f"how the datastore {name} is reached was not read: grant System.Read on it"))
        elif NFS.get(kind, "") not in {"", *enabled}:
            rows.append(
                plan.by_hand(
                    f"the datastore {name} comes over {kind}, and the rule set {NFS[kind]} is not enabled: with "
                    "everything else blocked, its machines would lose it; enable the rule set first"
                )
            )
    return rows


def _needed(situation: Situation) -> tuple[str, ...]:
    return VCENTER if situation.facts["host"]["controller"] else (CLIENT,)


def _used(situation: Situation) -> dict[str, str]:
    """{rule set: what leaves by it} of what other areas enable: switched off here, they would switch it on again."""
    facts = situation.facts
    used = {"syslog": "the logs of this host leave by it (11.4.10)"}
    time_sync = facts["logging"]["time_sync"]
    if time_sync["program"] == "ntpd" and (time_sync["active"] or situation.gold["gold_time_servers"]):
        used["ntpClient"] = "its clock follows its servers by it (11.4.10)"
    if facts["identity"]["joined"]:
        used["activeDirectoryAll"] = "it asks the directory by it (11.4.1)"
    return used


def rulesets(situation: Situation) -> list[Row]:
    """vsphere-11.4.9-rulesets: what nobody declared, or whose service is stopped, is disabled."""
    used = _used(situation)
    running = {service["id"]: service["running"] for service in situation.facts["remote_access"]["services"]}
    allowed, rows = situation.gold["gold_vsphere_rulesets"], []
    for entry in situation.facts["firewall"]["rulesets"]:
        name = entry["id"]
        if not entry["enabled"] or entry["required"] or entry.get("user_controllable") is False:
            continue
        stopped = bool(entry["service"]) and running.get(entry["service"]) is False
        if name in allowed and not stopped:
            continue
        if name in used and name not in allowed:
            rows.append(plan.by_hand(f"{name} stays enabled, as {used[name]}: declare it in gold_vsphere_rulesets"))
        elif name in used:
            rows.append(
                plan.by_hand(
                    f"{name} is enabled while {entry['service']} is stopped, and {used[name]}: have it started"
                )
            )
        elif name in VCENTER:
            rows.append(plan.by_hand(f"the host is administered by way of {name}: declare it in gold_vsphere_rulesets"))
        elif name in NEEDED_UNSEEN:
            rows.append(
                plan.by_hand(
                    f"disable the rule set {name} if {NEEDED_UNSEEN[name]}; else add it to gold_vsphere_rulesets"
                )
            )
        else:
            rows.append(host_rows.ruleset(name, enabled=False))
    return rows


PLANS: dict[str, Planner] = {
    "vsphere-11.4.9-default-block": default_block,
    "vsphere-11.4.9-rulesets": rulesets,
}
