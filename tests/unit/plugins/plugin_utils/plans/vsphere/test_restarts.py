# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ESXi host takes up when it is started: options of the VMkernel, TLS profile, secure boot."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.vsphere.vsphere_side import (
    both,
    by_hand,
    options,
    planned,
    wanted,
)

REQUIRED = ("esxcli", "system settings encryption.require-secure-boot")
STORED = {"recovery_keys_stored": True}


def running(**values):
    """What the host has started with."""
    return lambda facts: facts["boot"]["options"].update(values)


def tls(**values):
    return lambda facts: facts["tls"].update(values)


@pytest.mark.parametrize(
    ("check", "name", "right"),
    [("11.1.2-iommu", "noIOMMU", False), ("11.2.1-exec-boot", "execInstalledOnly", True)],
)
def test_an_option_is_set_once_and_then_waits_for_a_restart(check, name, right):
    wrong = both(options(**{f"VMkernel__Boot__{name}": not right}), running(**{name: not right}))
    rows = planned(check, wrong)
    assert wanted(rows) == {("option", f"VMkernel.Boot.{name}"): right} and rows[0]["pending"] == "reboot"
    waits = planned(check, running(**{name: not right}))
    assert wanted(waits) == {} and by_hand(waits).startswith("restart the host: ") and waits[0]["pending"] == "reboot"


def test_an_iommu_that_the_firmware_has_off_is_for_a_person():
    rows = planned("11.1.2-iommu", lambda facts: facts["cpu"].update(iommu=False))
    assert wanted(rows) == {} and "firmware setup" in by_hand(rows)


def test_a_tls_profile_is_set_once_and_then_waits_for_a_restart():
    rows = planned("11.2.10-tls-server", tls(profile="COMPATIBLE"))
    assert wanted(rows) == {("esxcli", "system tls server.profile"): "NIST_2024"} and rows[0]["pending"] == "reboot"
    waits = planned("11.2.10-tls-server", tls(profile="COMPATIBLE", reboot_required=True))
    assert "restart the host: a TLS profile is set" in by_hand(waits)
    manual = planned("11.2.10-tls-server", tls(profile="MANUAL"))
    assert wanted(manual) == {} and "the TLS profile is MANUAL" in by_hand(manual)
    with pytest.raises(Refusal, match="gold_tls_profiles is empty"):
        planned("11.2.10-tls-server", gold={"gold_tls_profiles": []})


def test_old_protocols_are_added_to_those_that_are_off():
    some = options(UserVars__ESXiVPsDisabledProtocols="SSLv3, tlsv1.2")
    key = ("option", "UserVars.ESXiVPsDisabledProtocols")
    assert wanted(planned("11.2.10-tls-server", some)) == {key: "SSLv3,tlsv1.2,tlsv1,tlsv1.1"}
    assert wanted(planned("11.2.10-tls-server", some, release="7.0")) == {key: "SSLv3,tlsv1.2,tlsv1,tlsv1.1"}
    assert wanted(planned("11.2.10-tls-server", some, release="9.0")) == {}


def test_secure_boot_is_required_only_where_nothing_is_lost_by_it():
    def boot(mode="tpm", **values):
        def change(facts):
            facts["boot"]["encryption"].update(mode=mode, require_secure_boot=False)
            facts["boot"].update(values)

        return change

    check = "11.1.3-sb-enforced"
    rows = planned(check, boot(), options=STORED)
    assert wanted(rows) == {REQUIRED: True} and rows[0]["pending"] == "reboot"
    for change, more, why in (
        (boot(), {}, "hypervisor_options: {recovery_keys_stored: true}"),
        (boot(secure_boot=False), {"options": STORED}, "make sure that it has"),
        (boot(secure_boot=None), {"options": STORED}, "make sure that it has"),
        (boot(mode="none"), {"options": STORED}, "seal the configuration to the TPM first"),
    ):
        left = planned(check, change, **more)
        assert wanted(left) == {} and why in by_hand(left)


def test_machines_are_confined():
    assert wanted(planned("11.2.1-vmx-domain")) == {("esxcli", "system secpolicy domain.regularVMDom"): "enforcing"}
