# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the disk of the full VM without loop devices: GPT, an ESP with the signed shim and grub, an ext4 root."""

from __future__ import annotations

import os
import pathlib
import shutil

from . import paths, rootfs

HOST_PACKAGES = ("qemu-system-x86", "qemu-utils", "ovmf", "swtpm", "mtools", "dosfstools", "fdisk", "e2fsprogs")
TOOLS = ("qemu-system-x86_64", "qemu-img", "swtpm", "mcopy", "mkfs.vfat", "sfdisk", "mkfs.ext4", "mmdebstrap")
MIB = 1024 * 1024
ESP_MIB, ROOT_MIB = 64, 3072
# What update-grub wrote on the root counts once it is there; before the first start nothing can write it.
GRUB = """\
search --no-floppy --label root --set=root
if [ -e /boot/grub/grub.cfg ]; then
  set prefix=($root)/boot/grub
  configfile $prefix/grub.cfg
fi
set timeout=0
linux /vmlinuz root=LABEL=root ro console=ttyS0 no_timer_check quiet
initrd /initrd.img
boot
"""


def _recipe() -> str:
    parts = [(paths.FILES / name).read_text(encoding="utf-8") for name in ("customise.sh", "vm.sh")]
    return "\n".join(parts)


def packages() -> list[str]:
    """Return the packages of the VM: those of a lab host and what boots it."""
    return rootfs.packages() + rootfs.packages("packages-vm.txt")


def image() -> pathlib.Path:
    """Return where the bootable disk is or will be; the name follows everything it is made from."""
    return (
        paths.cache()
        / f"vm-{rootfs.digest(*packages(), _recipe(), GRUB, str(ROOT_MIB), *rootfs.public_keys().values())}.raw"
    )


def build() -> pathlib.Path:
    """Return the VM's bootable disk, building what is not cached."""
    disk = image()
    if disk.exists():
        return disk
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise paths.LabError(f"missing on this machine: {', '.join(missing)}; run: python3 -m tests.lab.kvm vm deps")
    with rootfs.cache_lock():
        tar = paths.cache() / f"base-vm-{rootfs.digest(*packages(), *rootfs.APT_OPTIONS, *rootfs.UNWANTED)}.tar"
        if not tar.exists():
            rootfs.make_base("bookworm", tar, packages())
        work = paths.cache() / f"vm-work-{os.getpid()}"
        shutil.rmtree(work, ignore_errors=True)
        (work / "root").mkdir(parents=True)
        try:
            rootfs.unpack(tar, work / "root", _recipe())
            _disk(work)
            (work / "disk.raw").replace(disk)
        finally:
            shutil.rmtree(work)
    return disk


def _disk(work: pathlib.Path) -> None:
    root, disk = work / "root", work / "disk.raw"
    esp, ext4 = work / "esp.img", work / "root.img"
    _esp(root, esp)
    with ext4.open("wb") as handle:
        handle.truncate(ROOT_MIB * MIB)
    _run(["mkfs.ext4", "-q", "-F", "-L", "root", "-E", "lazy_itable_init=0,nodiscard", "-d", str(root), str(ext4)])
    with disk.open("wb") as handle:
        handle.truncate((1 + ESP_MIB + ROOT_MIB + 1) * MIB)
    layout = f"label: gpt\nstart=1MiB, size={ESP_MIB}MiB, type=U\nstart={1 + ESP_MIB}MiB, size={ROOT_MIB}MiB, type=L\n"
    _run(["sfdisk", "-q", str(disk)], stdin=layout)
    for part, at in ((esp, 1), (ext4, 1 + ESP_MIB)):
        _run(["dd", f"if={part}", f"of={disk}", "bs=1M", f"seek={at}", "conv=notrunc,sparse", "status=none"])


def _esp(root: pathlib.Path, esp: pathlib.Path) -> None:
    """The firmware starts EFI/BOOT/BOOTX64.EFI (shim, signed by Microsoft), which starts grub (signed by Debian)."""
    with esp.open("wb") as handle:
        handle.truncate(ESP_MIB * MIB)
    _run(["mkfs.vfat", "-n", "ESP", str(esp)])
    config = esp.with_name("grub.cfg")
    config.write_text(GRUB, encoding="utf-8")
    _run(["mmd", "-i", str(esp), "::EFI", "::EFI/BOOT", "::EFI/debian"])
    signed = {
        root / "usr/lib/shim/shimx64.efi.signed": ("BOOT/BOOTX64.EFI", "debian/shimx64.efi"),
        root / "usr/lib/shim/mmx64.efi.signed": ("BOOT/mmx64.efi", "debian/mmx64.efi"),
        root / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": ("BOOT/grubx64.efi", "debian/grubx64.efi"),
        config: ("BOOT/grub.cfg", "debian/grub.cfg"),
    }
    for source, targets in signed.items():
        for target in targets:
            _run(["mcopy", "-i", str(esp), str(source), f"::EFI/{target}"])


def _run(command: list[str], stdin: str | None = None) -> None:
    rootfs.quietly(command, 300, stdin)
