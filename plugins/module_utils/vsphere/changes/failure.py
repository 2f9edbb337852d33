# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops a change of vSphere, apart from what the server refuses."""

from __future__ import annotations


class ChangeError(Exception):
    """A value cannot be read or set. The message names the setting, what was found and what was expected.

    name: of the server's fault, if it is one.
    """

    def __init__(self, message, name=""):
        Exception.__init__(self, message)
        self.name = name


class Refused(object):
    """Of several changes that were asked for at once, those that fail together.

    keys: their (kind, name). name: of the server's fault; empty where nobody knows whether they were made.
    """

    def __init__(self, keys, name, text):
        self.keys = frozenset(keys)
        self.name = name
        self.text = text


class PartlyDone(ChangeError):
    """Of several changes that were asked for at once, some were refused. refused: a list of Refused."""

    def __init__(self, refused):
        self.refused = list(refused)
        ChangeError.__init__(self, "; ".join(one.text for one in self.refused))

    def made(self, batch):
        """Those of a batch of changes that were made, or may have been."""
        failed = {key for one in self.refused if one.name for key in one.keys}
        return [change for change in batch if change.key not in failed]
