# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of the target take and what they refuse, method by method, from a real client."""

from __future__ import annotations

from typing import Any

import pytest
from pyVmomi import VmomiSupport, vim, vmodl

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target import client

RELEASES = ("7.0.3", "8.0.3", "9.0.0")


def _service(host: vim.HostSystem, key: str) -> vim.host.Service:
    return next(service for service in host.config.service.service if service.key == key)


def _ruleset(host: vim.HostSystem, key: str) -> vim.host.Ruleset:
    return next(ruleset for ruleset in host.config.firewall.ruleset if ruleset.key == key)


def _set(host: vim.HostSystem, key: str, value: Any) -> None:
    host.configManager.advancedOption.UpdateOptions(changedValue=[vim.option.OptionValue(key=key, value=value)])


def test_services_start_stop_and_keep_their_policy(admin: client.Client) -> None:
    """The service system, and config.service with it."""
    host = admin.host("8.0.3")
    services = host.configManager.serviceSystem
    services.StartService(id="TSM-SSH")
    assert _service(host, "TSM-SSH").running
    assert [service.running for service in services.serviceInfo.service if service.key == "TSM-SSH"] == [True]
    with client.refused(vim.fault.InvalidState):
        services.StartService(id="TSM-SSH")
    services.StopService(id="TSM-SSH")
    with client.refused(vim.fault.InvalidState):
        services.StopService(id="TSM-SSH")
    services.UpdateServicePolicy(id="ntpd", policy="automatic")
    assert _service(host, "ntpd").policy == "automatic"
    with client.refused(vmodl.fault.InvalidArgument):
        services.UpdateServicePolicy(id="ntpd", policy="sometimes")
    for call in (services.StartService, services.StopService, services.RestartService):
        with client.refused(vim.fault.NotFound):
            call(id="nosuchd")
    with client.refused(vim.fault.InvalidState):
        services.StopService(id="vmsyslogd")


def test_options_know_their_keys_types_and_ranges(admin: client.Client) -> None:
    """An option is written as long, bool or string; anything else is refused and nothing is written."""
    host = admin.host("8.0.3")
    _set(host, "UserVars.ESXiShellTimeOut", VmomiSupport.vmodlTypes["long"](600))
    _set(host, "Syslog.global.auditRecord.storageEnable", True)
    _set(host, "Syslog.global.logHost", "ssl://log.lab.example:6514")
    seen = admin.options(host)
    assert (seen["UserVars.ESXiShellTimeOut"], seen["Syslog.global.auditRecord.storageEnable"]) == (600, True)
    assert seen["Syslog.global.logHost"] == "ssl://log.lab.example:6514"
    long = VmomiSupport.vmodlTypes["long"]
    for key, value in (
        ("UserVars.ESXiShellTimeOut", VmomiSupport.vmodlTypes["int"](600)),
        ("UserVars.ESXiShellTimeOut", "600"),
        ("UserVars.ESXiShellTimeOut", long(-1)),
        ("Syslog.global.auditRecord.storageEnable", "true"),
        ("Mem.ShareForceSalting", long(3)),
        ("Config.HostAgent.log.level", "loud"),
        ("ScratchConfig.CurrentScratchLocation", "/tmp"),
    ):
        with client.refused(vmodl.fault.InvalidArgument):
            _set(host, key, value)
    with client.refused(vim.fault.InvalidName):
        _set(host, "No.Such.Option", "x")
    both = [
        vim.option.OptionValue(key="DCUI.Access", value="root,alice"),
        vim.option.OptionValue(key="Security.AccountLockFailures", value="3"),
    ]
    with client.refused(vmodl.fault.InvalidArgument):
        host.configManager.advancedOption.UpdateOptions(changedValue=both)
    assert admin.options(host)["DCUI.Access"] == "root"
    kinds = {entry.key: type(entry.optionType).__name__ for entry in host.configManager.advancedOption.supportedOption}
    assert kinds["UserVars.ESXiShellTimeOut"] == "vim.option.LongOption"
    assert kinds["Syslog.global.auditRecord.storageEnable"] == "vim.option.BoolOption"
    assert kinds["DCUI.Access"] == "vim.option.StringOption"
    assert kinds["Config.HostAgent.log.level"] == "vim.option.ChoiceOption"


def test_options_are_queried_by_node(admin: client.Client) -> None:
    """One name, a whole node, or an error."""
    manager = admin.host("8.0.3").configManager.advancedOption
    assert [option.value for option in manager.QueryOptions(name="DCUI.Access")] == ["root"]
    assert len(manager.QueryOptions(name="Syslog.global.")) > 10
    with client.refused(vim.fault.InvalidName):
        manager.QueryOptions(name="Syslog.glob")


def test_each_release_has_its_own_names(admin: client.Client) -> None:
    """Renames and defaults that differ between releases (pitfalls P2, P3)."""
    seen = {release: admin.options(admin.host(release)) for release in RELEASES}
    assert "Syslog.global.logCheckSSLCerts" in seen["7.0.3"]
    assert "Syslog.global.certificate.checkSSLCerts" not in seen["7.0.3"]
    for release in RELEASES[1:]:
        assert "Syslog.global.logCheckSSLCerts" not in seen[release]
        assert seen[release]["Syslog.global.certificate.checkSSLCerts"] is True
        assert seen[release]["User.execInstalledOnly"] == 1
    auto_add = "Config.HostAgent.plugins.hostsvc.esxAdminsGroupAutoAdd"
    assert [seen[release][auto_add] for release in RELEASES] == [True, False, False]
    assert [admin.host(release).capability.uefiSecureBoot for release in RELEASES] == [None, True, True]
    assert [_ruleset(admin.host(release), "sshServer").userControllable for release in RELEASES] == [None, True, True]
    with client.refused(client.CliFault):
        admin.esxcli(admin.host("7.0.3"), "system.ssh.server.config.list")


def test_lockdown_and_its_exceptions(admin: client.Client) -> None:
    """Modes, exception users and access entries; strict mode stops the console."""
    host = admin.host("9.0.0")
    access = host.configManager.hostAccessManager
    admin.esxcli(
        host, "system.account.add", id="breakglass", password="Lab-1-secret", passwordconfirmation="Lab-1-secret"
    )
    access.UpdateLockdownExceptions(users=["breakglass"])
    assert list(access.QueryLockdownExceptions()) == ["breakglass"]
    with client.refused(vim.fault.UserNotFound):
        access.UpdateLockdownExceptions(users=["nobody-here"])
    access.ChangeLockdownMode(mode="lockdownNormal")
    assert (host.config.lockdownMode, host.config.adminDisabled) == ("lockdownNormal", True)
    access.ChangeLockdownMode(mode="lockdownStrict")
    assert (access.lockdownMode, _service(host, "DCUI").running) == ("lockdownStrict", False)
    access.ChangeLockdownMode(mode="lockdownDisabled")
    assert _service(host, "DCUI").running
    access.ChangeAccessMode(principal="breakglass", isGroup=False, accessMode="accessReadOnly")
    entries = {entry.principal: entry.accessMode for entry in access.RetrieveHostAccessControlEntries()}
    assert entries["breakglass"] == "accessReadOnly"
    access.ChangeAccessMode(principal="breakglass", isGroup=False, accessMode="accessNone")
    assert "breakglass" not in {entry.principal for entry in access.RetrieveHostAccessControlEntries()}
    with client.refused(vmodl.fault.InvalidArgument):
        access.ChangeAccessMode(principal="root", isGroup=False, accessMode="accessOther")
    with client.refused(vim.fault.UserNotFound):
        access.ChangeAccessMode(principal="nobody-here", isGroup=False, accessMode="accessAdmin")
    with admin.fault(kind="host_state", host=host.name, when="disconnected"), client.refused(vim.fault.InvalidState):
        access.ChangeLockdownMode(mode="lockdownNormal")


def test_firewall(admin: client.Client) -> None:
    """Rulesets with their addresses, and the default policy."""
    host = admin.host("8.0.3")
    firewall = host.configManager.firewallSystem
    firewall.EnableRuleset(id="syslog")
    assert _ruleset(host, "syslog").enabled
    firewall.DisableRuleset(id="syslog")
    assert not _ruleset(host, "syslog").enabled
    allowed = vim.host.Ruleset.IpList(
        allIp=False,
        ipAddress=["192.0.2.10"],
        ipNetwork=[vim.host.Ruleset.IpNetwork(network="198.51.100.0", prefixLength=24)],
    )
    firewall.UpdateRuleset(id="sshServer", spec=vim.host.Ruleset.RulesetSpec(allowedHosts=allowed))
    seen = _ruleset(host, "sshServer").allowedHosts
    assert (seen.allIp, list(seen.ipAddress), seen.ipNetwork[0].prefixLength) == (False, ["192.0.2.10"], 24)
    for wrong in (
        vim.host.Ruleset.IpList(allIp=False, ipAddress=["not-an-address"]),
        vim.host.Ruleset.IpList(
            allIp=False, ipNetwork=[vim.host.Ruleset.IpNetwork(network="192.0.2.0", prefixLength=33)]
        ),
        vim.host.Ruleset.IpList(allIp=True, ipAddress=["192.0.2.10"]),
    ):
        with client.refused(vmodl.fault.InvalidArgument):
            firewall.UpdateRuleset(id="sshServer", spec=vim.host.Ruleset.RulesetSpec(allowedHosts=wrong))
    with client.refused(vim.fault.NotFound):
        firewall.EnableRuleset(id="noSuchRuleset")
    with client.refused(vim.fault.NotFound):
        firewall.UpdateRuleset(id="noSuchRuleset", spec=vim.host.Ruleset.RulesetSpec(allowedHosts=allowed))
    with client.refused(vmodl.fault.NotSupported):
        firewall.DisableRuleset(id="vpxHeartbeats")
    host.configManager.serviceSystem.UpdateServicePolicy(id="ntpd", policy="automatic")
    firewall.EnableRuleset(id="ntpClient")
    assert _service(host, "ntpd").running
    firewall.DisableRuleset(id="ntpClient")
    assert not _service(host, "ntpd").running
    firewall.UpdateDefaultPolicy(defaultPolicy=vim.host.FirewallInfo.DefaultPolicy(incomingBlocked=False))
    policy = host.config.firewall.defaultPolicy
    assert (policy.incomingBlocked, policy.outgoingBlocked) == (False, True)
    admin.esxcli(host, "network.firewall.set", enabled="false")
    assert admin.esxcli(host, "network.firewall.get") == [
        {"DefaultAction": "PASS", "Enabled": "false", "Loaded": "true"}
    ]


def test_image_and_modules(admin: client.Client) -> None:
    """The acceptance level is refused while a weaker package is installed."""
    host = admin.host("8.0.3")
    image = host.configManager.imageConfigManager
    assert image.HostImageConfigGetAcceptance() == "partner"
    assert {package.acceptanceLevel for package in image.FetchSoftwarePackages()} == {
        "vmware_certified", "vmware_accepted", "partner",
    }  # fmt: skip
    image.UpdateHostImageAcceptanceLevel(newAcceptanceLevel="community")
    with client.refused(vim.fault.HostConfigFault):
        image.UpdateHostImageAcceptanceLevel(newAcceptanceLevel="vmware_certified")
    with client.refused(vmodl.fault.InvalidArgument):
        image.UpdateHostImageAcceptanceLevel(newAcceptanceLevel="certified")
    image.UpdateHostImageAcceptanceLevel(newAcceptanceLevel="partner")
    admin.control("POST", "/packages", {"host": host.name, "name": "rootkit", "level": "community"})
    with client.refused(vim.fault.HostConfigFault):
        image.UpdateHostImageAcceptanceLevel(newAcceptanceLevel="vmware_accepted")
    assert "i40en" in {module.name for module in host.configManager.kernelModuleSystem.QueryModules()}
    signatures = admin.esxcli(host, "software.vib.signature.verify")
    assert [row["Name"] for row in signatures if row["SignatureVerification"] != "Succeeded"] == ["rootkit"]


def test_time_and_snmp(admin: client.Client) -> None:
    """NTP servers are replaced as a list; SNMP keeps what is left out."""
    host = admin.host("7.0.3")
    clock = host.configManager.dateTimeSystem
    ntp = vim.host.NtpConfig(server=["ntp1.lab.example", "ntp2.lab.example"])
    clock.UpdateDateTimeConfig(config=vim.host.DateTimeConfig(ntpConfig=ntp, protocol="ntp", enabled=True))
    assert list(host.config.dateTimeInfo.ntpConfig.server) == ["ntp1.lab.example", "ntp2.lab.example"]
    assert clock.dateTimeInfo.enabled
    for wrong in (vim.host.DateTimeConfig(timeZone="Europe/London"), vim.host.DateTimeConfig(protocol="sundial")):
        with client.refused(vmodl.fault.InvalidArgument):
            clock.UpdateDateTimeConfig(config=wrong)
    snmp = host.configManager.snmpSystem
    snmp.ReconfigureSnmpAgent(spec=vim.host.SnmpSystem.SnmpConfigSpec(enabled=True, port=1161))
    assert (snmp.configuration.enabled, snmp.configuration.port) == (True, 1161)
    assert list(snmp.configuration.readOnlyCommunities) == ["lab-community-secret"]
    with client.refused(vmodl.fault.InvalidArgument):
        snmp.ReconfigureSnmpAgent(spec=vim.host.SnmpSystem.SnmpConfigSpec(port=70000))
    many = [vim.host.SnmpSystem.SnmpConfigSpec.Destination(hostName="h", port=162, community="c")] * 4
    with client.refused(vim.fault.InsufficientResourcesFault):
        snmp.ReconfigureSnmpAgent(spec=vim.host.SnmpSystem.SnmpConfigSpec(trapTargets=many))


def test_directory(admin: client.Client) -> None:
    """Joining gives the administrators' group its access where the host is told to (CVE-2024-37085)."""
    host = admin.host("7.0.3")
    store = host.configManager.authenticationManager.supportedStore[0]
    for domain, user, password, fault in (
        ("nowhere.example", "joiner", "lab-join-password", vim.fault.DomainNotFound),
        ("lab.example", "joiner", "wrong", vim.fault.InvalidLogin),
        ("lab.example", "visitor", "lab-join-password", vim.fault.NoPermissionOnAD),
    ):
        with client.refused(fault):
            client.done(store.JoinDomain_Task(domainName=domain, userName=user, password=password))
    with client.refused(vim.fault.InvalidState):
        client.done(store.LeaveCurrentDomain_Task(force=False))
    client.done(store.JoinDomain_Task(domainName="lab.example", userName="joiner", password="lab-join-password"))
    info = host.config.authenticationManagerInfo.authConfig[1]
    assert (info.enabled, info.joinedDomain, info.domainMembershipStatus) == (True, "LAB.EXAMPLE", "ok")
    entries = [entry.principal for entry in host.configManager.hostAccessManager.RetrieveHostAccessControlEntries()]
    assert r"LAB\ESX Admins" in entries
    with client.refused(vim.fault.InvalidState):
        client.done(store.JoinDomain_Task(domainName="lab.example", userName="joiner", password="lab-join-password"))
    # Whom the domain's accounts may still be there for is not left alone.
    with client.refused(vim.fault.InvalidState):
        client.done(store.LeaveCurrentDomain_Task(force=False))
    client.done(store.LeaveCurrentDomain_Task(force=True))
    assert [entry.principal for entry in host.configManager.hostAccessManager.RetrieveHostAccessControlEntries()
            if entry.principal.startswith("LAB")] == []  # fmt: skip
    assert not host.config.authenticationManagerInfo.authConfig[1].enabled


@pytest.mark.parametrize("release", RELEASES)
def test_old_lockdown_calls(admin: client.Client, release: str) -> None:
    """EnterLockdownMode and ExitLockdownMode refuse the state that is already there."""
    host = admin.host(release)
    with client.refused(vim.fault.InvalidState):
        host.ExitLockdownMode()
    host.EnterLockdownMode()
    with client.refused(vim.fault.InvalidState):
        host.EnterLockdownMode()
    host.ExitLockdownMode()
    assert host.config.lockdownMode == "lockdownDisabled"


def test_vmkernel_adapters_and_reboot(admin: client.Client) -> None:
    """Services of an adapter; a reboot needs maintenance mode."""
    host = admin.host("8.0.3")
    nics = host.configManager.virtualNicManager
    nics.SelectVnicForNicType(nicType="vmotion", device="vmk0")
    assert len(nics.QueryNetConfig(nicType="vmotion").selectedVnic) == 2
    nics.DeselectVnicForNicType(nicType="vmotion", device="vmk0")
    seen = {config.nicType: list(config.selectedVnic) for config in host.config.virtualNicManagerInfo.netConfig}
    assert seen["vmotion"] == ["vmotion.key-vim.host.VirtualNic-vmk1"]
    with client.refused(vmodl.fault.InvalidArgument):
        nics.DeselectVnicForNicType(nicType="vmotion", device="vmk0")
    with client.refused(vmodl.fault.InvalidArgument):
        nics.SelectVnicForNicType(nicType="vmotion", device="vmk9")
    with client.refused(vim.fault.HostConfigFault):
        nics.DeselectVnicForNicType(nicType="management", device="vmk0")
    with client.refused(vim.fault.InvalidState):
        client.done(host.RebootHost_Task(force=False))
    client.done(host.EnterMaintenanceMode_Task(timeout=0))
    client.restart(host, force=False)
    client.done(host.ExitMaintenanceMode_Task(timeout=0))
    info = host.configManager.certificateManager.certificateInfo
    assert ("CN=CA" in info.issuer, host.name in info.subject, info.status) == (True, True, "good")
