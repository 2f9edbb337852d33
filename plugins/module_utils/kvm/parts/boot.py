# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""boot: measured and secure boot, the kernel's guard against unsigned drivers, and the drivers that are loaded."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

EFIVARS = "/sys/firmware/efi/efivars"
# EFI variable: (name, vendor GUID). The GUIDs are the UEFI specification's global variable and shim's own.
EFI_GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
EFI_SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"
TPM = "/sys/class/tpm/tpm0"
SECURITYFS = "/sys/kernel/security"
# Where distributions' tools leave the private half of a Machine Owner Key (shim-signed, dkms, akmods).
MOK_PRIVATE_KEYS = (
    "/var/lib/shim-signed/mok/MOK.priv",
    "/var/lib/dkms/mok.key",
    "/etc/pki/akmods/private/private_key.priv",
    "/root/MOK.priv",
)
# What the boot loader reads at the next boot. The sources these are made from prove nothing until update-grub has run.
LOADER_FILES = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/grub2/grubenv")
LOADER_ENTRIES = ("/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries")
# Sources, for hosts whose boot loader keeps its files where they cannot be found (a unified kernel image, for example).
ARGUMENT_SOURCES = ("/etc/default/grub", "/etc/kernel/cmdline")
MODULE_DIRECTORIES = ("/lib/modules/", "/usr/lib/modules/")
# Arguments that matter to a check. Others may carry secrets (a LUKS key file, iSCSI credentials) and stay on the host.
ARGUMENTS = re.compile(
    r"\b(module\.sig_enforce(?:=\S+)?|lockdown=\S+|ima_policy=\S+|ima_appraise=\S+|(?:intel|amd)_iommu=\S+|iommu=\S+"
    r"|mitigations=\S+|nosmt\S*|kvm[-_](?:intel|amd)\.\S+|module_blacklist=\S+)"
)
ATTESTATION_AGENT = "keylime_agent.service"
MAX_MODULES = 1000


def collect(host, note):
    """Return the branches boot and drivers."""
    uefi = attempt(note, "boot.uefi", lambda: host.exists("/sys/firmware/efi"))
    boot = {
        "uefi": uefi,
        "secure_boot": attempt(note, "boot.secure_boot", lambda: efi_flag(host, uefi, "SecureBoot", EFI_GLOBAL)),
        "setup_mode": attempt(note, "boot.setup_mode", lambda: efi_flag(host, uefi, "SetupMode", EFI_GLOBAL)),
        "shim_validation_disabled": attempt(
            note, "boot.shim_validation_disabled", lambda: efi_flag(host, uefi, "MokSBState", EFI_SHIM)
        ),
        "mok_private_keys": attempt(
            note, "boot.mok_private_keys", lambda: [p for p in MOK_PRIVATE_KEYS if host.exists(p)]
        ),
        "tpm": tpm(host, note),
        "ima_measurements": attempt(note, "boot.ima_measurements", lambda: ima_measurements(host)),
        "attestation_agent": attempt(note, "boot.attestation_agent", lambda: attestation_agent(host)),
        "kernel_lockdown": attempt(note, "boot.kernel_lockdown", lambda: kernel_lockdown(host)),
        "modules_loadable": attempt(note, "boot.modules_loadable", lambda: host.exists("/proc/modules")),
        "arguments": attempt(note, "boot.arguments", lambda: ARGUMENTS.findall(host.read("/proc/cmdline"))),
        "arguments_configured": attempt(note, "boot.arguments_configured", lambda: arguments_configured(host)),
        "kernels": attempt(note, "boot.kernels", lambda: kernels(host)),
        "tainted": attempt(note, "boot.tainted", lambda: tainted(host)),
        "module_sig_forced": attempt(note, "boot.module_sig_forced", lambda: module_sig_forced(host)),
        "selinux_enforcing": attempt(note, "boot.selinux_enforcing", lambda: selinux_enforcing(host)),
    }
    boot["module_sig_enforce"] = attempt(
        note, "boot.module_sig_enforce", lambda: module_sig_enforce(host, boot["modules_loadable"])
    )
    return {"boot": boot, "drivers": attempt(note, "drivers", lambda: drivers(host, boot["modules_loadable"]))}


def efi_flag(host, uefi, name, guid):
    """The last byte of a one-byte EFI variable behind its four attribute bytes (efivarfs); False without UEFI.

    A variable that does not exist while efivarfs is mounted is off; without efivarfs nothing is known.
    """
    if uefi is None:
        raise Unreadable("whether the host booted with UEFI is unknown")
    if not uefi:
        return False
    if not host.list(EFIVARS):
        raise Unreadable("%s is empty: efivarfs is not mounted" % EFIVARS)
    try:
        data = host.read_bytes("%s/%s-%s" % (EFIVARS, name, guid), 64)
    except Absent:
        return False
    if len(data) != 5:
        raise Unreadable("EFI variable %s has %d bytes, expected 5" % (name, len(data)))
    return data[4] == 1


def tpm(host, note):
    present = attempt(note, "boot.tpm.present", lambda: host.exists(TPM))
    if not present:
        known = present is not None
        return {
            "present": present,
            "version": "" if known else None,
            "event_log": False if known else None,
            "pcr0": "" if known else None,
        }
    return {
        "present": True,
        # The file needs kernel 5.6; where it is absent the version is unknown, not 1.2.
        "version": attempt(note, "boot.tpm.version", lambda: digits(host, TPM + "/tpm_version_major")),
        # securityfs reports size 0 for every file: only reading a byte proves content (amendments.md).
        "event_log": attempt(note, "boot.tpm.event_log", lambda: event_log(host)),
        "pcr0": attempt(note, "boot.tpm.pcr0", lambda: pcr0(host)),
    }


def digits(host, path):
    value = host.read(path).strip()
    if not value.isdigit():
        raise Unreadable("%s holds %r" % (path, value[:20]))
    return value


def event_log(host):
    require_securityfs(host)
    try:
        return bool(host.head(SECURITYFS + "/tpm0/binary_bios_measurements", 1))
    except Absent:
        return False


def pcr0(host):
    """PCR 0 of the SHA-256 bank in hexadecimal; an empty string where there is no such bank."""
    try:
        value = host.read(TPM + "/pcr-sha256/0").strip().lower()
    except Absent:
        return ""
    if not re.match(r"^[0-9a-f]{64}$", value):
        raise Unreadable("%s/pcr-sha256/0 holds no digest" % TPM)
    return value


def require_securityfs(host):
    if not host.list(SECURITYFS):
        raise Unreadable("%s is empty: securityfs is not mounted" % SECURITYFS)


def ima_measurements(host):
    """How many measurements IMA has taken since boot; 0 where the kernel has no IMA."""
    require_securityfs(host)
    try:
        return int(digits(host, SECURITYFS + "/ima/runtime_measurements_count"))
    except Absent:
        return 0


def attestation_agent(host):
    """The keylime agent: {active, enabled}, by systemd. Whether a verifier trusts this host only the verifier knows."""
    found = systemd.show(host, [ATTESTATION_AGENT]).get(ATTESTATION_AGENT, {})
    return {"active": found.get("ActiveState") == "active", "enabled": found.get("UnitFileState") == "enabled"}


def kernel_lockdown(host):
    """none, integrity or confidentiality: the word in brackets. none where the kernel has no lockdown."""
    require_securityfs(host)
    try:
        text = host.read(SECURITYFS + "/lockdown")
    except Absent:
        return "none"
    found = re.search(r"\[(none|integrity|confidentiality)\]", text)
    if not found:
        raise Unreadable("%s/lockdown marks no mode" % SECURITYFS)
    return found.group(1)


def module_sig_enforce(host, loadable):
    """Whether the kernel refuses unsigned modules. False for a kernel built without module signatures."""
    if loadable is False:
        return True
    try:
        value = host.read("/sys/module/module/parameters/sig_enforce").strip()
    except Absent:
        return False
    if value not in ("Y", "N"):
        raise Unreadable("sig_enforce is %r" % value[:20])
    return value == "Y"


def arguments_configured(host):
    """The same arguments at the next boot: from what the boot loader reads, else from the sources of that."""
    found = _arguments_in(host, list(LOADER_FILES) + loader_entries(host))
    if found is None:
        found = _arguments_in(host, ARGUMENT_SOURCES) or []
    return sorted({argument.rstrip("\"'") for argument in found})


def _arguments_in(host, paths):
    """The arguments in any of the files; None where none of them exists."""
    found, present = [], False
    for path in paths:
        try:
            text = host.read(path, 4 * 1024 * 1024)
        except Absent:
            continue
        present = True
        found.extend(
            ARGUMENTS.findall("\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
        )
    return found if present else None


def loader_entries(host):
    found = []
    for directory in LOADER_ENTRIES:
        try:
            found.extend("%s/%s" % (directory, name) for name in host.list(directory) if name.endswith(".conf"))
        except Absent:
            continue
    return found


def kernels(host):
    """Kernels that can be booted: an image in /boot with its modules on the host. Rescue images do not count."""
    names = [name for name in host.list("/boot") if name.startswith("vmlinuz-") and "rescue" not in name]
    releases = [name[len("vmlinuz-") :] for name in names]
    return [name for name in releases if any(host.exists(directory + name) for directory in MODULE_DIRECTORIES)]


def module_sig_forced(host):
    """Whether the running kernel was built to refuse unsigned modules, with no argument needed (MODULE_SIG_FORCE)."""
    release = host.read("/proc/sys/kernel/osrelease").strip()
    for path in ("/boot/config-" + release, "/lib/modules/%s/config" % release):
        try:
            return re.search(r"^CONFIG_MODULE_SIG_FORCE=y$", host.read(path), re.MULTILINE) is not None
        except Absent:
            continue
    return False


def selinux_enforcing(host):
    """Whether SELinux enforces; False where it is off or absent. AppArmor says it with each process's label instead."""
    try:
        value = host.read("/sys/fs/selinux/enforce").strip()
    except Absent:
        return False
    if value not in ("0", "1"):
        raise Unreadable("/sys/fs/selinux/enforce is %r" % value[:20])
    return value == "1"


def tainted(host):
    value = digits(host, "/proc/sys/kernel/tainted")
    return int(value)


def drivers(host, loadable):
    """Every loaded module: {name, signer, signed, out_of_tree, forced}; the letters are those of /proc/modules."""
    if loadable is False:
        return []
    modules = []
    for line in host.read("/proc/modules").splitlines()[:MAX_MODULES]:
        fields = line.split()
        if len(fields) < 6:
            raise Unreadable("/proc/modules has a line of %d fields" % len(fields))
        letters = fields[6] if len(fields) > 6 else ""
        modules.append(
            {"name": fields[0], "signed": "E" not in letters, "out_of_tree": "O" in letters, "forced": "F" in letters}
        )
    if not modules:
        return []
    signers = module_signers(host, [module["name"] for module in modules])
    return [dict(module, signer=signers.get(module["name"].replace("-", "_"), "")) for module in modules]


def module_signers(host, names):
    """{module: signer} by one modinfo, which reads compressed modules itself. Built-in modules are left out."""
    answer = host.run(["modinfo"] + names, timeout=20)
    signers, name = {}, None
    for line in answer.out.splitlines():
        key, _colon, value = line.partition(":")
        if key == "filename":
            name = None
        elif key == "name":
            name = value.strip().replace("-", "_")
            signers.setdefault(name, "")
        elif key == "signer" and name:
            signers[name] = value.strip()
    if not signers:
        raise Unreadable("modinfo described none of %d modules: %s" % (len(names), answer.err.strip()[:100]))
    return signers


PART = Part("boot", ["boot", "drivers"], collect, [ATTESTATION_AGENT])
