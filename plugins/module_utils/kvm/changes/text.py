# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit the text of configuration files, leaving every line alone that nobody asked about."""

from __future__ import annotations

import re

# syntax: (what a line with the key looks like, how it is written, how a section begins, whether keys ignore case)
SYNTAXES = {
    "sshd": (r"^\s*(%s)[\s=]+(.*?)\s*$", "%s %s", "%s", True),
    "libvirt": (r"^\s*(%s)\s*=\s*(.*?)\s*$", "%s = %s", None, False),
    "ini": (r"^\s*(%s)\s*=\s*(.*?)\s*$", "%s = %s", "[%s]", False),
    "equals": (r"^\s*(%s)=(.*?)\s*$", "%s=%s", None, False),
}
_SECTION = {"sshd": re.compile(r"^\s*(Match\s.*?)\s*$", re.I), "ini": re.compile(r"^\s*\[(.*?)\]\s*$")}


def edit_keys(text, values, syntax, section=""):
    """Return (the new text, {key: [value before or None, value after or None]}).

    values: {key: value or None to take it away}. section: where the keys belong; "" is what stands before the first.
    A key that stands there several times is left once, with the new value. libvirt's lists may go over several lines.
    """
    lines = text.splitlines(True)
    changed = {}
    for key, value in values.items():
        before = _set_key(lines, key, value, syntax, section)
        if before != value:
            changed[key] = [before, value]
    return "".join(lines), changed


def _set_key(lines, key, value, syntax, section):
    pattern, form, _begin, fold = SYNTAXES[syntax]
    matcher = re.compile(pattern % re.escape(key), re.I if fold else 0)
    start, end = _bounds(lines, syntax, section)
    if start is None:
        if value is not None:
            _append_section(lines, SYNTAXES[syntax][2] % section, form % (key, value))
        return None
    places = [number for number in range(start, end) if matcher.match(lines[number])]
    found = [_statement(lines, number, matcher, syntax) for number in places]
    # sshd keeps the first value it finds, the others keep the last.
    before = (found[0] if syntax == "sshd" else found[-1])[0] if found else None
    if before == value and len(found) <= 1:
        return before
    for number, (_value, length) in reversed(list(zip(places, found))[1:]):
        del lines[number : number + length]
    wanted = [] if value is None else ["%s\n" % (form % (key, value))]
    if found:
        lines[places[0] : places[0] + found[0][1]] = wanted
    elif wanted:
        _insert(lines, end, wanted[0], syntax, section)
    # Several lines that say the same were one too many.
    return before if before != value or not found else "%s (several times)" % before


def _statement(lines, number, matcher, syntax):
    """(value, how many lines it takes) of the statement that begins at a line."""
    value, length = matcher.match(lines[number]).group(2), 1
    if syntax == "libvirt":
        while value.count("[") > value.count("]") and number + length < len(lines):
            value += " " + lines[number + length].strip()
            length += 1
        value = re.sub(r"\s+#.*$", "", value) if not value.startswith('"') else value
    return value, length


def _bounds(lines, syntax, section):
    """(first line, line after the last) where the keys of a section stand; (None, None): no such section."""
    begins = _SECTION.get(syntax)
    if begins is None:
        return 0, len(lines)
    heads = [(number, begins.match(line).group(1)) for number, line in enumerate(lines) if begins.match(line)]
    if not section:
        return 0, heads[0][0] if heads else len(lines)
    for position, (number, name) in enumerate(heads):
        if " ".join(name.split()).lower() == section.lower():
            return number + 1, heads[position + 1][0] if position + 1 < len(heads) else len(lines)
    return None, None


def _append_section(lines, head, line):
    _end_with_newline(lines)
    lines += ["%s\n" % head, "%s\n" % line]


def _insert(lines, end, line, syntax, section):
    _end_with_newline(lines)
    # After the last line that says something, so that the blank lines before the next section stay there.
    while end > 0 and not lines[end - 1].strip() and (section or syntax in _SECTION):
        end -= 1
    lines.insert(end, line)


def _end_with_newline(lines):
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"


def edit_lines(text, present, absent):
    """Return (the new text, [[line before or None, line after or None]]); see plugin_utils/plans/plan.py, lines()."""
    lines = text.splitlines(True)
    changed = []
    for pattern in absent:
        keep = [line for line in lines if not re.search(pattern, line.rstrip("\n"))]
        changed += [[line.rstrip("\n"), None] for line in lines if line not in keep]
        lines = keep
    for entry in present:
        pair = _set_line(lines, entry)
        if pair:
            changed.append(pair)
    return "".join(lines), changed


def _set_line(lines, entry):
    line = entry["line"]
    if "match" in entry:
        for number, found in enumerate(lines):
            if re.search(entry["match"], found.rstrip("\n")):
                if found.rstrip("\n") == line:
                    return None
                lines[number] = line + "\n"
                return [found.rstrip("\n"), line]
    elif line in [found.rstrip("\n") for found in lines]:
        return None
    _end_with_newline(lines)
    lines.insert(_place(lines, entry), line + "\n")
    return [None, line]


def _place(lines, entry):
    if "before" in entry:
        for number, found in enumerate(lines):
            if re.search(entry["before"], found):
                return number
    if "after" in entry:
        for number in reversed(range(len(lines))):
            if re.search(entry["after"], lines[number]):
                return number + 1
    return len(lines)
