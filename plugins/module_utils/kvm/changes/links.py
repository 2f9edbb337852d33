# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about symbolic links that say something by where they point (default.target)."""

from __future__ import annotations

import os


def link(row, world):
    """A symbolic link; returns {path: [before, after]}.

    :raises ValueError: something else than a link is there.
    """
    path, wanted = row["path"], row["target"]
    before = os.readlink(path) if os.path.islink(path) else None
    if before is None and os.path.lexists(path):
        raise ValueError("%s is not a symbolic link" % path)
    if before == wanted:
        return {}
    undo = ["rm", "-f", "--", path] if before is None else ["ln", "-sfn", "--", before, path]
    world.step(
        [{"op": "run", "argv": undo, "stdin": None}],
        lambda: world.succeed(["ln", "-sfn", "--", wanted, path]),
    )
    return {path: [before or "absent", wanted]}


KINDS = {"link": link}
