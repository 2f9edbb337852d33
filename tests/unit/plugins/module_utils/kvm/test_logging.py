# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import audit, clock, integrity, logging
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost


def journald(**files):
    return logging.journald_settings(FakeHost(files={"/etc/systemd/journald.conf": "[Journal]\n#Seal=no\n", **files}))


def test_journald_defaults_hold_where_nothing_is_set():
    assert journald() == {"storage": "auto", "seal": "yes", "forwardtosyslog": "no", "maxlevelstore": "debug"}


def test_whether_journald_was_built_to_forward_is_shown_in_a_comment():
    shipped = "[Journal]\n#ForwardToSyslog=yes\n#Seal=no\n"
    found = journald(**{"/etc/systemd/journald.conf": shipped})
    assert (found["forwardtosyslog"], found["seal"]) == ("yes", "yes")
    found = journald(**{"/etc/systemd/journald.conf": shipped + "ForwardToSyslog=no\n"})
    assert found["forwardtosyslog"] == "no"


def test_journald_drop_ins_win_by_name_and_etc_hides_usr():
    found = journald(
        **{
            "/usr/lib/systemd/journald.conf.d/50-a.conf": "[Journal]\nSeal=no\nStorage=volatile\n",
            "/etc/systemd/journald.conf.d/50-a.conf": "[Journal]\nSeal=no\n",
            "/etc/systemd/journald.conf.d/60-b.conf": "[Journal]\nForwardToSyslog=yes\n",
        }
    )
    assert (found["seal"], found["storage"], found["forwardtosyslog"]) == ("no", "auto", "yes")


def test_only_named_files_are_looked_at_with_their_groups():
    host = FakeHost(
        files={"/etc/group": "root:x:0:\nadm:x:4:\n", "/var/log/auth.log": "", "/var/log/dpkg.log": ""},
        stats={"/var/log/auth.log": {"mode": "0640", "gid": 4}, "/var/log/syslog": {"mode": "0644", "gid": 77}},
    )
    found = {entry["path"]: (entry["mode"], entry["group"]) for entry in logging.files(host)}
    assert found == {"/var/log/auth.log": ("0640", "adm"), "/var/log/syslog": ("0644", "77")}


def test_connections_are_found_by_port_in_both_families():
    tcp = (
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:9C40 0A0200C0:1972 01 00000000\n"
        "   1: 0100007F:0016 00000000:0000 0A 0\n"
    )
    host = FakeHost(files={"/proc/net/tcp": tcp})
    targets = [{"port": "6514", "proto": "tcp"}, {"port": "7000", "proto": "tcp"}, {"port": "514", "proto": "udp"}]
    assert logging.connected(host, targets) == ["6514"]


def test_a_configuration_younger_than_the_process_is_not_in_force():
    files = {
        "/etc/rsyslog.conf": "",
        "/proc/uptime": "5000.0 1.0\n",
        "/proc/42/stat": "42 (rsyslogd) S " + "0 " * 18 + "100000 0\n",
    }
    units = {"rsyslog.service": {"MainPID": "42"}}
    started = 1_800_000_000.0 - 5000 + 1000
    for age, expected in ((-60, True), (60, False)):
        host = FakeHost(files=files, stats={"/etc/rsyslog.conf": {"mtime": started + age}})
        assert logging.in_force(host, ["/etc/rsyslog.conf"], units) is expected
    with pytest.raises(Unreadable):
        logging.in_force(FakeHost(files=files), ["/etc/rsyslog.conf"], None)


SERVICE = {"installed": True, "active": True, "enabled": True, "refuses_stop": True}


def test_audit_state_and_rules():
    host = FakeHost(
        files={
            "/etc/audit/rules.d/10-a.rules": "-D\n# comment\n-w /etc/libvirt -p wa\n",
            "/etc/audit/rules.d/99-z.rules": "-e 2\n",
            "/etc/audit/plugins.d/syslog.conf": "active = yes\n",
            "/etc/audit/plugins.d/af_unix.conf": "active = no\n",
        },
        commands={"auditctl -s": (0, "enabled 2\nfailure 1\n", ""), "auditctl -l": (0, "-w /etc/libvirt -p wa\n", "")},
    )
    assert audit.enabled(host, SERVICE) == "2"
    assert audit.rules(host, SERVICE) == ["-w /etc/libvirt -p wa"]
    assert audit.rules_configured(host) == ["-D", "-w /etc/libvirt -p wa", "-e 2"]
    assert audit.plugins(host) == ["syslog"]


@pytest.mark.parametrize("answer", [(0, "", ""), (0, "Keine Regeln\n", ""), (1, "", "Operation not permitted")])
def test_audit_answers_nobody_understands_are_unreadable(answer):
    host = FakeHost(commands={"auditctl -s": answer, "auditctl -l": answer})
    for read in (audit.enabled, audit.rules):
        with pytest.raises(Unreadable):
            read(host, SERVICE)


def test_no_rules_is_an_answer():
    assert audit.rules(FakeHost(commands={"auditctl -l": (0, "No rules\n", "")}), SERVICE) == []


def test_time_sources_of_both_programs():
    host = FakeHost(
        files={
            "/etc/chrony/chrony.conf": "pool 2.debian.pool.ntp.org iburst\n#server no\n",
            "/etc/chrony/sources.d/site.sources": "server ntp1 iburst\n",
            "/etc/systemd/timesyncd.conf": "[Time]\nNTP=a b\n",
        }
    )
    assert clock.sources(host, "chrony") == ["2.debian.pool.ntp.org", "ntp1"]
    assert clock.sources(host, "systemd-timesyncd") == ["a", "b"]


def test_the_running_time_service_is_the_one():
    units = {
        "ntpsec.service": {"ActiveState": "inactive", "UnitFileState": "disabled"},
        "chrony.service": {"ActiveState": "active", "UnitFileState": "enabled"},
    }
    assert clock.chosen(units) == ("chrony", True, True)
    assert clock.chosen({}) == ("", False, False)
    assert clock.chosen(None) == (None, None, None)


def test_a_tool_has_a_reference_and_a_schedule():
    host = FakeHost(files={"/var/lib/aide/aide.db.gz": "x", "/etc/cron.daily/aide": "x"})
    found = integrity.describe(host, "aide", *integrity.TOOLS["aide"], {})
    assert (found["reference"], found["scheduled"]) == ("/var/lib/aide/aide.db.gz", True)
