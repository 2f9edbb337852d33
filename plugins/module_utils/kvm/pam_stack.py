# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolve PAM's files into the list of modules a service really runs, as libpam does."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

# libpam looks in this order; the second is the vendor directory of Debian 13, SUSE and systemd's own files.
DIRECTORIES = ("/etc/pam.d", "/usr/lib/pam.d")
TYPES = ("auth", "account", "password", "session")
# pam_handlers.c: PAM_SUBSTACK_MAX_LEVEL.
MAX_DEPTH = 16
MAX_LINES = 200
MAX_LINE = 4096
MAX_ARGUMENTS = 300
_LINE = re.compile(r"^(-?)(\w+)\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*)$")
# Arguments whose value is a secret of its own.
_SECRET = re.compile(
    r"(?i)(?P<bracket>\[)?(?P<name>[\w.-]*(?:pass|pwd?|secret|key|token|cred|psk|pin)[\w.-]*)="
    r"(?(bracket)(?:\\.|[^\]\\])*|\S+)"
)
# pam_exec(8): options, then a command with arguments of its own.
_COMMAND = re.compile(r"^((?:[^/\s]\S*\s+)*/\S+)\s+\S.*$", re.S)


def stack(host, service, kind="auth"):
    """Return {"file": path, "lines": [{control, module, args, level, optional}]} of one service and type.

    level: 0 for the stack itself, n inside n substacks. optional: the line began with "-", a missing module is ignored.
    Raises Absent where the service has no file, Unreadable where a file it names cannot be read or understood.
    """
    path = find(host, service)
    lines = []
    _file(host, path, kind, 0, 0, lines)
    return {"file": path, "lines": lines}


def find(host, service):
    """The file that libpam takes for a service."""
    for directory in DIRECTORIES:
        path = "%s/%s" % (directory, service)
        if host.exists(path):
            return path
    raise Absent("PAM has no file for %s" % service)


def _file(host, path, kind, level, depth, lines):
    if depth > MAX_DEPTH or len(lines) > MAX_LINES:
        raise Unreadable("%s: more than %d levels or %d lines of PAM" % (path, MAX_DEPTH, MAX_LINES))
    for line in _joined(host.read(path)):
        if len(line) > MAX_LINE:
            raise Unreadable("%s: a line of %d characters" % (path, len(line)))
        include = re.match(r"^@include\s+(\S+)$", line)
        if include:
            _file(host, _included(host, include.group(1), path), kind, level, depth + 1, lines)
            continue
        parts = _LINE.match(line)
        if not parts or parts.group(2).lower() not in TYPES:
            raise Unreadable("%s: a line that PAM would refuse: %s" % (path, " ".join(line.split()[:2])[:60]))
        dash, found, control, module, args = parts.groups()
        if found.lower() != kind:
            continue
        if control.lower() == "include":
            _file(host, _included(host, module, path), kind, level, depth + 1, lines)
        elif control.lower() == "substack":
            lines.append({"control": "substack", "module": module, "args": "", "level": level, "optional": bool(dash)})
            _file(host, _included(host, module, path), kind, level + 1, depth + 1, lines)
        else:
            lines.append(
                {
                    "control": control.lower(),
                    "module": module.rsplit("/", 1)[-1],
                    "args": _arguments(module, args.strip()[:MAX_ARGUMENTS]),
                    "level": level,
                    "optional": bool(dash),
                }
            )


def _arguments(module, args):
    """The arguments without the values of those that name a secret, and without those of a command that is run."""
    if module.endswith("pam_exec.so"):
        args = _COMMAND.sub(r"\1 ***", args)
    return _SECRET.sub(lambda found: "%s%s=***" % (found["bracket"] or "", found["name"]), args)


def shown(text):
    """A file's lines as PAM reads them, without comments and without the values of arguments that are secret."""
    lines = []
    for line in _joined(text):
        parts = _LINE.match(line)
        if parts:
            dash, kind, control, module, args = parts.groups()
            line = " ".join(word for word in (dash + kind, control, module, _arguments(module, args)) if word)
        lines.append(line + "\n")
    return "".join(lines)


def _included(host, name, path):
    try:
        return name if name.startswith("/") else find(host, name)
    except Absent:
        raise Unreadable("%s includes %s, which does not exist" % (path, name))


def _joined(text):
    """Lines without comments, continued ones joined."""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        line = line.partition("#")[0].strip()
        if line:
            yield line
