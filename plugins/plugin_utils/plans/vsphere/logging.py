# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of an ESXi host and of its vCenter: kept, complete, sent over verified TLS (11.4.4, 11.4.10, 11.4.11)."""

from __future__ import annotations

from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import controller_rows, host_rows, role_edits
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere.config_drift import EVENTS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import logging as log_rules
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import logging as rules
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import privileges

SYSLOG = "Syslog.global."
AUDIT = f"{SYSLOG}auditRecord."
# What esxcli alone sets before ESXi 8 made options of it (pitfall P3).
ON_SEVEN = {"storageCapacity": "size", "storageEnable": "local", "remoteEnable": "remote"}
CERTIFICATE = f"{SYSLOG}certificate."
AGENT_LEVEL = "Config.HostAgent.log.level"
# Wrong, it stops remote logging and nobody is told (pitfall P4).
CA_FIRST = (
    "put the authority of the log servers' certificates into the host's store (esxcli system security certificatestore "
    "add), then allow it by hypervisor_options: {log_authority_present: true}: a certificate the host does not trust "
    "stops its remote logging silently"
)


def _seven(situation: Situation) -> bool:
    return host_rows.release(situation.facts) < host_rows.EIGHT


def _audit(situation: Situation, *, sent: bool) -> list[Row]:
    audit, least = situation.facts["logging"]["audit"], situation.gold["gold_audit_capacity_mb"]
    wanted = {
        "storageCapacity": None if audit["capacity_mb"] >= least else least,
        "storageEnable": None if audit["storage_enabled"] else True,
        "remoteEnable": True if sent and not audit["remote_enabled"] else None,
    }
    missing = {name: value for name, value in wanted.items() if value is not None}
    return [_audit_row(situation, name, value) for name, value in missing.items()]


def _audit_row(situation: Situation, name: str, value: Any) -> Row:
    if _seven(situation):
        return host_rows.esxcli(f"system auditrecords.{ON_SEVEN[name]}", value)
    return host_rows.option(f"{AUDIT}{name}", value)


def audit_store(situation: Situation) -> list[Row]:
    """vsphere-11.4.4-audit-store."""
    return _audit(situation, sent=True)


def persistent(situation: Situation) -> list[Row]:
    """vsphere-11.4.10-persistent-audit: which datastore may hold logs is a person's to say."""
    if situation.facts["logging"]["local_persistent"]:
        return _audit(situation, sent=False)
    return [
        plan.by_hand(
            f"logs are lost with a restart: set {SYSLOG}logDir to a directory directly on a datastore (in a subfolder "
            "of it audit records cannot be enabled), then enforce this again"
        )
    ]


def _destinations(situation: Situation) -> tuple[list[str], list[str]]:
    """(log servers as they are, as they have to be): named ones over TLS, whatever they were reached by before."""
    servers = [str(name) for name in situation.gold["gold_log_servers"]]
    if not servers:
        raise Refusal("gold_log_servers is empty: name the servers that take the logs of this host")
    try:
        now = rules.targets(situation.facts["logging"])
    except MissingFact as error:
        raise Refusal(str(error)) from error
    over_tls = {host: entry for entry, protocol, host in now if protocol == "ssl"}
    port = situation.gold["gold_log_port"]
    wanted = [over_tls.get(name.casefold(), f"ssl://{_bracketed(name)}:{port}") for name in servers]
    return [entry for entry, _protocol, _host in now], wanted


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def _sent(situation: Situation) -> list[Row]:
    now, wanted = _destinations(situation)
    if sorted(now) == sorted(wanted):
        return []
    if not situation.options.get("log_authority_present"):
        return [plan.by_hand(CA_FIRST)]
    return [host_rows.option(f"{SYSLOG}logHost", ",".join(wanted))]


def remote_target(situation: Situation) -> list[Row]:
    """vsphere-11.4.11-remote-target."""
    rows = _sent(situation)
    if situation.facts["logging"]["audit"]["remote_enabled"]:
        return rows
    return [*rows, _audit_row(situation, "remoteEnable", True)]


def tls_forward(situation: Situation) -> list[Row]:
    """vsphere-11.4.10-tls-forward: names by release are pitfall P3."""
    logging, rows = situation.facts["logging"], _sent(situation)
    checked, strict = logging["check_certificates"], logging["strict_x509"]
    if checked and strict:
        return rows
    if not situation.options.get("log_authority_present"):
        return [plan.by_hand(CA_FIRST)]
    if _seven(situation):
        if not checked:
            rows.append(host_rows.option(f"{SYSLOG}logCheckSSLCerts", True))
        if not strict:
            rows.append(host_rows.esxcli("system syslog config.x509-strict", True))
        return rows
    if not checked:
        rows.append(host_rows.option(f"{CERTIFICATE}checkSSLCerts", True))
    if not strict:
        rows.append(host_rows.option(f"{CERTIFICATE}strictX509Compliance", True))
    return rows


def level_and_filter(situation: Situation) -> list[Row]:
    """vsphere-11.4.10-level-filter: levels, filters, the rule set, and the time servers that gold names."""
    options, facts, gold = situation.facts["advanced_options"], situation.facts, situation.gold
    rows: list[Row] = []
    if rules.LEVELS.index(options[f"{SYSLOG}logLevel"]) < rules.LEVELS.index(gold["gold_vsphere_log_level"]):
        rows += _about("log level", host_rows.option(f"{SYSLOG}logLevel", gold["gold_vsphere_log_level"]))
    if options[AGENT_LEVEL] not in rules.AGENT_LEVELS:
        rows += _about("host agent", host_rows.option(AGENT_LEVEL, "info"))
    if facts["logging"]["filters_enabled"]:
        off = (
            host_rows.esxcli("system syslog config logfilter.enabled", False)
            if _seven(situation)
            else host_rows.option(f"{SYSLOG}logFiltersEnable", False)
        )
        rows += _about("filters", off)
    if not next(entry["enabled"] for entry in facts["firewall"]["rulesets"] if entry["id"] == "syslog"):
        rows += _about("firewall", host_rows.ruleset("syslog", enabled=True))
    return [*rows, *_about("clock", *_clock(situation))]


def _about(item: str, *rows: Row) -> list[Row]:
    """Rows with the item of the check that they put right, whose name is not the setting's."""
    return [{**row, "items": [item]} for row in rows]


def _clock(situation: Situation) -> list[Row]:
    """The clock follows the servers that gold names, and its service starts with the host."""
    now, least = situation.facts["logging"]["time_sync"], situation.gold["gold_time_sources_min"]
    servers = [str(name) for name in situation.gold["gold_time_servers"]]
    rulesets = {entry["id"]: entry for entry in situation.facts["firewall"]["rulesets"]}
    if rules.host_clock(now, rulesets, least).status == "pass":
        return []
    found = log_rules.clock(now, least)
    if found.status == "pass":
        return [host_rows.ruleset(rules.TIME_RULESET, enabled=True)]
    if now["program"] != "ntpd":
        return [plan.by_hand(f"{found.message}: the host follows PTP; see to its adapters and to the service ptpd")]
    if not servers:
        return [
            plan.by_hand(
                f"{found.message}: name at least {least} time servers of yours in gold_time_servers, or on the host "
                "(Configure, Time configuration), and have the service start with it"
            )
        ]
    enough = log_rules.clock({"program": "ntpd", "active": True, "sources": servers}, least)
    if enough.status != "pass":
        raise Refusal(f"gold_time_servers names {len(servers)}, expected at least {least} (gold_time_sources_min)")
    rows = [host_rows.time_servers(servers), *host_rows.service_on("ntpd")]
    return [*rows, host_rows.ruleset(rules.TIME_RULESET, enabled=True)]


MAX_TARGETS = 3  # of the appliance


def controller_remote(situation: Situation) -> list[Row]:
    """vsphere-11.4.11-vcenter: every target is one of the named servers over TLS, and events are among the logs."""
    servers = [str(name) for name in situation.gold["gold_log_servers"]]
    if not servers:
        raise Refusal("gold_log_servers is empty: name the servers that take the logs of the vCenter")
    if len(servers) > MAX_TARGETS:
        return [
            plan.by_hand(
                f"gold_log_servers names {len(servers)} servers and the appliance sends to {MAX_TARGETS} at most: say "
                "which by gold_overrides for this vCenter"
            )
        ]
    named = {name.casefold() for name in servers}
    found = situation.facts["logging"]["forwarding"]
    wrong = [one for one in found if one["protocol"] != "TLS" or str(one["host"]).casefold() not in named]
    rows: list[Row] = []
    if wrong or not found:
        over_tls = {str(one["host"]).casefold(): int(one["port"]) for one in found if one["protocol"] == "TLS"}
        port = situation.gold["gold_log_port"]
        rows.append(
            controller_rows.log_forwarding(f"TLS {name}:{over_tls.get(name.casefold(), port)}" for name in servers)
        )
        # The appliance takes any server, and one that it does not trust gets nothing.
        rows.append(plan.by_hand("see that the vCenter's logs arrive (VAMI, Syslog, Send Test Message)"))
    if situation.facts["advanced_options"][EVENTS] is not True:
        rows.append(controller_rows.option(EVENTS, True))
    return rows


PLANS: dict[str, Planner] = {
    "vsphere-11.4.4-role-privs": role_edits.without(privileges.changes_logs, "gold_log_admins"),
    "vsphere-11.4.4-audit-store": audit_store,
    "vsphere-11.4.10-tls-forward": tls_forward,
    "vsphere-11.4.10-level-filter": level_and_filter,
    "vsphere-11.4.10-persistent-audit": persistent,
    "vsphere-11.4.11-remote-target": remote_target,
    "vsphere-11.4.11-vcenter": controller_remote,
}
