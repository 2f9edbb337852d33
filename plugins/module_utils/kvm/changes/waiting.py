# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that were made: which wait for a confirmation, confirming them, taking them back."""

from __future__ import annotations

import os
import signal

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import record, undo
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.engine import ChangeError


def listed():
    """[{id, area, state, at, reason, started, run_id, controller, files}] of all changes, oldest first."""
    found = []
    for change in undo.changes():
        header = undo.read_json(os.path.join(change, "change.json"), {})
        state = undo.read_json(os.path.join(change, "state.json"), {})
        found.append(
            {
                "id": os.path.basename(change),
                "area": header.get("area", ""),
                "run_id": header.get("run_id", ""),
                "controller": header.get("controller", ""),
                "started": header.get("started", ""),
                "state": undo.state_of(change),
                "at": state.get("at", ""),
                "reason": state.get("reason", ""),
                "files": sorted({entry["path"] for entry in undo.journal(change) if entry["op"] == "file"}),
            }
        )
    return found


def refuse_or_recover():
    """Call with the lock held, before anything is changed.

    A change that waits for its own controller is left to it. One that was interrupted (no timer waits for it, and the
    lock is free) is taken back first.

    :raises ChangeError: a rollback is armed; or an interrupted change could not be taken back.
    """
    if record.is_armed():
        waits = [entry for entry in listed() if entry["state"] in undo.OPEN]
        for entry in waits[-1:]:
            raise ChangeError(
                "a rollback of %s is armed since %s by %s: nothing is changed until that run has confirmed it or the "
                "host has taken it back" % (entry["area"], entry["started"], entry["controller"] or "another run")
            )
    faults = undo.roll_back("the run that made it was interrupted")
    if faults:
        raise ChangeError("an interrupted change could not be taken back: %s" % "; ".join(faults))


def confirm(name):
    """The change stays; the rollback is disarmed.

    :raises ChangeError: there is no such change, or it was taken back already.
    """
    with undo.lock():
        change = _find(name)
        state = undo.state_of(change)
        if state != undo.ARMED:
            found = undo.read_json(os.path.join(change, "state.json"), {})
            raise ChangeError("%s is %s: %s" % (name, state, found.get("reason") or "nothing to confirm"))
        # The state first: should the power fail between the two, the units find nothing to take back.
        undo.set_state(change, undo.CONFIRMED)
        record.disarm()


def roll_back(name, reason):
    """Take back a change that waits for a confirmation, now instead of at its time limit.

    :raises ChangeError: it does not wait any more, or could not be taken back.
    """
    with undo.lock():
        change = _find(name)
        if undo.state_of(change) != undo.ARMED:
            raise ChangeError("%s is %s already" % (name, undo.state_of(change)))
        faults = undo.roll_back(reason)
        record.disarm()
    if faults:
        raise ChangeError("it could not be taken back: %s" % "; ".join(faults))


def selected(areas, run):
    """Ids of the confirmed changes that a revert is about, newest first.

    areas: names, [] for all. run: "last" (the newest run that changed anything there), "all", or a run id.
    """
    found = [entry for entry in reversed(listed()) if entry["state"] in (undo.CONFIRMED, undo.FAILED)]
    found = [entry for entry in found if not areas or entry["area"] in areas]
    if run == "all" or not found:
        return [entry["id"] for entry in found]
    wanted = found[0]["run_id"] if run == "last" else run
    return [entry["id"] for entry in found if entry["run_id"] == wanted]


def revert(names, force):
    """Take changes back, in the order given; returns {id: [what could not be put back]}.

    force: also where somebody else has changed a file since; what they wrote there is lost.
    """
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    answers = {}
    with undo.lock():
        refuse_or_recover()
        for name in names:
            change = _find(name)
            faults = undo.undo(change, keep_foreign=not force)
            undo.set_state(change, undo.FAILED if faults else undo.UNDONE, "; ".join(["reverted", *faults])[:2000])
            answers[name] = faults
    return answers


def _find(name):
    for change in undo.changes():
        if os.path.basename(change) == name:
            return change
    raise ChangeError("there is no change %s on this host" % name)
