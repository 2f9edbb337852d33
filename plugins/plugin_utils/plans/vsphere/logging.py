# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of an ESXi host: kept, complete, and sent over verified TLS (11.4.4, 11.4.10, 11.4.11)."""

from __future__ import annotations

from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.vsphere import host_rows
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import logging as log_rules
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere import logging as rules

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
        rows.append(host_rows.option(f"{SYSLOG}logLevel", gold["gold_vsphere_log_level"]))
    if options[AGENT_LEVEL] not in rules.AGENT_LEVELS:
        rows.append(host_rows.option(AGENT_LEVEL, "info"))
    if facts["logging"]["filters_enabled"]:
        rows.append(
            host_rows.esxcli("system syslog config logfilter.enabled", False)
            if _seven(situation)
            else host_rows.option(f"{SYSLOG}logFiltersEnable", False)
        )
    if not next(entry["enabled"] for entry in facts["firewall"]["rulesets"] if entry["id"] == "syslog"):
        rows.append(host_rows.ruleset("syslog", enabled=True))
    return [*rows, *_clock(situation)]


def _clock(situation: Situation) -> list[Row]:
    """The clock follows the servers that gold names, and its service starts with the host."""
    now, least = situation.facts["logging"]["time_sync"], situation.gold["gold_time_sources_min"]
    servers = [str(name) for name in situation.gold["gold_time_servers"]]
    found = log_rules.clock(now, least)
    if found.status == "pass":
        return []
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
    return [*rows, host_rows.ruleset("ntpClient", enabled=True)]


PLANS: dict[str, Planner] = {
    "vsphere-11.4.4-audit-store": audit_store,
    "vsphere-11.4.10-tls-forward": tls_forward,
    "vsphere-11.4.10-level-filter": level_and_filter,
    "vsphere-11.4.10-persistent-audit": persistent,
    "vsphere-11.4.11-remote-target": remote_target,
}
