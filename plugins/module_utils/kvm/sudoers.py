# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader of sudoers(5): the whole tree with its includes and aliases, as plain rules.

A line that is not understood is listed, never skipped, so that whoever judges the rules knows they are not complete.
"""

from __future__ import annotations

import posixpath
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

MAX_FILES = 200
MAX_RULES = 1000
MAX_DEPTH = 128  # sudoers(5): the depth sudo itself allows for includes.
TAGS = {
    "PASSWD": ("nopasswd", False),
    "NOPASSWD": ("nopasswd", True),
    "EXEC": ("noexec", False),
    "NOEXEC": ("noexec", True),
    "SETENV": ("setenv", True),
    "NOSETENV": ("setenv", False),
}
NEUTRAL_TAGS = (
    "MAIL",
    "NOMAIL",
    "FOLLOW",
    "NOFOLLOW",
    "LOG_INPUT",
    "NOLOG_INPUT",
    "LOG_OUTPUT",
    "NOLOG_OUTPUT",
    "INTERCEPT",
    "NOINTERCEPT",
)
OPTIONS = re.compile(
    r"(ROLE|TYPE|APPARMOR_PROFILE|PRIVS|LIMITPRIVS|NOTBEFORE|NOTAFTER|TIMEOUT|CWD|CHROOT)\s*=\s*(\"[^\"]*\"|\S+)\s*"
)
DIGEST = re.compile(r"^sha(224|256|384|512)\s*:\s*[0-9A-Za-z+/=]+\s+(?=/|ALL)")
INCLUDE = re.compile(r"^[@#](include|includedir)\s+(.+)$")
ALIAS = re.compile(r"^(User_Alias|Runas_Alias|Host_Alias|Cmnd_Alias|Cmd_Alias)\s+(.*)$")
DEFAULTS = re.compile(r"^Defaults([@:!>]\s*(?:\"[^\"]*\"|[^\s\"])+)?\s+(.*)$")


class Tree(object):
    """What a sudoers tree says.

    rules: [{source, users, hosts, runas, runas_groups, nopasswd, noexec, setenv, commands}], aliases expanded, in file
    order. defaults: [{source, scope, of, name, value}]. unparsed: ["path:line: why"]. files: paths read.
    """

    def __init__(self):
        self.rules = []
        self.defaults = []
        self.unparsed = []
        self.files = []


def read_tree(host, path="/etc/sudoers"):
    """Read `path` and everything it includes.

    :raises Unreadable: the first file itself cannot be read; an included one is listed in `unparsed`.
    """
    reader = _Reader(host)
    reader.read(path, 0)
    return reader.finish()


def parse_commands(text, source=""):
    """Parse a list of command specifications, e.g. `(ALL : ALL) NOPASSWD: ALL` as sudo -l prints it.

    Returns [{source, runas, runas_groups, nopasswd, noexec, setenv, commands}].
    :raises ValueError: it is no such list.
    """
    groups = []
    state = {"runas": None, "runas_groups": [], "nopasswd": False, "noexec": False, "setenv": False}
    for entry in _split(text, ","):
        state, command = _command(entry.strip(), dict(state))
        if groups and groups[-1]["_state"] == state:
            groups[-1]["commands"].append(command)
        else:
            # No run-as list means root (sudoers(5), runas_default).
            groups.append(
                {**state, "runas": state["runas"] or ["root"], "_state": state, "source": source, "commands": [command]}
            )
    for group in groups:
        del group["_state"]
    return groups


def _command(text, state):
    match = re.match(r"^\(([^)]*)\)\s*", text)
    if match:
        who, _colon, group = match.group(1).partition(":")
        state["runas"] = [word.strip() for word in _split(who, ",") if word.strip()]
        state["runas_groups"] = [word.strip() for word in _split(group, ",") if word.strip()]
        text = text[match.end() :]
    while True:
        option = OPTIONS.match(text)
        tag = re.match(r"^([A-Z_]+)\s*:\s*", text)
        if option:
            text = text[option.end() :]
        elif tag and tag.group(1) in TAGS:
            name, value = TAGS[tag.group(1)]
            state[name] = value
            text = text[tag.end() :]
        elif tag and tag.group(1) in NEUTRAL_TAGS:
            text = text[tag.end() :]
        elif DIGEST.match(text):
            text = DIGEST.sub("", text)
        else:
            break
    if not text:
        raise ValueError("a command is missing")
    return state, _command_text(text)


def _command_text(text):
    """A command as sudo compares it: without its digest and the escapes that only sudoers' own syntax needs."""
    return " ".join(re.sub(r"\\([,:=\\])", r"\1", DIGEST.sub("", text)).split())


def _split(text, separator):
    """Split at a separator that is neither escaped, quoted, nor inside parentheses."""
    out, current, quoted, depth, index = [], [], False, 0, 0
    while index < len(text):
        char = text[index]
        if char == "\\" and index + 1 < len(text):
            current.append(text[index : index + 2])
            index += 2
            continue
        if char == '"':
            quoted = not quoted
        depth += (char == "(") - (char == ")")
        if char == separator and not quoted and depth <= 0:
            out.append("".join(current))
            current = []
        else:
            current.append(char)
        index += 1
    out.append("".join(current))
    return out


def _names(text):
    """A comma-separated list of names; quotes and escapes removed, a leading ! kept."""
    return [_plain(word) for word in _split(text, ",") if word.strip()]


def _plain(word):
    word = word.strip()
    negated = word.count("!", 0, len(word) - len(word.lstrip("! "))) % 2
    word = re.sub(r"\\(.)", r"\1", word.lstrip("! ")).replace('"', "")
    return ("!" if negated else "") + word


class _Reader(object):
    def __init__(self, host):
        self._host = host
        self._tree = Tree()
        self._aliases = {"User_Alias": {}, "Runas_Alias": {}, "Host_Alias": {}, "Cmnd_Alias": {}}

    def read(self, path, depth):
        text = self._host.read(path)
        self._tree.files.append(path)
        for number, line in _lines(text):
            source = "%s:%d" % (path, number)
            try:
                self._line(line, source, path, depth)
            except ValueError as error:
                self._tree.unparsed.append("%s: %s" % (source, error))

    def _line(self, line, source, path, depth):
        include = INCLUDE.match(line)
        alias = ALIAS.match(line)
        defaults = DEFAULTS.match(line)
        if include:
            self._include(include.group(1), include.group(2).strip().strip('"'), path, depth)
        elif alias:
            kind = "Cmnd_Alias" if alias.group(1) == "Cmd_Alias" else alias.group(1)
            for definition in _split(alias.group(2), ":"):
                name, equals, members = definition.partition("=")
                if not equals or not re.match(r"^[A-Z][A-Z0-9_]*$", name.strip()):
                    raise ValueError("not an alias")
                words = (
                    [_command_text(word) for word in _split(members, ",")] if kind == "Cmnd_Alias" else _names(members)
                )
                self._aliases[kind][name.strip()] = words
        elif defaults:
            self._defaults(defaults.group(1) or "", defaults.group(2), source)
        else:
            self._rule(line, source)

    def _include(self, kind, target, path, depth):
        if depth >= MAX_DEPTH or len(self._tree.files) >= MAX_FILES:
            raise ValueError("too many includes")
        target = target.replace("%h", self._hostname())
        target = posixpath.join(posixpath.dirname(path), target)
        try:
            if kind == "include":
                self.read(target, depth + 1)
                return
            # sudoers(5): names that end in ~ or hold a dot are left out, so that packages' backups do not count.
            for name in self._host.list(target):
                if not name.endswith("~") and "." not in name:
                    self._file_of_directory(posixpath.join(target, name), depth)
        except Absent:
            # sudo ignores a directory that does not exist, but refuses to work without an included file.
            if kind == "include":
                raise ValueError("%s does not exist" % target)
        except Unreadable as reason:
            raise ValueError(str(reason))

    def _file_of_directory(self, path, depth):
        if len(self._tree.files) >= MAX_FILES:
            raise ValueError("too many includes")
        if self._host.stat(path)["type"] == "file":
            self.read(path, depth + 1)

    def _hostname(self):
        try:
            return self._host.read("/proc/sys/kernel/hostname").strip().split(".")[0]
        except Unreadable:
            return "%h"

    def _defaults(self, scope, text, source):
        kinds = {"": "all", "@": "host", ":": "user", "!": "command", ">": "runas"}
        for setting in _split(text, ","):
            setting = setting.strip()
            match = re.match(r"^(!*)\s*([a-z_0-9]+)\s*(?:([-+]?=)\s*(.*))?$", setting, re.S)
            if not match:
                raise ValueError("not a Defaults setting: %s" % setting[:40])
            value = match.group(4).strip().strip('"')[:200] if match.group(3) else len(match.group(1)) % 2 == 0
            self._tree.defaults.append(
                {
                    "source": source,
                    "scope": kinds[scope[:1]],
                    "of": _names(scope[1:]),
                    "name": match.group(2),
                    "value": value,
                }
            )

    def _rule(self, line, source):
        if len(self._tree.rules) >= MAX_RULES:
            raise ValueError("more than %d rules" % MAX_RULES)
        parts = _split(line, ":")
        # Tags end in a colon too, and so does a run-as group: join what belongs to the same host specification.
        specs = [parts[0]]
        for part in parts[1:]:
            words = specs[-1].split()
            if words and _is_tag(words[-1]):
                specs[-1] += ":" + part
            else:
                specs.append(part)
        users = None
        for spec in specs:
            left, equals, commands = _cut(spec)
            if not equals:
                raise ValueError("neither a rule nor a setting")
            if users is None:
                left, hosts = _users_and_hosts(left)
                users = _names(left)
            else:
                hosts = left
            if not users or not hosts.strip():
                raise ValueError("neither a rule nor a setting")
            for group in parse_commands(commands, source):
                self._tree.rules.append({"users": users, "hosts": _names(hosts), **group})

    def finish(self):
        for rule in self._tree.rules:
            rule["users"] = self._expand("User_Alias", rule["users"])
            rule["hosts"] = self._expand("Host_Alias", rule["hosts"])
            rule["runas"] = self._expand("Runas_Alias", rule["runas"])
            rule["runas_groups"] = self._expand("Runas_Alias", rule["runas_groups"])
            rule["commands"] = self._expand("Cmnd_Alias", rule["commands"])
        for setting in self._tree.defaults:
            kind = {"user": "User_Alias", "host": "Host_Alias", "runas": "Runas_Alias", "command": "Cmnd_Alias"}.get(
                setting["scope"]
            )
            if kind:
                setting["of"] = self._expand(kind, setting["of"])
        return self._tree

    def _expand(self, kind, words, depth=0):
        """Replace aliases by their members, a negation turned over to each of them."""
        out = []
        for word in words:
            bare = word.lstrip("! ")
            members = self._aliases[kind].get(bare)
            if members is None or depth > 20:
                out.append(word)
                continue
            for member in self._expand(kind, members, depth + 1):
                if word.startswith("!"):
                    out.append(member[1:] if member.startswith("!") else "!" + member)
                else:
                    out.append(member)
        return out


def _is_tag(word):
    word = re.split(r"[=,):]", word)[-1]
    return word in TAGS or word in NEUTRAL_TAGS or re.match(r"^sha(224|256|384|512)$", word) is not None


def _cut(spec):
    """Split `who where = what` at the first equals sign that is not escaped."""
    parts = _split(spec, "=")
    return (parts[0], True, "=".join(parts[1:])) if len(parts) > 1 else (spec, False, "")


def _users_and_hosts(left):
    """Split the user list from the host list: at the first blank that no comma and no quote holds together."""
    text = re.sub(r"(?<!\s)\s*,\s*", ",", left.strip())
    text = re.sub(r"!\s+", "!", text)
    match = re.match(r"((?:\"[^\"]*\"|\\.|[^\s\"\\])+)\s+(.*)$", text)
    return (match.group(1), match.group(2)) if match else (text, "")


def _without_comment(line):
    """Cut a comment off: a # that no digits follow (a uid or gid) and that does not begin an include (sudoers(5))."""
    quoted = False
    for index, char in enumerate(line):
        if char == '"' and line[index - 1 : index] != "\\":
            quoted = not quoted
        begins = char == "#" and not quoted and (index == 0 or line[index - 1] in " \t,%(")
        if begins and not re.match(r"#-?\d", line[index:]) and not INCLUDE.match(line[index:]):
            return line[:index]
    return line


def _lines(text):
    """Yield (number of the first line, joined and stripped line) without comments and blank lines."""
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        start = start if pending else number
        if raw.endswith("\\"):
            pending += raw[:-1] + " "
            continue
        line = _without_comment(pending + raw).strip()
        pending = ""
        if line:
            yield start, line
    if pending.strip():
        yield start, pending.strip()
