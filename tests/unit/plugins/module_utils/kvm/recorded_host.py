# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record everything the parts ask of a real host, and play it back whole or broken.

A recording is {"<method> <arguments as JSON>": {"value": ...} | {"unreadable": reason} | {"absent": reason}}; bytes are
base64. `python3 recorded_host.py` on a host that has the collection on its path prints a recording (see
tests/integration/kvm/record.py).
"""

from __future__ import annotations

import base64
import json
import sys
import threading

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Answer, Host, Unreadable

METHODS = ("read_bytes", "head", "list", "stat", "link", "real", "exists", "run", "euid", "now", "libvirt", "xattr")


def key_of(method, args, kwargs):
    return f"{method} {json.dumps([*args, *(kwargs[name] for name in sorted(kwargs))])}"


def pack(value):
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, Answer):
        return {"answer": [value.rc, value.out, value.err]}
    return value


def unpack(value):
    if isinstance(value, dict) and set(value) == {"bytes"}:
        return base64.b64decode(value["bytes"])
    if isinstance(value, dict) and set(value) == {"answer"}:
        return Answer(*value["answer"])
    return value


class RecordingHost(Host):
    """The real host, remembering every answer."""

    def __init__(self, *args):
        super().__init__(*args)
        self.calls = {}
        self._lock = threading.Lock()


class ReplayHost(Host):
    """A recording as a host. `broken(method, args, value)` may return another value or raise, to break it."""

    def __init__(self, calls, broken=None):
        super().__init__()
        self.calls = calls
        self.asked = []
        self._broken = broken


def _recorded(method):
    original = getattr(Host, method)

    def call(self, *args, **kwargs):
        key = key_of(method, args, kwargs)
        try:
            value = original(self, *args, **kwargs)
        except Unreadable as reason:
            kind = "absent" if isinstance(reason, Absent) else "unreadable"
            with self._lock:
                self.calls[key] = {kind: str(reason)}
            raise
        with self._lock:
            self.calls[key] = {"value": pack(value)}
        return value

    return call


def _replayed(method):
    def call(self, *args, **kwargs):
        key = key_of(method, args, kwargs)
        self.asked.append(key)
        found = self.calls.get(key)
        if found is None:
            raise Unreadable(f"not in the recording, record it again: {key[:200]}")
        if "absent" in found:
            raise Absent(found["absent"])
        if "unreadable" in found:
            raise Unreadable(found["unreadable"])
        value = unpack(found["value"])
        return self._broken(method, args, value) if self._broken else value

    return call


for name in METHODS:
    if hasattr(Host, name):
        setattr(RecordingHost, name, _recorded(name))
        setattr(ReplayHost, name, _replayed(name))


def main():
    from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector

    host = RecordingHost(*sys.argv[1:2])
    collector.collect(host)
    json.dump(host.calls, sys.stdout, sort_keys=True, indent=0)


if __name__ == "__main__":
    main()
