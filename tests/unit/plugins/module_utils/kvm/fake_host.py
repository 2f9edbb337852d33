# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are not there: recorded, made up, or broken on purpose. Same methods as host.Host."""

from __future__ import annotations

import posixpath

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Answer, Unreadable

DEFAULT_STAT = {"mode": "0644", "uid": 0, "gid": 0, "size": 0, "mtime": 1000.0, "type": "file", "rdev": 0}


class FakeHost:
    """A host made of literal files and answers.

    files: {path: text | bytes | Unreadable}. commands: {"argv joined by spaces": (rc, out, err) | Unreadable}.
    stats: {path: {only what differs from DEFAULT_STAT}}. links: {path: target}. Directories follow from files,
    stats and links; `dirs` adds empty ones, or {path: Unreadable}. What is not listed is Absent.
    snapshot: what libvirt says (libvirt_source.snapshot), or Unreadable. xattrs: {(path, name): bytes}.
    """

    def __init__(
        self,
        files=None,
        commands=None,
        stats=None,
        links=None,
        dirs=None,
        uid=0,
        now=1_800_000_000.0,
        snapshot=None,
        xattrs=None,
    ):
        self.files = dict(files or {})
        self.commands = dict(commands or {})
        self.stats = dict(stats or {})
        self.links = dict(links or {})
        self.dirs = dict(dirs) if isinstance(dirs, dict) else dict.fromkeys(dirs or (), None)
        self.uid = uid
        self.clock = now
        self.xattrs = dict(xattrs or {})
        self.libvirt_uri = "qemu:///system"
        self.expected_units = ()
        self.snapshot = snapshot or Unreadable("libvirt does not answer")

    def read(self, path, limit=1024 * 1024):
        return self.read_bytes(path, limit).decode("utf-8", "replace")

    def read_bytes(self, path, limit=1024 * 1024):
        found = self._file(path)
        data = found.encode() if isinstance(found, str) else found
        if len(data) > limit:
            raise Unreadable(f"{path} is larger than {limit} bytes")
        return data

    def head(self, path, size):
        found = self._file(path)
        return (found.encode() if isinstance(found, str) else found)[:size]

    def list(self, path, limit=5000):
        path = path.rstrip("/") or "/"
        if isinstance(self.dirs.get(path), Unreadable):
            raise self.dirs[path]
        prefix = path.rstrip("/") + "/"
        known = [*self.files, *self.stats, *self.links, *self.dirs]
        names = {entry[len(prefix) :].split("/")[0] for entry in known if entry.startswith(prefix)}
        if not names and path not in self.dirs:
            raise Absent(f"{path} does not exist")
        return sorted(names - {""})

    def stat(self, path, follow=True):
        if follow:
            path = self.real(path)
        if path in self.stats:
            found = self.stats[path]
            if isinstance(found, Unreadable):
                raise found
            return {**DEFAULT_STAT, **found}
        if path in self.files:
            if isinstance(self.files[path], Unreadable):
                return dict(DEFAULT_STAT)
            return {**DEFAULT_STAT, "size": len(self.files[path])}
        if path in self.links:
            return {**DEFAULT_STAT, "type": "link", "mode": "0777"}
        if self._is_dir(path):
            return {**DEFAULT_STAT, "type": "dir", "mode": "0755"}
        raise Absent(f"{path} does not exist")

    def link(self, path):
        if path not in self.links:
            raise Absent(f"{path} does not exist")
        return self.links[path]

    def real(self, path):
        for _hop in range(20):
            if path in self.links:
                path = posixpath.normpath(posixpath.join(posixpath.dirname(path), self.links[path]))
        return path

    def once(self, _question, ask):
        return ask()

    def xattr(self, path, name):
        self.stat(path)
        return self.xattrs.get((path, name), b"")

    def exists(self, path):
        try:
            self.stat(path)
        except Absent:
            return False
        return True

    def run(self, argv, timeout=10, stdin=""):
        key = " ".join(argv)
        found = self.commands.get(key, Absent(f"{argv[0]} does not exist"))
        if isinstance(found, Unreadable):
            raise found
        return Answer(*found)

    def succeed(self, argv, timeout=10, stdin=""):
        answer = self.run(argv, timeout, stdin)
        if answer.rc != 0:
            last = (answer.err.strip() or answer.out.strip() or "no message").splitlines()[-1]
            raise Unreadable(f"{' '.join(argv[:3])}: exit code {answer.rc}: {last[:200]}")
        return answer.out

    def libvirt(self):
        if isinstance(self.snapshot, Unreadable):
            raise self.snapshot
        return self.snapshot

    def euid(self):
        return self.uid

    def now(self):
        return self.clock

    def _file(self, path):
        path = self.real(path)
        if path not in self.files:
            raise Absent(f"{path} does not exist")
        found = self.files[path]
        if isinstance(found, Unreadable):
            raise found
        return found

    def _is_dir(self, path):
        prefix = path.rstrip("/") + "/"
        entries = (*self.files, *self.stats, *self.links, *self.dirs)
        return path in self.dirs or any(entry.startswith(prefix) for entry in entries)
