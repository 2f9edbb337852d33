# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""guest_protection: anti-malware and intrusion detection as systemd and their own files show them."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import guest_protection as part
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

NOW = 1_800_000_000.0
COMMAND = " ".join(systemd.command(part.UNITS))


def systemctl(**known):
    """What systemctl show prints when only these units are installed: {unit: (active, enabled)}."""
    found = {name.replace("__", "-").replace("_", "."): states for name, states in known.items()}
    blocks = []
    for unit in part.UNITS:
        active, enabled = found.get(unit, ("inactive", ""))
        load = "loaded" if unit in found else "not-found"
        blocks.append(f"Id={unit}\nLoadState={load}\nActiveState={active}\nUnitFileState={enabled}\n")
    return {COMMAND: (0, "\n".join(blocks), "")}


def collect(commands, **files):
    notes = []
    host = FakeHost(files=files.pop("files", {}), commands=commands, now=NOW, **files)
    return part.collect(host, lambda path, reason: notes.append((path, reason))), notes


def test_clamav_reads_the_build_time_and_not_the_files_time():
    header = f"ClamAV-VDB:23 Nov 2026 08-00 +0000:27000:2000000:90:md5:sig:builder:{int(NOW) - 7200}   "
    facts, notes = collect(
        systemctl(clamav__freshclam_service=("active", "enabled"), clamav__daemon_service=("active", "enabled")),
        files={"/var/lib/clamav/daily.cld": header},
    )
    assert notes == []
    assert facts["av"] == {
        "engine": "clamav",
        "running": True,
        "auto_update": True,
        "sig_age_h": 2.0,
        "source": "clamav-freshclam.service",
    }


@pytest.mark.parametrize("states", [("active", "disabled"), ("inactive", "enabled"), ("failed", "enabled")])
def test_an_updater_that_does_not_run_or_survive_a_reboot_does_not_count(states):
    facts, _notes = collect(systemctl(clamav__freshclam_service=states))
    assert facts["av"]["engine"] == "clamav" and facts["av"]["auto_update"] is False and facts["av"]["sig_age_h"] == -1


def test_a_cron_job_updates_too_unless_it_is_a_comment():
    scanner = systemctl(clamav__daemon_service=("active", "enabled"))
    facts, _notes = collect(scanner, files={"/etc/cron.d/clamav": "0 * * * * root /usr/bin/freshclam\n"})
    assert facts["av"]["auto_update"] and facts["av"]["source"] == "/etc/cron.d/clamav"
    facts, _notes = collect(scanner, files={"/etc/cron.d/clamav": "# 0 * * * * root /usr/bin/freshclam\n"})
    assert not facts["av"]["auto_update"]


def test_agents_and_nothing():
    facts, _notes = collect(systemctl(falcon__sensor_service=("active", "enabled")))
    assert (facts["av"]["engine"], facts["av"]["running"], facts["av"]["sig_age_h"]) == ("CrowdStrike Falcon", True, -1)
    facts, _notes = collect(systemctl())
    assert facts["av"]["engine"] == "" and facts["ids"]["engine"] == ""


def test_suricata_on_its_interfaces():
    yaml = "vars:\n  x: y\naf-packet:\n  - interface: virbr0\n    threads: 2\n  - interface: default\n"
    yaml += "pcap:\n  - interface: eth9\n"
    facts, notes = collect(
        systemctl(suricata_service=("active", "enabled"), suricata__update_timer=("active", "enabled")),
        files={"/etc/suricata/suricata.yaml": yaml, "/var/lib/suricata/rules/suricata.rules": "alert"},
        stats={"/var/lib/suricata/rules/suricata.rules": {"mtime": NOW - 36000}},
    )
    assert notes == []
    assert facts["ids"] == {
        "engine": "suricata",
        "running": True,
        "auto_update": True,
        "sig_age_h": 10.0,
        "source": "suricata-update.timer",
        "interfaces": ["virbr0"],
    }


@pytest.mark.parametrize(
    "answer",
    [(1, "", "Failed to connect to bus"), (0, "", ""), (0, "Zugriff verweigert\n", ""), Unreadable("no answer")],
)
def test_no_answer_is_unknown(answer):
    facts, notes = collect({COMMAND: answer})
    assert facts == {"av": None, "ids": None}
    assert {path for path, _reason in notes} == {"av", "ids"}


def test_unreadable_signatures_are_unknown_and_not_absent():
    facts, notes = collect(
        systemctl(clamav__freshclam_service=("active", "enabled")),
        files={"/var/lib/clamav/daily.cvd": Unreadable("denied")},
    )
    assert facts["av"] is None and notes == [("av", "denied")]
