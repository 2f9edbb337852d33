# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of the server, side by side: a few at a time, and one question for all that run."""

from __future__ import annotations

import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, of_objects
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import Ref, at

TASK = Properties("Task", {"info.state": None, "info.error": None})
# Of one host; several hosts are changed at once.
AT_ONCE = 8
# How long a task may take where its caller does not say it.
SECONDS = 120
# How long to wait between two questions, at first and at most.
SHORT, LONG = 0.05, 1.0


class Fault(object):
    """Why a task failed. name: of the server's fault; empty where nobody knows what became of the task."""

    def __init__(self, name, text):
        self.name = name
        self.text = text

    def __str__(self):
        return self.text

    def error(self, told):
        """The exception for people that says `told`: without a name nobody knows whether the task was done."""
        return ChangeError(told, self.name) if self.name else Lost(told)


def run(session, starts, seconds=None):
    """Start tasks and wait for all of them; returns {name: Fault} of those that failed.

    starts: {name: call that starts a task and returns its id}. seconds: how long each may take.

    :raises Lost: the endpoint is gone, and what became of the tasks is not known.
    """
    seconds = SECONDS if seconds is None else seconds
    waiting, running, faults, pause = list(starts.items()), {}, {}, SHORT
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            name, start = waiting.pop(0)
            try:
                running[start()] = (name, time.monotonic() + seconds)
            except SoapFault as error:
                faults[name] = Fault(error.name, str(error))
            except Unreadable as error:
                faults[name] = Fault("", str(error))
        ended = _ended(session, running, seconds)
        for task, fault in ended.items():
            name, _deadline = running.pop(task)
            if fault:
                faults[name] = fault
        pause = SHORT if ended else min(2 * pause, LONG)
        if running:
            time.sleep(pause)
    return faults


def _ended(session, running, seconds):
    """{task: Fault, or None} of the tasks that are over, or have had their time."""
    if not running:
        return {}
    try:
        found = list(of_objects(session, TASK, [Ref(task, "Task") for task in running], {}))
    except SoapFault as error:
        return {task: Fault("", "what became of it is not known: %s" % error) for task in running}
    ended = {}
    for task in found:
        if task.values.get("info.state") == "success":
            ended[task.moid] = None
        elif task.values.get("info.state") == "error":
            ended[task.moid] = _fault(task.values.get("info.error"))
    for task, (_name, deadline) in running.items():
        if task not in ended and time.monotonic() > deadline:
            ended[task] = Fault("", "it takes longer than %d s" % seconds)
    return ended


def _fault(error):
    name = str(at(error or {}, "fault._type", "") or "no reason given")
    privilege = at(error or {}, "fault.privilegeId", "")
    said = privilege or at(error or {}, "localizedMessage", "")
    return Fault(name, ("%s %s" % (name, str(said)[:200])).strip())
