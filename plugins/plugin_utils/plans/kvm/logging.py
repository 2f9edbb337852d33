# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of a KVM host: what is recorded, where it goes, and who cannot touch it (11.4.4, 11.4.10, 11.4.11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import audit_rules
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm.log_forwarding import (
    HEAD,
    activation,
    forwarding,
    settings_missing,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Planner, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import logging as judge
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.access_accounts import (
    operators_lack_log_rights,
)

SOURCES = "/etc/rsyslog.d/10-dwp-hypervisor-sources.conf"
GUEST_LOGS = "/var/log/libvirt/qemu/*.log"
AUDIT_LOG = "/var/log/audit/audit.log"
JOURNALD = "/etc/systemd/journald.conf.d/60-dwp-hypervisor.conf"
# Without a word on Audit, Debian's journald switches auditing off whenever it is started again (seen with systemd 252:
# audit_enabled=0 by systemd-journal); an empty value leaves it as it is (journald.conf(5)).
JOURNALD_TEXT = f"{HEAD}[Journal]\nForwardToSyslog=yes\nAudit=\n"
# The same when the file is taken back: auditing is switched on again where it was on.
RESTART_JOURNALD = plan.run(
    "/bin/sh",
    "-c",
    "enabled=$(auditctl -s 2> /dev/null | sed -n 's/^enabled //p')\n"
    "systemctl restart systemd-journald.service || exit 1\n"
    'if test "$enabled" = 1; then auditctl -e 1 > /dev/null; fi\n',
)
# Sorts behind every name that begins with a digit: augenrules(8) loads in the order of ls -v, and nothing after -e 2.
LOCK = "/etc/audit/rules.d/zz-dwp-hypervisor-lock.rules"
LOCK_TEXT = """\
## Written by dwp.hypervisor. Behind every other rule: from here to the next start the kernel takes no other.
-e 2
"""
# auditd takes its plugins up on a hangup (auditd(8)). RHEL's unit refuses a restart, Debian's has no reload.
REREAD_PLUGINS = plan.run("systemctl", "kill", "--signal=HUP", "auditd.service")
READER_GROUP = {"debian": "adm", "rhel": "root"}


def tls_forward(situation: Situation) -> list[Row]:
    """kvm-11.4.10-tls-forward."""
    return forwarding(situation)


def remote_target(situation: Situation) -> list[Row]:
    """kvm-11.4.11-remote-target."""
    return forwarding(situation)


def format_coverage(situation: Situation) -> list[Row]:
    """kvm-11.4.10-format-coverage: the format, the guests' logs, the audit records, and a clock to be believed."""
    rows = forwarding(situation)
    if not situation.facts["logging"]["rsyslog"]["configured"]:
        return rows
    return rows + _journal(situation) + _sources(situation) + _records(situation) + _clock(situation)


def _journal(situation: Situation) -> list[Row]:
    """rsyslog reads the journal itself (imjournal), or journald hands on what services log."""
    logging = situation.facts["logging"]
    if "imjournal" in logging["rsyslog"]["modules"] or settings_missing(situation):
        return []
    forwards = (logging["journald"] or {}).get("forwardtosyslog") == "yes"
    return [plan.file(JOURNALD, JOURNALD_TEXT, then=[] if forwards else [RESTART_JOURNALD])]


def _sources(situation: Situation) -> list[Row]:
    """The files rsyslog has to read: the guests' logs, and the audit log where no plugin hands the records on."""
    wanted = situation.gold["gold_log_sources"]
    inputs = [
        entry["file"]
        for entry in situation.facts["logging"]["rsyslog"]["inputs"]
        if entry["type"] == "imfile" and entry["source"] != SOURCES
    ]
    files = {}
    if "libvirt" in wanted and not any(path.startswith("/var/log/libvirt") for path in inputs):
        files[GUEST_LOGS] = "libvirt-qemu:"
    audit = situation.facts["logging"]["audit"]
    if "audit" in wanted and not audit["syslog_plugin"] and (audit["service"] or {}).get("installed"):
        if not any(path.startswith("/var/log/audit") for path in inputs):
            files[AUDIT_LOG] = "audit:"
    if not files:
        return []
    rsyslog = situation.facts["logging"]["rsyslog"]
    # rsyslog refuses to load a module twice.
    loaded = any(entry["module"] == "imfile" and entry["source"] != SOURCES for entry in rsyslog["loads"])
    lines = [] if loaded else ['module(load="imfile")']
    for path, tag in files.items():
        lines.append(f'input(type="imfile" file="{path}" tag="{tag}" severity="info" facility="local6")')
    rows = [plan.file(SOURCES, HEAD + "".join(f"{line}\n" for line in lines), then=activation())]
    if rsyslog["user"] != "root":
        readers = " && ".join(f"setfacl -R -m u:{rsyslog['user']}:rX {path.rpartition('/')[0]}" for path in files)
        rows.append(
            plan.by_hand(f"rsyslog runs as {rsyslog['user']} and may not be able to read these logs: {readers}")
        )
    return rows


def _records(situation: Situation) -> list[Row]:
    """What the audit system records (people's changes of the hypervisor and of its logging), and its way to syslog."""
    if "audit" not in situation.gold["gold_log_sources"]:
        return []
    audit = situation.facts["logging"]["audit"]
    runs, rows = (audit["service"] or {}).get("active") is True, []
    if not runs and not audit_rules.missing(situation):
        rows.append(plan.unit("auditd.service", enabled=True, active=True))
    if audit["syslog_plugin"] and (audit["service"] or {}).get("installed"):
        then = [REREAD_PLUGINS] if runs else []
        rows.append(plan.keys(audit["syslog_plugin"], {"active": "yes"}, syntax="libvirt", then=then))
    paths = [*situation.gold["gold_config_watch_paths"], *situation.gold["gold_audit_watch_paths"]]
    watches = [audit_rules.watch(str(path), people_only=True) for path in dict.fromkeys(paths)]
    return rows + audit_rules.rules(situation, "logging", watches)


def _clock(situation: Situation) -> list[Row]:
    time, least = situation.facts["logging"]["time_sync"], situation.gold["gold_time_sources_min"]
    program = time.get("program") or "a time service (chrony)"
    if time.get("active") is not True:
        return [plan.by_hand(f"no time service runs: install and start {program}, with at least {least} sources")]
    count = sum(4 if "pool" in source else 1 for source in time.get("sources") or [])
    if count < least:
        return [plan.by_hand(f"{program} follows {count} time sources: name {least} of the site's")]
    return []


def perms_integrity(situation: Situation) -> list[Row]:
    """kvm-11.4.10-perms-integrity: access to the named files only, and a way to see that one was changed."""
    groups = situation.gold["gold_log_reader_groups"]
    rows = [_access(situation, entry, groups) for entry in situation.facts["logging"]["files"] if _wrong(entry, groups)]
    return rows + _integrity(situation)


def _wrong(entry: Mapping[str, Any], groups: list[str]) -> bool:
    facts = {"files": [entry], "journald": {"seal": "yes"}, "sealing_key": True, "aide_rules": [], "audit_rules": []}
    return judge.logs_protected(facts, {"gold_log_reader_groups": groups}).status == o.FAIL


def _access(situation: Situation, entry: Mapping[str, Any], groups: list[str]) -> Row:
    """Less than it was, never more: others nothing (a directory: no writing), the group only to read."""
    mode, group = int(entry["mode"], 8), ""
    if entry["type"] == "dir":
        mode &= ~(0o002 if entry["group"] in groups else 0o022)
    else:
        mode &= ~0o027
        if entry["group"] not in groups:
            preferred = READER_GROUP[situation.family]
            group = preferred if preferred in groups else "root"
    return {"kind": "log_access", "path": entry["path"], "mode": f"{mode:04o}", "group": group, "then": []}


def _integrity(situation: Situation) -> list[Row]:
    logging = situation.facts["logging"]
    facts = {
        "files": [],
        "journald": logging["journald"],
        "sealing_key": logging["sealing_key"],
        "aide_rules": logging["aide_rules"],
        "audit_rules": logging["audit"]["rules_configured"],
    }
    items = judge.logs_protected(facts, {"gold_log_reader_groups": []}).items
    if all(entry.status == o.PASS for entry in items):
        return []
    if not audit_rules.missing(situation):
        return audit_rules.rules(situation, "log-integrity", [audit_rules.watch("/var/log", people_only=True)])
    return [
        plan.by_hand(
            "nothing would show that a log was changed: run `journalctl --setup-keys --interval=15min` on the host, "
            "with a persistent journal, and keep the verification key it prints away from the host (a key that stays "
            "there proves nothing); or have auditd running and enforce this again"
        )
    ]


def audit_immutable(situation: Situation) -> list[Row]:
    """kvm-11.4.4-audit-immutable: written now, locked by the next start, so that every rule of this run gets in."""
    wanting = audit_rules.missing(situation)
    if wanting:
        return wanting
    configured = [rule.split() for rule in situation.facts["logging"]["audit"]["rules_configured"] or []]
    if ["-e", "2"] in configured and not audit_rules.locked(situation):
        return [plan.waiting("restart the host: its audit rules are locked from its next start on")]
    return [plan.file(LOCK, LOCK_TEXT, mode="0640", pending="reboot")]


def operators_not_root(situation: Situation) -> list[Row]:
    """kvm-11.4.4-operators-not-root: one row for each account, with the way it has to the logs.

    Nothing of it is done: a rule of sudo names several people or grants several commands at once, and only the site
    knows which of them an operator works with. The areas access_control and identity change who is in which group.
    """
    facts, gold = situation.facts, dict(situation.gold)
    rbac = facts.get("rbac") or {}
    found = operators_lack_log_rights(
        {
            "sudo": facts["sudo"],
            "groups": facts["groups"],
            "accounts": facts["accounts"],
            "rules": rbac.get("rules"),
            "driver": rbac.get("driver"),
            "joined": (facts.get("identity") or {}).get("joined"),
        },
        gold,
    )
    failed = [entry for entry in found.items if entry.status == o.FAIL]
    if not failed:
        return [plan.by_hand("name the hypervisor's administrators and operators (gold_hypervisor_admins, _operators)")]
    return [plan.by_hand(f"{entry.id}: {entry.message}; {_next_step(entry.message)}") for entry in failed]


def _next_step(message: str) -> str:
    if "administers the hypervisor and its logs at once" in message:
        return "give gold_log_admins to people who do not administer the hypervisor"
    if "is in group libvirt" in message:
        return "enforce the access driver of libvirt (kvm-11.2.3-capability), or take the account out (gpasswd -d)"
    if "is in group" in message:
        return "take the account out of it (gpasswd -d ACCOUNT GROUP)"
    if "sudo" in message:
        return (
            "replace the rule by a list of the commands this person needs, each with its arguments (visudo); a list of "
            "forbidden commands is no limit"
        )
    return "narrow the polkit rule to actions that do not make root, or review it (gold_polkit_rule_files)"


PLANS: dict[str, Planner] = {
    "kvm-11.4.4-audit-immutable": audit_immutable,
    "kvm-11.4.4-operators-not-root": operators_not_root,
    "kvm-11.4.10-tls-forward": tls_forward,
    "kvm-11.4.10-format-coverage": format_coverage,
    "kvm-11.4.10-perms-integrity": perms_integrity,
    "kvm-11.4.11-remote-target": remote_target,
}
