# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the root file systems of the lab hosts once and keep them in the cache."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import secrets
import shutil
import subprocess
from collections.abc import Iterator

from . import paths, sources

HOST_PACKAGES = (
    "mmdebstrap",
    "systemd-container",
    "nftables",
    "iproute2",
    "openssh-client",
    "util-linux",
    "debian-archive-keyring",
)
ACCOUNTS = ("ansible", "alice", "bob", "oscar")
# Pages nobody reads in a lab: they are a fifth of the size.
UNWANTED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
APT_OPTIONS = (
    'Acquire::Check-Valid-Until "false"',
    'Acquire::Check-Date "false"',
    'APT::Install-Recommends "false"',
)


@dataclasses.dataclass(frozen=True)
class Variant:
    """A lab host as it is built: which Debian, and which package lists."""

    suite: str
    package_lists: tuple[str, ...]


VARIANTS = {
    "monolithic": Variant("bookworm", ("packages.txt",)),
    # Debian 12 ships libvirtd only; the modular daemons (virtqemud, virtnetworkd, ...) come with Debian 13.
    "modular": Variant("trixie", ("packages.txt", "packages-modular.txt")),
}


def variant_named(name: str) -> Variant:
    """Return the variant called ``name``, or a LabError that lists the ones there are."""
    if name not in VARIANTS:
        raise paths.LabError(f"no variant {name!r}: use one of {', '.join(VARIANTS)}")
    return VARIANTS[name]


def packages(variant: Variant) -> list[str]:
    """Return the packages a variant's root is made from."""
    names: list[str] = []
    for listing in variant.package_lists:
        for line in (paths.FILES / listing).read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                names.append(line.strip())
    return names


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def base_tar(variant: Variant) -> pathlib.Path:
    """Return where the pristine tar of a variant is or will be; the name follows its packages and apt options."""
    return paths.cache() / f"base-{variant.suite}-{_digest(*packages(variant), *APT_OPTIONS, *UNWANTED)}.tar"


def root_dir(variant_name: str) -> pathlib.Path:
    """Return where the customised root of a variant is or will be; the name follows everything it is made from."""
    variant = variant_named(variant_name)
    script = (paths.FILES / "customise.sh").read_text(encoding="utf-8")
    return paths.cache() / f"root-{variant_name}-{_digest(base_tar(variant).name, script)}"


@contextlib.contextmanager
def cache_lock() -> Iterator[None]:
    """Let one builder work at a time; the others wait."""
    with (paths.cache() / "lock").open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def install_host_packages(names: tuple[str, ...] = HOST_PACKAGES) -> None:
    """Install what the lab needs on this machine, with apt."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-q"], check=True, timeout=300)
    subprocess.run(
        ["apt-get", "install", "-q", "-y", "--no-install-recommends", *names], check=True, timeout=900, env=environment
    )


def keys() -> pathlib.Path:
    """Return the directory of the lab's ssh keys and break-glass password; both are made on first use."""
    directory = paths.cache() / "keys"
    directory.mkdir(mode=0o700, exist_ok=True)
    for account in ACCOUNTS:
        if not (directory / account).exists():
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{account}@lab", "-f", str(directory / account)],
                check=True,
                timeout=30,
            )
    password = directory / "breakglass.password"
    if not password.exists():
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(18) + "\n", encoding="utf-8")
    return directory


def _make_base(variant: Variant, target: pathlib.Path) -> None:
    fresh = target.with_suffix(".new")
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=tar"]
    command += [f"--aptopt={option}" for option in APT_OPTIONS]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED]
    command += [
        f"--include={','.join(packages(variant))}",
        variant.suite,
        str(fresh),
        *sources.debian_sources(variant.suite),
    ]
    subprocess.run(command, check=True, timeout=1800)
    fresh.replace(target)


def _customise(root: pathlib.Path) -> None:
    directory = keys()
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "BREAKGLASS_PASSWORD": (directory / "breakglass.password").read_text(encoding="utf-8").strip(),
    }
    for account in ACCOUNTS:
        environment[f"KEY_{account}"] = (directory / f"{account}.pub").read_text(encoding="utf-8").strip()
    script = (paths.FILES / "customise.sh").read_text(encoding="utf-8")
    subprocess.run(
        ["chroot", str(root), "/bin/sh", "-eu"], input=script, text=True, check=True, timeout=300, env=environment
    )


def build(variant_name: str = "monolithic") -> pathlib.Path:
    """Return the customised root of a variant, building what is not cached; older roots stay, hosts may run on them."""
    root, tar = root_dir(variant_name), base_tar(variant_named(variant_name))
    if root.is_dir():
        return root
    missing = [tool for tool in ("mmdebstrap", "systemd-nspawn", "ssh-keygen") if not shutil.which(tool)]
    if missing:
        raise paths.LabError(f"missing on this machine: {', '.join(missing)}; run: python3 -m tests.lab.kvm deps")
    with cache_lock():
        if root.is_dir():
            return root
        if not tar.exists():
            _make_base(variant_named(variant_name), tar)
        fresh = root.with_name(root.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        subprocess.run(
            ["tar", "-C", str(fresh), "--numeric-owner", "--xattrs", "-xf", str(tar)], check=True, timeout=300
        )
        _customise(fresh)
        fresh.rename(root)
    return root
