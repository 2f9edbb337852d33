# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a host to the rows of a plan: read everything, compare once, write only differences, or nothing at all.

Rows are made by plugin_utils/plans/plan.py on the controller. What is replaced is kept first (record.py), a failure
puts everything back, and where somebody could be locked out a timed rollback waits until the controller confirms.
"""

from __future__ import annotations

import os
import signal
import subprocess

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import (
    access_lists,
    audit_rules,
    domains,
    files,
    generated,
    libvirt_network,
    links,
    log_access,
    log_server,
    nft_table,
    people,
    record,
    undo,
    units,
)

KINDS = {}
for _module in (
    files,
    units,
    people,
    generated,
    nft_table,
    libvirt_network,
    domains,
    access_lists,
    links,
    audit_rules,
    log_access,
    log_server,
):
    KINDS.update(_module.KINDS)
MAX_DIFF = 100000
PROPERTIES = ("LoadState", "ActiveState", "UnitFileState")
RELOAD_UNITS = ["systemctl", "daemon-reload"]


class ChangeError(Exception):
    """Nothing was changed, or everything was put back; the message says which, and why."""


class World(object):
    """The host as the rows see it: drafts of files, and steps to take after these are written.

    machines: drafts of virtual machines' definitions by UUID, as several rows about one end in one definition.
    afterwards: what is waited for once everything is in force.
    """

    def __init__(self):
        self.drafts = {}
        self.machines = {}
        self.steps = []
        self.afterwards = []

    def draft(self, path):
        """The draft of a file."""
        real = os.path.realpath(path)
        if real not in self.drafts:
            self.drafts[real] = files.Draft(path)
        return self.drafts[real]

    def has_draft(self, path):
        """Whether a row before this one was about the file."""
        return os.path.realpath(path) in self.drafts

    def step(self, entries, do):
        """Note entries of the journal, then do something; in the order of the rows, after all files are written."""
        self.steps.append((lambda change: [change.note(entry) for entry in entries], do, ()))

    def step_on_files(self, paths, commands, undo_commands):
        """Commands that rewrite files of the system's own (gpasswd: /etc/group).

        Put back byte for byte where nobody else has written to them since, by undo_commands where somebody has.
        """

        def do():
            for command in commands:
                self.succeed(command)

        self.steps.append((lambda change: [change.keep_file(path) for path in paths], do, (paths, undo_commands)))

    def show(self, name):
        """{property: value} of a unit."""
        text = self.succeed(["systemctl", "show", "--property", ",".join(PROPERTIES), "--", name])
        found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return {key: found.get(key, "") for key in PROPERTIES}

    def shadow(self, name):
        """The fields of an account in /etc/shadow, None where it has none."""
        with open("/etc/shadow", encoding="utf-8") as handle:
            for line in handle:
                if line.startswith(name + ":"):
                    return line.rstrip("\n").split(":")
        return None

    @staticmethod
    def read_value(path):
        """The text of a file of /proc or /sys, without the newline."""
        with open(path, encoding="utf-8") as handle:
            return handle.read(4096).strip()

    @staticmethod
    def write_value(path, text):
        """Hand a value to the kernel."""
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text)

    @staticmethod
    def succeed(argv, stdin=""):
        """Run a command and return its output.

        :raises ChangeError: it failed, with its last line.
        """
        return run(argv, stdin)


def run(argv, stdin=""):
    """Run a program without a shell and return what it printed.

    :raises ChangeError: exit code other than 0, time limit, no such program.
    """
    try:
        # Not the module's run_command: it has no time limit.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            argv,
            input=stdin.encode("utf-8"),
            capture_output=True,
            env=undo.ENVIRONMENT,
            cwd="/",
            timeout=undo.TIME_LIMIT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ChangeError("%s: %s" % (" ".join(argv[:4]), error))
    if done.returncode:
        said = (done.stderr.decode("utf-8", "replace").strip() or done.stdout.decode("utf-8", "replace")).strip()
        last = (said or "no message").splitlines()[-1]
        raise ChangeError("%s ended with %d: %s" % (" ".join(argv[:4]), done.returncode, last[:300]))
    return done.stdout.decode("utf-8", "replace")


def compare(rows):
    """Read the host and return (world, updated, then, by_hand).

    updated: {setting: {old, new, checks, pending}} of everything that differs. then: activations of rows that differ.

    :raises ChangeError: a row that cannot be followed on this host; nothing was changed.
    """
    world, updated, then, by_hand = World(), {}, [], []
    for row in rows:
        if row["kind"] == "by_hand":
            by_hand.append({"checks": row["checks"], "what": row["what"]})
            continue
        if row["kind"] == "activate":
            changed = {" ".join(_words(entry)): ["not in force", "in force"] for entry in row["then"][-1:]}
        else:
            try:
                changed = KINDS[row["kind"]](row, world)
            except (ValueError, OSError) as error:
                raise ChangeError("%s: %s" % (", ".join(row["checks"]), error))
        for setting, (before, after) in changed.items():
            updated[setting] = {"old": before, "new": after, "checks": row["checks"], "pending": row.get("pending", "")}
        if changed:
            then += [entry for entry in row["then"] if entry not in then]
    return world, updated, then, by_hand


def differences(world):
    """Ansible's diff of the files, and of nothing that is secret."""
    found = []
    for draft in world.drafts.values():
        if draft.changed and not draft.secret:
            found.append(
                {
                    "before_header": draft.path,
                    "after_header": draft.path,
                    "before": (draft.before or "")[:MAX_DIFF],
                    "after": (draft.text or "")[:MAX_DIFF],
                }
            )
    return found


def apply(area, world, then, about, rollback_after):
    """Make the change; returns its id. The rollback stays armed where rollback_after (seconds) is not 0.

    :raises ChangeError: it failed and everything was put back.
    """
    # The connection may go down with the change itself, and the change has to be finished or undone all the same.
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        # Before there is a change: a host that loses power in between has nothing to take back, and no record of it.
        if rollback_after:
            record.arm(rollback_after, run)
        change = record.Change(area, about)
    except (ChangeError, OSError, ValueError) as error:
        if rollback_after:
            record.disarm()
        raise ChangeError("%s; nothing was changed" % error)
    try:
        _write(world, then, change)
        if _rereads_units(world):
            run(RELOAD_UNITS)
        _activate(then, change)
        for wait in world.afterwards:
            wait()
        change.state(undo.ARMED if rollback_after else undo.CONFIRMED)
    except (ChangeError, OSError, ValueError) as error:
        faults = undo.undo(change.path)
        change.state(undo.FAILED if faults else undo.UNDONE, "%s; %s" % (error, "; ".join(faults)))
        if rollback_after:
            record.disarm()
        if faults:
            raise ChangeError("%s; PUTTING IT BACK FAILED TOO: %s" % (error, "; ".join(faults)))
        raise ChangeError("%s; everything was put back" % error)
    return change.id


def _write(world, then, change):
    for entry in then:
        # First into the journal: what takes effect now has to take effect again once the files are back.
        for path in entry.get("touches", ()):
            change.keep_file(path)
    if _rereads_units(world):
        change.note({"op": "then", "argv": RELOAD_UNITS})
    for entry in then:
        change.note({"op": "then", "argv": list(entry.get("undo") or _words(entry))})
    for draft in world.drafts.values():
        if draft.changed:
            _write_draft(draft, change)
    for note, do, on_files in world.steps:
        note(change)
        do()
        if on_files:
            # The commands stand with the first of the files only: once is enough.
            paths, commands = on_files
            for path in paths:
                instead = commands if path == paths[0] else []
                change.note({"op": "left", "path": path, "left": undo.digest(path), "instead": instead})


def _write_draft(draft, change):
    if draft.text is None:
        change.keep_file(draft.path)
        os.unlink(draft.path)
        undo.sync_directory(draft.path)
        return
    _make_directories(os.path.dirname(draft.path), change)
    change.keep_file(draft.path, draft.data(), draft.edits())
    if draft.validate:
        _validate(draft)
    attributes = record.extended(draft.path) if draft.before is not None else {}
    undo.write_file(draft.path, draft.data(), draft.mode, draft.uid, draft.gid, None, attributes)


def _make_directories(path, change):
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        change.note({"op": "directory", "path": folder})
        os.mkdir(folder, 0o755)


def _validate(draft):
    trial = undo.temporary(draft.path)
    try:
        undo.write_file(trial, draft.data(), draft.mode, draft.uid, draft.gid)
        run([word.replace("%s", trial) for word in draft.validate])
    finally:
        if os.path.exists(trial):
            os.unlink(trial)


def _rereads_units(world):
    return any(draft.changed and draft.path.startswith(undo.SYSTEMD) for draft in world.drafts.values())


def _activate(then, change):
    """Commands first: they test what the units are about to read."""
    for entry in then:
        if "run" in entry:
            run(entry["run"])
            for path in entry.get("touches", ()):
                change.note({"op": "left", "path": path, "left": undo.digest(path), "instead": []})
    for entry in then:
        if "run" not in entry:
            run(_words(entry))


def _words(entry):
    """The command of an activation."""
    if "run" in entry:
        return entry["run"]
    if "restart" in entry:
        return ["systemctl", "try-restart", entry["restart"]]
    return ["systemctl", "try-reload-or-restart", entry["reload"]]
