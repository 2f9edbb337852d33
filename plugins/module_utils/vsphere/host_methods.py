# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of one ESXi host that only calls to it tell: methods of its managers, and esxcli."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.esxcli import EsxCli
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import SHAPE, Unreadable, strange
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.host_facts import truth
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import flag, many, number

# Privileged whatever the access entries say.
BUILT_IN = frozenset(("root", "vpxuser", "dcui"))


def _names(found):
    return [text(name) for name in found]


def _access_entries(found):
    return [
        {"principal": entry["principal"], "group": flag(entry["group"]), "mode": entry["accessMode"]} for entry in found
    ]


def _level(found):
    return text(found[0])


def _packages(found):
    return [
        {
            "name": entry["name"],
            "version": str(entry.get("version", "")),
            "vendor": str(entry.get("vendor", "")),
            "acceptance": str(entry.get("acceptanceLevel", "")),
        }
        for entry in found
    ]


def _modules(found):
    return [{"name": entry["name"], "loaded": flag(entry["loaded"])} for entry in found]


# fact, where its manager is named in configManager, type of the manager, method, what becomes of its answers.
METHODS = (
    (
        "remote_access.lockdown.exceptions",
        "hostAccessManager",
        "HostAccessManager",
        "QueryLockdownExceptions",
        _names,
    ),
    (
        "remote_access.access_entries",
        "hostAccessManager",
        "HostAccessManager",
        "RetrieveHostAccessControlEntries",
        _access_entries,
    ),
    (
        "software.acceptance_level",
        "imageConfigManager",
        "HostImageConfigManager",
        "HostImageConfigGetAcceptance",
        _level,
    ),
    (
        "software.packages",
        "imageConfigManager",
        "HostImageConfigManager",
        "fetchSoftwarePackages",
        _packages,
    ),
    (
        "drivers",
        "kernelModuleSystem",
        "HostKernelModuleSystem",
        "QueryModules",
        _modules,
    ),
)


def fill(facts, read, session, host):
    """Put what METHODS and COMMANDS tell into `facts`. host: its id.

    A host that does not answer is asked nothing more, and one that permits no esxcli no further command: a vCenter
    waits for a hung host a minute each time.
    """
    stopped = {}
    for family, paths, ask in _questions(facts, read, session, host):
        reason = stopped.get("host") or stopped.get(family)
        if reason is None:
            try:
                ask()
                continue
            except Lost as error:
                reason = stopped["host"] = error
            except SoapFault as error:
                reason = error
                if family == "esxcli" and error.name == "NoPermission":
                    stopped[family] = error
            except Unreadable as error:
                reason = error
            except SHAPE as error:
                reason = strange(error)
        for path in paths:
            if not facts.has(path):
                facts.lost(path, reason)


def _questions(facts, read, session, host):
    """(family, paths it is to fill, the question) of everything this release can be asked."""
    managers = read.values.get("configManager") or {}
    for path, manager, ref_type, method, shape in METHODS:

        def by_method(path=path, manager=manager, ref_type=ref_type, method=method, shape=shape):
            facts.put(path, _asked(session, managers, manager, ref_type, method, shape))

        yield "method", (path,), by_method
    cli = EsxCli(session, host)
    release = read.release
    for command, since, until, shape in COMMANDS:
        if release and not since <= release < until or _known_already(command, read):
            continue

        def by_esxcli(command=command, shape=shape):
            shape(facts, cli.run(command, ARGUMENTS.get(command)))

        yield "esxcli", PROVIDES[command], by_esxcli


def text(found):
    """A value that has to be a text.

    :raises ValueError: it is something else.
    """
    if not isinstance(found, str) or not found:
        raise ValueError("no text")
    return found


def _asked(session, managers, manager, ref_type, method, shape):
    moid = managers.get(manager)
    if not moid:
        raise Unreadable("the server does not name the host's %s" % manager)
    return session.told(ref_type, moid, method, "", shape)


def _known_already(command, read):
    return command == "system settings encryption get" and read.values.get("runtime.stateEncryption") is not None


def encryption(facts, read):
    """Put boot.encryption of the property, which hosts have from 7.0.3 on."""
    found = read.values.get("runtime.stateEncryption")
    if found is not None:
        facts.put("boot.encryption.mode", str(found.get("protectionMode", "")).lower() or None)
        facts.put("boot.encryption.require_secure_boot", flag(found.get("requireSecureBoot")))
        facts.put("boot.encryption.require_exec_installed_only", flag(found.get("requireExecInstalledOnly")))


def _accounts(facts, found):
    named = [str(entry["UserID"]) for entry in many(found)]
    shells = {str(entry["UserID"]): truth(entry.get("Shellaccess")) for entry in many(found)}
    entries = facts.document.get("remote_access", {}).get("access_entries", [])
    admins = BUILT_IN | {entry["principal"] for entry in entries if entry["mode"] == "accessAdmin"}
    accounts = [{"name": name, "privileged": name in admins, "shell": shells[name]} for name in named]
    facts.put("accounts", [{key: one for key, one in entry.items() if one is not None} for entry in accounts])
    if all(shells[name] is not None for name in named):
        facts.put("remote_access.shell_accounts", [name for name in named if shells[name]])


def _ssh(facts, found):
    keywords = {str(entry["Key"]).lower(): str(entry["Value"]) for entry in many(found)}
    facts.put(
        "remote_access.ssh.effective_root.permitrootlogin",
        keywords.get("permitrootlogin"),
        "esxcli system ssh server config list does not name permitrootlogin",
    )


def _one(found):
    """The only entry of an answer that some releases wrap in a list."""
    return found[0] if isinstance(found, list) else found


def _encryption(facts, found):
    found = _one(found)
    facts.put("boot.encryption.mode", str(found["Mode"]).lower())
    facts.put("boot.encryption.require_secure_boot", truth(found["RequireSecureBoot"]))
    facts.put("boot.encryption.require_exec_installed_only", truth(found["RequireExecutablesOnlyFromInstalledVIBs"]))


def _domains(facts, found):
    domains = [{"name": entry["DomainName"], "enforcement": str(entry["EnforcementLevel"])} for entry in many(found)]
    facts.put("secpolicy.domains", domains)


def _firewall(facts, found):
    found = _one(found)
    facts.put("firewall.enabled", truth(found["Enabled"]))
    facts.put("firewall.loaded", truth(found["Loaded"]))


def _syslog(facts, found):
    found = _one(found)
    facts.put("logging.local_persistent", truth(found["LocalLogOutputIsPersistent"]))
    if not facts.has("logging.strict_x509"):
        facts.put("logging.strict_x509", truth(found["StrictX509Compliance"]))


def _audit_records(facts, found):
    found = _one(found)
    facts.put("logging.audit.storage_enabled", truth(found["AuditRecordStorageActive"]))
    facts.put("logging.audit.remote_enabled", truth(found["AuditRecordRemoteTransmissionActive"]))
    facts.put("logging.audit.capacity_mb", number(found["AuditRecordStorageCapacity"]))


def _boot_options(facts, found):
    """What the host has started with; what it will start with next are the options VMkernel.Boot.*."""
    running = {str(entry["Name"]): str(entry["Runtime"]) for entry in many(found)}
    for name in BOOT_OPTIONS:
        facts.put(
            "boot.options.%s" % name,
            truth(running.get(name, "").lower()),
            "esxcli system settings kernel list does not tell what %s was at the start" % name,
        )


def _tls(facts, found):
    found = _one(found)
    facts.put("tls.profile", found["Profile"])
    facts.put("tls.reboot_required", truth(found.get("RebootRequired")))


# Options of the VMkernel that a check asks for.
BOOT_OPTIONS = ("execInstalledOnly", "noIOMMU")
EVER, LAST = (0,), (99,)
# command, from which release on, up to which, what becomes of what it says.
COMMANDS = (
    ("system account list", EVER, LAST, _accounts),
    ("system ssh server config list", (8,), LAST, _ssh),
    ("system settings encryption get", (7, 0, 2), LAST, _encryption),
    ("system secpolicy domain list", EVER, LAST, _domains),
    ("system settings kernel list", EVER, LAST, _boot_options),
    ("system tls server get", (8, 0, 3), LAST, _tls),
    ("network firewall get", EVER, LAST, _firewall),
    ("system syslog config get", EVER, LAST, _syslog),
    (
        "system syslog config logfilter get",
        EVER,
        LAST,
        lambda facts, found: facts.put("logging.filters_enabled", truth(_one(found)["LogFilteringEnabled"])),
    ),
    ("system auditrecords get", EVER, (8,), _audit_records),
)
# As the STIG asks: the profile that the host has started with, and whether another one waits for a restart.
ARGUMENTS = {"system tls server get": {"showcurrentbootprofile": True, "showprofiledefaults": True}}
PROVIDES = {
    "system account list": ("accounts", "remote_access.shell_accounts"),
    "system ssh server config list": ("remote_access.ssh.effective_root.permitrootlogin",),
    "system settings encryption get": ("boot.encryption",),
    "system secpolicy domain list": ("secpolicy.domains",),
    "system settings kernel list": ("boot.options",),
    "system tls server get": ("tls.profile", "tls.reboot_required"),
    "network firewall get": ("firewall.enabled", "firewall.loaded"),
    "system syslog config get": ("logging.local_persistent", "logging.strict_x509"),
    "system syslog config logfilter get": ("logging.filters_enabled",),
    "system auditrecords get": ("logging.audit",),
}
