# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When accounts were last used: lastlog, lastlog2, wtmp, and the sessions of this moment."""

from __future__ import annotations

import datetime
import os
import re
import struct

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

LASTLOG = "/var/log/lastlog"
WTMP = "/var/log/wtmp"
# lastlog is one record per uid, mostly holes: the first 4 MiB hold every uid below 14,000.
LASTLOG_BYTES = 4 * 1024 * 1024
WTMP_BYTES = 16 * 1024 * 1024
USER_PROCESS = 7
# glibc, bits/wordsize.h: where __WORDSIZE_TIME64_COMPAT32 is 0, both records carry 64-bit times.
WIDE_TIME = ("aarch64", "riscv64", "loongarch64")
LASTLOG2_LINE = re.compile(r"^(\S+)\s.*\s(\w{3} +\d{1,2} \d\d:\d\d:\d\d) [-+]\d{4} (\d{4})\s*$")


def last_logins(host, users):
    """Return {"source", "since", "last": {name: day}} for the accounts in `users` ({name: {"uid": …}}).

    day: ISO date of the last login on record, "" when there is none. since: the day from which the records are
    complete, "" when they always were. Raises Unreadable where nothing on the host records logins.
    """
    last = dict.fromkeys(users, 0)
    sources, since = [], None
    for source, read in (("lastlog", _lastlog), ("lastlog2", _lastlog2), ("wtmp", _wtmp)):
        try:
            found, first = read(host, users)
        except Absent:
            continue
        if found is None:
            continue
        sources.append(source)
        since = first if since is None else min(since, first)
        for name, moment in found.items():
            last[name] = max(last.get(name, 0), moment)
    if not sources:
        raise Unreadable("%s, %s and lastlog2 are empty or absent: this host does not record logins" % (LASTLOG, WTMP))
    return {
        "source": "+".join(sources),
        "since": day(since) if since else "",
        "last": {name: day(moment) if moment else "" for name, moment in sorted(last.items())},
    }


def day(moment):
    """The ISO date (UTC) of seconds since the epoch."""
    return datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).date().isoformat()


def _lastlog(host, users):
    size = host.stat(LASTLOG)["size"]
    if not size:
        return None, 0
    data = host.head(LASTLOG, LASTLOG_BYTES)
    wide = os.uname().machine in WIDE_TIME
    record = 296 if wide else 292
    found = {}
    for name, user in users.items():
        offset = user["uid"] * record
        if offset + record <= len(data):
            found[name] = struct.unpack_from("<q" if wide else "<i", data, offset)[0]
        elif offset + record <= size:
            raise Unreadable("%s: the record of uid %d is too far back to read" % (LASTLOG, user["uid"]))
    return found, 0


def _lastlog2(host, users):
    found = {}
    for line in host.succeed(["lastlog2"]).splitlines():
        match = LASTLOG2_LINE.match(line)
        if match and match.group(1) in users:
            moment = datetime.datetime.strptime("%s %s" % (match.group(2), match.group(3)), "%b %d %H:%M:%S %Y")
            found[match.group(1)] = int(moment.replace(tzinfo=datetime.timezone.utc).timestamp())
    return (found or None), 0


def _wtmp(host, users):
    data = host.read_bytes(WTMP, WTMP_BYTES)
    wide = os.uname().machine in WIDE_TIME
    size, kind, name_at, time_at = (400, "<h", 44, 344) if wide else (384, "<h", 44, 340)
    found, first, logins = {}, None, False
    for offset in range(0, len(data) - size + 1, size):
        moment = struct.unpack_from("<q" if wide else "<i", data, offset + time_at)[0]
        first = moment if first is None else min(first, moment)
        if struct.unpack_from(kind, data, offset)[0] != USER_PROCESS:
            continue
        logins = True
        name = data[offset + name_at : offset + name_at + 32].split(b"\0", 1)[0].decode("utf-8", "replace")
        if name in users:
            found[name] = max(found.get(name, 0), moment)
    # Boot records alone do not show that logins are recorded too.
    return (found, first) if logins else (None, 0)
