# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A facts document while it is being filled: a path is either there, or its reason is."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import at

UNSET = "the server does not say it"
# What reading an answer of a shape that no known server sends can raise; hostile or future, it ends nothing.
SHAPE = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)


def strange(error):
    """The reason for an answer of a shape nobody knows."""
    return "the answer has an unexpected shape (%s)" % type(error).__name__


class Unreadable(Exception):
    """A fact that exists could not be read, or was answered in a way nobody can judge. The message is the reason."""


class Facts(object):
    """document: the facts so far; see put, lost and attempt."""

    def __init__(self):
        self.document = {"schema_version": 1}
        self.errors = []

    def put(self, path, found, reason=UNSET):
        """Set the fact at a dotted path; None is noted as an error with `reason` instead."""
        if found is None:
            self.lost(path, reason)
            return
        place = self.document
        steps = path.split(".")
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        place[steps[-1]] = found

    def has(self, path):
        """Whether the fact at a dotted path is known."""
        return at(self.document, path) is not None

    def lost(self, path, reason):
        """Note why a path could not be read: it is unknown to every check."""
        self.errors.append({"path": path, "reason": str(reason)[:300]})

    def attempt(self, path, read):
        """put(path, read()); what the server refuses is noted.

        :raises Lost: the connection to the endpoint is gone, which no further question would survive.
        """
        try:
            self.put(path, read())
        except (SoapFault, Unreadable) as error:
            self.lost(path, error)
        except SHAPE as error:
            self.lost(path, strange(error))

    def finished(self, collected_at, parts, seconds):
        """The document with what the collector says about itself."""
        self.put("host.collected_at", collected_at)
        self.document["collector"] = {
            "errors": self.errors,
            "privileges_ok": not any("no permission" in error["reason"] for error in self.errors),
            "parts": list(parts),
            "seconds": seconds,
        }
        return self.document
