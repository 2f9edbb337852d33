# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches a host past its vCenter, and how (11.2.4, 11.2.5, 11.4.1, 11.4.3, 11.4.6)."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks.steps import (
    Break,
    Place,
    Step,
    deny,
    esxcli,
    lockdown,
    options,
    refuse,
    service,
)

ADD_MALLORY = esxcli("system.account.add", id="mallory", password="N0t-guessable", passwordconfirmation="N0t-guessable")
REMOVE_MALLORY = esxcli("system.account.remove", id="mallory")
SSH_ON = service("TSM-SSH", running=True, policy="on")
SERVICES_OFF = [service(name, running=False, policy="off") for name in ("TSM-SSH", "TSM", "sfcbd-watchdog", "snmpd")]


def _exempt(*names: str) -> Step:
    return lambda place: place.host.configManager.hostAccessManager.UpdateLockdownExceptions(users=list(names))


def _access(mode: str) -> Step:
    return lambda place: place.host.configManager.hostAccessManager.ChangeAccessMode(
        principal="mallory", isGroup=False, accessMode=mode
    )


def _join(place: Place) -> None:
    directory = next(
        store
        for store in place.host.configManager.authenticationManager.supportedStore
        if "activeDirectory" in store._moId
    )
    directory.JoinDomain_Task(domainName="lab.example", userName="joiner", password="lab-join-password")


def _root_login(value: str) -> Step:
    return esxcli("system.ssh.server.config.set", keyword="permitrootlogin", value=value)


BREAKS = [
    Break(
        "vsphere-11.2.4-local-accounts",
        {"fail": [ADD_MALLORY], "pass": [REMOVE_MALLORY], "unknown": [refuse("ExecuteSoap")]},
        "mallory",
    ),
    Break(
        "vsphere-11.2.4-lockdown-exceptions",
        {
            "fail": [ADD_MALLORY, _exempt("mallory")],
            "pass": [_exempt()],
            "unknown": [refuse("QueryLockdownExceptions")],
        },
        "mallory",
    ),
    Break(
        "vsphere-11.2.4-dcui-access",
        {
            "fail": [ADD_MALLORY, options(DCUI__Access="root,mallory")],
            "pass": [options(DCUI__Access="root")],
            "unknown": [deny("config.option")],
        },
        "mallory",
    ),
    Break(
        "vsphere-11.2.4-service-shell",
        {
            "fail": [],
            "pass": [
                esxcli("system.account.set", id="dcui", shellaccess="false"),
                esxcli("system.account.set", id="vpxuser", shellaccess="false"),
            ],
            "unknown": [refuse("ExecuteSoap")],
        },
        "shell is True",
    ),
    Break(
        "vsphere-11.2.5-lockdown",
        {"fail": [], "pass": [lockdown("lockdownNormal")], "unknown": [deny("config.lockdownMode")]},
        "lockdownDisabled",
    ),
    Break(
        "vsphere-11.2.5-esx-admins",
        {
            "fail": [],
            "pass": [
                options(
                    Config__HostAgent__plugins__hostsvc__esxAdminsGroup="none-such",
                    Config__HostAgent__plugins__hostsvc__esxAdminsGroupAutoAdd=False,
                )
            ],
            "unknown": [deny("config.option")],
        },
        "ESX Admins",
    ),
    Break(
        "vsphere-11.2.5-host-entries",
        {
            "fail": [ADD_MALLORY, _access("accessAdmin")],
            "pass": [_access("accessNone")],
            "unknown": [refuse("RetrieveHostAccessControlEntries")],
        },
        "mallory",
    ),
    Break(
        "vsphere-11.2.5-lockout",
        {
            "fail": [options(Security__AccountLockFailures=0)],
            "pass": [options(Security__AccountLockFailures=5, Security__AccountUnlockTime=900)],
            "unknown": [deny("config.option")],
        },
        "never locked",
    ),
    Break(
        "vsphere-11.4.1-host-or-vcenter",
        {"fail": [], "pass": [lockdown("lockdownNormal")], "unknown": [deny("config.authenticationManagerInfo")]},
        "lockdown mode is off",
    ),
    Break(
        "vsphere-11.4.1-host-or-vcenter",
        {"fail": [], "pass": [_join], "unknown": [deny("config.authenticationManagerInfo")]},
        "not joined",
        {"gold_vsphere_directory_mode": "ad", "gold_directory_domain": "lab.example"},
    ),
    Break(
        "vsphere-11.4.3-no-bypass",
        {
            "fail": [lockdown("lockdownNormal"), SSH_ON],
            "pass": SERVICES_OFF[:2],
            "unknown": [deny("config.service.service")],
        },
        "TSM-SSH is running",
    ),
    Break(
        "vsphere-11.4.3-no-bypass",
        {
            "fail": [ADD_MALLORY, _exempt("mallory"), lockdown("lockdownStrict")],
            "pass": [_exempt()],
            "unknown": [refuse("QueryLockdownExceptions")],
        },
        "mallory is exempt",
    ),
    Break(
        "vsphere-11.4.3-no-bypass",
        {
            "fail": [_exempt("root"), lockdown("lockdownNormal")],
            "pass": [_exempt()],
            "unknown": [refuse("QueryLockdownExceptions")],
        },
        "root is exempt",
    ),
    Break(
        "vsphere-11.4.6-services",
        {"fail": [SSH_ON], "pass": SERVICES_OFF, "unknown": [deny("config.service.service")]},
        "TSM-SSH",
    ),
    Break(
        "vsphere-11.4.6-ssh-root",
        {
            "fail": [SSH_ON, ADD_MALLORY],
            "pass": [_root_login("no")],
            "unknown": [refuse("ExecuteSoap")],
        },
        "yes",
    ),
    Break(
        "vsphere-11.4.6-allowlist",
        {
            "fail": [],
            "pass": [lockdown("lockdownNormal")],
            "unknown": [refuse("QueryLockdownExceptions")],
        },
        "lockdownDisabled",
    ),
    Break(
        "vsphere-11.4.6-timeouts",
        {
            "fail": [],
            "pass": [
                options(
                    UserVars__ESXiShellTimeOut=600,
                    UserVars__ESXiShellInteractiveTimeOut=300,
                    UserVars__DcuiTimeOut=600,
                    UserVars__HostClientSessionTimeout=900,
                    UserVars__SuppressShellWarning=0,
                    Security__AccountLockFailures=5,
                )
            ],
            "unknown": [deny("config.option")],
        },
        "ESXiShellTimeOut is 0",
    ),
]
