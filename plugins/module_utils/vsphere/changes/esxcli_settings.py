# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of an ESXi host that esxcli alone sets. A setting is named `<namespace>.<what>`.

Commands, fields and arguments: the vendor's Security Configuration Guides, and the STIGs for ESXi 7, 8 and 9.
"""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.host_facts import truth
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import many, number


class Setting(object):
    """One setting: how it is read and how it is written.

    told: the command that tells it; row: {field: value} of the row of its answer, where that is a list; field: where
    the value is; shape: makes it a bool, int or str. change: the command that sets it, or {value: command} where each
    value has one of its own; argument: which of its arguments is the value; fixed: what is given beside it.
    """

    def __init__(self, told, field, shape, change, argument="", row=None, fixed=None):
        self.told = told
        self.field = field
        self.shape = shape
        self.change = change
        self.argument = argument
        self.row = row or {}
        self.fixed = fixed or {}

    def command(self, wanted):
        """(command, its arguments) that set the value."""
        if isinstance(self.change, dict):
            return self.change[wanted], {}
        return self.change, dict(self.fixed, **{self.argument: wanted})


def _shell(account):
    return Setting(
        "system account list", "Shellaccess", truth, "system account set", "shellaccess",
        row={"UserID": account}, fixed={"id": account},
    )  # fmt: skip


def _audit(field, command):
    return Setting(
        "system auditrecords get", field, truth, {True: "%s enable" % command, False: "%s disable" % command}
    )


SETTINGS = {
    "system ssh server config.permitrootlogin": Setting(
        "system ssh server config list", "Value", str, "system ssh server config set", "value",
        row={"Key": "permitrootlogin"}, fixed={"keyword": "permitrootlogin"},
    ),
    "system tls server.profile": Setting("system tls server get", "Profile", str, "system tls server set", "profile"),
    "system secpolicy domain.regularVMDom": Setting(
        "system secpolicy domain list", "EnforcementLevel", str, "system secpolicy domain set", "level",
        row={"DomainName": "regularVMDom"}, fixed={"name": "regularVMDom"},
    ),
    "system account.dcui": _shell("dcui"),
    "system account.vpxuser": _shell("vpxuser"),
    "network firewall.loaded": Setting(
        "network firewall get", "Loaded", truth, {True: "network firewall load", False: "network firewall unload"}
    ),
    "network firewall.enabled": Setting("network firewall get", "Enabled", truth, "network firewall set", "enabled"),
    "system auditrecords.size": Setting(
        "system auditrecords get", "AuditRecordStorageCapacity", number, "system auditrecords local set", "size"
    ),
    "system auditrecords.local": _audit("AuditRecordStorageActive", "system auditrecords local"),
    "system auditrecords.remote": _audit("AuditRecordRemoteTransmissionActive", "system auditrecords remote"),
    "system syslog config.x509-strict": Setting(
        "system syslog config get", "StrictX509Compliance", truth, "system syslog config set", "x509strict"
    ),
    "system syslog config logfilter.enabled": Setting(
        "system syslog config logfilter get", "LogFilteringEnabled", truth,
        "system syslog config logfilter set", "logfilteringenabled",
    ),
    "system settings encryption.require-secure-boot": Setting(
        "system settings encryption get", "RequireSecureBoot", truth,
        "system settings encryption set", "requiresecureboot",
    ),
}  # fmt: skip
# Settings that the log service takes up when it is told to (esxcli system syslog reload).
OF_LOGS = ("system auditrecords.", "system syslog config")


def current(host, name):
    """The value of now.

    :raises ChangeError: the host does not tell it. :raises Unreadable, SoapFault: the command failed.
    """
    setting = SETTINGS[name]
    for entry in many(host.told(setting.told)):
        if all(str(entry.get(field)) == wanted for field, wanted in setting.row.items()):
            found = setting.shape(entry[setting.field]) if setting.field in entry else None
            if found is not None:
                return found
    raise ChangeError("esxcli %s does not tell it" % setting.told)


def write(host, changes):
    """Set values, one command each. changes: [(name, value)]."""
    for name, wanted in changes:
        command, arguments = SETTINGS[name].command(wanted)
        host.cli.change(command, arguments)
