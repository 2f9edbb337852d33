# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of the configuration are recorded, told and found."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import config_drift as drift
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.host_side import (
    asked,
    kinds,
    situation,
)

AUDITING = {
    "logging.audit.enabled": "1",
    "logging.audit.service": {"installed": True, "active": True, "enabled": True, "refuses_stop": False},
}
DAEMONS = [
    {"name": "libvirtd", "conf": "/etc/libvirt/libvirtd.conf", "audit_level": 0, "sockets": []},
    {"name": "virtproxyd", "conf": "/etc/libvirt/virtproxyd.conf", "audit_level": 1, "sockets": []},
]


def test_watches_for_writes_and_attributes_of_everybody():
    rows = drift.change_logged(situation({**AUDITING, "libvirt_daemons.daemons": []}))
    assert rows[0]["watches"] == [{"path": "/etc/libvirt", "people_only": False, "required": True}]
    assert rows[0]["path"] == "/etc/audit/rules.d/60-dwp-hypervisor-config.rules"
    # Only this file's rules are exchanged: augenrules --load would lock them all where -e 2 waits for the restart.
    assert rows[0]["then"][0]["run"][-2:] == ["dwp-hypervisor-config", rows[0]["path"]]
    assert "augenrules" not in str(rows[0]["then"])


def test_daemons_that_do_not_audit_are_told_to():
    rows = drift.change_logged(situation({**AUDITING, "libvirt_daemons.daemons": DAEMONS}))[1:]
    assert [(row["path"], row["values"]) for row in rows] == [("/etc/libvirt/libvirtd.conf", {"audit_level": "1"})]
    assert rows[0]["then"][0]["run"] == ["systemctl", "try-restart", "libvirtd.service"]


def test_locked_rules_are_pending():
    rows = drift.change_logged(situation({**AUDITING, "logging.audit.enabled": "2", "libvirt_daemons.daemons": []}))
    assert (rows[0]["pending"], rows[0]["then"]) == ("reboot", [])


def test_level_two_without_auditing_would_keep_the_daemons_down():
    facts = {"logging.audit.enabled": "0", "libvirt_daemons.daemons": DAEMONS}
    with pytest.raises(Refusal, match="do not start while auditing is off"):
        drift.change_logged(situation(facts, {"gold_libvirt_audit_level": 2}))


def test_who_is_told_is_the_site_s():
    assert "declare it: gold_notify" in asked(drift.change_notified(situation()))
    rows = drift.change_notified(situation(gold={"gold_notify": {"target": "soc", "tested_on": "2020-01-01"}}))
    assert "test that soc is told of a change (once in 90 days)" in asked(rows)


def tool(**others):
    return {"drift.tools": [{"id": "aide", "program": "/usr/bin/aide", "reference": "", "scheduled": False, **others}]}


def test_aide_gets_a_reference_of_its_own_and_a_timer():
    rows = drift.native_tool(situation(tool()))
    assert [row["path"] for row in rows] == [
        "/etc/aide/dwp-hypervisor.conf",
        "/etc/systemd/system/dwp-hypervisor-aide.service",
        "/etc/systemd/system/dwp-hypervisor-aide.timer",
        "/etc/systemd/system/timers.target.wants/dwp-hypervisor-aide.timer",
    ]
    assert "database_in=file:/var/lib/aide/dwp-hypervisor.db\n" in rows[0]["content"]
    assert rows[0]["then"][0]["touches"] == ["/var/lib/aide/dwp-hypervisor.db"]
    # Taken back, no command makes it again.
    assert rows[0]["then"][0]["undo"] == ["true"]
    assert "--config=/etc/aide/dwp-hypervisor.conf --check" in rows[1]["content"]


def test_aide_of_rhel_spells_its_database_in_the_old_way():
    rows = drift.native_tool(situation({**tool(), "host.family": "rhel"}))
    assert "\ndatabase=file:/var/lib/aide/dwp-hypervisor.db\n" in rows[0]["content"]


def test_a_reference_of_the_site_s_is_only_scheduled():
    rows = drift.native_tool(situation(tool(reference="/var/lib/aide/aide.db")))
    assert len(rows) == 3
    assert "--config=/etc/aide/aide.conf --check" in rows[0]["content"]


def test_nothing_is_downloaded():
    rows = drift.native_tool(situation(tool(program="")))
    assert kinds(rows) == ["by_hand"]
    assert "apt-get install aide" in asked(rows)
