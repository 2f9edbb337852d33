# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the objects of an inventory are. Names are unique below one parent only: every datacenter has a folder vm."""

from __future__ import annotations

from collections import Counter

# Deeper than any inventory; a parent that is its own child ends here.
MAX_DEPTH = 64


class Places(object):
    """Objects that are no machines: those are known by their instance UUID.

    known: {id: (name, id of the parent)}; the root folder's parent is "", and None is one that nobody told of.
    """

    def __init__(self, known):
        self._known = dict(known)
        self._names = Counter(name for name, _parent in self._known.values())

    def path(self, moid):
        """/lab/vm/production, of the root folder /. It begins with the id of the object above which nothing is seen."""
        names, at = [], str(moid)
        while at in self._known and len(names) < MAX_DEPTH:
            name, above = self._known[at]
            if above == "":
                return "/" + "/".join(reversed(names))
            if above is None:
                break
            names.append(name)
            at = above
        return "/".join([at, *reversed(names)])

    def called(self, moid):
        """An object's name where no other has it, else its path."""
        name = self._known[str(moid)][0]
        return name if self._names[name] == 1 else self.path(moid)

    def find(self, name):
        """The ids of the objects that have a name or a path."""
        found = [moid for moid, (called, _parent) in self._known.items() if called == name]
        return found or [moid for moid in self._known if name.startswith("/") and self.path(moid) == name]
