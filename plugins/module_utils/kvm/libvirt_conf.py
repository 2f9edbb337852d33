# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's configuration files (qemu.conf, libvirtd.conf …): `key = value` with numbers, strings and lists."""

from __future__ import annotations

import re

_STRING = r"\"\"\"(?:.|\n)*?\"\"\"|\"[^\"\n]*\"|'[^'\n]*'"
_TOKEN = re.compile(
    r"(?P<skip>[ \t\r\n]+|\#[^\n]*)|(?P<string>%s)|(?P<mark>[\[\],=])|(?P<word>[^\s\[\],=#\"']+)" % _STRING
)


class BadConfiguration(Exception):
    """libvirt itself would refuse the file. The message says where."""


def parse(text):
    """Return {key: int | str | list of them}: only what is set. Of two settings of one key libvirt uses the first.

    :raises BadConfiguration: with the line.
    """
    tokens = _tokens(text)
    settings, at = {}, 0
    while at < len(tokens):
        key = tokens[at]
        if key[0] != "word" or at + 2 >= len(tokens) or tokens[at + 1][1] != "=":
            raise BadConfiguration("line %d: expected `key = value`" % key[2])
        value, at = _value(tokens, at + 2)
        settings.setdefault(key[1], value)
    return settings


def _tokens(text):
    tokens, at, line = [], 0, 1
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadConfiguration("line %d: a string without an end" % line)
        if match.lastgroup != "skip":
            tokens.append((match.lastgroup, match.group(), line))
        line += match.group().count("\n")
        at = match.end()
    return tokens


def _value(tokens, at):
    """The value that begins at a token, and the position behind it."""
    kind, text, line = tokens[at]
    if kind == "string":
        return text[3:-3] if text.startswith('"""') else text[1:-1], at + 1
    if kind == "word" and re.match(r"-?\d{1,19}$", text):
        return int(text), at + 1
    if text != "[":
        raise BadConfiguration("line %d: %r is not a value" % (line, text[:40]))
    entries, at = [], at + 1
    while at < len(tokens) and tokens[at][1] != "]":
        if tokens[at][1] == ",":
            at += 1
            continue
        if tokens[at][1] == "[":
            raise BadConfiguration("line %d: a list inside a list" % tokens[at][2])
        entry, at = _value(tokens, at)
        entries.append(entry)
    if at >= len(tokens):
        raise BadConfiguration("line %d: a list without an end" % line)
    return entries, at + 1
