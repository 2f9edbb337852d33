# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about the POSIX access list of a file or directory: named entries that have to go (setfacl(1), package acl)."""

from __future__ import annotations

import os


def access_list(row, world):
    """Named entries of an access list; returns {path: entry: [rights before, None]}. Nothing where there is no path."""
    path = os.path.realpath(row["path"])
    if not os.path.exists(path):
        return {}
    before = world.succeed(["getfacl", "--absolute-names", "--", path])
    found = _named(before)
    gone = [entry for entry in row["remove"] if entry in found]
    if not gone:
        return {}
    left = [entry for entry in found if entry not in gone]
    # A mask limits what is left, and setfacl would widen it; with nothing left it only obscures the directory's mode.
    masks = [
        scope + "mask"
        for scope in ("", "default:")
        if any(_scope(entry) == scope for entry in gone) and not any(_scope(entry) == scope for entry in left)
    ]
    words = [word for entry in gone + masks for word in ("--remove", entry)]
    argv = ["setfacl", "--no-mask", *words, "--", path]

    def note(change):
        saved = change.keep(before.encode("utf-8"))
        change.note({"op": "run", "argv": ["setfacl", "--restore=-"], "stdin": saved})

    world.steps.append((note, lambda: world.succeed(argv), ()))
    return {"%s: %s" % (path, entry): [found[entry], None] for entry in gone}


def _scope(entry):
    return "default:" if entry.startswith("default:") else ""


def _named(text):
    """{"user:alice" or "default:group:ops": "rwx"} of getfacl's answer."""
    found = {}
    for line in text.splitlines():
        parts = line.split("\t", 1)[0].strip().split(":")
        default = parts[0] == "default"
        kind, name, rights = (parts[1:] if default else parts)[:3] if len(parts) >= 3 + default else ("", "", "")
        if kind in ("user", "group") and name:
            found[("default:" if default else "") + "%s:%s" % (kind, name)] = rights[:3]
    return found


KINDS = {"access_list": access_list}
