# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""session_policy: what locks an account after failed attempts, and what ends a session that nobody uses."""

from __future__ import annotations

import posixpath
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

# faillock.conf(5) and pam_faillock(8): the values in force where nothing is set.
FAILLOCK = {"deny": 3, "unlock_time": 600, "fail_interval": 900}
FAILLOCK_CONF = "/etc/security/faillock.conf"
# In the order a login shell reads them; Debian's and Red Hat's names of the file for other interactive shells.
PROFILES = ("/etc/environment", "/etc/profile")
PROFILE_DIRECTORY = "/etc/profile.d"
SHELL_FILES = ("/etc/bash.bashrc", "/etc/bashrc")
ASSIGNMENT = re.compile(r"^(\s*)(?:(?:export|readonly|declare|typeset|local)\s+(?:-\w+\s+)*)?TMOUT=([^\s;&|]*)")
FREEZE = re.compile(r"(?:^|[;&\s])(?:readonly|declare\s+-\w*r\w*|typeset\s+-\w*r\w*)\s(?:.*\s)?TMOUT\b")
LOGIN_MANAGER = [
    "busctl",
    "get-property",
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
]
NEVER = 2**64 - 1


def collect(host, note):
    """Return {"session_policy": {"faillock": {...}, "tmout": {...}, "stop_idle_seconds": n}}.

    faillock: deny, unlock_time, fail_interval of faillock.conf, seconds; unlock_time 0 is until an administrator acts.
    tmout: seconds (0 where unset), readonly, and the file of the assignment that counts. stop_idle_seconds: what the
    running login manager applies, 0 for never.
    """
    return {
        "session_policy": {
            "faillock": attempt(note, "session_policy.faillock", lambda: _faillock(host)),
            "tmout": attempt(note, "session_policy.tmout", lambda: _tmout(host)),
            "stop_idle_seconds": attempt(note, "session_policy.stop_idle_seconds", lambda: _stop_idle(host)),
        }
    }


def _faillock(host):
    found = dict(FAILLOCK)
    try:
        text = host.read(FAILLOCK_CONF)
    except Absent:
        return found
    for line in text.splitlines():
        name, equals, value = line.split("#", 1)[0].partition("=")
        name, value = name.strip(), value.strip()
        if equals and name in found:
            if value != "never" and not value.isdigit():
                raise Unreadable("%s: %s is %s, which is no number" % (FAILLOCK_CONF, name, value[:20]))
            found[name] = 0 if value == "never" else int(value)
    return found


def _tmout(host):
    """The assignment a login shell ends up with: the last one, or the first that was frozen."""
    found = {"seconds": 0, "readonly": False, "file": ""}
    for path in _profiles(host):
        try:
            text = host.read(path)
        except Absent:
            continue
        for line in text.splitlines():
            if "TMOUT" not in line or line.strip().startswith("#"):
                continue
            match = ASSIGNMENT.match(line)
            if not match and re.search(r"TMOUT=|unset\s", line):
                raise Unreadable("%s changes TMOUT in a way that is not read: %s" % (path, line.strip()[:60]))
            if match and not found["readonly"]:
                if match.group(1) and path != "/etc/environment":
                    raise Unreadable("%s sets TMOUT inside a condition, which is not read" % path)
                value = match.group(2).strip("\"'")
                if not value.isdigit():
                    raise Unreadable("%s sets TMOUT to %s, which is no number" % (path, value[:20]))
                found.update(seconds=int(value), file=path)
            if FREEZE.search(line):
                found["readonly"] = True
    return found


def _profiles(host):
    try:
        names = [name for name in host.list(PROFILE_DIRECTORY) if name.endswith(".sh")]
    except Absent:
        names = []
    return [*PROFILES, *(posixpath.join(PROFILE_DIRECTORY, name) for name in names), *SHELL_FILES]


def _stop_idle(host):
    """StopIdleSessionSec as the running logind applies it; systemd before 252 has no such property."""
    try:
        answer = host.run(LOGIN_MANAGER + ["StopIdleSessionUSec"], timeout=5)
    except Absent:
        return 0
    # A number is only whole at the end of its line.
    match = re.match(r"t (\d+)\n$", answer.out)
    if answer.rc == 0 and match:
        value = int(match.group(1))
        return 0 if value == NEVER else value // 1000000
    if re.search(r"No such property|Unknown property|not provided by any|ServiceUnknown|not found", answer.err):
        return 0
    raise Unreadable("logind does not say when it ends idle sessions: %s" % (answer.err.strip() or "no answer")[:100])


PART = Part("session_policy", ["session_policy"], collect)
