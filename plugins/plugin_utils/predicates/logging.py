# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on logs and their protection (11.4.10, 11.4.11)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.moments import hours_between
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import Outcome, need, need_list

STALE = "rsyslogd was started before its configuration changed: what is written is not in force"
# Templates of rsyslog that carry a standard format (RFC 5424); forwarding without a template uses RFC 3164.
STANDARD_TEMPLATES = ("RSYSLOG_SyslogProtocol23Format",)
# Crypto policies of RHEL whose floor is TLS 1.2 (crypto-policies(7)).
POLICIES_WITH_FLOOR = ("DEFAULT", "FUTURE", "FIPS", "NEXT")


def _rsyslog(facts: Mapping[str, Any]) -> tuple[Mapping[str, Any], Outcome | None]:
    """rsyslog's facts, and a verdict where rsyslog does not do the work: another forwarder is manual, none is a
    fail."""
    active = [entry["name"] for entry in facts["forwarders"] if need(entry, "active") is True]
    rsyslog = facts["rsyslog"]
    if "rsyslog" in active and need(rsyslog, "configured", what="rsyslog"):
        if need(rsyslog, "in_force", what="rsyslog") is not True:
            return rsyslog, o.failed({"in force": False}, None, STALE)
        return rsyslog, None
    others = [name for name in active if name != "rsyslog"]
    if others:
        return rsyslog, o.manual(f"{', '.join(others)} forwards the logs; its configuration needs evidence", others)
    return rsyslog, o.failed("none", "a running log forwarder", "no log forwarder is running")


def log_transport_tls(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every remote target: TLS, the server's identity verified, and a floor of TLS 1.2."""
    expected = f"TLS 1.2 or later, server verified by {' or '.join(gold['gold_log_auth_modes'])}"
    rsyslog, verdict = _rsyslog(facts)
    if verdict:
        verdict.expected = expected
        return verdict
    policy = facts["crypto_policy"].partition(":")[0]
    items = [
        o.item(_name(target), _transport(target, gold["gold_log_auth_modes"], policy, expected))
        for target in need_list(rsyslog, "targets", what="rsyslog")
    ]
    return o.combine(items, empty=o.failed("none", expected, "nothing is forwarded"), expected=expected)


def _name(target: Mapping[str, Any]) -> str:
    return f"{need(target, 'host')}:{need(target, 'port')}"


def _transport(target: Mapping[str, Any], modes: list[str], policy: str, expected: str) -> Outcome:
    keys = ("proto", "tls", "driver", "mode", "auth_mode", "permitted_peers", "ca", "priority")
    values = {key: need(target, key, what=_name(target)) for key in keys}
    faults = []
    if values["tls"] is not True:
        faults.append(f"{values['proto']} without TLS (driver {values['driver']}, mode {values['mode']})")
    else:
        if values["auth_mode"] not in modes:
            faults.append(f"authentication mode is {values['auth_mode'] or 'not set'}")
        if not values["permitted_peers"]:
            faults.append("no permitted peer is named")
        if not values["ca"]:
            faults.append("no certificate authority is named")
        if not has_floor(values["priority"], policy):
            faults.append("no floor of TLS 1.2 is configured")
    return o.failed(values, expected, ", ".join(faults)) if faults else o.passed(values, expected)


def has_floor(priority: str, policy: str) -> bool:
    """Whether TLS 1.0 and 1.1 are excluded: by rsyslog's own setting, or by the system-wide policy.

    The libraries' own defaults still offer both (GnuTLS's NORMAL, seen with gnutls-cli 3.7).
    """
    text = priority.upper()
    if re.search(r"MINPROTOCOL\s*=\s*TLSV1\.[23]", text):
        return True
    if "-VERS-ALL" in text or "-VERS-TLS-ALL" in text:
        return not re.search(r"\+VERS-TLS1\.[01]\b", text) and "+VERS-TLS1." in text
    if "-VERS-TLS1.0" in text and "-VERS-TLS1.1" in text:
        return True
    return not priority and policy in POLICIES_WITH_FLOOR


def log_format_coverage(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """A standard format, what has to arrive does, and the clock is right."""
    expected = (
        f"RFC 5424, forwarded with {', '.join(gold['gold_log_sources'])}; {gold['gold_time_sources_min']} time sources"
    )
    rsyslog, verdict = _rsyslog(facts)
    if verdict:
        verdict.expected = expected
        return verdict
    targets = need_list(rsyslog, "targets", what="rsyslog")
    items = [
        o.item(f"format to {_name(target)}", _format(target))
        for target in targets
        if need(target, "selector") != "conditional"
    ]
    if not items:
        return o.failed("none", expected, "nothing is forwarded without a condition")
    files = [
        need(entry, "file") for entry in need_list(rsyslog, "inputs", what="rsyslog") if need(entry, "type") == "imfile"
    ]
    items += [o.item(f"source {name}", _source(name, files, facts)) for name in gold["gold_log_sources"]]
    items.append(o.item("clock", clock(facts["time_sync"], gold["gold_time_sources_min"])))
    return o.combine(items, empty=o.failed("none", expected), expected=expected)


def _format(target: Mapping[str, Any]) -> Outcome:
    template = need(target, "template") or "rsyslog's default (RFC 3164)"
    if template in STANDARD_TEMPLATES:
        return o.passed(template)
    return o.failed(template, STANDARD_TEMPLATES[0], f"the template is {template}, not {STANDARD_TEMPLATES[0]}")


def _source(name: str, files: list[str], facts: Mapping[str, Any]) -> Outcome:
    """audit arrives by its syslog plugin, guests' logs by imfile; every other source is logged through syslog
    anyway."""
    if name == "audit":
        active, plugins = need(facts["auditd"], "active", what="auditd"), need_list(facts, "plugins", what="audit")
        if active is True and "syslog" in plugins:
            return o.passed(plugins)
        if any(path.startswith("/var/log/audit") for path in files):
            return o.passed(files)
        return o.failed({"auditd": active, "plugins": plugins}, None, "audit records do not reach syslog")
    if name == "libvirt":
        if any(path.startswith("/var/log/libvirt") for path in files):
            return o.passed(files)
        return o.failed(files, "an imfile input on /var/log/libvirt/qemu", "the guests' logs are not read (imfile)")
    return o.passed("through syslog")


def clock(time_sync: Mapping[str, Any], least: int) -> Outcome:
    sources = need_list(time_sync, "sources", what="time")
    actual = {"program": need(time_sync, "program", what="time"), "sources": sources}
    if need(time_sync, "active", what="time") is not True:
        return o.failed(actual, None, "no time service is running")
    # A pool is several servers behind one name.
    count = sum(4 if "pool" in source else 1 for source in sources)
    return o.passed(actual) if count >= least else o.failed(actual, f"{least} time sources", f"{count} time sources")


def logs_protected(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Named files and directories only, and a way to detect changes: sealing with a key, AIDE, or an audit watch."""
    expected = f"no access for others, group one of {', '.join(gold['gold_log_reader_groups'])}, changes detectable"
    items = [o.item(need(entry, "path"), _file(entry, gold["gold_log_reader_groups"])) for entry in facts["files"]]
    items.append(o.item("integrity", _integrity(facts)))
    return o.combine(items, empty=o.unknown("no log file was seen"), expected=expected)


def _file(entry: Mapping[str, Any], groups: list[str]) -> Outcome:
    mode, kind = int(need(entry, "mode"), 8), need(entry, "type")
    group = need(entry, "group")
    actual = f"{entry['mode']} {need(entry, 'uid')}:{group}"
    if kind == "dir":
        # Directories may be listed by design (/var/log/journal is 2755); nobody but their owner may write.
        fault = (
            "others may write"
            if mode & 0o002
            else "the group may write"
            if mode & 0o020 and group not in groups
            else ""
        )
    else:
        fault = "others have access" if mode & 0o007 else "the group may write" if mode & 0o020 else ""
        fault = fault or ("" if group in groups else f"the group is {group}")
    if fault:
        return o.failed(actual, None, fault)
    return o.passed(actual)


def _integrity(facts: Mapping[str, Any]) -> Outcome:
    journald = facts["journald"]
    sealed = need(journald, "seal", what="journald") == "yes" and facts["sealing_key"] is True
    aide = any(rule.startswith("/var/log") for rule in facts["aide_rules"])
    # "-w /var/log -p wa" and "-a always,exit -F dir=/var/log -F perm=wa" are the same watch in two notations.
    watched = any(re.search(r"(?:-w |-F (?:dir|path)=)/var/log", rule) for rule in facts["audit_rules"] or [])
    actual = {"sealed journal": sealed, "AIDE": aide, "audit watch": watched}
    if any(actual.values()):
        return o.passed(actual)
    if facts["audit_rules"] is None:
        return o.unknown("neither sealing nor AIDE is set up, and the audit rules were not read", actual)
    return o.failed(actual, "one of them", "nothing would detect a changed log")


def log_target_external(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """At least one named server is a target, with a queue on disk, and the connection stands."""
    servers = gold["gold_log_servers"]
    expected = f"a target in {', '.join(servers) or '(none named)'} with a disk-assisted queue, connected"
    rsyslog, verdict = _rsyslog(facts)
    if verdict:
        verdict.expected = expected
        return verdict
    targets = [t for t in need_list(rsyslog, "targets", what="rsyslog") if need(t, "selector") != "conditional"]
    chosen = [target for target in targets if need(target, "host") in servers]
    if not chosen:
        found = [_name(target) for target in targets]
        return o.failed(found, expected, "no unconditional target is one of gold_log_servers")
    connected = need_list(rsyslog, "connected", what="rsyslog")
    items = [o.item(_name(target), _stored(target, connected)) for target in chosen]
    good = [entry for entry in items if entry.status == o.PASS]
    return o.combine(good or items, empty=o.failed(), expected=expected)


def _stored(target: Mapping[str, Any], connected: list[str]) -> Outcome:
    queue = need(target, "queue", what=_name(target))
    values = {key: need(queue, key, what="queue") for key in ("type", "filename", "save_on_shutdown")}
    faults = []
    if (
        values["type"] not in ("linkedlist", "fixedarray")
        or not values["filename"]
        or values["save_on_shutdown"] is not True
    ):
        faults.append("messages are lost while the server is away: no disk-assisted queue saved on shutdown")
    if need(target, "proto") != "udp" and str(need(target, "port")) not in connected:
        faults.append("no established connection to its port")
    actual = {**values, "connected": str(target["port"]) in connected}
    return o.failed(actual, None, "; ".join(faults)) if faults else o.passed(actual)


def log_heartbeat(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """What the log server says it received last; nothing supplied is manual."""
    minutes, evidence = gold["gold_log_heartbeat_minutes"], gold["gold_log_heartbeat"]
    expected = f"an event within {minutes} minutes"
    if not evidence:
        return o.manual("the log server's answer was not supplied in gold_log_heartbeat", None, expected)
    age = hours_between(evidence.get("last_event"), facts["now"], "gold_log_heartbeat.last_event") * 60
    if 0 <= age <= minutes:
        return o.passed(evidence, expected)
    return o.failed(evidence, expected, f"the newest event is {age:.0f} minutes old")


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "log_transport_tls": log_transport_tls,
    "log_format_coverage": log_format_coverage,
    "logs_protected": logs_protected,
    "log_target_external": log_target_external,
    "log_heartbeat": log_heartbeat,
}
