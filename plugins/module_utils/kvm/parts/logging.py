# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""logging: where log messages go, how they travel, what is kept on the host and who may touch it."""

from __future__ import annotations

import contextlib
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import connections, processes, rsyslog_conf, systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

# Programs that can carry log messages away. Only rsyslog's configuration is understood; the others are named.
FORWARDERS = {
    "rsyslog.service": "rsyslog",
    "syslog-ng.service": "syslog-ng",
    "fluent-bit.service": "fluent-bit",
    "td-agent-bit.service": "fluent-bit",
    "fluentd.service": "fluentd",
    "vector.service": "vector",
    "filebeat.service": "filebeat",
    "systemd-journal-upload.service": "systemd-journal-upload",
}
# Named files only: /var/log holds world-readable files by design (dpkg.log, wtmp), a walk would accuse a stock host.
# path: what it is. The families differ in names, not in meaning; a file a family lacks is absent.
LOG_FILES = {
    "/var/log/auth.log": "authentication (Debian)",
    "/var/log/secure": "authentication (RHEL)",
    "/var/log/syslog": "system (Debian)",
    "/var/log/messages": "system (RHEL)",
    "/var/log/kern.log": "kernel (Debian)",
    "/var/log/audit": "audit directory",
    "/var/log/audit/audit.log": "audit",
    "/var/log/libvirt": "libvirt directory",
    "/var/log/libvirt/libvirtd.log": "libvirt",
    "/var/log/libvirt/qemu": "guests directory",
    "/var/log/journal": "journal directory",
}
JOURNALD_DIRECTORIES = (
    "/usr/lib/systemd/journald.conf.d",
    "/run/systemd/journald.conf.d",
    "/etc/systemd/journald.conf.d",
)
# journald.conf(5): what holds where nothing is set. ForwardToSyslog changed to "no" in systemd 246.
JOURNALD_DEFAULTS = {"Storage": "auto", "Seal": "yes", "ForwardToSyslog": "no", "MaxLevelStore": "debug"}
# Where distributions keep rsyslog's loadable modules; lmnsd_<driver>.so is what a TLS connection needs.
RSYSLOG_MODULES = (
    "/usr/lib64/rsyslog",
    "/usr/lib/rsyslog",
    "/usr/lib/x86_64-linux-gnu/rsyslog",
    "/usr/lib/aarch64-linux-gnu/rsyslog",
)
AIDE_CONFIGURATIONS = ("/etc/aide/aide.conf", "/etc/aide.conf")


def collect(host, note):
    """Return the branch logging (without logging.audit and logging.time_sync, which have parts of their own)."""
    units = attempt(note, "logging.forwarders", lambda: systemd.show(host, FORWARDERS))
    journald = attempt(note, "logging.journald", lambda: journald_settings(host))
    return {
        "logging": {
            "forwarders": None if units is None else forwarders(units),
            "rsyslog": attempt(note, "logging.rsyslog", lambda: rsyslog(host, note, units)),
            "journald": journald,
            "journal_persistent": attempt(note, "logging.journal_persistent", lambda: persistent(host, journald)),
            "sealing_key": attempt(note, "logging.sealing_key", lambda: sealing_key(host)),
            "files": attempt(note, "logging.files", lambda: files(host)),
            "aide_rules": attempt(note, "logging.aide_rules", lambda: aide_rules(host)),
            "crypto_policy": attempt(note, "logging.crypto_policy", lambda: crypto_policy(host)),
        }
    }


def forwarders(units):
    """[{name, active, enabled}] of every forwarder that is installed."""
    return [
        {
            "name": FORWARDERS[unit],
            "active": values["ActiveState"] == "active",
            "enabled": values["UnitFileState"] == "enabled",
        }
        for unit, values in sorted(units.items())
        if unit in FORWARDERS
    ]


def rsyslog(host, note, units):
    """{configured, targets, inputs, modules, loads, user, drivers, in_force, connected}; configured false where there
    is no rsyslog. user: whom it runs as once it has started; drivers: those for TLS that are installed."""
    try:
        found = rsyslog_conf.read(host)
    except Absent:
        return {
            "configured": False, "targets": [], "inputs": [], "modules": [], "loads": [], "user": "root", "drivers": [],
            "in_force": True, "connected": [],
        }  # fmt: skip
    return {
        "configured": True,
        "targets": found.targets[:50],
        "inputs": found.inputs[:100],
        "modules": sorted(set(found.modules))[:100],
        "loads": found.loads[:100],
        "user": found.settings.get("privdroptouser", "root"),
        "drivers": attempt(note, "logging.rsyslog.drivers", lambda: tls_drivers(host)),
        "in_force": attempt(note, "logging.rsyslog.in_force", lambda: in_force(host, found.files, units)),
        "connected": attempt(note, "logging.rsyslog.connected", lambda: connected(host, found.targets)),
    }


def tls_drivers(host):
    """The names of the installed network stream drivers that speak TLS: gtls, ossl, mbedtls."""
    found = set()
    for directory in RSYSLOG_MODULES:
        try:
            found.update(re.findall(r"^lmnsd_(gtls|ossl|mbedtls)\.so$", "\n".join(host.list(directory)), re.MULTILINE))
        except Absent:
            continue
    return sorted(found)


def in_force(host, paths, units):
    """Whether the running rsyslogd is younger than its configuration; True where none runs (nothing is stale)."""
    if units is None:
        raise Unreadable("systemd did not say whether rsyslog runs")
    pid = units.get("rsyslog.service", {}).get("MainPID", "0")
    if pid == "0":
        return True
    newest = max(host.stat(path)["mtime"] for path in paths)
    return processes.started(host, int(pid)) >= newest - 1


def connected(host, targets):
    """Ports of targets to which an established connection exists."""
    ports = {target["port"] for target in targets if target["proto"] != "udp"}
    tables = []
    for path in connections.TABLES if ports else ():
        with contextlib.suppress(Absent):
            tables.append(host.read(path, 8 * 1024 * 1024))
    return sorted(ports & connections.remote_ports(tables))


def journald_settings(host):
    """The [Journal] settings in effect: journald.conf, then drop-ins by file name, the last one wins."""
    settings = dict(JOURNALD_DEFAULTS)
    texts = []
    for path in ("/etc/systemd/journald.conf", "/usr/lib/systemd/journald.conf"):
        try:
            text = host.read(path)
        except Absent:
            continue
        # As it is shipped it shows in comments what the program was built with: Debian's is not upstream's. No verdict
        # depends on this one setting; for the others a comment is no evidence.
        texts += ["\n".join(re.findall(r"^#(ForwardToSyslog=.*)$", text, re.MULTILINE)), text]
        break
    drop_ins = {}
    for directory in JOURNALD_DIRECTORIES:
        try:
            drop_ins.update({name: directory for name in host.list(directory) if name.endswith(".conf")})
        except Absent:
            continue
    texts += [host.read("%s/%s" % (drop_ins[name], name)) for name in sorted(drop_ins)]
    if not texts:
        raise Unreadable("no journald.conf in /etc or /usr/lib")
    for text in texts:
        settings.update(
            (key, value)
            for key, value in re.findall(r"^(\w+)=(\S*)\s*$", text, re.MULTILINE)
            if key in JOURNALD_DEFAULTS
        )
    return {key.lower(): value.lower() for key, value in settings.items()}


def persistent(host, journald):
    """Whether the journal survives a restart: Storage=persistent, or auto with the directory present."""
    if journald is None:
        raise Unreadable("journald's settings were not read")
    if journald["storage"] == "persistent":
        return True
    return journald["storage"] == "auto" and host.exists("/var/log/journal")


def sealing_key(host):
    """Whether a forward-secure sealing key is set up: Seal=yes does nothing without one (journalctl --setup-keys)."""
    machine = host.read("/etc/machine-id").strip()
    if not re.match(r"^[0-9a-f]{32}$", machine):
        raise Unreadable("/etc/machine-id holds no id")
    return host.exists("/var/log/journal/%s/fss" % machine)


def files(host):
    """[{path, what, type, mode, uid, group}] of the named log files that exist; a group without a name is its
    number."""
    names = {
        int(gid): name for name, gid in re.findall(r"^([^:\n]+):[^:\n]*:(\d+):", host.read("/etc/group"), re.MULTILINE)
    }
    found = []
    for path, what in sorted(LOG_FILES.items()):
        try:
            about = host.stat(path)
        except Absent:
            continue
        group = names.get(about["gid"], str(about["gid"]))
        found.append(
            {
                "path": path,
                "what": what,
                "type": about["type"],
                "mode": about["mode"],
                "uid": about["uid"],
                "group": group,
            }
        )
    if not found:
        raise Unreadable("none of the named log files exists")
    return found


def aide_rules(host):
    """Selection lines of AIDE that begin below /var/log or /etc; [] where AIDE is not configured."""
    for path in AIDE_CONFIGURATIONS:
        try:
            text = host.read(path)
        except Absent:
            continue
        return re.findall(r"^\s*[!=]?(/(?:var/log|etc)\S*)", text, re.MULTILINE)[:200]
    return []


def crypto_policy(host):
    """The system-wide policy of RHEL's crypto-policies, upper case; an empty string elsewhere."""
    try:
        return host.read("/etc/crypto-policies/state/current").strip().upper()
    except Absent:
        return ""


PART = Part(
    "logging",
    [
        "logging.forwarders",
        "logging.rsyslog",
        "logging.journald",
        "logging.journal_persistent",
        "logging.files",
        "logging.aide_rules",
    ],
    collect,
    FORWARDERS,
)
