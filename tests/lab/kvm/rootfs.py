# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the root file systems of the lab hosts once and keep them in the cache."""

from __future__ import annotations

import contextlib
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


# What a lab host is built from: which Debian. The modular daemons themselves come from files/modular.sh.
VARIANTS = {"monolithic": "bookworm", "modular": "trixie"}


def suite_of(variant: str) -> str:
    """Return the Debian suite of a variant; LabError with the ones there are when it is no variant."""
    if variant not in VARIANTS:
        raise paths.LabError(f"no variant {variant!r}: use one of {', '.join(VARIANTS)}")
    return VARIANTS[variant]


def packages(listing: str = "packages.txt") -> list[str]:
    """Return the packages of a list; the default is what every root is made from."""
    lines = (paths.FILES / listing).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def digest(*parts: str) -> str:
    """Return a short name for what something is made from."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def base_tar(variant: str) -> pathlib.Path:
    """Return where the pristine tar of a variant is or will be; the name follows its packages and apt options."""
    return paths.cache() / f"base-{suite_of(variant)}-{digest(*packages(), *APT_OPTIONS, *UNWANTED)}.tar"


def _script(variant: str) -> str:
    parts = ["customise.sh"] + (["modular.sh"] if variant == "modular" else [])
    return "\n".join((paths.FILES / part).read_text(encoding="utf-8") for part in parts)


def root_dir(variant: str) -> pathlib.Path:
    """Return where the customised root of a variant is or will be; the name follows everything it is made from."""
    return paths.cache() / f"root-{variant}-{digest(base_tar(variant).name, _script(variant), *public_keys().values())}"


@contextlib.contextmanager
def cache_lock(what: str = "lock") -> Iterator[None]:
    """Let one builder work at a time; the others wait."""
    with (paths.cache() / what).open("w", encoding="utf-8") as handle:
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
    password = directory / "breakglass.password"
    with cache_lock("keys.lock"):
        for key in (directory / account for account in ACCOUNTS):
            if not key.exists():
                quietly(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{key.name}@lab", "-f", str(key)], 30)
        if not password.exists():
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(18) + "\n", encoding="utf-8")
    return directory


def public_keys() -> dict[str, str]:
    """Return each account's public key; a root lets these in, so a root of other keys is another root."""
    return {account: (keys() / f"{account}.pub").read_text(encoding="utf-8").strip() for account in ACCOUNTS}


def quietly(
    command: list[str], timeout: float, stdin: str | None = None, environment: dict[str, str] | None = None
) -> None:
    """Run a command whose output matters only when it fails."""
    done = subprocess.run(
        command, input=stdin, text=True, timeout=timeout, env=environment, capture_output=True, check=False
    )
    if done.returncode:
        raise paths.LabError(f"{' '.join(command)[:200]} failed:\n{(done.stdout + done.stderr)[-4000:]}")


def make_base(suite: str, target: pathlib.Path, names: list[str]) -> None:
    """Make the pristine tar of a Debian suite with these packages."""
    fresh = target.with_suffix(".new")
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=tar"]
    command += [f"--aptopt={option}" for option in APT_OPTIONS]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED]
    command += [f"--include={','.join(names)}", suite, str(fresh), *sources.debian_sources(suite)]
    quietly(command, 1800)
    fresh.replace(target)


def _customise(root: pathlib.Path, script: str) -> None:
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "BREAKGLASS_PASSWORD": (keys() / "breakglass.password").read_text(encoding="utf-8").strip(),
    }
    environment.update({f"KEY_{account}": key for account, key in public_keys().items()})
    quietly(["chroot", str(root), "/bin/sh", "-eu"], 300, script, environment)


def unpack(tar: pathlib.Path, root: pathlib.Path, script: str) -> None:
    """Unpack a pristine tar into an empty directory and run the script in it."""
    quietly(["tar", "-C", str(root), "--numeric-owner", "--xattrs", "-xf", str(tar)], 300)
    _customise(root, script)


def build(variant: str = "monolithic") -> pathlib.Path:
    """Return the customised root of a variant, building what is not cached; older roots stay, hosts may run on them."""
    root, tar = root_dir(variant), base_tar(variant)
    if root.is_dir():
        return root
    missing = [tool for tool in ("mmdebstrap", "systemd-nspawn", "ssh-keygen") if not shutil.which(tool)]
    if missing:
        raise paths.LabError(f"missing on this machine: {', '.join(missing)}; run: python3 -m tests.lab.kvm deps")
    with cache_lock():
        if root.is_dir():
            return root
        if not tar.exists():
            make_base(suite_of(variant), tar, packages())
        fresh = root.with_name(root.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        unpack(tar, fresh, _script(variant))
        fresh.rename(root)
    return root
