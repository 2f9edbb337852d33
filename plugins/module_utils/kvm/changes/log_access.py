# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about who may read a log: the file itself is changed, never replaced, for programs have it open."""

from __future__ import annotations

import os
import stat

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import files


def log_access(row, world):
    """Mode and group of a log that exists; returns {path: [before, after]}. A log that was rotated away is no error."""
    path = os.path.realpath(row["path"])
    if not os.path.exists(path):
        return {}
    found = os.stat(path)
    mode, group = stat.S_IMODE(found.st_mode), found.st_gid
    wanted = int(row["mode"], 8), files.group_id(row["group"]) if row["group"] else group
    if wanted == (mode, group):
        return {}

    def change():
        # Group first: a change of it may take set-id bits away, and others must not get the group's rights.
        os.chown(path, -1, wanted[1])
        os.chmod(path, wanted[0])

    world.step([{"op": "access", "path": path, "mode": mode, "uid": found.st_uid, "gid": group}], change)
    return {"%s: access" % path: ["%04o group %d" % (mode, group), "%04o group %d" % wanted]}


KINDS = {"log_access": log_access}
