# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part boot: EFI variables, TPM, lockdown, kernel arguments now and at the next boot, loaded drivers."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import boot
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

SECURE_BOOT = f"{boot.EFIVARS}/SecureBoot-{boot.EFI_GLOBAL}"
MOK_STATE = f"{boot.EFIVARS}/MokSBState-{boot.EFI_SHIM}"
KEYLIME = " ".join(systemd.command([boot.ATTESTATION_AGENT]))


def collected(files=None, commands=None, **more):
    notes = {}
    base = {
        "/proc/cmdline": "quiet cryptkey=geheim module.sig_enforce=1",
        "/proc/sys/kernel/tainted": "0\n",
        "/proc/sys/kernel/osrelease": "6.1.0-31-amd64\n",
        "/boot/vmlinuz-6.1.0-31-amd64": "",
        "/lib/modules/6.1.0-31-amd64/modules.dep": "",
        boot.SECURITYFS + "/lockdown": "none [integrity] confidentiality\n",
    }
    host = FakeHost(
        files={**base, **(files or {})},
        commands={
            KEYLIME: (0, "Id=keylime_agent.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n", ""),
            **(commands or {}),
        },
        **more,
    )
    facts = boot.collect(host, notes.setdefault)
    return facts, notes


def test_a_host_without_uefi_has_every_flag_off():
    facts, notes = collected()
    assert not [path for path in notes if path.startswith(("boot.secure", "boot.setup", "boot.shim"))]
    flags = ("uefi", "secure_boot", "setup_mode", "shim_validation_disabled")
    assert [facts["boot"][name] for name in flags] == [False] * 4


def test_efi_variables_carry_their_value_behind_four_bytes():
    on, off = b"\x06\0\0\0\x01", b"\x06\0\0\0\0"
    facts, _notes = collected({SECURE_BOOT: on, MOK_STATE: off})
    assert (facts["boot"]["secure_boot"], facts["boot"]["shim_validation_disabled"]) == (True, False)
    assert facts["boot"]["setup_mode"] is False, "a variable that does not exist is off"
    facts, notes = collected({SECURE_BOOT: b"\x01"})
    assert facts["boot"]["secure_boot"] is None and "expected 5" in notes["boot.secure_boot"]
    facts, notes = collected({}, dirs=["/sys/firmware/efi", boot.EFIVARS])
    assert facts["boot"]["secure_boot"] is None and "not mounted" in notes["boot.secure_boot"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[none] integrity confidentiality", "none"), ("none [integrity] x", "integrity"), ("none integrity", None)],
)
def test_lockdown_is_the_word_in_brackets(text, expected):
    facts, notes = collected({boot.SECURITYFS + "/lockdown": text})
    assert facts["boot"]["kernel_lockdown"] == expected
    assert ("boot.kernel_lockdown" in notes) is (expected is None)


def test_without_securityfs_lockdown_is_unknown_and_not_none():
    host = FakeHost(files={"/proc/modules": ""}, dirs=[boot.SECURITYFS])
    with pytest.raises(Unreadable, match="not mounted"):
        boot.kernel_lockdown(host)


@pytest.mark.parametrize(("value", "expected"), [("Y\n", True), ("N\n", False), ("?", None)])
def test_sig_enforce(value, expected):
    facts, notes = collected({"/sys/module/module/parameters/sig_enforce": value, "/proc/modules": ""})
    assert facts["boot"]["module_sig_enforce"] is expected
    assert ("boot.module_sig_enforce" in notes) is (expected is None)


def test_only_arguments_that_matter_leave_the_host():
    assert collected()[0]["boot"]["arguments"] == ["module.sig_enforce=1"]


def test_the_next_boot_is_what_the_loader_reads_and_not_its_sources():
    source = {"/etc/default/grub": 'GRUB_CMDLINE_LINUX="module.sig_enforce=1"\n'}
    assert collected(source)[0]["boot"]["arguments_configured"] == ["module.sig_enforce=1"]
    stale = {**source, "/boot/grub/grub.cfg": "linux /vmlinuz root=/dev/sda1 quiet\n"}
    assert collected(stale)[0]["boot"]["arguments_configured"] == []
    entry = {**source, "/boot/loader/entries/a.conf": "options root=UUID=1 lockdown=integrity\n"}
    assert collected(entry)[0]["boot"]["arguments_configured"] == ["lockdown=integrity"]
    commented = {"/etc/default/grub": '#GRUB_CMDLINE_LINUX="module.sig_enforce=1"\n'}
    assert collected(commented)[0]["boot"]["arguments_configured"] == []


def test_a_kernel_counts_with_its_modules_and_a_rescue_image_does_not():
    files = {
        "/boot/vmlinuz-6.1.0-30-amd64": "",
        "/boot/vmlinuz-0-rescue-abc": "",
        "/lib/modules/0-rescue-abc/x": "",
        "/boot/vmlinuz-6.1.0-29-amd64": "",
        "/usr/lib/modules/6.1.0-29-amd64/modules.dep": "",
    }
    assert collected(files)[0]["boot"]["kernels"] == ["6.1.0-29-amd64", "6.1.0-31-amd64"]


def test_enforcement_that_is_built_in():
    path = "/boot/config-6.1.0-31-amd64"
    assert collected({path: "CONFIG_MODULE_SIG_FORCE=y\n"})[0]["boot"]["module_sig_forced"] is True
    assert collected({path: "# CONFIG_MODULE_SIG_FORCE is not set\n"})[0]["boot"]["module_sig_forced"] is False


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("0", False), ("x", None)])
def test_selinux(text, expected):
    facts, notes = collected({"/sys/fs/selinux/enforce": text})
    assert facts["boot"]["selinux_enforcing"] is expected
    assert ("boot.selinux_enforcing" in notes) is (expected is None)
    assert collected()[0]["boot"]["selinux_enforcing"] is False


def test_private_signing_keys_are_named_and_not_read():
    facts, _notes = collected({"/var/lib/dkms/mok.key": Unreadable("never read")})
    assert facts["boot"]["mok_private_keys"] == ["/var/lib/dkms/mok.key"]


def test_drivers_with_signer_and_flags():
    modules = "kvm 1 0 - Live 0x0\nzfs 1 0 - Live 0x0 (POE)\nnf-tables 1 0 - Live 0x0\n"
    modinfo = (
        "filename: /lib/kvm.ko.xz\nname: kvm\nsigner: Debian Secure Boot CA\nfilename: /lib/zfs.ko\nname: zfs\n"
        "filename: /lib/nf-tables.ko\nname: nf_tables\nsigner: Debian Secure Boot CA\n"
    )
    facts, notes = collected({"/proc/modules": modules}, {"modinfo kvm zfs nf-tables": (1, modinfo, "")})
    assert "drivers" not in notes
    found = {driver["name"]: driver for driver in facts["drivers"]}
    assert found["kvm"] == {
        "name": "kvm", "signer": "Debian Secure Boot CA", "signed": True, "out_of_tree": False, "forced": False,
    }  # fmt: skip
    assert (found["zfs"]["signed"], found["zfs"]["out_of_tree"], found["zfs"]["signer"]) == (False, True, "")
    assert found["nf-tables"]["signer"] == "Debian Secure Boot CA"


def test_drivers_nobody_describes_are_unknown():
    facts, notes = collected({"/proc/modules": "kvm 1 0 - Live 0x0\n"}, {"modinfo kvm": (1, "", "not found")})
    assert facts["drivers"] is None and "described none" in notes["drivers"]


def test_a_kernel_without_modules_has_no_drivers_and_enforces():
    facts, _notes = collected()
    assert (facts["boot"]["modules_loadable"], facts["boot"]["module_sig_enforce"], facts["drivers"]) == (
        False,
        True,
        [],
    )


def test_tpm():
    facts, notes = collected()
    assert facts["boot"]["tpm"] == {"present": False, "version": "", "event_log": False, "pcr0": ""}
    files = {
        boot.TPM + "/tpm_version_major": "2\n",
        boot.TPM + "/pcr-sha256/0": "AB" * 32,
        boot.SECURITYFS + "/tpm0/binary_bios_measurements": b"\x01",
    }
    facts, notes = collected(files)
    assert facts["boot"]["tpm"] == {"present": True, "version": "2", "event_log": True, "pcr0": "ab" * 32}
    facts, notes = collected({boot.TPM + "/pcr-sha256/0": "short"})
    assert facts["boot"]["tpm"]["pcr0"] is None and facts["boot"]["tpm"]["version"] is None
    assert {"boot.tpm.pcr0", "boot.tpm.version"} <= set(notes)


def test_attestation_agent():
    assert collected()[0]["boot"]["attestation_agent"] == {"active": True, "enabled": True}
    facts, notes = collected(commands={KEYLIME: (0, "", "")})
    assert (
        facts["boot"]["attestation_agent"] is None
        and "did not answer for keylime_agent.service" in notes["boot.attestation_agent"]
    )
