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
    assert facts["logging"]["audit"]["enabled"] is True
    running = [domain for domain in facts["vms"] if domain["power"] == "on"]
    assert running
    assert all(domain["security"]["confined"] for domain in running)


def test_two_audits_say_the_same(vm: booted.BootedHost) -> None:
    first, second = vm.audit(), vm.audit()
    assert [(r["check"], r["measured"]) for r in first["results"]] == [
        (r["check"], r["measured"]) for r in second["results"]
    ]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_break(rounds: breaks.Rounds, entry: breaks.Entry) -> None:
    rounds.of(entry).judge(entry)
