# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what a change replaces, before it is replaced; arm the timed rollback (layout: undo.py)."""

from __future__ import annotations

import json
import os
import re
import stat
import sys

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import undo

MAX_SAVED = 16 * 1024 * 1024
# Two ways back after a restart: files before anything reads them, everything else when the host is up.
UNITS = {
    "%s.service" % undo.UNIT: """\
[Unit]
Description=Take back a change of dwp.hypervisor that nobody confirmed

[Service]
Type=oneshot
ExecStart={python} {program} expired
""",
    "%s.timer" % undo.UNIT: """\
[Unit]
Description=Time limit of a change of dwp.hypervisor

[Timer]
OnActiveSec={seconds}s
AccuracySec=1s
""",
    "%s-files.service" % undo.UNIT: """\
[Unit]
Description=Put back the files of a change of dwp.hypervisor that nobody confirmed
DefaultDependencies=no
RequiresMountsFor={root} /etc /usr
After=local-fs.target systemd-remount-fs.service
Before=sysinit.target basic.target network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart={python} {program} start --files-only

[Install]
WantedBy=sysinit.target
""",
    "%s-start.service" % undo.UNIT: """\
[Unit]
Description=Take back a change of dwp.hypervisor after a restart of the host
After=network.target libvirtd.service virtqemud.service

[Service]
Type=oneshot
ExecStart={python} {program} start

[Install]
WantedBy=multi-user.target
""",
}


class Change(object):
    """One change of one area, as it is written to disk."""

    def __init__(self, area, about):
        """about: JSON data kept with the change: run id, account, controller, checks."""
        root = os.path.join(undo.ROOT, "changes")
        os.makedirs(root, mode=0o700, exist_ok=True)
        taken = [int(re.match(r"\d+", os.path.basename(path)).group()) for path in undo.changes()]
        self.id = "%06d-%s" % (max(taken, default=0) + 1, area)
        self.path = os.path.join(root, self.id)
        self._saved = 0
        # Under a name that undo.changes() passes over until it is whole.
        draft = os.path.join(root, "." + self.id)
        os.makedirs(os.path.join(draft, "saved"), mode=0o700, exist_ok=True)
        header = dict(about, area=area, started=undo.now())
        undo.write_file(os.path.join(draft, "change.json"), json.dumps(header).encode("utf-8"), 0o600, 0, 0)
        undo.set_state(draft, undo.APPLYING)
        os.rename(draft, self.path)
        undo.sync_directory(self.path)
        self._journal = os.open(os.path.join(self.path, "journal"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, entry):
        """Write an entry of the journal to disk; only then may what it describes be done."""
        os.write(self._journal, (json.dumps(entry) + "\n").encode("utf-8"))
        os.fsync(self._journal)

    def keep(self, data):
        """Keep bytes, durably; returns the name for an entry."""
        self._saved += 1
        name = str(self._saved)
        undo.write_file(os.path.join(self.path, "saved", name), data, 0o600, 0, 0)
        return name

    def keep_file(self, path, left=None, edits=()):
        """Note how a file is now, absent included, before it is replaced.

        left: the bytes the change leaves there, None when it removes the file or does not know. edits: [[line now, line
        before]] for the day when somebody else has changed the file as well.
        """
        entry = {
            "op": "file", "path": path, "saved": None, "mode": 0o600, "uid": 0, "gid": 0, "mtime_ns": None,
            "xattrs": {}, "left": undo.hashlib.sha256(left).hexdigest() if left is not None else None,
            "edits": list(edits),
        }  # fmt: skip
        found = status(path)
        if found is not None:
            with open(path, "rb") as handle:
                data = handle.read(MAX_SAVED + 1)
            if len(data) > MAX_SAVED:
                raise ValueError("%s is larger than %d bytes: it cannot be kept for a rollback" % (path, MAX_SAVED))
            entry.update(
                saved=self.keep(data), mode=stat.S_IMODE(found.st_mode), uid=found.st_uid, gid=found.st_gid,
                mtime_ns=found.st_mtime_ns, xattrs=extended(path),
            )  # fmt: skip
        self.note(entry)

    def state(self, state, reason=""):
        """Set the state of the change."""
        undo.set_state(self.path, state, reason)


def status(path):
    """os.stat of a regular file, None where there is none.

    :raises ValueError: something else is there.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("%s is not a regular file" % path)
    return found


def extended(path):
    """{name: hex} of the extended attributes (security labels, access lists) of a file."""
    try:
        return {name: os.getxattr(path, name).hex() for name in os.listxattr(path)}
    except OSError:
        return {}


def arm(seconds, run):
    """From now on a change that nobody confirms is taken back: after `seconds`, or at the next start of the host.

    The link that has a unit started is there before the unit, and the one that cleans up before the others: a host that
    loses power in between is left with nothing. run: callable(argv) that raises on failure.
    """
    program = os.path.join(undo.ROOT, "undo.py")
    undo.write_file(program, source().encode("utf-8"), 0o700, 0, 0)
    words = {"python": sys.executable, "program": program, "root": undo.ROOT, "seconds": int(seconds)}
    for name, link in undo.WANTED.items():
        _link(undo.SYSTEMD + name, link)
    for name in [*undo.WANTED, *(name for name in UNITS if name not in undo.WANTED)]:
        undo.write_file(undo.SYSTEMD + name, UNITS[name].format(**words).encode("utf-8"), 0o644, 0, 0)
    run(["systemctl", "daemon-reload"])
    os.sync()
    run(["systemctl", "restart", "%s.timer" % undo.UNIT])


def _link(target, path):
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    if not os.path.islink(path):
        os.symlink(target, path)


def source():
    """The text of undo.py; the module may run from a zip file."""
    return undo.__loader__.get_source(undo.__name__)


def disarm():
    """The change was confirmed, or has been taken back by this process."""
    undo.remove_units()


def is_armed():
    """Whether the timer waits."""
    return os.path.exists(undo.SYSTEMD + "%s.timer" % undo.UNIT)
