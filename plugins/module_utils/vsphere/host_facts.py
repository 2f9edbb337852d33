# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The facts of one ESXi host that its properties tell. See docs/vsphere.md for the whole document."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import host_network
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.machines import options
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import (
    at,
    flag,
    many,
    number,
    tag,
    value,
    version,
)


def _rulesets(element):
    """The rule sets of a firewall. Of their rules, most of a host's answer, only the directions are read."""
    found = []
    for entry in element:
        fields, directions = {}, set()
        for child in entry:
            name = tag(child)
            if name == "rule":
                directions.update(part.text for part in child if tag(part) == "direction")
            else:
                fields[name] = value(child)
        found.append(_ruleset(fields, directions))
    return found


def _ruleset(found, directions):
    hosts = found.get("allowedHosts") or {}
    networks = ["%s/%s" % (net.get("network"), net.get("prefixLength")) for net in many(hosts.get("ipNetwork"))]
    entry = {
        "id": found["key"],
        "enabled": flag(found["enabled"]),
        "required": flag(found["required"]),
        "service": str(found.get("service", "")),
        "direction": "both" if len(directions) > 1 else next(iter(directions), "inbound"),
        "all_ip": flag(hosts.get("allIp")),
        "allowed": many(hosts.get("ipAddress")) + networks,
        "user_controllable": flag(found.get("userControllable")),
        "ip_list_configurable": flag(found.get("ipListUserConfigurable")),
    }
    return {key: inner for key, inner in entry.items() if inner is not None}


PATHS = (
    "name",
    "parent",
    "vm",
    "datastore",
    "configManager",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "runtime.bootTime",
    "runtime.cryptoState",
    "runtime.stateEncryption",
    "summary.tpmAttestation",
    "summary.managementServerIp",
    "capability.uefiSecureBoot",
    "capability.tpmSupported",
    "capability.tpmVersion",
    "capability.cpuHwMmuSupported",
    "capability.cpuMemoryResourceConfigurationSupported",
    "hardware.systemInfo.vendor",
    "hardware.systemInfo.model",
    "hardware.systemInfo.uuid",
    "hardware.cpuInfo",
    "hardware.cpuFeature",
    "hardware.memorySize",
    "config.product",
    "config.lockdownMode",
    "config.service.service",
    "config.firewall.defaultPolicy",
    "config.authenticationManagerInfo",
    "config.dateTimeInfo",
    "config.pciPassthruInfo",
    "config.storageDevice.hostBusAdapter",
    "config.virtualNicManagerInfo.netConfig",
    "config.network.pnic",
    "config.network.vnic",
    "config.network.vswitch",
    "config.network.proxySwitch",
    "config.network.opaqueSwitch",
    "config.network.portgroup",
)
PROPERTIES = Properties(
    "HostSystem",
    {**dict.fromkeys(PATHS), "config.option": options, "config.firewall.ruleset": _rulesets},
    page=50,
)
# fact: property, where the value is taken as it is.
PLAIN = {
    "host.name": "name",
    "host.vendor": "hardware.systemInfo.vendor",
    "host.model": "hardware.systemInfo.model",
    "host.uuid": "hardware.systemInfo.uuid",
    "host.connection": "runtime.connectionState",
    "host.maintenance": "runtime.inMaintenanceMode",
    "memory.total_b": "hardware.memorySize",
    "cpu.slat": "capability.cpuHwMmuSupported",
    "capability.resource_allocation": "capability.cpuMemoryResourceConfigurationSupported",
    "boot.booted_at": "runtime.bootTime",
    "boot.tpm.present": "capability.tpmSupported",
    "advanced_options": "config.option",
    "remote_access.lockdown.mode": "config.lockdownMode",
    "crypto.state": "runtime.cryptoState",
}
# The last part of each option is its name among the facts.
TIMEOUTS = (
    "UserVars.ESXiShellTimeOut",
    "UserVars.ESXiShellInteractiveTimeOut",
    "UserVars.DcuiTimeOut",
    "UserVars.HostClientSessionTimeout",
    "Security.AccountLockFailures",
)
VMX_BIT, SVM_BIT = 5, 2


def fill(facts, read):
    """Put everything the properties tell into `facts`. read: see Read."""
    for path, name in PLAIN.items():
        facts.attempt(path, lambda name=name: read.known(name))
    _product(facts, read)
    _hardware(facts, read)
    _access(facts, read)
    _logging(facts, read)
    facts.attempt(
        "firewall.incoming_blocked", lambda: flag(read.known("config.firewall.defaultPolicy")["incomingBlocked"])
    )
    facts.attempt(
        "firewall.outgoing_blocked", lambda: flag(read.known("config.firewall.defaultPolicy")["outgoingBlocked"])
    )
    facts.attempt("firewall.rulesets", lambda: read.known("config.firewall.ruleset"))
    host_network.fill(facts, read)


class Read(object):
    """The values of one host, where a missing one says why it is missing.

    distributed: switches and port groups that reach over hosts (inventory.Distributed); stand_alone: whether the host
    itself was asked, and no vCenter.
    """

    def __init__(self, found, unknown, distributed=None, stand_alone=False):
        self.values = found.values
        self.distributed = distributed
        self.stand_alone = stand_alone
        self._missing = found.missing
        self._unknown = unknown

    @property
    def release(self):
        """(8, 0, 3) of the host, () where it is not told."""
        return version((self.values.get("config.product") or {}).get("version"))

    def known(self, path):
        """The value of a property.

        :raises Unreadable: it was refused, the server is too old for it, or it is unset.
        """
        if self.values.get(path) is not None:
            return self.values[path]
        raise Unreadable(self._missing.get(path) or self._unknown.get(path) or "%s is unset" % path)

    def told(self, path):
        """The value of a property that may be unset, None then.

        :raises Unreadable: it was refused, or the server is too old for it.
        """
        if path in self._missing or path in self._unknown:
            raise Unreadable(self._missing.get(path) or self._unknown[path])
        return self.values.get(path)

    def option(self, name):
        """An advanced option; options that a host does not have are unset."""
        options_of_host = self.known("config.option")
        if name not in options_of_host:
            raise Unreadable("the host has no advanced option %s" % name)
        return options_of_host[name]


def _product(facts, read):
    product = read.values.get("config.product") or {}
    reason = "config.product was not read"
    facts.put("host.product", product.get("fullName"), reason)
    facts.put("host.product_line", product.get("productLineId"), reason)
    facts.put("host.version", product.get("version"), reason)
    facts.put("host.build", number(product.get("build")), reason)
    facts.put("host.os_id", "esxi")
    facts.put("host.os_version", ".".join(str(product.get("version", "")).split(".")[:2]) or None, reason)
    facts.put("host.platform", "vsphere")
    facts.attempt("host.controller_address", lambda: str(read.told("summary.managementServerIp") or ""))


def _hardware(facts, read):
    for name, field, divide in (("sockets", "numCpuPackages", 1), ("cores", "numCpuCores", 1),
                                ("threads", "numCpuThreads", 1), ("mhz", "hz", 1000000)):  # fmt: skip
        facts.attempt("cpu." + name, lambda f=field, d=divide: number(read.known("hardware.cpuInfo")[f]) // d)
    facts.attempt("cpu.virt_ext", lambda: _virtualisation(read.known("hardware.cpuFeature")))
    facts.attempt(
        "cpu.iommu",
        lambda: any(flag(device.get("passthruCapable")) for device in read.known("config.pciPassthruInfo")),
    )
    if "capability.uefiSecureBoot" in read.values or read.release >= (8, 0, 3):
        # Older hosts cannot say it (pitfall P2), which is no error.
        facts.attempt("boot.secure_boot", lambda: read.known("capability.uefiSecureBoot"))
    if read.values.get("capability.tpmSupported"):
        facts.attempt("boot.tpm.version", lambda: str(read.known("capability.tpmVersion")))
    else:
        facts.put("boot.tpm.version", "")
    facts.attempt("devices.pci", lambda: list(_adapters(read)))
    if read.stand_alone:
        facts.lost("boot.attestation", "only a vCenter attests hosts")
    else:
        facts.attempt("boot.attestation", lambda: _attestation(read.told("summary.tpmAttestation") or {}))


def _attestation(found):
    """What a vCenter says of the host's last start; of a host without a TPM 2.0 it says nothing, which is empty."""
    said = {key: str(found.get(key) or "") for key in ("status", "time")}
    return {**said, "message": str(at(found, "message.message", ""))[:500]}


def _virtualisation(features):
    """Whether a CPU has VMX or SVM. A register is 32 characters, the highest bit first."""
    for feature in features:
        level = number(feature.get("level"))
        # The extended levels begin at 0x80000000, which is negative as xsd:int.
        bit = {1: VMX_BIT, 0x80000001: SVM_BIT, 0x80000001 - (1 << 32): SVM_BIT}.get(level)
        register = str(feature.get("ecx", "")).replace(":", "")
        if bit is not None and len(register) == 32 and register[-1 - bit] == "1":
            return True
    return False


def _adapters(read):
    through = {
        device.get("id") for device in read.known("config.pciPassthruInfo") if flag(device.get("passthruActive"))
    }
    for kind, path in (("network", "config.network.pnic"), ("storage", "config.storageDevice.hostBusAdapter")):
        for adapter in read.known(path):
            address = adapter.get("pci")
            if address:
                driver = "" if address in through else str(adapter.get("driver", ""))
                yield {"id": address, "kind": kind, "driver": driver}


def _access(facts, read):
    facts.attempt("remote_access.services", lambda: [_service(found) for found in read.known("config.service.service")])
    facts.attempt("remote_access.lockdown.console_access", lambda: split(read.option("DCUI.Access")))
    timeouts = {}
    for name in TIMEOUTS:
        short = name.rpartition(".")[2]
        try:
            timeouts[short] = read.option(name)
        except Unreadable as reason:
            facts.lost("remote_access.timeouts.%s" % short, reason)
    if timeouts:
        facts.put("remote_access.timeouts", timeouts)
    facts.attempt("identity", lambda: _directory(read.known("config.authenticationManagerInfo")))


def _service(found):
    return {
        "id": found["key"],
        "running": flag(found["running"]),
        "policy": found["policy"],
        "rulesets": many(found.get("ruleset")),
    }


def _directory(info):
    stores = [store for store in many(info.get("authConfig")) if store.get("_type") == "HostActiveDirectoryInfo"]
    if not stores:
        raise Unreadable("the host names no directory service")
    joined = flag(stores[0].get("enabled"))
    return {
        "joined": joined,
        "domain": str(stores[0].get("joinedDomain", "")) if joined else "",
        "membership_status": str(stores[0].get("domainMembershipStatus", "")) if joined else "",
    }


def _logging(facts, read):
    facts.attempt("logging.hosts", lambda: split(read.option("Syslog.global.logHost")))
    eight = read.release >= (8,)
    # ESXi 8 renamed the option and made an option of what esxcli alone told before (pitfall P3).
    checked = "Syslog.global.certificate.checkSSLCerts" if eight else "Syslog.global.logCheckSSLCerts"
    facts.attempt("logging.check_certificates", lambda: truth(read.option(checked)))
    if eight:
        options_of_8 = {
            "logging.strict_x509": "Syslog.global.certificate.strictX509Compliance",
            "logging.audit.storage_enabled": "Syslog.global.auditRecord.storageEnable",
            "logging.audit.remote_enabled": "Syslog.global.auditRecord.remoteEnable",
        }
        for path, name in options_of_8.items():
            facts.attempt(path, lambda name=name: truth(read.option(name)))
        facts.attempt(
            "logging.audit.capacity_mb", lambda: number(read.option("Syslog.global.auditRecord.storageCapacity"))
        )
    facts.attempt("logging.time_sync", lambda: _time_sync(read))


def _time_sync(read):
    found = read.known("config.dateTimeInfo")
    program = "ptpd" if found.get("systemClockProtocol") == "ptp" else "ntpd"
    if program == "ntpd":
        sources = many(at(found, "ntpConfig.server"))
    else:
        sources = [str(port["device"]) for port in many(at(found, "ptpConfig.port")) if port.get("device")]
    running = [
        flag(service["running"]) for service in read.known("config.service.service") if service["key"] == program
    ]
    return {"program": program, "active": running[:1] == [True], "sources": sources}


def split(text):
    """The entries of a comma-separated option."""
    return [part.strip() for part in str(text).split(",") if part.strip()]


def truth(found):
    """An option that is a truth value in one release and a number or a word in another."""
    if isinstance(found, bool):
        return found
    return {"true": True, "1": True, "false": False, "0": False}.get(str(found).strip().lower())
