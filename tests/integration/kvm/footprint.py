# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything a lab host has written since it started, seen from outside: the upper layer of its overlay.

A file that is created, changed, touched, re-owned or removed by whatever runs inside shows up there, whichever
directory it is in; so two of these tell what happened in between without reading the host's own idea of it.

The full VM has a disk of its own and no overlay: all of its root file system is listed from inside.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import re
import stat

from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import VM, BootedHost
from ansible_collections.dwp.hypervisor.tests.lab.kvm import rootfs

# What changes by itself on an idle host, or by logging in, whatever the audit does; each with its writer.
OWN_LIFE = {
    r"/var/log/.*": "logs of the login itself, sudo, libvirt's clients",
    r"/var/lib/chrony/.*": "chronyd's drift file",
    r"/var/lib/systemd/.*": "random seed, timer stamps, linger",
    r"/var/lib/libvirt/dnsmasq/.*": "leases of libvirt's network",
    r"/var/cache/libvirt(/.*)?": "what libvirtd found out of its emulators, when a client is the first to ask",
    r"/var/lib/libvirt/qemu": "holds a socket while libvirtd does so",
    r"/var/tmp(/systemd-private-.*)?": "private directories of services started when asked, such as timedated",
    r"/var/lib/private/.*": "state of dynamic users",
    r"/var/lib/clamav/.*": "what freshclam remembers of its mirrors",
    r"/var/spool/rsyslog/.*": "how far rsyslog has read the files it follows",
    r"/var/lib/sudo/.*": "sudo's lectured marks",
}
_WRITTEN_BY_LIBVIRT = re.compile(r"/etc/libvirt/qemu/[^/]+\.xml")
_OWN_LIFE = re.compile("|".join(OWN_LIFE))

# Directories on a tmpfs of their own: listed from inside, because the overlay does not hold them.
VOLATILE = ("/tmp", "/var/tmp", "/dev/shm")
# {path: description} of one file system, in the words of _describe(). Emulated, hashing all of /usr takes minutes, so
# outside of where configuration, boot files and guests are, a file's size stands for its content.
LISTING = """
import hashlib, json, os, stat, sys
HASHED = ("/boot/", "/etc/", "/root/", "/usr/local/", "/var/lib/aide/", "/var/lib/libvirt/", "/var/spool/")
skipped, found = set(sys.argv[2:]), {}
for directory, names, files in os.walk(sys.argv[1]):
    at = os.lstat(directory).st_dev
    names[:] = [name for name in names if os.path.join(directory, name) not in skipped]
    for name in names + files:
        path = os.path.join(directory, name)
        status = os.lstat(path)
        about = [oct(status.st_mode), str(status.st_uid), str(status.st_gid)]
        if stat.S_ISREG(status.st_mode):
            about.append(str(status.st_mtime_ns))
            if path.startswith(HASHED):
                with open(path, "rb") as handle:
                    about.append(hashlib.sha256(handle.read()).hexdigest())
            else:
                about.append("%d bytes" % status.st_size)
        elif stat.S_ISLNK(status.st_mode):
            about.append(os.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            about.append(str(status.st_mtime_ns))
        if status.st_dev == at:
            found[path] = " ".join(about)
        elif name in names:
            names.remove(name)
print(json.dumps(found))
"""


def footprint(host: BootedHost) -> dict[str, str]:
    """Return {path: what it is} of everything the host wrote; compare two with changed()."""
    found = _listed(host) if host.variant == VM else _upper(host)
    for directory in VOLATILE:
        # systemd makes a private directory for each service that asks; it comes and goes with the service.
        for line in host.run(f"find {directory} -xdev -name 'systemd-private-*' -prune -o -print").splitlines():
            found[f"volatile:{line}"] = "present"
    return found


def _listed(host: BootedHost) -> dict[str, str]:
    done = host.lab.run(["python3", "-c", LISTING, "/", *VOLATILE], timeout=600)
    assert done.returncode == 0, done.stderr
    return {path: about for path, about in json.loads(done.stdout).items() if not _OWN_LIFE.fullmatch(path)}


def _upper(host: BootedHost) -> dict[str, str]:
    found = {}
    upper = host.lab.state / "upper"
    for directory, names, files in os.walk(upper):
        for name in [*names, *files]:
            path = pathlib.Path(directory) / name
            inside = "/" + str(path.relative_to(upper))
            if not _OWN_LIFE.fullmatch(inside):
                found[inside] = _describe(path)
    return found


def _describe(path: pathlib.Path) -> str:
    status = path.lstat()
    about = [oct(status.st_mode), str(status.st_uid), str(status.st_gid)]
    if stat.S_ISREG(status.st_mode):
        about += [str(status.st_mtime_ns), hashlib.sha256(path.read_bytes()).hexdigest()]
    elif stat.S_ISLNK(status.st_mode):
        about.append(str(path.readlink()))
    elif stat.S_ISDIR(status.st_mode):
        # Its mtime changes with every temporary file in it, also with one that is gone again.
        about.append(str(status.st_mtime_ns))
    return " ".join(about)


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return one line for each path that appeared, vanished or differs; empty when nothing was touched."""
    lines = [f"new: {path}" for path in sorted(after.keys() - before.keys())]
    lines += [f"gone: {path}" for path in sorted(before.keys() - after.keys())]
    lines += [f"changed: {path}" for path in sorted(before.keys() & after.keys()) if before[path] != after[path]]
    return lines


def differences(host: BootedHost, before: dict[str, str], kept: tuple[str, ...]) -> list[str]:
    """What differs from a footprint taken earlier, but for directories' time stamps and paths below `kept`.

    A file that was changed and put back lies in the overlay's upper layer from then on: it is compared with the lower.
    """
    lower = None if host.variant == VM else rootfs.build(host.variant)
    lines = []
    after = footprint(host)
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new or path.startswith(kept) or _is_directory(old or new):
            continue
        if old is None and lower and (lower / path.lstrip("/")).exists():
            old = _describe(lower / path.lstrip("/"))
        if _content(path, old) != _content(path, new):
            lines.append(f"{path}: {old} -> {new}")
    return lines


def _content(path: str, description: str | None) -> str | None:
    """A description; without its time for what libvirtd writes itself whenever a machine is defined."""
    if description is None or not _WRITTEN_BY_LIBVIRT.fullmatch(path):
        return description
    words = description.split()
    return " ".join(words[:3] + words[4:])


def _is_directory(description: str | None) -> bool:
    return (
        description is not None and stat.S_ISDIR(int(description.split()[0], 8)) if description != "present" else False
    )
