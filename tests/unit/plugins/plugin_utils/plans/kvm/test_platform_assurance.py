# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is a hypervisor and nothing else: all of it written, none of it in force before the next start."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import platform_assurance as platform
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.host_side import (
    asked,
    kinds,
    situation,
)

POSITION = {"gold_kvm_type_position": "type1_minimised_host"}


def test_a_desktop_host_becomes_a_server_at_its_next_start():
    facts = {
        "host.default_target": "graphical.target",
        "host.display_manager": "gdm.service",
        "host.other_hypervisors": ["vboxdrv"],
    }
    rows = platform.host_minimised(situation(facts, POSITION))
    assert kinds(rows) == ["link", "unit", "file"]
    assert all(row["pending"] == "reboot" for row in rows)
    assert rows[0]["target"].endswith("/multi-user.target")
    assert (rows[1]["name"], rows[1]["masked"], rows[1]["active"]) == ("gdm.service", True, None)
    assert "blacklist vboxdrv\ninstall vboxdrv /bin/false\n" in rows[2]["content"]


def test_the_position_is_a_person_s():
    facts = {"host.default_target": "multi-user.target", "host.display_manager": "", "host.other_hypervisors": []}
    rows = platform.host_minimised(situation(facts))
    assert kinds(rows) == ["by_hand"]
    assert "gold_kvm_type_position: type1_minimised_host" in asked(rows)


def test_emulated_machines_and_firmware_are_left_to_people():
    facts = {"cpu.dev_kvm": False, "vms": [{"id": "u1", "name": "old", "type": "qemu"}, {"id": "u2", "type": "kvm"}]}
    rows = platform.accelerated(situation(facts))
    assert "/dev/kvm is absent" in asked(rows)
    assert "old (u1) runs with type=qemu" in asked(rows)
    assert "u2" not in asked(rows)


@pytest.mark.parametrize(("module", "option"), [("kvm_intel", "ept=1"), ("kvm_amd", "npt=1")])
def test_nested_pages_are_on_by_the_last_file_of_modprobe(module, option):
    rows = platform.slat(situation({"cpu.kvm_module": module, "boot.arguments": []}))
    assert rows[0]["path"] == "/etc/modprobe.d/zz-dwp-hypervisor-nested-pages.conf"
    assert rows[0]["content"].endswith(f"options {module} {option}\n")
    assert rows[0]["pending"] == "reboot"


def test_an_argument_of_the_kernel_beats_every_file():
    rows = platform.slat(situation({"cpu.kvm_module": "kvm_intel", "boot.arguments": ["kvm-intel.ept=0"]}))
    assert "take kvm-intel.ept=0 out of the kernel's arguments" in asked(rows)


def test_nested_guests_are_off_in_a_file_of_its_own():
    rows = platform.nested_off(situation({"cpu.kvm_module": "kvm_amd"}))
    assert rows[0]["path"].endswith("zz-dwp-hypervisor-nested-guests.conf")
    assert rows[0]["content"].endswith("options kvm_amd nested=0\n")


@pytest.mark.parametrize("planner", [platform.slat, platform.nested_off])
def test_without_a_module_nobody_knows_which_to_set(planner):
    with pytest.raises(Refusal, match="neither kvm_intel nor kvm_amd"):
        planner(situation({"cpu.kvm_module": ""}))


def test_the_iommu_needs_an_argument_on_intel_only():
    facts = {"boot.arguments_configured": []}
    rows = platform.iommu(situation({**facts, "cpu.kvm_module": "kvm_intel"}))
    assert kinds(rows) == ["file", "file", "by_hand"]
    assert "intel_iommu=on" in rows[1]["content"]
    assert rows[1]["path"].endswith("60-dwp-hypervisor-iommu.cfg")
    assert kinds(platform.iommu(situation({**facts, "cpu.kvm_module": "kvm_amd"}))) == ["by_hand"]


def test_ima_has_a_file_of_its_own_beside_the_iommu():
    rows = platform.ima(situation({"boot.arguments_configured": ["intel_iommu=on"]}))
    assert rows[1]["path"].endswith("60-dwp-hypervisor-ima.cfg")
    assert "intel_iommu" not in rows[1]["content"]
    assert "ima_policy=tcb" in rows[1]["content"]
    rhel = platform.ima(situation({"boot.arguments_configured": [], "host.family": "rhel"}))
    assert rhel[0]["then"][0]["run"][-1] == "--args=ima_policy=tcb"


def test_another_ima_policy_is_a_decision():
    assert "decide" in asked(platform.ima(situation({"boot.arguments_configured": ["ima_policy=appraise_tcb"]})))


def test_attestation_belongs_to_the_verifier():
    rows = platform.attestation(situation({"boot.attestation_agent": {"active": False, "enabled": False}}))
    assert "install the keylime agent" in asked(rows)
    rows = platform.attestation(situation({"boot.attestation_agent": {"active": True, "enabled": True}}))
    assert asked(rows) == "feed the verifier's latest answer into the audit: gold_attestation_evidence"
