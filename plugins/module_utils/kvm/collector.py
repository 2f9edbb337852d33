# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the parts side by side and put their facts into one document."""

from __future__ import annotations

import datetime
import itertools
import threading
import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import merge
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import (
    audit,
    boot,
    clock,
    directory,
    firewall,
    guest_protection,
    integrity,
    libvirt_daemons,
    logging,
    patch,
    polkit,
    protocols,
    ssh,
)

SCHEMA_VERSION = 1
MAX_REASON = 300

# The parts, each independent of the others: those that ask systemd, and below the rest.
ASK_SYSTEMD = (
    audit.PART,
    boot.PART,
    clock.PART,
    directory.PART,
    firewall.PART,
    guest_protection.PART,
    integrity.PART,
    libvirt_daemons.PART,
    logging.PART,
    patch.PART,
    polkit.PART,
    protocols.PART,
    ssh.PART,
)


def other_parts():
    """Yield the parts that do not ask systemd, each as soon as it is loaded; whoever waits longest for answers first.

    A module is compiled anew in every run: this half of it while systemd and these parts' programs are answering.
    """
    from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import libvirt

    yield libvirt.PART
    from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import qemu_processes

    yield qemu_processes.PART
    from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import sudo

    yield sudo.PART
    from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import storage

    yield storage.PART
    from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import network

    yield network.PART
    from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import platform

    yield platform.PART
    from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import session_policy

    yield session_policy.PART
    from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import accounts

    yield accounts.PART
    from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import pam

    yield pam.PART


def every_part():
    """All parts, in memory."""
    return [*ASK_SYSTEMD, *other_parts()]


def names():
    """The names of all parts, for the module's option."""
    return sorted(part.name for part in every_part())


def collect(host, wanted=None, time_limit=60):
    """Return the facts document of a host.

    host: a host.Host. wanted: names of parts, all when empty. time_limit: seconds for everything together; what has not
    answered by then is listed in collector.errors like anything else that could not be read.
    """
    deadline = time.monotonic() + time_limit
    early = [part for part in ASK_SYSTEMD if not wanted or part.name in wanted]
    systemd.begin(host, [unit for part in early for unit in part.units])
    run, threads = _Run(host), []
    for part in itertools.chain(other_parts(), early):
        if not wanted or part.name in wanted:
            # Daemon threads: a part that hangs in a library call must not keep the module from answering or ending.
            threads.append((part, threading.Thread(target=run.part, args=(part,), daemon=True)))
            threads[-1][1].start()
    for part, thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
        if thread.is_alive():
            run.give_up(part, time_limit)
    return run.document(sorted(part.name for part, _thread in threads))


class _Run(object):
    """One collection: the facts and errors so far, guarded by a lock."""

    def __init__(self, host):
        self._host = host
        self._lock = threading.Lock()
        self._facts = {}
        self._errors = []
        self._closed = set()
        self._seconds = {}

    def part(self, part):
        errors = []
        started = time.monotonic()

        def note(path, reason):
            errors.append({"path": path, "reason": str(reason)[:MAX_REASON]})

        facts = {}
        try:
            facts = part.collect(self._host, note)
        except Unreadable as reason:
            errors.extend(_failed(part, str(reason)))
        except Exception as error:  # pylint: disable=broad-except
            # One broken part must never hide the others; the reader is told which and why.
            errors.extend(_failed(part, "internal error in part %s: %s: %s" % (part.name, type(error).__name__, error)))
        with self._lock:
            if part.name not in self._closed:
                merge(self._facts, facts)
                self._errors.extend(errors)
                self._seconds[part.name] = round(time.monotonic() - started, 3)

    def give_up(self, part, time_limit):
        with self._lock:
            self._closed.add(part.name)
            self._errors.extend(_failed(part, "did not answer within %s s" % time_limit))

    def document(self, names_done):
        with self._lock:
            facts = dict(self._facts)
            facts["schema_version"] = SCHEMA_VERSION
            host = facts.setdefault("host", {})
            host["platform"] = "kvm"
            host["collected_at"] = (
                datetime.datetime.fromtimestamp(self._host.now(), datetime.timezone.utc)
                .replace(microsecond=0)
                .isoformat()
            )
            facts["collector"] = {
                "errors": sorted(self._errors, key=lambda entry: entry["path"]),
                "privileges_ok": self._host.euid() == 0,
                "parts": names_done,
                "seconds": dict(self._seconds),
            }
            return encodable(facts)


def encodable(value):
    """The same data in which every text can be written as UTF-8; a byte nobody can decode becomes a visible escape.

    File names may hold any byte, which Python keeps as a lone surrogate. ansible-core 2.19 refuses a module's whole
    answer for one of them: a single file with such a name would make the host unreadable.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {encodable(key): encodable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [encodable(entry) for entry in value]
    return value


def _failed(part, reason):
    return [{"path": path, "reason": reason[:MAX_REASON]} for path in part.provides]
