# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows about local groups and accounts. Nobody is ever deleted."""

from __future__ import annotations

import grp
import pwd

# Each program keeps a copy of what was there under the same name with a dash.
GROUP_FILES = ("/etc/group", "/etc/gshadow", "/etc/group-", "/etc/gshadow-")
ACCOUNT_FILES = ("/etc/shadow", "/etc/shadow-", "/etc/passwd", "/etc/passwd-")


def members(row, world):
    """Members of a group; returns {group: [members before, members after]}."""
    name = row["group"]
    try:
        before = sorted(grp.getgrnam(name).gr_mem)
    except KeyError:
        if not row["create"]:
            if row["add"]:
                raise ValueError("there is no group %s on this host" % name)
            return {}
        before = None
    add = [member for member in row["add"] if member not in (before or [])]
    remove = [member for member in row["remove"] if member in (before or [])]
    for member in add:
        _known(member)
    if before is not None and not add and not remove:
        return {}
    commands = [] if before is not None else [["groupadd", "--system", name]]
    commands += [["gpasswd", "--add", member, name] for member in add]
    commands += [["gpasswd", "--delete", member, name] for member in remove]
    undo = [["gpasswd", "--delete", member, name] for member in add]
    undo += [["gpasswd", "--add", member, name] for member in remove]
    world.step_on_files(GROUP_FILES, commands, undo if before is not None else [["groupdel", name]])
    after = sorted(set(before or []) - set(remove) | set(add))
    return {"group %s" % name: ["absent" if before is None else ", ".join(before), ", ".join(after)]}


def account(row, world):
    """Whether an account can be used; returns {account: [before, after]}."""
    name = row["name"]
    fields = world.shadow(name)
    if fields is None:
        raise ValueError("%s has no entry in /etc/shadow: not a local account" % name)
    locked, expires = fields[1].startswith(("!", "*")), fields[7]
    if row["usable"]:
        raise ValueError("account %s: only usable false can be set; somebody's password is not ours to give" % name)
    if locked and expires == "1":
        return {}
    commands = [["usermod", "--lock", "--expiredate", "1", name]]
    undo = [["usermod", "--expiredate", expires, name]] + ([] if locked else [["usermod", "--unlock", name]])
    world.step_on_files(ACCOUNT_FILES, commands, undo)
    return {"account %s" % name: ["usable", "locked and expired"]}


def _known(member):
    try:
        pwd.getpwnam(member)
    except KeyError:
        raise ValueError("there is no account %s on this host" % member)


KINDS = {"members": members, "account": account}
