# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account files of a host: passwd, group, shadow and login.defs, as plain dictionaries."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent

# Programs that end a session at once. An empty field means /bin/sh, so it is a login shell (passwd(5)).
NO_LOGIN = ("nologin", "false", "true", "sync", "halt", "shutdown")
UID_MIN = 1000
NOBODY = 65534


def users(text):
    """Parse passwd lines (a file or getent's output) into {name: {uid, gid, home, shell_path, shell}}.

    shell: whether a session can be had, True for every program that is not known to refuse one.
    """
    found = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) < 7 or not fields[0] or fields[0].startswith(("#", "+", "-")):
            continue
        if not (fields[2].isdigit() and fields[3].isdigit()):
            continue
        found.setdefault(
            fields[0],
            {
                "uid": int(fields[2]),
                "gid": int(fields[3]),
                "home": fields[5],
                "shell_path": fields[6].strip() or "/bin/sh",
                "shell": fields[6].strip().rsplit("/", 1)[-1] not in NO_LOGIN,
            },
        )
    return found


def groups(text):
    """Parse group lines into {name: {gid, members}}; members holds only those the line itself names."""
    found = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) < 4 or not fields[2].isdigit() or fields[0].startswith(("#", "+", "-")):
            continue
        members = sorted({name.strip() for name in fields[3].split(",") if name.strip()})
        found.setdefault(fields[0], {"gid": int(fields[2]), "members": members})
    return found


def with_primary(group_lines, user_lines):
    """{group: sorted members}, those included whose primary group it is: the member list of group(5) lacks them."""
    by_gid = {}
    for name, user in user_lines.items():
        by_gid.setdefault(user["gid"], []).append(name)
    return {
        name: sorted(set(group["members"]) | set(by_gid.get(group["gid"], []))) for name, group in group_lines.items()
    }


def shadow(text, today):
    """Parse shadow lines into {name: {password, expired, expires_on, changed_day}}. No hash leaves this function.

    password: "none" (empty: no password is asked for), "locked" (nothing can match it) or "password".
    today: days since the epoch. expires_on: the day the account ends, None when it does not. changed_day: the day of
    the last password change, None when unset.
    """
    found = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) < 8 or not fields[0]:
            continue
        secret = fields[1]
        word = "none" if secret == "" else "locked" if secret[0] in "!*" else "password"
        expires_on = int(fields[7]) if fields[7].isdigit() else None
        found.setdefault(
            fields[0],
            {
                "password": word,
                "expires_on": expires_on,
                # A value of 0 has no portable meaning (shadow(5)); PAM takes the account as expired from that day on.
                "expired": expires_on is not None and today >= expires_on,
                "changed_day": int(fields[2]) if fields[2].isdigit() and fields[2] != "0" else None,
            },
        )
    return found


def uid_min(host):
    """UID_MIN of login.defs: where accounts for people begin."""
    try:
        text = host.read("/etc/login.defs")
    except Absent:
        return UID_MIN
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "UID_MIN" and words[1].isdigit():
            return int(words[1])
    return UID_MIN


def name_services(host, database):
    """The sources nsswitch.conf names for a database, without its [actions]; files when it says nothing."""
    try:
        text = host.read("/etc/nsswitch.conf")
    except Absent:
        return ["files"]
    for line in text.splitlines():
        name, colon, sources = line.split("#", 1)[0].partition(":")
        if colon and name.strip() == database:
            return [word for word in sources.split() if not word.startswith("[") and not word.endswith("]")]
    return ["files"]


def people(user_lines, lowest):
    """The names of accounts that could be persons: a login shell and a uid from `lowest` on, nobody aside."""
    return sorted(
        name for name, user in user_lines.items() if user["shell"] and user["uid"] >= lowest and user["uid"] != NOBODY
    )
