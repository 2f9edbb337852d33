# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a host back as it was before a change. Standard library only, no other file of the collection.

A copy of this file lies on the host while a change may still have to be taken back, and systemd runs it: after the time
limit, or at the next start of the host. It has to work without Ansible, without a network, and when it is interrupted
and run again.

A change is a directory below /var/lib/dwp-hypervisor/changes: `change.json` (who, when, which area), `state.json`
({state, at, reason}), `journal` (a JSON object a line, each written to disk before what it describes is done), `saved/`
(what was there before). Entries of the journal:

    {"op": "file", "path", "saved": name or null (there was none), "mode", "uid", "gid", "mtime_ns",
     "xattrs": {name: hex},
     "left": SHA-256 of what the change left there or null, "edits": [[line now or null, line before or null]]}
    {"op": "access", "path", "mode", "uid", "gid"}
    {"op": "directory", "path"}                 made by the change; goes if it is empty
    {"op": "left", "path", "left": SHA-256, "instead": [[argv]]}   what a command left in a file of the system's own,
                                                and how to take that back where somebody else has written to it since
    {"op": "run", "argv", "stdin": saved name or null}
    {"op": "then", "argv"}                      after everything else was put back
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import subprocess
import sys
import time

ROOT = "/var/lib/dwp-hypervisor"
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
TIME_LIMIT = 120
UNIT = "dwp-hypervisor-rollback"
SYSTEMD = "/etc/systemd/system/"
# What has systemd start the units that run after a restart; `systemctl enable` makes the same links.
WANTED = {
    "%s-start.service" % UNIT: SYSTEMD + "multi-user.target.wants/%s-start.service" % UNIT,
    "%s-files.service" % UNIT: SYSTEMD + "sysinit.target.wants/%s-files.service" % UNIT,
}
# Seconds to wait for another process of ours; a change takes a few.
LOCK_WAIT = 60

APPLYING, ARMED, CONFIRMED, UNDONE, FAILED = "applying", "armed", "confirmed", "undone", "undo failed"
# A change in one of these states may not stay when nobody confirms it.
OPEN = (APPLYING, ARMED)


class Busy(Exception):
    """Another process changes this host. The message says which."""


@contextlib.contextmanager
def lock(wait=LOCK_WAIT):
    """One process of ours at a time; the kernel lets go when the process ends, however it ends.

    :raises Busy: the other one did not end within `wait` seconds.
    """
    os.makedirs(ROOT, mode=0o700, exist_ok=True)
    with open(os.path.join(ROOT, "lock"), "a+", encoding="utf-8") as handle:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= deadline:
                    handle.seek(0)
                    raise Busy("another run changes this host (%s)" % (handle.read(200).strip() or "unknown"))
                time.sleep(0.2)
        handle.seek(0)
        handle.truncate()
        handle.write("process %d since %s" % (os.getpid(), now()))
        handle.flush()
        yield


def now():
    """The time, UTC, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def changes():
    """The directories of all changes, oldest first."""
    folder = os.path.join(ROOT, "changes")
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if not name.startswith(".")]
    except FileNotFoundError:
        return []


def read_json(path, default=None):
    """A JSON file, or the default where there is none or it was cut short."""
    try:
        with open(path, encoding="utf-8") as handle:
            return json.load(handle)
    except (OSError, ValueError):
        return default


def state_of(change):
    """The state of a change; one that has none yet was interrupted while it began."""
    return (read_json(os.path.join(change, "state.json")) or {"state": APPLYING})["state"]


def set_state(change, state, reason=""):
    """Write the state, durably."""
    text = json.dumps({"state": state, "at": now(), "reason": reason})
    write_file(os.path.join(change, "state.json"), text.encode("utf-8"), 0o600, 0, 0)


def journal(change):
    """The entries, oldest first. A last line that was cut short describes something that was not done yet."""
    entries = []
    try:
        with open(os.path.join(change, "journal"), encoding="utf-8") as handle:
            for line in handle:
                with contextlib.suppress(ValueError):
                    entries.append(json.loads(line))
    except FileNotFoundError:
        pass
    return entries


def open_changes():
    """Changes nobody has confirmed, newest first."""
    return [change for change in reversed(changes()) if state_of(change) in OPEN]


def temporary(path):
    """Where a file is written before it takes its name: a name no drop-in directory reads, the same at every try."""
    return os.path.join(os.path.dirname(path), ".dwp-hypervisor." + os.path.basename(path) + "~")


def write_file(path, data, mode, uid, gid, mtime_ns=None, xattrs=None):
    """Write a file so that it is there whole or not at all, also when the power fails."""
    draft = temporary(path)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
            for name, value in (xattrs or {}).items():
                # A security label that this file system or policy refuses must not lose the file.
                with contextlib.suppress(OSError):
                    os.setxattr(stream.fileno(), name, bytes.fromhex(value))
            if mtime_ns is not None:
                os.utime(stream.fileno(), ns=(mtime_ns, mtime_ns))
            os.fsync(stream.fileno())
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    sync_directory(path)


def sync_directory(path):
    """Make sure that a name put into or taken from a directory stays so."""
    handle = os.open(os.path.dirname(path) or "/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest(path):
    """SHA-256 of a file, None where there is none."""
    try:
        with open(path, "rb") as handle:
            return hashlib.sha256(handle.read()).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


def undo(change, keep_foreign=False, files_only=False):
    """Take a change back; returns what could not be put back, as sentences.

    keep_foreign: a file somebody has changed since keeps what is theirs, only our lines are taken back. files_only: at
    the start of the host, before there is anything a command could talk to.
    """
    faults = []
    entries = _with_what_was_left(journal(change))
    for entry in reversed(entries):
        try:
            _undo_entry(change, entry, keep_foreign, files_only, faults)
        except (OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
            faults.append("%s: %s" % (entry.get("path") or " ".join(entry.get("argv", ["?"])), error))
    if not files_only:
        done = []
        for entry in entries:
            if entry["op"] == "then" and entry["argv"] not in done:
                done.append(entry["argv"])
                fault = _run(entry["argv"])
                if fault:
                    faults.append(fault)
    return faults


def _with_what_was_left(entries):
    """The entries, each file's with what a command left in it later (several commands may rewrite one file in turn)."""
    found, latest = [], {}
    for entry in entries:
        if entry["op"] == "left" and entry["path"] in latest:
            latest[entry["path"]].update(left=entry["left"], instead=entry["instead"])
            continue
        found.append(entry)
        if entry["op"] == "file":
            latest[entry["path"]] = entry
    return found


def _undo_entry(change, entry, keep_foreign, files_only, faults):
    kind = entry["op"]
    if kind == "file":
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary(entry["path"]))
        if keep_foreign and digest(entry["path"]) not in (entry["left"], _before(change, entry)):
            if "instead" in entry:
                faults += [fault for argv in entry["instead"] for fault in [_run(argv)] if fault]
            else:
                _take_back_lines(entry, faults)
        else:
            _put_back(change, entry)
    elif kind == "access":
        if os.path.lexists(entry["path"]):
            os.chown(entry["path"], entry["uid"], entry["gid"])
            os.chmod(entry["path"], entry["mode"])
    elif kind == "directory":
        with contextlib.suppress(OSError):
            os.rmdir(entry["path"])
    elif kind == "run" and not files_only:
        fault = _run(entry["argv"], _saved(change, entry.get("stdin")))
        if fault:
            faults.append(fault)


def _saved(change, name):
    if name is None:
        return None
    with open(os.path.join(change, "saved", name), "rb") as handle:
        return handle.read()


def _before(change, entry):
    data = _saved(change, entry["saved"])
    return None if data is None else hashlib.sha256(data).hexdigest()


def _put_back(change, entry):
    data = _saved(change, entry["saved"])
    if data is None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(entry["path"])
            sync_directory(entry["path"])
        return
    write_file(
        entry["path"], data, entry["mode"], entry["uid"], entry["gid"], entry.get("mtime_ns"), entry.get("xattrs")
    )


def _take_back_lines(entry, faults):
    """Somebody else has written to the file since: change our own lines only."""
    path, edits = entry["path"], entry.get("edits")
    if not edits or digest(path) is None:
        faults.append("%s was changed by somebody else since: left as it is" % path)
        return
    found = os.stat(path)
    with open(path, encoding="utf-8", errors="surrogateescape") as handle:
        lines = handle.read().splitlines(True)
    for present, former in edits:
        if present is not None and present not in lines:
            faults.append("%s: the line %r was changed by somebody else since: left as it is" % (path, present.strip()))
        elif present is None:
            lines.append(former)
        else:
            place = lines.index(present)
            lines[place : place + 1] = [] if former is None else [former]
    data = "".join(lines).encode("utf-8", "surrogateescape")
    write_file(path, data, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)


def _run(argv, stdin=None):
    """Run a command; returns a sentence about its failure, or an empty text."""
    try:
        # Not run_command of AnsibleModule: the copy on the host runs without the collection.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            argv,
            input=stdin if stdin is not None else b"",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            cwd="/",
            timeout=TIME_LIMIT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return "%s: %s" % (" ".join(argv), error)
    if done.returncode:
        last = (done.stdout.decode("utf-8", "replace").strip() or "no message").splitlines()[-1]
        return "%s ended with %d: %s" % (" ".join(argv), done.returncode, last[:200])
    return ""


def roll_back(reason, files_only=False):
    """Take back every change nobody has confirmed; returns what could not be put back."""
    faults = []
    for change in open_changes():
        faults += undo(change, files_only=files_only)
        if not files_only:
            set_state(change, FAILED if faults else UNDONE, "; ".join([reason, *faults])[:2000])
    return faults


def main(arguments):
    """`undo.py expired`, `undo.py start --files-only`, `undo.py start`: what systemd runs."""
    reason = {
        "expired": "nobody confirmed it within the time limit",
        "start": "the host was restarted before anybody confirmed it",
    }[arguments[0]]
    with lock():
        faults = roll_back(reason, files_only="--files-only" in arguments)
        if "--files-only" not in arguments:
            remove_units()
    # systemd keeps it in the journal.
    sys.stdout.write("".join("%s\n" % fault for fault in faults))
    return 1 if faults else 0


def remove_units():
    """Remove the units: they have done what they were for.

    The one that runs after a restart goes last of them, and what starts it later still: a host that loses power in
    between removes the rest when it starts.
    """
    _run(["systemctl", "stop", "--no-block", "%s.timer" % UNIT])
    units = ["%s.timer" % UNIT, "%s.service" % UNIT, "%s-files.service" % UNIT, "%s-start.service" % UNIT]
    for path in [*(SYSTEMD + name for name in units), *WANTED.values(), os.path.join(ROOT, "undo.py")]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    for path in WANTED.values():
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(path))
    _run(["systemctl", "daemon-reload"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))  # pylint: disable=ansible-bad-function
