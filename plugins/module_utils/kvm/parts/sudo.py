# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sudo: the rules of the sudoers tree, and what sudo itself says each person may run."""

from __future__ import annotations

import fnmatch
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import passwd, sudoers
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt, side_by_side

MAX_USERS = 30
# The settings that decide who may become root and whether a password is asked for.
DEFAULTS = (
    "authenticate",
    "targetpw",
    "rootpw",
    "runaspw",
    "timestamp_timeout",
    "use_pty",
    "noexec",
    "exempt_group",
    "syslog",
    "logfile",
)
NOT_ALLOWED = re.compile(r"is not allowed to run sudo on|may not run sudo on|not allowed to run sudo")


def collect(host, note):
    """Return {"sudo": {installed, version, sources, files, rules, defaults, groups, effective}}.

    sources: where sudo takes rules from (files, sss, ldap). rules: see kvm.sudoers.Tree, with `applies`: whether the
    host list can mean this host. groups: members of the groups rules name that /etc/group does not know. effective:
    {user: [command groups]} as `sudo -l -U` prints them, rules of the directory included.
    """
    version = _version(host)
    if version is None:
        empty = {
            "installed": False,
            "version": "",
            "sources": [],
            "files": [],
            "rules": [],
            "defaults": [],
            "groups": {},
        }
        return {"sudo": dict(empty, effective={})}
    tree = sudoers.read_tree(host)
    for line in tree.unparsed[:20]:
        note("sudo.rules", line)
    hostname = host.read("/proc/sys/kernel/hostname").strip()
    for rule in tree.rules:
        rule["applies"] = _applies(rule["hosts"], hostname)
    local = passwd.users(host.read("/etc/passwd"))
    members = passwd.with_primary(passwd.groups(host.read("/etc/group")), local)
    strangers = {group for rule in tree.rules for group in _groups(rule["users"]) if group not in members}
    outside = attempt(note, "sudo.groups", lambda: _members(host, sorted(strangers)), {})
    return {
        "sudo": {
            "installed": True,
            "version": version,
            "sources": passwd.name_services(host, "sudoers"),
            "files": tree.files,
            "rules": tree.rules,
            "defaults": [setting for setting in tree.defaults if setting["name"] in DEFAULTS],
            "groups": outside,
            "effective": attempt(
                note,
                "sudo.effective",
                lambda: _effective(host, note, _listed(host, tree.rules, local, {**outside, **members})),
            ),
        }
    }


def _version(host):
    try:
        lines = host.run(["sudo", "-V"]).out.splitlines()
    except Absent:
        return None
    return re.sub(r"^Sudo version\s+", "", lines[0]) if lines else ""


def _applies(hosts, hostname):
    """Whether a host list can mean this host; an address or netgroup could, so it does (the last match decides)."""
    names = {hostname.lower(), hostname.lower().split(".")[0]}
    decided = False
    for word in hosts:
        bare = word.lstrip("!").lower()
        vague = bare.startswith("+") or re.match(r"^[0-9a-f.:/]+$", bare) and re.search(r"[.:]", bare)
        if (
            bare == "all"
            or any(fnmatch.fnmatchcase(name, bare) for name in names)
            or (vague and not word.startswith("!"))
        ):
            decided = not word.startswith("!")
    return decided


def _groups(users):
    return [
        word.lstrip("!")[1:]
        for word in users
        if word.lstrip("!").startswith("%") and not word.lstrip("!").startswith("%#")
    ]


def _members(host, names):
    """The members of groups that only the directory can know; [] where it knows of none."""
    found = {}
    for name in names[:20]:
        try:
            lines = passwd.groups(host.run(["getent", "group", name.lstrip(":")], timeout=5).out)
        except Absent:
            raise Unreadable("getent does not exist, so the group %s cannot be looked up" % name)
        found[name] = sorted({member for group in lines.values() for member in group["members"]})
    return found


def _listed(host, rules, local, members):
    """Whose rights to ask sudo for: people, and whoever a rule names."""
    named = {
        word for rule in rules for word in rule["users"] if re.match(r"^[^%+#!]", word) and word not in ("ALL", "root")
    }
    named |= {name for rule in rules for group in _groups(rule["users"]) for name in members.get(group, [])}
    return sorted(named | set(passwd.people(local, passwd.uid_min(host))) - {"root"})


def _effective(host, note, names):
    if host.euid() != 0:
        raise Unreadable("only root may ask sudo what others may run")
    if len(names) > MAX_USERS:
        note("sudo.effective", "%d people, sudo was asked about %d of them" % (len(names), MAX_USERS))
    found = {}

    def ask(name):
        try:
            return host.run(["sudo", "-n", "-l", "-U", name], timeout=5)
        except Unreadable as reason:
            return reason

    for name, answer in zip(names, side_by_side(ask, names[:MAX_USERS], 4)):
        if isinstance(answer, Unreadable):
            raise answer
        try:
            found[name] = _rights(answer)
        except ValueError as error:
            note("sudo.effective", "sudo -l -U %s: %s" % (name, error))
    return found


def _rights(answer):
    """The command groups of `sudo -l -U`: the indented lines after the one that speaks of commands."""
    lines = answer.out.splitlines()
    start = next(
        (number for number, line in enumerate(lines) if re.search(r"may run the following .*commands", line)), None
    )
    if start is None:
        # A user sudo does not know of has no rights either.
        if NOT_ALLOWED.search(answer.out + answer.err) or "unknown user" in answer.err:
            return []
        raise ValueError("an answer nobody can read: %s" % (answer.err or answer.out).strip()[:100])
    groups = []
    for line in lines[start + 1 :]:
        if line.startswith(" ") and line.strip():
            groups.extend(sudoers.parse_commands(line.strip(), "sudo -l"))
    return groups


PART = Part("sudo", ["sudo"], collect)
