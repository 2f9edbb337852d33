# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host's logs come to be sent, complete, and out of reach of those they are about."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import rsyslog_conf
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import audit_rules, log_forwarding, logging
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.host_side import (
    asked,
    kinds,
    situation,
)

GOLD = {"gold_log_servers": ["log1.example", "log2.example"], "gold_log_ca_file": "/etc/ssl/log/ca.pem"}
AUDITING = {
    "logging.audit.enabled": "1",
    "logging.audit.rules": [],
    "logging.audit.rules_configured": [],
    "logging.audit.service": {"installed": True, "active": True, "enabled": True, "refuses_stop": False},
}
RHEL = {
    "host.family": "rhel",
    "logging.rsyslog.drivers": ["ossl"],
    "logging.rsyslog.modules": ["imuxsock", "imjournal"],
}
PLAIN = {
    **{"host": "log1.example", "port": "514", "proto": "tcp", "tls": False, "driver": "ptcp", "mode": "0"},
    **{"auth_mode": "", "permitted_peers": [], "ca": "", "priority": "", "template": "", "selector": "*.*"},
    "queue": {"type": "", "filename": "", "save_on_shutdown": False},
    "source": "/etc/rsyslog.d/50-old.conf",
    "line": "*.* @@log1.example:514",
}


def by_path(rows):
    return {row["path"]: row for row in rows if "path" in row}


def targets(text):
    return rsyslog_conf.read(log_forwarding._Files(text)).targets


@pytest.mark.parametrize("planner", [logging.tls_forward, logging.remote_target])
def test_every_server_is_sent_to_as_the_audit_wants_it(planner):
    rows = planner(situation(gold=GOLD))
    found = targets(by_path(rows)[log_forwarding.FORWARD]["content"])
    assert [target["host"] for target in found] == GOLD["gold_log_servers"]
    for target in found:
        assert target["tls"]
        assert target["auth_mode"] == "x509/name"
        assert target["permitted_peers"] == [target["host"]]
        assert target["queue"]["save_on_shutdown"]
    assert found[0]["queue"]["filename"] != found[1]["queue"]["filename"]
    assert by_path(rows)[log_forwarding.FORWARD]["then"] == [
        {"run": ["rsyslogd", "-N1"], "undo": ["/bin/true"], "touches": []},
        {"restart": "rsyslog.service"},
    ]


def test_before_anything_is_written_the_servers_are_tried():
    row = logging.tls_forward(situation(gold=GOLD))[0]
    assert row["kind"] == "log_server"
    assert row["servers"][0] == {"host": "log1.example", "port": 6514, "name": "log1.example"}
    assert row["ca"] == "/etc/ssl/log/ca.pem"


def test_a_client_certificate_is_used_with_its_key():
    gold = {**GOLD, "gold_log_client_certificate": "/etc/ssl/me.pem", "gold_log_client_key": "/etc/ssl/me.key"}
    text = by_path(logging.tls_forward(situation(gold=gold)))[log_forwarding.FORWARD]["content"]
    assert 'StreamDriver.CertFile="/etc/ssl/me.pem"' in text
    assert 'StreamDriver.KeyFile="/etc/ssl/me.key"' in text
    with pytest.raises(Refusal, match="belong together"):
        logging.tls_forward(situation(gold={**gold, "gold_log_client_key": ""}))


def test_the_family_has_its_own_driver_and_spool():
    rows = logging.tls_forward(situation(RHEL, GOLD))
    text = by_path(rows)[log_forwarding.FORWARD]["content"]
    assert 'StreamDriver="ossl"' in text
    assert 'gnutlsPriorityString="MinProtocol=TLSv1.2"' in text
    assert 'queue.spoolDirectory="/var/lib/rsyslog"' in text


@pytest.mark.parametrize(
    ("facts", "gold", "words"),
    [
        ({}, {}, "gold_log_servers names no log server"),
        ({}, {"gold_log_servers": ["log1"]}, "gold_log_ca_file is empty"),
        ({"logging.rsyslog.drivers": []}, GOLD, "apt-get install rsyslog-gnutls"),
        ({"logging.rsyslog.drivers": [], "host.family": "rhel"}, GOLD, "dnf install rsyslog-gnutls"),
        ({"logging.rsyslog.configured": False}, GOLD, "rsyslog is not installed"),
    ],
)
def test_what_the_site_has_not_given_is_asked_for(facts, gold, words):
    rows = logging.tls_forward(situation(facts, gold))
    assert kinds(rows) == ["by_hand"]
    assert words in asked(rows)


def test_what_rsyslog_does_now_has_to_be_known():
    with pytest.raises(Refusal, match="could not be read"):
        logging.tls_forward(situation({"logging.rsyslog": None}, GOLD))


def test_an_address_needs_the_name_in_the_certificate():
    gold = {**GOLD, "gold_log_servers": ["192.0.2.10"]}
    with pytest.raises(Refusal, match="gold_log_peer_names"):
        logging.tls_forward(situation(gold=gold))
    rows = logging.tls_forward(situation(gold={**gold, "gold_log_peer_names": {"192.0.2.10": "log.example"}}))
    assert targets(by_path(rows)[log_forwarding.FORWARD]["content"])[0]["permitted_peers"] == ["log.example"]
    assert rows[0]["servers"] == [{"host": "192.0.2.10", "port": 6514, "name": "log.example"}]


def test_fingerprints_have_to_be_given():
    gold = {**GOLD, "gold_log_servers": ["log1"], "gold_log_auth_modes": ["x509/fingerprint"]}
    with pytest.raises(Refusal, match="no fingerprint of log1"):
        logging.tls_forward(situation(gold=gold))
    rows = logging.tls_forward(situation(gold={**gold, "gold_log_peer_names": {"log1": "SHA256:AB:CD"}}))
    assert rows[0]["fingerprints"] is True
    assert targets(by_path(rows)[log_forwarding.FORWARD]["content"])[0]["permitted_peers"] == ["SHA256:AB:CD"]


def test_a_setting_that_would_break_out_of_its_quotes_is_refused():
    with pytest.raises(Refusal, match="quote"):
        logging.tls_forward(situation(gold={**GOLD, "gold_log_ca_file": '/x" type="omfile'}))


def test_settings_with_which_the_audit_would_fail_are_refused():
    with pytest.raises(Refusal, match=r"the audit would still fail log1\.example"):
        logging.tls_forward(situation(gold={**GOLD, "gold_log_auth_modes": []}))


def test_a_plain_line_to_a_log_server_gives_way_and_others_stay():
    elsewhere = {**PLAIN, "host": "old.example", "source": "/etc/rsyslog.conf", "line": "*.* @@old.example:514"}
    spread = {**PLAIN, "source": "/etc/rsyslog.d/51.conf", "line": ""}
    rows = logging.tls_forward(situation({"logging.rsyslog.targets": [PLAIN, elsewhere, spread]}, GOLD))
    lines = [row for row in rows if row["kind"] == "lines"]
    assert [row["path"] for row in lines] == ["/etc/rsyslog.d/50-old.conf"]
    assert lines[0]["absent"] == [r"^\s*\*\.\*\ @@log1\.example:514\s*(#.*)?$"]
    assert "/etc/rsyslog.conf sends to old.example:514 in a way of its own" in asked(rows)
    assert "/etc/rsyslog.d/51.conf sends to log1.example:514" in asked(rows)


def test_a_server_the_site_serves_well_itself_is_left_alone():
    text = by_path(logging.tls_forward(situation(gold=GOLD)))[log_forwarding.FORWARD]["content"]
    own = [{**target, "source": "/etc/rsyslog.d/site.conf"} for target in targets(text)]
    facts = {"logging.rsyslog.targets": own, "logging.rsyslog.connected": ["6514"]}
    assert logging.remote_target(situation(facts, GOLD)) == []
    facts["logging.rsyslog.connected"] = []
    assert "no connection to log1.example:6514, log2.example:6514 stands" in asked(
        logging.remote_target(situation(facts, GOLD))
    )
    facts["logging.rsyslog.in_force"] = False
    assert kinds(logging.remote_target(situation(facts, GOLD))) == ["activate"]


def test_the_second_plan_is_the_first():
    first = logging.format_coverage(situation(AUDITING, GOLD))
    rows = by_path(first)
    again = rsyslog_conf.read(log_forwarding._Files(rows[log_forwarding.FORWARD]["content"])).targets
    facts = {
        **AUDITING,
        "logging.rsyslog.targets": again,
        "logging.rsyslog.connected": ["6514"],
        "logging.rsyslog.inputs": [{"type": "imfile", "file": logging.GUEST_LOGS, "source": logging.SOURCES}],
        "logging.rsyslog.loads": [{"module": "imfile", "source": logging.SOURCES}],
    }
    assert logging.format_coverage(situation(facts, GOLD)) == first


def test_guests_logs_and_audit_records_are_sent_too():
    rows = by_path(logging.format_coverage(situation(AUDITING, GOLD)))
    assert 'module(load="imfile")' in rows[logging.SOURCES]["content"]
    assert logging.GUEST_LOGS in rows[logging.SOURCES]["content"]
    assert logging.AUDIT_LOG not in rows[logging.SOURCES]["content"]
    assert rows["/etc/audit/plugins.d/syslog.conf"]["values"] == {"active": "yes"}
    assert "ForwardToSyslog=yes" in rows[logging.JOURNALD]["content"]


def test_without_the_plugin_rsyslog_reads_the_audit_log_itself():
    facts = {**AUDITING, "logging.audit.syslog_plugin": "", "logging.rsyslog.user": "syslog"}
    facts["logging.rsyslog.loads"] = [{"module": "imfile", "source": "/etc/rsyslog.d/site.conf"}]
    rows = logging.format_coverage(situation(facts, GOLD))
    text = by_path(rows)[logging.SOURCES]["content"]
    assert logging.AUDIT_LOG in text
    # rsyslog refuses to load a module twice.
    assert "module(" not in text
    assert "setfacl -R -m u:syslog:rX /var/log/libvirt/qemu && setfacl -R -m u:syslog:rX /var/log/audit" in asked(rows)


def test_a_host_that_reads_the_journal_needs_no_journald_setting():
    assert logging.JOURNALD not in by_path(logging.format_coverage(situation({**AUDITING, **RHEL}, GOLD)))


def test_people_s_changes_of_images_and_logging_are_recorded():
    row = by_path(logging.format_coverage(situation(AUDITING, GOLD)))[
        f"{audit_rules.RULES}/60-dwp-hypervisor-logging.rules"
    ]
    watched = [watch["path"] for watch in row["watches"]]
    assert {"/etc/libvirt", "/var/lib/libvirt/images", "/etc/rsyslog.d", "/etc/audit"} <= set(watched)
    assert all(watch["people_only"] for watch in row["watches"])
    assert row["pending"] == ""


def test_a_clock_with_too_few_sources_is_asked_for():
    facts = {**AUDITING, "logging.time_sync": {"program": "chrony", "active": True, "sources": ["server a"]}}
    assert "chrony follows 1 time sources: name 2" in asked(logging.format_coverage(situation(facts, GOLD)))
    facts["logging.time_sync"] = {"program": "", "active": False, "sources": []}
    assert "no time service runs" in asked(logging.format_coverage(situation(facts, GOLD)))


FILES = [
    {"path": "/var/log/auth.log", "what": "x", "type": "file", "mode": "0644", "uid": 0, "group": "adm"},
    {"path": "/var/log/syslog", "what": "x", "type": "file", "mode": "0660", "uid": 0, "group": "users"},
    {"path": "/var/log/kern.log", "what": "x", "type": "file", "mode": "0640", "uid": 0, "group": "adm"},
    {"path": "/var/log/libvirt", "what": "x", "type": "dir", "mode": "0777", "uid": 0, "group": "users"},
]


def test_only_files_that_are_too_open_are_closed():
    facts = {**AUDITING, "logging.files": FILES, "logging.sealing_key": True, "logging.journald": {"seal": "yes"}}
    rows = logging.perms_integrity(situation(facts))
    assert [(row["path"], row["mode"], row["group"]) for row in rows] == [
        ("/var/log/auth.log", "0640", ""),
        ("/var/log/syslog", "0640", "adm"),
        ("/var/log/libvirt", "0755", ""),
    ]
    rows = logging.perms_integrity(situation({**facts, "host.family": "rhel"}))
    assert rows[1]["group"] == "root"


def test_a_watch_on_the_logs_where_nothing_else_would_show_a_change():
    row = logging.perms_integrity(situation({**AUDITING, "logging.files": []}))[0]
    assert row["kind"] == "audit_rules"
    assert row["watches"] == [{"path": "/var/log", "people_only": True, "required": False}]


def test_without_auditing_sealing_is_what_a_person_has_to_do():
    rows = logging.perms_integrity(situation({"logging.files": []}))
    assert kinds(rows) == ["by_hand"]
    assert "journalctl --setup-keys --interval=15min" in asked(rows)


def test_locked_rules_wait_for_the_next_start():
    rows = logging.format_coverage(situation({**AUDITING, "logging.audit.enabled": "2"}, GOLD))
    row = next(row for row in rows if row["kind"] == "audit_rules")
    assert row["pending"] == "reboot"
    assert row["then"] == []


def test_the_lock_is_the_last_file_and_never_loaded_at_once():
    rows = logging.audit_immutable(situation(AUDITING))
    assert rows[0]["path"] == logging.LOCK
    assert rows[0]["content"].splitlines()[-1] == "-e 2"
    assert rows[0]["pending"] == "reboot"
    assert rows[0]["then"] == []
    # ls -v puts letters behind digits, and augenrules loads in that order.
    assert sorted(["99-finalize.rules", "zz-dwp-hypervisor-lock.rules"])[-1] == logging.LOCK.rpartition("/")[2]


def test_a_lock_that_is_written_already_waits_for_a_person():
    rows = logging.audit_immutable(situation({**AUDITING, "logging.audit.rules_configured": ["-D", "-e 2"]}))
    assert "restart the host" in asked(rows)
    assert rows[0]["pending"] == "reboot"


@pytest.mark.parametrize("planner", [logging.audit_immutable, logging.format_coverage])
def test_an_audit_system_that_is_not_there_is_asked_for(planner):
    missing = {"installed": False, "active": False, "enabled": False, "refuses_stop": False}
    rows = planner(situation({"logging.audit.service": missing, "logging.audit.enabled": "0"}, GOLD))
    assert "apt-get install auditd audispd-plugins" in asked(rows)
    rows = planner(situation({"logging.audit.enabled": "0"}, GOLD))
    assert "auditing is off or does not answer" in asked(rows)


def test_an_audit_system_nobody_could_ask_about_is_not_called_absent():
    with pytest.raises(Refusal, match="the state of auditd could not be read"):
        logging.audit_immutable(situation({"logging.audit.service": None, "logging.audit.enabled": "1"}))


def test_the_people_with_a_way_to_the_logs_are_named_with_it():
    rows = logging.operators_not_root(situation(gold={"gold_hypervisor_operators": ["oscar"]}))
    assert set(kinds(rows)) == {"by_hand"}
    assert "oscar: can alter the logs: is in group libvirt; enforce the access driver" in asked(rows)
    assert "alice: can alter the logs: sudo" in asked(rows)
    assert "a list of forbidden commands is no limit" in asked(rows)
