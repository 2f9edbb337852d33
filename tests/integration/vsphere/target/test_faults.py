# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on request, who may do what, and the esxcli commands."""

from __future__ import annotations

import http.client
import time

import pytest
from pyVmomi import VmomiSupport, vim, vmodl

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.target import client
from ansible_collections.dwp.hypervisor.tests.lab.vsphere import target


def _set_banner(host: vim.HostSystem, text: str) -> None:
    change = vim.option.OptionValue(key="Annotations.WelcomeMessage", value=text)
    host.configManager.advancedOption.UpdateOptions(changedValue=[change])


def test_the_auditor_reads_and_changes_nothing(auditor: client.Client) -> None:
    """The read-only account: properties yes, privileged methods no; the privilege is named."""
    host = auditor.host("8.0.3")
    assert host.config.lockdownMode == "lockdownDisabled"
    access, image = host.configManager.hostAccessManager, host.configManager.imageConfigManager
    note = vim.vm.ConfigSpec(annotation="x")
    assert image.HostImageConfigGetAcceptance() == "partner"
    for privilege, call in (
        ("Global.Settings", access.QueryLockdownExceptions),
        ("Global.Settings", access.RetrieveHostAccessControlEntries),
        ("Host.Config.Image", image.FetchSoftwarePackages),
        ("Host.Config.Settings", host.configManager.kernelModuleSystem.QueryModules),
        ("Host.Config.Settings", lambda: access.ChangeLockdownMode(mode="lockdownNormal")),
        ("Host.Config.NetService", lambda: host.configManager.serviceSystem.StartService(id="TSM")),
        ("Host.Config.AdvancedConfig", lambda: _set_banner(host, "x")),
        ("VirtualMachine.Config.Settings", lambda: auditor.machine("web01").ReconfigVM_Task(spec=note)),
    ):  # fmt: skip
        with pytest.raises(vim.fault.NoPermission) as refused:
            call()
        assert refused.value.privilegeId == privilege
    with client.refused(vim.fault.NoPermission):
        assert auditor.content.sessionManager.sessionList is not None


def test_no_access_hides_an_object(admin: client.Client, auditor: client.Client) -> None:
    """What the account may not see is not in its views."""
    machine = admin.machine("legacy01")
    manager = admin.content.authorizationManager
    entry = vim.AuthorizationManager.Permission(
        principal="auditor@vsphere.local", group=False, propagate=True,
        roleId=next(role.roleId for role in manager.roleList if role.name == "NoAccess"),
    )  # fmt: skip
    manager.SetEntityPermissions(entity=machine, permission=[entry])
    with client.refused(vim.fault.NoPermission):
        assert vim.VirtualMachine(machine._moId, auditor.service._stub).config is not None
    manager.RemoveEntityPermission(entity=machine, user="auditor@vsphere.local", isGroup=False)


def test_a_further_account_has_its_role(lab: target.Target) -> None:
    """An account of `up --user` may do what its role holds and no more."""
    session = client.Client(lab, user=2)
    machine = session.machine("web01")
    client.done(machine.PowerOffVM_Task())
    client.done(machine.PowerOnVM_Task())
    with client.refused(vim.fault.NoPermission):
        machine.ReconfigVM_Task(spec=vim.vm.ConfigSpec(annotation="x"))
    session.close()


def test_wrong_password_and_no_session(lab: target.Target) -> None:
    """A login that fails, and a call without one."""
    session = client.Client(lab)
    host = session.host("8.0.3")
    session.close()
    with client.refused(vim.fault.NotAuthenticated):
        assert host.config is not None
    lab.users.append({"name": "administrator@vsphere.local", "password": "wrong", "role": ""})
    with client.refused(vim.fault.InvalidLogin):
        client.Client(lab, user=-1)
    lab.users.pop()


def test_faults_on_request(admin: client.Client) -> None:
    """Latency, a silent host, denied calls and properties, a refused option, any fault by name."""
    host = admin.host("8.0.3")
    with admin.fault(kind="latency", milliseconds=300, method="QueryLockdownExceptions"):
        start = time.monotonic()
        host.configManager.hostAccessManager.QueryLockdownExceptions()
        assert time.monotonic() - start >= 0.3
    with admin.fault(kind="host_state", host=host.name, when="notResponding"):
        assert host.runtime.connectionState == "notResponding"
        with client.refused(vmodl.fault.HostNotConnected):
            host.configManager.imageConfigManager.FetchSoftwarePackages()
    assert host.runtime.connectionState == "connected"
    with admin.fault(kind="deny_property", type="HostSystem", property="config.option", host=host.name):
        spec = vmodl.query.PropertyCollector.FilterSpec(
            propSet=[
                vmodl.query.PropertyCollector.PropertySpec(type=vim.HostSystem, pathSet=["name", "config.option"])
            ],
            objectSet=[vmodl.query.PropertyCollector.ObjectSpec(obj=host)],
        )
        found = admin.content.propertyCollector.RetrieveContents([spec])[0]
        assert [entry.name for entry in found.propSet] == ["name"]
        assert [entry.path for entry in found.missingSet] == ["config.option"]
    with admin.fault(kind="deny_method", method="QueryModules", count=1):
        modules = host.configManager.kernelModuleSystem
        with client.refused(vim.fault.NoPermission):
            modules.QueryModules()
        assert modules.QueryModules()
    with (
        admin.fault(kind="refuse_option", key="Annotations.WelcomeMessage"),
        client.refused(vmodl.fault.InvalidArgument),
    ):
        _set_banner(host, "refused")
    broken = admin.fault(kind="fault", fault="HostConfigFault", method="StartService", host=host.name)
    with broken, client.refused(vim.fault.HostConfigFault):
        host.configManager.serviceSystem.StartService(id="TSM")


def test_a_connection_is_cut_in_the_middle_of_a_write(lab: target.Target) -> None:
    """The call is made and its answer lost, or it is lost itself."""
    for when, text in (("after", "written"), ("before", "lost")):
        session = client.Client(lab)
        host = session.host("8.0.3")
        session.control("POST", "/faults", {"kind": "cut_connection", "count": 1, "when": when})
        with pytest.raises((OSError, http.client.HTTPException)):
            _set_banner(host, text)
        again = client.Client(lab)
        assert again.options(again.host("8.0.3"))["Annotations.WelcomeMessage"] == "written"
        again.close()


def test_sessions_expire(lab: target.Target) -> None:
    """A session that was there is none any more; a new one is."""
    session = client.Client(lab)
    session.control("POST", "/faults", {"kind": "expire_sessions"})
    with client.refused(vim.fault.NotAuthenticated):
        session.host("8.0.3")
    fresh = client.Client(lab)
    open_now = fresh.control("GET", "/sessions")
    assert fresh.host("8.0.3")
    # It does not come back.
    fresh.control("DELETE", "/faults")
    with client.refused(vim.fault.NotAuthenticated):
        session.host("8.0.3")
    fresh.close()
    assert len(fresh.control("GET", "/sessions")) == len(open_now) - 1


def test_control_counts_calls_and_sets_states(admin: client.Client) -> None:
    """Calls by method, sessions by name, and what no API can set."""
    admin.control("DELETE", "/calls")
    host = admin.host("8.0.3")
    assert admin.control("GET", "/calls")["CreateContainerView"] == 1
    assert "administrator@vsphere.local" in admin.control("GET", "/sessions")
    for path, value in (
        ("capability.uefiSecureBoot", False),
        ("summary.tpmAttestation.status", "notAccepted"),
        ("hardware.systemInfo.vendor", "VMware, Inc."),
        ("capability.uefiSecureBoot", None),
    ):
        admin.control("POST", "/state", {"object": host.name, "property": path, "value": value})
    assert (host.capability.uefiSecureBoot, host.summary.tpmAttestation.status) == (None, "notAccepted")
    assert [found.hardware.systemInfo.vendor for found in admin.all(vim.HostSystem)].count("VMware, Inc.") == 1
    for path, body in (
        ("/state", {"object": "nobody", "property": "name", "value": 1}),
        ("/state", {"object": host.name, "property": "config.nothing", "value": 1}),
        ("/faults", {"kind": "earthquake"}),
        ("/faults", {"kind": "latency", "host": "nobody"}),
        ("/faults", {"kind": "fault", "fault": "Earthquake"}),
    ):
        with pytest.raises(ValueError):
            admin.control("POST", path, body)


def test_esxcli(admin: client.Client) -> None:
    """The commands that the audit needs, what they refuse, and one state behind a command and an option."""
    host, old = admin.host("8.0.3"), admin.host("7.0.3")
    rows = {row["UserID"]: row for row in admin.esxcli(host, "system.account.list")}
    assert (set(rows), rows["dcui"]["Shellaccess"]) == ({"root", "dcui", "vpxuser"}, "true")
    assert "Shellaccess" not in admin.esxcli(old, "system.account.list")[0]
    assert admin.esxcli(host, "system.account.set", id="dcui", shellaccess="false") == "true"
    ssh = {row["Key"]: row["Value"] for row in admin.esxcli(host, "system.ssh.server.config.list")}
    assert ssh["permitrootlogin"] == "yes"
    admin.esxcli(host, "system.ssh.server.config.set", keyword="permitrootlogin", value="no")
    assert admin.esxcli(host, "system.ssh.server.config.list", keyword="permitrootlogin")[0]["Value"] == "no"
    assert admin.esxcli(host, "system.settings.encryption.get")[0]["Mode"] == "TPM"
    assert admin.esxcli(host, "system.tls.server.get")[0]["Profile"] == "COMPATIBLE"
    admin.esxcli(host, "system.tls.server.set", profile="NIST_2024")
    assert admin.esxcli(host, "system.tls.server.get")[0]["RebootRequired"] == "true"
    assert admin.esxcli(host, "system.syslog.config.get")[0]["LocalLogOutputIsPersistent"] == "true"
    assert admin.esxcli(host, "system.syslog.config.logfilter.get")[0]["LogFilteringEnabled"] == "false"
    assert admin.esxcli(host, "software.acceptance.get") == "PartnerSupported"
    domains = {row["DomainName"]: row["EnforcementLevel"] for row in admin.esxcli(host, "system.secpolicy.domain.list")}
    assert domains["regularVMDom"] == "enforcing"
    for found in (host, old):
        admin.esxcli(found, "system.auditrecords.local.enable")
        assert admin.esxcli(found, "system.auditrecords.get")[0]["AuditRecordStorageActive"] == "true"
    assert admin.options(host)["Syslog.global.auditRecord.storageEnable"] is True
    for command, arguments in (
        ("system.account.set", {"id": "nobody", "shellaccess": "false"}),
        ("system.account.remove", {"id": "root"}),
        ("system.ssh.server.config.set", {"keyword": "permitrootlogin", "value": "maybe"}),
        ("system.ssh.server.config.set", {"keyword": "nosuchword", "value": "no"}),
        ("system.tls.server.set", {"profile": "NIST_2024_TLS_13_ONLY"}),
        ("system.settings.encryption.set", {"requireexecinstalledonly": "true"}),
        ("system.no.such.command", {}),
        # The mode cannot be lowered, an argument is missing, unknown, or no word of the command's.
        ("system.settings.encryption.set", {"mode": "NONE"}),
        ("system.secpolicy.domain.set", {"name": "regularVMDom"}),
        ("system.secpolicy.domain.set", {"name": "regularVMDom", "level": "lax"}),
        ("system.account.set", {"id": "dcui", "shell": "false"}),
        ("network.firewall.set", {"enabled": "maybe"}),
        ("system.settings.kernel.list", {"option": "nosuchoption"}),
    ):
        with pytest.raises(client.CliFault):
            admin.esxcli(host, command, **arguments)
    for command, arguments in (
        ("system.tls.server.get", {}),
        ("system.account.set", {"id": "dcui", "shellaccess": "false"}),
    ):
        with pytest.raises(client.CliFault):
            admin.esxcli(old, command, **arguments)
    with pytest.raises(client.CliFault, match="not loaded"):
        admin.esxcli(host, "network.firewall.unload")
        admin.esxcli(host, "network.firewall.set", enabled="true")
    admin.esxcli(host, "network.firewall.load")


def test_what_waits_for_a_restart(admin: client.Client) -> None:
    """Options of the VMkernel and the TLS profile are told as they are set and as the host has started with them."""
    host = admin.host("9.0.0")

    def told() -> tuple[str, ...]:
        (option,) = admin.esxcli(host, "system.settings.kernel.list", option="noIOMMU")
        (tls,) = admin.esxcli(host, "system.tls.server.get", showcurrentbootprofile="true")
        return option["Configured"], option["Runtime"], tls["Profile"], tls["RebootRequired"]

    assert told() == ("FALSE", "FALSE", "COMPATIBLE", "false")
    option = vim.option.OptionValue(key="VMkernel.Boot.noIOMMU", value=True)
    host.configManager.advancedOption.UpdateOptions(changedValue=[option])
    admin.esxcli(host, "system.tls.server.set", profile="NIST_2024")
    assert told() == ("TRUE", "FALSE", "COMPATIBLE", "true")
    client.restart(host)
    assert told() == ("TRUE", "TRUE", "NIST_2024", "false")


def test_who_has_no_shell_gives_none(admin: client.Client) -> None:
    """vCenter comes in as vpxuser: without its shell, it gives no account one (pitfall P4)."""
    host = admin.host("9.0.0")
    for account in ("dcui", "vpxuser"):
        admin.esxcli(host, "system.account.set", id=account, shellaccess="false")
    for account in ("dcui", "vpxuser"):
        with pytest.raises(client.CliFault, match="Permission"):
            admin.esxcli(host, "system.account.set", id=account, shellaccess="true")


def test_pages(admin: client.Client) -> None:
    """Every page leaves out what is not set, and a token is good once."""
    view = admin.content.viewManager.CreateContainerView(admin.content.rootFolder, [vim.VirtualMachine], True)
    collector = admin.content.propertyCollector
    walk = vmodl.query.PropertyCollector.TraversalSpec(name="v", path="view", skip=False, type=vim.view.ContainerView)
    spec = vmodl.query.PropertyCollector.FilterSpec(
        propSet=[vmodl.query.PropertyCollector.PropertySpec(type=vim.VirtualMachine, pathSet=["name", "config.keyId"])],
        objectSet=[vmodl.query.PropertyCollector.ObjectSpec(obj=view, skip=True, selectSet=[walk])],
    )
    options = vmodl.query.PropertyCollector.RetrieveOptions(maxObjects=2)
    page = collector.RetrievePropertiesEx(specSet=[spec], options=options)
    found, pages = list(page.objects), 1
    while page.token:
        token = page.token
        page = collector.ContinueRetrievePropertiesEx(token=token)
        found += page.objects
        pages += 1
    assert (len(found), pages) == (6, 3)
    assert sum(entry.name == "config.keyId" for item in found for entry in item.propSet) == 1
    with client.refused(vmodl.fault.InvalidArgument):
        collector.ContinueRetrievePropertiesEx(token=token)


def test_a_host_of_its_own(standalone: target.Target) -> None:
    """One ESXi: no lockdown without a vCenter, no attestation, the same managers."""
    session = client.Client(standalone)
    host = session.host("8.0.3")
    assert session.content.about.apiType == "HostAgent"
    assert host.summary.tpmAttestation is None
    long = VmomiSupport.vmodlTypes["long"]
    change = vim.option.OptionValue(key="UserVars.DcuiTimeOut", value=long(300))
    host.configManager.advancedOption.UpdateOptions(changedValue=[change])
    assert session.options(host)["UserVars.DcuiTimeOut"] == 300
    with client.refused(vmodl.fault.NotSupported):
        host.configManager.hostAccessManager.ChangeLockdownMode(mode="lockdownNormal")
    assert {machine.name for machine in session.all(vim.VirtualMachine)} >= {"web01", "db01"}
    session.close()
