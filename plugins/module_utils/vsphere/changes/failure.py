# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops a change of vSphere, apart from what the server refuses."""

from __future__ import annotations


class ChangeError(Exception):
    """A value cannot be read or set. The message names the setting, what was found and what was expected."""


class PartlyDone(ChangeError):
    """Of several changes that were asked for at once, some were refused.

    done: (kind, name) of those that were made, or may have been.
    """

    def __init__(self, message, done):
        ChangeError.__init__(self, message)
        self.done = frozenset(done)
