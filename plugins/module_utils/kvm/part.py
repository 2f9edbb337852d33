# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a part is: one topic of the facts document, collected on its own so that it can fail on its own."""

from __future__ import annotations

import threading

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable


class Part(object):
    """A topic.

    name: what `kvm_info`'s option `parts` calls it. provides: the fact paths it fills; when it fails as a whole, each
    of them is listed in collector.errors. collect(host, note) returns the facts as one nested dict; for a piece that
    cannot be read it leaves None and calls note(path, reason). units: every unit it asks systemd.show for.
    """

    def __init__(self, name, provides, collect, units=()):
        self.name = name
        self.provides = provides
        self.collect = collect
        self.units = tuple(units)


def attempt(note, path, read, default=None):
    """Return read(), or note the reason against `path` and return `default` when it cannot be read."""
    try:
        return read()
    except Unreadable as reason:
        note(path, str(reason))
        return default


def side_by_side(ask, questions, at_once):
    """Return [ask(question)] in the order of the questions, up to `at_once` of them at a time. ask must not raise.

    concurrent.futures would do the same, and takes longer to import than most programs take to answer.
    """
    answers = [None] * len(questions)
    waiting = iter(range(len(questions)))
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                number = next(waiting, None)
            if number is None:
                return
            answers[number] = ask(questions[number])

    workers = [threading.Thread(target=work, daemon=True) for _worker in range(min(at_once, len(questions)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return answers


def merge(into, facts):
    """Merge nested dicts: parts share branches (remote_access.ssh, remote_access.protocols), never leaves."""
    for key, value in facts.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value
