# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read sshd's configuration files for what `sshd -T` does not say: which Match blocks there are, and when they changed.

The settings themselves always come from sshd (`sshd -T -C ...`): a second parser of them would be wrong one day.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import posixpath
import shlex

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

MAIN = "/etc/ssh/sshd_config"
# servconf.c: SERVCONF_MAX_DEPTH.
MAX_DEPTH = 16
MAX_FILES = 200
# Splitting a line into words takes time with the square of its length.
MAX_LINE = 65536
# criterion: the key of the connection that `sshd -T -C` takes for it.
CRITERIA = {
    "user": "user",
    "group": "group",
    "host": "host",
    "address": "addr",
    "localaddress": "laddr",
    "localport": "lport",
}
# A Match on one of these cannot be put into a connection, but needs none either.
WITHOUT_VALUE = ("all", "invalid-user")


class Configuration(object):
    """What the files say.

    files: paths in the order sshd reads them. changed: newest modification time among files and the directories their
    Include patterns search (a deleted drop-in only shows there), newest: where. blocks: one {criterion: [patterns]} for
    each Match. unfollowed: Match criteria that no connection test can express.
    """

    def __init__(self):
        self.files = []
        self.changed = 0.0
        self.newest = None
        self.blocks = []
        self.unfollowed = []


def read(host, path=MAIN):
    """Read a configuration file with everything it includes. Raises Unreadable."""
    found = Configuration()
    _file(host, path, found, 0)
    return found


def _file(host, path, found, depth):
    if depth > MAX_DEPTH or len(found.files) >= MAX_FILES:
        raise Unreadable("%s: more than %d levels or %d files of Include" % (path, MAX_DEPTH, MAX_FILES))
    text = host.read(path)
    found.files.append(path)
    _newer(found, path, host.stat(path)["mtime"])
    # RHEL's crypto policy is a link that is pointed elsewhere, at a file that may be years old.
    _newer(found, path, host.stat(path, follow=False)["mtime"])
    for line in text.splitlines():
        if len(line) > MAX_LINE and not line.lstrip().startswith("#"):
            raise Unreadable("%s: a line of %d characters" % (path, len(line)))
        words = _words(line)
        if not words:
            continue
        keyword = words[0].lower()
        if keyword == "include":
            for pattern in words[1:]:
                for included in _glob(host, posixpath.join("/etc/ssh", pattern), found):
                    _file(host, included, found, depth + 1)
        elif keyword == "match":
            _match(words[1:], found)


def _words(line):
    line = line.strip()
    if not line or line.startswith("#"):
        return []
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    lexer.quotes = '"'
    lexer.escape = ""
    try:
        words = list(lexer)
    except ValueError:
        words = line.split()
    # sshd_config(5): keyword and arguments may be separated by one "=".
    keyword, equals, rest = words[0].partition("=")
    if equals:
        words = [keyword] + ([rest] if rest else []) + words[1:]
    elif len(words) > 1 and words[1].startswith("="):
        words = [keyword] + ([words[1][1:]] if words[1] != "=" else []) + words[2:]
    return words


def _match(words, found):
    block = {}
    index = 0
    while index < len(words):
        name, equals, value = words[index].partition("=")
        name = name.lower()
        if name in WITHOUT_VALUE:
            index += 1
            continue
        if not equals:
            index += 1
            value = words[index] if index < len(words) else ""
        if name in CRITERIA:
            block.setdefault(name, []).extend(part for part in value.split(",") if part)
        else:
            found.unfollowed.append(name)
        index += 1
    found.blocks.append(block)


def _glob(host, pattern, found):
    """Expand one Include pattern; the directories it searches count as configuration."""
    paths = ["/"]
    for component in [part for part in pattern.split("/") if part]:
        wild = any(char in component for char in "*?[")
        grown = []
        for base in paths:
            if not wild:
                grown.append(posixpath.join(base, component))
                continue
            try:
                names = host.list(base)
                _newer(found, base, host.stat(base)["mtime"])
            except Absent:
                continue
            # glob(3): a leading dot is matched only by a dot.
            matching = [name for name in names if fnmatch.fnmatchcase(name, component)]
            grown.extend(posixpath.join(base, name) for name in matching if component[0] == "." or name[0] != ".")
        paths = grown
    return sorted(path for path in paths if host.exists(path))


def _newer(found, path, mtime):
    if mtime > found.changed:
        found.changed, found.newest = mtime, path


def sample_address(pattern, others=()):
    """One address inside a Match Address pattern (literal, CIDR or wildcard), outside the `others` where possible."""
    pattern = pattern.lstrip("!")
    if "*" in pattern or "?" in pattern:
        candidates = [
            pattern.replace("*", digit).replace("?", digit) for digit in ("1", "7", "::1" if ":" in pattern else "9")
        ]
        if pattern == "*":
            candidates = ["192.0.2.1"]
        candidates = [_full(candidate) for candidate in candidates]
    else:
        try:
            network = ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return None
        last = network.num_addresses - 1
        candidates = [str(network[step]) for step in (1, last // 2, last - 1, 0) if 0 <= step <= last]
    valid = [candidate for candidate in candidates if _is_address(candidate)]
    outside = [candidate for candidate in valid if not any(in_pattern(candidate, other) for other in others)]
    return (outside or valid or [None])[0]


def _full(candidate):
    """10.1 -> 10.1.1.1: a trailing * of a wildcard pattern stands for everything that follows."""
    parts = candidate.split(".")
    return ".".join((parts + ["1"] * 4)[:4]) if ":" not in candidate else candidate


def _is_address(text):
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def in_pattern(address, pattern):
    """Whether an address is in one literal, CIDR or wildcard pattern; the sign of a negated one is ignored."""
    pattern = pattern.lstrip("!")
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return fnmatch.fnmatchcase(address, pattern)
