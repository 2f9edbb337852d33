# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about text files: whole files, keys, lines, and who may read them.

Rows work on a draft of each file, so that several rows about one file end in one write.
"""

from __future__ import annotations

import difflib
import grp
import os
import pwd
import re
import stat

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import record
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.text import edit_keys, edit_lines

MAX_FILE = 4 * 1024 * 1024


class Draft(object):
    """A file as it is and as it shall be. text None: it does not exist."""

    def __init__(self, path):
        # A link is followed: what is replaced is the file, never the link that somebody put there.
        self.path = os.path.realpath(path)
        found = record.status(self.path)
        self.before = self.text = None
        self.mode, self.uid, self.gid = 0o644, 0, 0
        if found is not None:
            if found.st_size > MAX_FILE:
                raise ValueError("%s is larger than %d bytes" % (self.path, MAX_FILE))
            with open(self.path, encoding="utf-8", errors="surrogateescape") as handle:
                self.before = self.text = handle.read()
            self.mode, self.uid, self.gid = stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
        self.access = (self.mode, self.uid, self.gid)
        self.secret = False
        self.validate = []

    @property
    def changed(self):
        """Whether anything has to be written."""
        return self.text != self.before or (self.text is not None and self.access != (self.mode, self.uid, self.gid))

    def data(self):
        """The bytes to write."""
        return self.text.encode("utf-8", "surrogateescape")

    def edits(self):
        """[[line now, line before]] of the difference, for a file that others may change as well."""
        if self.before is None or self.text is None:
            return []
        old, new = self.before.splitlines(True), self.text.splitlines(True)
        pairs = []
        for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag == "equal":
                continue
            for number in range(max(i2 - i1, j2 - j1)):
                before = old[i1 + number] if i1 + number < i2 else None
                after = new[j1 + number] if j1 + number < j2 else None
                pairs.append([after, before])
        return pairs


def file(row, world):
    """A whole file; returns {what: [before, after]}."""
    draft = world.draft(row["path"])
    before = draft.text
    draft.secret = draft.secret or row["secret"]
    draft.text = row["content"]
    if row["content"] is None:
        return {} if before is None else {row["path"]: ["present", "absent"]}
    draft.mode, draft.uid, draft.gid = int(row["mode"], 8), user_id(row["owner"]), group_id(row["group"])
    if row["validate"]:
        draft.validate = row["validate"]
    found = {}
    if before != draft.text:
        found[row["path"]] = ["absent" if before is None else "other content", "gold content"]
    found.update(_access_words(row["path"], draft) if before is not None else {})
    return found


def keys(row, world):
    """Keys of a configuration file; returns {path: key: [before, after]}."""
    draft = world.draft(row["path"])
    draft.secret = draft.secret or row["secret"]
    if draft.text is None:
        if not row["create"]:
            return {}
        draft.mode = int(row["mode"], 8)
    text, changed = edit_keys(draft.text or "", row["values"], row["syntax"], row["section"])
    if changed:
        draft.text = text
    hidden = ["(not shown)", "(not shown)"]
    return {"%s: %s" % (row["path"], key): hidden if row["secret"] else pair for key, pair in changed.items()}


def lines(row, world):
    """Lines of an existing file; returns {path: line: [before, after]}."""
    draft = world.draft(row["path"])
    draft.secret = draft.secret or row["secret"]
    if draft.text is None:
        raise ValueError("%s does not exist: nothing to put the lines into" % row["path"])
    text, changed = edit_lines(draft.text, row["present"], row["absent"])
    draft.text = text
    return {"%s: line %s" % (row["path"], number): pair for number, pair in enumerate(changed, 1)}


def access(row, world):
    """Mode and owner of something that exists; a file that a row before this one writes is changed with it."""
    path = os.path.realpath(row["path"])
    if not os.path.exists(path) and not world.has_draft(path):
        return {}
    if world.has_draft(path) or stat.S_ISREG(os.stat(path).st_mode) and os.stat(path).st_size <= MAX_FILE:
        return _draft_access(row, world.draft(path))
    found = os.stat(path)
    wanted = _wanted(row, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
    if wanted == (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid):
        return {}
    entry = {
        "op": "access", "path": path, "mode": stat.S_IMODE(found.st_mode), "uid": found.st_uid, "gid": found.st_gid
    }  # fmt: skip

    def write():
        os.chown(path, wanted[1], wanted[2])
        os.chmod(path, wanted[0])

    world.step([entry], write)
    return {path: [_words(entry["mode"], found.st_uid, found.st_gid), _words(*wanted)]}


def _draft_access(row, draft):
    draft.mode, draft.uid, draft.gid = _wanted(row, draft.mode, draft.uid, draft.gid)
    return _access_words(draft.path, draft)


def _access_words(path, draft):
    if draft.before is None or draft.access == (draft.mode, draft.uid, draft.gid):
        return {}
    return {"%s: access" % path: [_words(*draft.access), _words(draft.mode, draft.uid, draft.gid)]}


def _wanted(row, mode, uid, gid):
    return (
        int(row["mode"], 8) if row["mode"] else mode,
        user_id(row["owner"]) if row["owner"] else uid,
        group_id(row["group"]) if row["group"] else gid,
    )


def _words(mode, uid, gid):
    return "%04o %s:%s" % (mode, _name(pwd.getpwuid, uid), _name(grp.getgrgid, gid))


def _name(lookup, number):
    try:
        return lookup(number)[0]
    except KeyError:
        return str(number)


def user_id(name):
    """The number of a user.

    :raises ValueError: there is none of that name.
    """
    try:
        return int(name) if re.match(r"^\d+$", str(name)) else pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ValueError("there is no user %s on this host" % name)


def group_id(name):
    """The number of a group.

    :raises ValueError: there is none of that name.
    """
    try:
        return int(name) if re.match(r"^\d+$", str(name)) else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ValueError("there is no group %s on this host" % name)


KINDS = {"file": file, "keys": keys, "lines": lines, "access": access}
