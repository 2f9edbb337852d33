# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""audit: the kernel's audit system, its rules now and after the next restart."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

RULES_DIRECTORY = "/etc/audit/rules.d"
AUDITD = "auditd.service"
COMPILED_RULES = "/etc/audit/audit.rules"
# audit 3 has its own plugin directory, audit 2 kept audisp apart.
PLUGIN_DIRECTORIES = ("/etc/audit/plugins.d", "/etc/audisp/plugins.d")
MAX_RULES = 500


def collect(host, note):
    """Return {"logging": {"audit": {...}}}."""
    service = attempt(note, "logging.audit.service", lambda: auditd(host))
    return {
        "logging": {
            "audit": {
                "service": service,
                "enabled": attempt(note, "logging.audit.enabled", lambda: enabled(host, service)),
                "rules": attempt(note, "logging.audit.rules", lambda: rules(host, service)),
                "rules_configured": attempt(note, "logging.audit.rules_configured", lambda: rules_configured(host)),
                "plugins": attempt(note, "logging.audit.plugins", lambda: plugins(host)),
                "syslog_plugin": attempt(note, "logging.audit.syslog_plugin", lambda: syslog_plugin(host)),
            }
        }
    }


def auditd(host):
    """{installed, active, enabled, refuses_stop}."""
    unit = systemd.show(host, [AUDITD]).get(AUDITD)
    if unit is None:
        return {"installed": False, "active": False, "enabled": False, "refuses_stop": False}
    return {
        "installed": True,
        "active": unit["ActiveState"] == "active",
        "enabled": unit["UnitFileState"] == "enabled",
        "refuses_stop": unit["RefuseManualStop"] == "yes",
    }


def enabled(host, service):
    """What `auditctl -s` says: "0" off, "1" on, "2" on and locked until the next restart. "0" where auditd is not
    installed."""
    if service is not None and not service["installed"]:
        return "0"
    found = re.search(r"^enabled\s+([012])$", host.succeed(["auditctl", "-s"]), re.MULTILINE)
    if not found:
        raise Unreadable("auditctl -s does not say whether auditing is enabled")
    return found.group(1)


def rules(host, service):
    """The loaded rules, one line each; [] where there is none."""
    if service is not None and not service["installed"]:
        return []
    lines = [line.strip() for line in host.succeed(["auditctl", "-l"]).splitlines() if line.strip()]
    if lines == ["No rules"]:
        return []
    if not lines or not all(line.startswith("-") for line in lines):
        raise Unreadable("auditctl -l printed no rules")
    return lines[:MAX_RULES]


def rules_configured(host):
    """The rules that the next start loads: rules.d in the order of augenrules(8), else audit.rules."""
    try:
        names = [name for name in host.list(RULES_DIRECTORY) if name.endswith(".rules")]
        texts = [host.read("%s/%s" % (RULES_DIRECTORY, name)) for name in names]
    except Absent:
        texts = []
    if not texts:
        try:
            texts = [host.read(COMPILED_RULES)]
        except Absent:
            return []
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return [line for line in lines if line.startswith("-")][:MAX_RULES]


def plugins(host):
    """Names of the dispatcher plugins that are active, for example syslog and au-remote."""
    found = []
    for directory in PLUGIN_DIRECTORIES:
        try:
            names = [name for name in host.list(directory) if name.endswith(".conf")]
        except Absent:
            continue
        for name in names:
            if re.search(r"^\s*active\s*=\s*yes", host.read("%s/%s" % (directory, name)), re.MULTILINE):
                found.append(name[: -len(".conf")])
    return found


def syslog_plugin(host):
    """The configuration file of the plugin that hands records to syslog, "" where the plugin is not installed."""
    paths = ["%s/syslog.conf" % directory for directory in PLUGIN_DIRECTORIES]
    return next((path for path in paths if host.exists(path)), "")


PART = Part("audit", ["logging.audit"], collect, [AUDITD])
