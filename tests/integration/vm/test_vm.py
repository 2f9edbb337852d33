# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The full VM: what no container can show, audited and broken."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted, breaks

# Building the image and its snapshot takes three minutes, emulated rounds one each.
pytestmark = pytest.mark.timeout(900)

ENTRIES = [entry for entry in breaks.load() if entry.variant == booted.VM]


@pytest.fixture(scope="module")
def rounds(vm_ready: None) -> breaks.Rounds:
    """All rounds, run when first asked for."""
    return breaks.Rounds(ENTRIES)


def test_the_machine_has_what_it_is_for(vm: booted.BootedHost) -> None:
    assert vm.run("mokutil --sb-state").strip() == "SecureBoot enabled"
    assert "[integrity]" in vm.run("cat /sys/kernel/security/lockdown")
    assert vm.run("cat /sys/class/tpm/tpm0/tpm_version_major").strip() == "2"
    assert "enabled 1" in vm.run("auditctl -s")
    assert vm.run("cat /proc/$(pgrep -o qemu-system)/attr/current").startswith("libvirt-")


def test_an_audit_knows_more_than_in_a_container(vm: booted.BootedHost) -> None:
    facts = vm.facts()
    assert facts["boot"]["secure_boot"] is True
    assert facts["boot"]["kernel_lockdown"] == "integrity"
    assert facts["boot"]["tpm"]["version"].startswith("2")
    # auditctl's own words: 1 is enabled, 2 enabled and locked.
    assert facts["logging"]["audit"]["enabled"] in ("1", "2")
    running = [domain for domain in facts["vms"] if domain["power"] == "running"]
    assert running
    assert all(domain["security"]["confined"] for domain in running)


def test_two_audits_contradict_each_other_nowhere(vm: booted.BootedHost) -> None:
    """Emulated, a part may run into its time limit; that makes its checks unknown, never something else."""
    first, second = ({r["check"]: r for r in vm.audit()["results"]} for _audit in range(2))
    differ = {check for check in first if first[check]["measured"] != second[check]["measured"]}
    told = {check: (first[check]["message"], second[check]["message"]) for check in differ}
    assert all("unknown" in (first[check]["measured"], second[check]["measured"]) for check in differ), told
    assert len(differ) < len(first) / 4, told


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_break(rounds: breaks.Rounds, entry: breaks.Entry) -> None:
    rounds.of(entry).judge(entry)
