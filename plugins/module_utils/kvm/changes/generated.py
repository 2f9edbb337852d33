# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about files that a program of the system writes from others: PAM's stacks by pam-auth-update or authselect."""

from __future__ import annotations

import os

# Such programs leave a file alone that somebody has edited, and say so to nobody.
PROOF = """\
grep -qF -- "$1" "$2" || {
    echo "$2 does not hold $1 after $3 ran: it leaves files alone that were edited by hand" >&2
    exit 1
}
"""


def generated(row, world):
    """Have the program write its files; returns {program: [before, after]}.

    It runs where a file of `sources` changes with this plan, or where one of its files does not hold what it should.
    """
    stale = any(world.draft(path).changed for path in row["sources"])
    missing = [path for path, text in sorted(row["holds"].items()) if text not in _text(path)]
    if not stale and not missing:
        return {}
    program = os.path.basename(row["command"][0])
    proofs = [["/bin/sh", "-c", PROOF, "sh", text, path, program] for path, text in sorted(row["holds"].items())]
    world.step_on_files(tuple(row["files"]), [list(row["command"])] + proofs, [list(row["undo"])])
    why = "%s lacks %s" % (missing[0], row["holds"][missing[0]]) if missing else "its sources change"
    return {"%s: %s" % (program, ", ".join(sorted(row["holds"]))): [why, "written again"]}


def _text(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return handle.read(1024 * 1024)
    except FileNotFoundError:
        return ""


KINDS = {"generated": generated}
