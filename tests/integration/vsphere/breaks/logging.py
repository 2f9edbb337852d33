# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs and who is told of changes (11.3.7, 11.4.4, 11.4.10, 11.4.11)."""

from __future__ import annotations

from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.integration.vsphere.breaks.steps import (
    Break,
    Place,
    Step,
    deny,
    deny_path,
    document,
    esxcli,
    options,
    refuse,
    settings,
)

FORWARDING = "/api/appliance/logging/forwarding"
SERVER = "log.example.test"  # in gold_log_servers
RECORDS = {
    "Syslog__global__auditRecord__storageEnable": True,
    "Syslog__global__auditRecord__remoteEnable": True,
    "Syslog__global__auditRecord__storageCapacity": 100,
}


def _forward(host: str, protocol: str) -> Step:
    """As a person sets it at the appliance."""
    servers = {"cfg_list": [{"hostname": host, "port": 6514, "protocol": protocol}]}

    def step(place: Place) -> None:
        assert place.admin.rest("PUT", FORWARDING, servers)[0] == 204

    return step


def _alarm(place: Place) -> None:
    """Mail when a machine is reconfigured."""
    expression = vim.alarm.EventAlarmExpression(
        eventType=vim.event.VmReconfiguredEvent, objectType=vim.VirtualMachine, comparisons=[]
    )
    mail = vim.action.SendEmailAction(toList="soc@example.test", ccList="", subject="changed", body="changed")
    action = vim.alarm.AlarmTriggeringAction(
        action=mail,
        transitionSpecs=[
            vim.alarm.AlarmTriggeringAction.TransitionSpec(startState="yellow", finalState="red", repeats=False)
        ],
        green2yellow=False,
        yellow2red=False,
        red2yellow=False,
        yellow2green=False,
    )
    spec = vim.alarm.AlarmSpec(
        name="a machine was changed",
        description="",
        enabled=True,
        expression=vim.alarm.OrAlarmExpression(expression=[expression]),
        action=vim.alarm.GroupAlarmAction(action=[action]),
    )
    place.admin.content.alarmManager.CreateAlarm(entity=place.admin.content.rootFolder, spec=spec)


def _time(*servers: str) -> Step:
    """Time servers, and the service that asks them."""

    def step(place: Place) -> None:
        config = vim.host.DateTimeConfig(ntpConfig=vim.host.NtpConfig(server=list(servers)))
        place.host.configManager.dateTimeSystem.UpdateDateTimeConfig(config=config)
        manager = place.host.configManager.serviceSystem
        manager.UpdateServicePolicy(id="ntpd", policy="on")
        if not next(entry for entry in place.host.config.service.service if entry.key == "ntpd").running:
            manager.StartService(id="ntpd")

    return step


def _ruleset(place: Place) -> None:
    for name in ("syslog", "ntpClient"):
        place.host.configManager.firewallSystem.EnableRuleset(id=name)


BREAKS = [
    Break(
        "vsphere-11.3.7-events",
        {
            "fail": [settings(event__maxAge=7)],
            "pass": [settings(event__maxAge=400)],
            "unknown": [refuse("QueryOptions")],
        },
        "kept for 7 days",
    ),
    Break(
        "vsphere-11.3.7-alarm",
        {"fail": [], "pass": [_alarm], "unknown": [refuse("GetAlarm")]},
        "no alarm looks at changes",
    ),
    Break(
        "vsphere-11.4.4-audit-store",
        {"fail": [], "pass": [options(**RECORDS)], "unknown": [deny("config.option")]},
        "audit records are not kept",
    ),
    # What 8.0 has as options, 7.0 tells through esxcli alone.
    Break(
        "vsphere-11.4.4-audit-store",
        {
            "fail": [],
            "pass": [
                esxcli("system.auditrecords.local.enable"),
                esxcli("system.auditrecords.remote.enable"),
                esxcli("system.auditrecords.local.set", size="100"),
            ],
            "unknown": [refuse("ExecuteSoap")],
        },
        "audit records are not kept",
        host="esx01.lab.example",
    ),
    Break(
        "vsphere-11.4.10-tls-forward",
        {
            "fail": [options(Syslog__global__logHost=f"tcp://{SERVER}:1514")],
            "pass": [
                options(
                    Syslog__global__logHost=f"ssl://{SERVER}:6514",
                    Syslog__global__certificate__checkSSLCerts=True,
                    Syslog__global__certificate__strictX509Compliance=True,
                )
            ],
            "unknown": [deny("config.option")],
        },
        "is not TLS",
    ),
    Break(
        "vsphere-11.4.10-level-filter",
        {
            "fail": [],
            "pass": [
                options(Syslog__global__logLevel="info"),
                _ruleset,
                _time("ntp1.example.test", "ntp2.example.test", "ntp3.example.test", "ntp4.example.test"),
            ],
            "unknown": [refuse("ExecuteSoap")],
        },
        "less than info",
    ),
    Break(
        "vsphere-11.4.10-persistent-audit",
        {
            "fail": [options(**RECORDS, Syslog__global__logDir="[] /tmp/log")],
            "pass": [options(Syslog__global__logDir="[] /scratch/log")],
            "unknown": [refuse("ExecuteSoap")],
        },
        "lost with a restart",
    ),
    Break(
        "vsphere-11.4.10-persistent-audit",
        {"fail": [], "pass": [options(**RECORDS)], "unknown": [deny("config.option")]},
        "audit records are not kept",
    ),
    Break(
        "vsphere-11.4.11-remote-target",
        {
            "fail": [options(**RECORDS, Syslog__global__logHost="ssl://elsewhere.example.test")],
            "pass": [options(Syslog__global__logHost=f"ssl://{SERVER}")],
            "unknown": [deny("config.option")],
        },
        "is not in gold_log_servers",
    ),
    Break(
        "vsphere-11.4.11-vcenter",
        {"fail": [_forward(SERVER, "UDP")], "pass": [_forward(SERVER, "TLS")], "unknown": [deny_path(FORWARDING)]},
        "not over TLS",
    ),
    Break(
        "vsphere-11.4.11-vcenter",
        {
            "fail": [_forward(SERVER, "TLS"), settings(vpxd__event__syslog__enabled=False)],
            "pass": [settings(vpxd__event__syslog__enabled=True)],
            "unknown": [document(FORWARDING, [{"hostname": SERVER}])],
        },
        "events are not among the logs",
    ),
]
