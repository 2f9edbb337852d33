# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of row is to the engine."""

from __future__ import annotations


class Kind(object):
    """One kind of row: how it is called, the properties it is read from, the value of now, and how values are set.

    current(host, name) -> value. put(host, [(name, value)]). together: kinds with the same word are sent in one call.
    of_logs: beginnings of the names of settings that the log service takes up when it is told to. shown(value): what
    people are shown of a value, where that is not the whole of it.
    """

    def __init__(self, title, paths, current, put, together="", of_logs=(), shown=None):
        self.title = title
        self.paths = paths
        self.current = current
        self.together = together
        self.of_logs = of_logs
        self.shown = shown or (lambda found: found)
        self._put = put

    def write(self, host, batch):
        """Have the server make the Changes of a batch. :raises ChangeError, SoapFault, Unreadable: it refused."""
        self._put(host, [(change.name, change.new) for change in batch])

    def again(self, host, _batch):
        """The host as it is now, to compare a batch with."""
        return host.again(self.paths)

    def parts(self, batch):
        """What is put back in one call: of settings, each that the server takes is better than none."""
        return [[change] for change in batch]

    def called(self, _host, name):
        """The name of a setting for people."""
        return name
