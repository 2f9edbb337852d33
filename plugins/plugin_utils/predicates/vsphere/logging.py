# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of ESXi and vCenter, and who is told of changes (11.3.7, 11.4.4, 11.4.10, 11.4.11)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.logging import clock
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import mappings
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vm_items import entries, flag, text, whole
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.vsphere.host_items import (
    names_of,
    number,
    option,
)

# One entry of Syslog.global.logHost: a protocol, a host (an IPv6 address in brackets), perhaps a port and parameters.
_TARGET = re.compile(
    r"(?:(?P<protocol>[A-Za-z]+)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:/?\[\]\s]+)(?::(?P<port>\d+))?(?:\?(?P<more>\S*))?$"
)
# By which ntpd asks its servers.
TIME_RULESET = "ntpClient"
# Levels of Syslog.global.logLevel from the least verbose.
LEVELS = ("error", "warning", "info", "debug")
# Levels of Config.HostAgent.log.level that log enough.
AGENT_LEVELS = ("info", "verbose", "trivia")
CHANGED = "VmReconfiguredEvent"
TELLING = ("SendEmailAction", "SendSNMPAction", "RunScriptAction")


def targets(facts: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """[(entry, protocol, host)] of the host's log servers."""
    found = []
    for entry in names_of(facts, "hosts"):
        match = _TARGET.match(entry.strip())
        if not match:
            raise MissingFact(f"{entry[:80]!r} is no log server")
        found.append((entry.strip(), (match["protocol"] or "udp").lower(), match["host"].strip("[]").casefold()))
    return found


def transport_tls(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """Every log server is reached over TLS, and its certificate verified strictly. facts: hosts, check, strict."""
    expected = "ssl:// for every log server, its certificate checked, strict X.509"
    found = targets(facts)
    if not found:
        return o.failed([], expected, "no log server is set: nothing leaves the host")
    actual = {
        "log servers": [entry for entry, _protocol, _host in found],
        "checked": flag(facts, "check"),
        "strict": flag(facts, "strict"),
    }
    faults = [f"{entry[:80]} is not TLS" for entry, protocol, _host in found if protocol != "ssl"]
    if not actual["checked"]:
        faults.append("certificates of log servers are not checked")
    if not actual["strict"]:
        faults.append("certificates are not checked strictly (strict X.509)")
    return o.failed(actual, expected, "; ".join(faults[:3])) if faults else o.passed(actual, expected)


def remote_configured(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Logs and audit records, which have a switch of their own, go to named servers. facts: hosts, audit_remote."""
    servers = {str(name).casefold() for name in gold["gold_log_servers"]}
    expected = f"servers of {', '.join(sorted(servers)) or '(none named)'}, audit records too"
    found = targets(facts)
    actual = {
        "log servers": [entry for entry, _protocol, _host in found],
        "audit records": flag(facts, "audit_remote"),
    }
    faults = [f"{host[:80]} is not in gold_log_servers" for _entry, _protocol, host in found if host not in servers]
    if not found:
        faults.append("no log server is set")
    if not actual["audit records"]:
        faults.append("audit records stay on the host (auditRecord.remoteEnable)")
    return o.failed(actual, expected, "; ".join(faults[:3])) if faults else o.passed(actual, expected)


def standard_format(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Enough is logged, nothing is filtered, the clock is right, and the firewall lets it out.

    facts: options, filters, rulesets, time_sync.
    """
    agent, least = option(facts["options"], "Config.HostAgent.log.level"), gold["gold_vsphere_log_level"]
    level = option(facts["options"], "Syslog.global.logLevel")
    if level not in LEVELS:
        raise MissingFact(f"Syslog.global.logLevel {str(level)[:40]!r} is no level")
    quiet = LEVELS.index(level) < LEVELS.index(least)
    rulesets = {text(entry, "id"): entry for entry in entries(facts, "rulesets")}
    if "syslog" not in rulesets:
        raise MissingFact("the rule set syslog was not read")
    items = [
        o.item(
            "log level",
            o.failed(level, least, f"Syslog.global.logLevel is {level}, less than {least}")
            if quiet
            else o.passed(level, least),
        ),
        o.item(
            "host agent",
            o.passed(agent)
            if agent in AGENT_LEVELS
            else o.failed(agent, "info", f"Config.HostAgent.log.level is {agent}"),
        ),
        o.item(
            "filters",
            o.failed(True, False, "log messages are filtered out on the host")
            if flag(facts, "filters")
            else o.passed(False, False),
        ),
        o.item(
            "firewall",
            o.passed(True)
            if flag(rulesets["syslog"], "enabled")
            else o.failed(False, True, "the rule set syslog is off: logs cannot leave"),
        ),
        o.item("clock", host_clock(facts["time_sync"], rulesets, gold["gold_time_sources_min"])),
    ]
    return o.combine(items, empty=o.unknown("nothing was read"))


def host_clock(time_sync: Mapping[str, Any], rulesets: Mapping[str, Mapping[str, Any]], least: int) -> Outcome:
    """The clock follows enough sources, and the firewall lets it ask them. rulesets: {id: entry}."""
    found = clock(time_sync, least)
    if found.status == o.PASS and text(time_sync, "program") == "ntpd":
        if TIME_RULESET not in rulesets:
            raise MissingFact(f"the rule set {TIME_RULESET} was not read")
        if not flag(rulesets[TIME_RULESET], "enabled"):
            return o.failed(False, True, f"the rule set {TIME_RULESET} is off: time servers cannot be asked")
    return found


def local_protected(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Logs survive a restart, and audit records are kept. facts: persistent, audit."""
    persistent, audit = flag(facts, "persistent"), facts["audit"]
    kept, size, least = flag(audit, "storage_enabled"), whole(audit, "capacity_mb"), gold["gold_audit_capacity_mb"]
    actual = {"persistent": persistent, "audit records kept": kept, "capacity_mb": size}
    expected = f"logs on persistent storage, audit records kept in {least} MiB or more"
    faults = []
    if not persistent:
        faults.append("logs on the host are lost with a restart")
    if not kept:
        faults.append("audit records are not kept (auditRecord.storageEnable)")
    elif size < least:
        faults.append(f"{size} MiB for audit records, less than {least}")
    return o.failed(actual, expected, "; ".join(faults)) if faults else o.passed(actual, expected)


def audit_store(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Audit records are kept and sent, so that deleting them on the host does not make them undone. facts: audit."""
    audit, least = facts["audit"], gold["gold_audit_capacity_mb"]
    actual = {
        "kept": flag(audit, "storage_enabled"),
        "sent": flag(audit, "remote_enabled"),
        "capacity_mb": whole(audit, "capacity_mb"),
    }
    faults = []
    if not actual["kept"]:
        faults.append("audit records are not kept (auditRecord.storageEnable)")
    if not actual["sent"]:
        faults.append("audit records are not sent (auditRecord.remoteEnable)")
    if actual["capacity_mb"] < least:
        faults.append(f"{actual['capacity_mb']} MiB for audit records, less than {least}")
    expected = f"kept, sent, {least} MiB or more"
    return o.failed(actual, expected, "; ".join(faults)) if faults else o.passed(actual, expected)


def controller_remote(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The appliance sends its logs to named servers over TLS, events among them. facts: forwarding, options."""
    servers = {str(name).casefold() for name in gold["gold_log_servers"]}
    expected = f"TLS to {', '.join(sorted(servers)) or '(none named)'}, events among the logs"
    items = []
    for target in entries(facts, "forwarding"):
        host, protocol = text(target, "host"), text(target, "protocol")
        actual = f"{protocol} {host}:{whole(target, 'port')}"
        faults = [] if protocol == "TLS" else [f"{host[:80]} is reached over {protocol}, not over TLS"]
        if host.casefold() not in servers:
            faults.append(f"{host[:80]} is not in gold_log_servers")
        items.append(o.item(host, o.failed(actual, None, "; ".join(faults)) if faults else o.passed(actual)))
    if not items:
        return o.failed([], expected, "the appliance forwards its logs to nobody")
    events = option(facts["options"], "vpxd.event.syslog.enabled")
    items.append(
        o.item(
            "events",
            o.passed(events)
            if events is True
            else o.failed(events, True, "events are not among the logs (vpxd.event.syslog.enabled)"),
        )
    )
    return o.combine(items, empty=o.unknown("nothing was read"), expected=expected)


def changes_logged(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Changes of machines are events, sent to syslog and kept. facts: options."""
    options, least = facts["options"], gold["gold_event_retention_days"]
    sent = option(options, "vpxd.event.syslog.enabled")
    actual: dict[str, Any] = {"sent to syslog": sent}
    faults = [] if sent is True else ["events are not sent to syslog (vpxd.event.syslog.enabled)"]
    for kind in ("event", "task"):
        # Without a limit events are kept for ever, which is longer than any.
        limited = option(options, f"{kind}.maxAgeEnabled")
        days = number(options, f"{kind}.maxAge") if limited is not False else None
        actual[f"{kind}s kept"] = "without limit" if days is None else f"{days} days"
        if days is not None and days < least:
            faults.append(f"{kind}s are kept for {days} days, less than {least}")
    expected = f"sent to syslog, kept for {least} days or more"
    return o.failed(actual, expected, "; ".join(faults)) if faults else o.passed(actual, expected)


def change_alarm(facts: dict[str, Any], _gold: dict[str, Any]) -> Outcome:
    """An alarm for the whole inventory tells somebody when a machine is reconfigured. facts: alarms."""
    expected = f"an enabled alarm at the root on {CHANGED} that sends mail, a trap or runs a script"
    near = []
    for alarm in mappings(facts["alarms"], "alarms"):
        if CHANGED not in names_of(alarm, "events"):
            continue
        name, tells = text(alarm, "name")[:80], sorted(set(names_of(alarm, "actions")) & set(TELLING))
        lacks = [
            why
            for why, there in (
                ("is off", flag(alarm, "enabled")),
                ("is not at the root", flag(alarm, "root")),
                ("tells nobody", bool(tells)),
            )
            if not there
        ]
        if not lacks:
            return o.passed({name: tells}, expected)
        near.append(f"{name} {' and '.join(lacks)}")
    return o.failed(near[:10] or "none", expected, near[0] if near else "no alarm looks at changes of machines")


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "vsphere_transport_tls": transport_tls,
    "vsphere_remote_configured": remote_configured,
    "vsphere_standard_format": standard_format,
    "vsphere_local_protected": local_protected,
    "vsphere_audit_store": audit_store,
    "vsphere_controller_remote": controller_remote,
    "vsphere_changes_logged": changes_logged,
    "vsphere_change_alarm": change_alarm,
}
