# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of an ESXi host: targets, certificates, audit records, levels."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import proposal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.vsphere.vsphere_side import (
    both,
    by_hand,
    options,
    planned,
    situation,
    wanted,
)

CHECKS = ("11.4.4-audit-store", "11.4.10-tls-forward", "11.4.10-level-filter", "11.4.10-persistent-audit",
          "11.4.11-remote-target")  # fmt: skip
PRESENT = {"log_authority_present": True}
AUDIT = "Syslog.global.auditRecord."


def logs(**values):
    """Facts about logs with other values."""
    return lambda facts: facts["logging"].update(values)


def audit(**values):
    return lambda facts: facts["logging"]["audit"].update(values)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("release", ["8.0", "9.0"])
def test_a_host_that_passes_gets_no_row(check, release):
    assert planned(check, release=release) == []


def test_audit_records_are_kept_and_sent():
    off = audit(storage_enabled=False, remote_enabled=False, capacity_mb=4)
    assert wanted(planned("11.4.4-audit-store", off)) == {
        ("option", f"{AUDIT}storageCapacity"): 100,
        ("option", f"{AUDIT}storageEnable"): True,
        ("option", f"{AUDIT}remoteEnable"): True,
    }
    # More than gold asks for stays.
    assert wanted(planned("11.4.4-audit-store", audit(storage_enabled=False, capacity_mb=200))) == {
        ("option", f"{AUDIT}storageEnable"): True
    }
    assert ("option", f"{AUDIT}remoteEnable") not in wanted(planned("11.4.10-persistent-audit", off))


def test_esxi_7_has_no_options_for_audit_records():
    off = audit(storage_enabled=False, remote_enabled=False, capacity_mb=4)
    assert wanted(planned("11.4.4-audit-store", off, release="7.0")) == {
        ("esxcli", "system auditrecords.size"): 100,
        ("esxcli", "system auditrecords.local"): True,
        ("esxcli", "system auditrecords.remote"): True,
    }
    on = both(audit(remote_enabled=False), logs(hosts=["ssl://log1.example.test:6514"]))
    assert wanted(planned("11.4.11-remote-target", on, release="7.0")) == {
        ("esxcli", "system auditrecords.remote"): True
    }


def test_where_logs_are_kept_is_for_a_person_to_say():
    rows = planned("11.4.10-persistent-audit", both(logs(local_persistent=False), audit(storage_enabled=False)))
    assert wanted(rows) == {} and "Syslog.global.logDir" in by_hand(rows)


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ([], "ssl://log1.example.test:6514"),
        (["udp://log1.example.test:514"], "ssl://log1.example.test:6514"),
        (["ssl://LOG1.example.test:1514?formatter=RFC_5424", "tcp://other.test"],
         "ssl://LOG1.example.test:1514?formatter=RFC_5424"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("check", ["11.4.10-tls-forward", "11.4.11-remote-target"])
def test_logs_go_to_named_servers_over_tls_once_their_authority_is_there(check, now, then):
    assert wanted(planned(check, logs(hosts=now), options=PRESENT)) == {("option", "Syslog.global.logHost"): then}
    without = planned(check, logs(hosts=now))
    assert wanted(without) == {} and "log_authority_present: true" in by_hand(without)


def test_an_ipv6_server_is_in_brackets():
    rows = planned("11.4.11-remote-target", gold={"gold_log_servers": ["2001:db8::9"]}, options=PRESENT)
    assert wanted(rows) == {("option", "Syslog.global.logHost"): "ssl://[2001:db8::9]:6514"}


def test_no_server_is_refused_and_so_is_a_target_nobody_understands():
    with pytest.raises(Refusal, match="gold_log_servers is empty"):
        planned("11.4.11-remote-target", gold={"gold_log_servers": []})
    with pytest.raises(Refusal, match="is no log server"):
        planned("11.4.11-remote-target", logs(hosts=["ssl://a b"]))


def test_certificates_are_checked_only_once_the_authority_is_there():
    lax = logs(check_certificates=False, strict_x509=False)
    assert wanted(planned("11.4.10-tls-forward", lax)) == {}
    assert wanted(planned("11.4.10-tls-forward", lax, options=PRESENT)) == {
        ("option", "Syslog.global.certificate.checkSSLCerts"): True,
        ("option", "Syslog.global.certificate.strictX509Compliance"): True,
    }
    seven = planned("11.4.10-tls-forward", lax, release="7.0", options=PRESENT)
    assert wanted(seven) == {
        ("option", "Syslog.global.logCheckSSLCerts"): True, ("esxcli", "system syslog config.x509-strict"): True,
    }  # fmt: skip


def test_levels_filters_and_the_way_out():
    def closed(facts):
        next(entry for entry in facts["firewall"]["rulesets"] if entry["id"] == "syslog")["enabled"] = False

    quiet = options(Syslog__global__logLevel="error", Config__HostAgent__log__level="warning")
    rows = planned("11.4.10-level-filter", both(quiet, closed, logs(filters_enabled=True)))
    assert wanted(rows) == {
        ("option", "Syslog.global.logLevel"): "info", ("option", "Config.HostAgent.log.level"): "info",
        ("option", "Syslog.global.logFiltersEnable"): False, ("ruleset", "syslog"): True,
    }  # fmt: skip
    seven = wanted(planned("11.4.10-level-filter", logs(filters_enabled=True), release="7.0"))
    assert seven["esxcli", "system syslog config logfilter.enabled"] is False
    # More than gold asks for stays.
    assert planned("11.4.10-level-filter", options(Syslog__global__logLevel="debug")) == []


def clock(**values):
    return lambda facts: facts["logging"]["time_sync"].update(values)


def test_time_servers_are_for_a_person_to_name():
    rows = planned("11.4.10-level-filter", clock(active=False))
    assert wanted(rows) == {} and by_hand(rows).startswith("no time service is running: name at least 2 time servers")


def test_an_exception_for_one_of_them_leaves_the_others_to_be_set():
    check = "vsphere-11.4.10-level-filter"
    change = both(options(Syslog__global__logLevel="error"), clock(active=False))
    for item, left in (("clock", {("option", "Syslog.global.logLevel"): "info"}), ("log level", {})):
        asked = proposal.replace(situation(change, excepted={check: frozenset([item])}), checks=frozenset([check]))
        rows = list(proposal.propose("logging", asked, load_standard(), "vsphere").rows)
        assert wanted(rows) == left and ("time servers" in by_hand(rows)) is (item != "clock")


def test_time_servers_that_gold_names_take_the_place_of_too_few():
    servers = {"gold_time_servers": ["ntp1.example.test", "ntp2.example.test"]}
    assert wanted(planned("11.4.10-level-filter", clock(sources=["rogue.test"]), servers)) == {
        ("time_servers", ""): ["ntp1.example.test", "ntp2.example.test"],
        ("service_policy", "ntpd"): "on", ("service", "ntpd"): True, ("ruleset", "ntpClient"): True,
    }  # fmt: skip
    assert planned("11.4.10-level-filter", None, servers) == []
    with pytest.raises(Refusal, match="gold_time_servers names 1, expected at least 2"):
        planned("11.4.10-level-filter", clock(sources=[]), {"gold_time_servers": ["ntp1.example.test"]})
    # A pool counts as several, and a host that follows PTP is not turned to NTP.
    pool = {"gold_time_servers": ["pool.example.test"]}
    assert wanted(planned("11.4.10-level-filter", clock(sources=[]), pool))
    ptp = planned("11.4.10-level-filter", clock(program="ptpd", sources=[]), servers)
    assert wanted(ptp) == {} and "the host follows PTP" in by_hand(ptp)


def test_time_servers_that_the_firewall_keeps_away_are_let_through():
    def closed(facts):
        next(entry for entry in facts["firewall"]["rulesets"] if entry["id"] == "ntpClient")["enabled"] = False

    assert wanted(planned("11.4.10-level-filter", closed)) == {("ruleset", "ntpClient"): True}
