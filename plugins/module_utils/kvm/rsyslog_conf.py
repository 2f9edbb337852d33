# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read rsyslog's configuration in both of its languages and say where it sends what.

RainerScript objects (`action(type="omfwd" ...)`) and legacy lines (`$ActionQueueType`, `*.* @@host`) may be mixed in
one file and order matters: a legacy directive applies to the next legacy action. Includes are followed in place.
Source: rsyslog.com documentation, "Basic Structure", "Legacy Configuration Directives", "omfwd", "omrelp".
"""

from __future__ import annotations

import fnmatch
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

MAIN = "/etc/rsyslog.conf"
MAX_FILES = 200
MAX_DEPTH = 10
MAX_OBJECT = 65536

_OBJECT = re.compile(r"(?i)\b(action|module|global|input|include|main_queue|template|ruleset)\s*\(")
# Here and below no two parts of a pattern can share what they match: a line of a megabyte must not stop the audit.
_PARAMETER = re.compile(r'(?s)(?<![\w.])([\w.]+)\s*=\s*("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^\s()]+)')
_LEGACY = re.compile(r"^\$(\w+)\s+(.+?)\s*$")
_SELECTOR = re.compile(r"^\s*([\w*,;=!]+\.[\w*=!,;.]+|:[\w-]+,\s*!?\w+,\s*\"[^\"]*\")\s+(-?\S.*)$")
_FORWARD = re.compile(r"^(@@?)(?:\(([^)]*)\))?(\[[^\]]+\]|[^:;\s]+)(?::(\w+))?(?:;(\S+))?$")
_RELP = re.compile(r"^:omrelp:(\[[^\]]+\]|[^:;\s]+)(?::(\w+))?(?:;(\S+))?$")

# Legacy directives that apply to every later stream, by the RainerScript global they equal.
_GLOBAL_DIRECTIVES = {
    "defaultnetstreamdriver": "defaultnetstreamdriver",
    "defaultnetstreamdrivercafile": "defaultnetstreamdrivercafile",
    "defaultnetstreamdrivercertfile": "defaultnetstreamdrivercertfile",
    "defaultnetstreamdriverkeyfile": "defaultnetstreamdriverkeyfile",
    "actionfiledefaulttemplate": "actionfiledefaulttemplate",
    "actionforwarddefaulttemplate": "actionforwarddefaulttemplate",
    "privdroptouser": "privdroptouser",
}
# Legacy directives that apply to the next action only, by the action parameter they equal.
_ACTION_DIRECTIVES = {
    "actionsendstreamdriver": "streamdriver",
    "actionsendstreamdrivermode": "streamdrivermode",
    "actionsendstreamdriverauthmode": "streamdriverauthmode",
    "actionsendstreamdriverpermittedpeer": "streamdriverpermittedpeers",
    "actionqueuetype": "queue.type",
    "actionqueuefilename": "queue.filename",
    "actionqueuesaveonshutdown": "queue.saveonshutdown",
    "actionresumeretrycount": "action.resumeretrycount",
}


class Configuration(object):
    """What was found: targets, inputs, global settings, and the files it was found in.

    loads: [{module, source}], which file loads what. A target's `line` is the line that makes it, where that line can
    go without changing anything else; an empty string otherwise.
    """

    def __init__(self):
        self.targets = []
        self.inputs = []
        self.modules = []
        self.loads = []
        self.settings = {}
        self.files = []


def read(host):
    """Return the Configuration of the host.

    :raises Absent: rsyslog is not configured. :raises Unreadable: a file it includes cannot be read.
    """
    found = Configuration()
    _Reader(host, found).file(MAIN, 0)
    return found


class _Reader(object):
    def __init__(self, host, found):
        self._host = host
        self._found = found
        self._pending = {}
        self._path = MAIN

    def file(self, path, depth):
        if depth > MAX_DEPTH or len(self._found.files) >= MAX_FILES:
            raise Unreadable("rsyslog's configuration includes too many files, the last is %s" % path)
        text = _without_comments(self._host.read(path))
        self._found.files.append(path)
        outer, self._path = self._path, path
        position = 0
        for match in _objects(text):
            self._lines(text[position : match[0]], depth)
            self._object(match[2].lower(), match[3], _around(text, match[0], match[1]), depth)
            position = match[1]
        self._lines(text[position:], depth)
        self._path = outer

    def _include(self, pattern, depth):
        directory, _slash, name = pattern.rpartition("/")
        if not re.search(r"[*?\[]", pattern):
            if self._host.exists(pattern):
                self.file(pattern, depth + 1)
            return
        try:
            names = self._host.list(directory)
        except Absent:
            return
        for found in fnmatch.filter(names, name):
            self.file("%s/%s" % (directory, found), depth + 1)

    def _object(self, kind, parameters, around, depth):
        if kind == "include" and "file" in parameters:
            self._include(parameters["file"], depth)
        elif kind == "global":
            self._found.settings.update(parameters)
        elif kind == "module" and "load" in parameters:
            self._module(parameters["load"].lower())
        elif kind == "input":
            self._input(parameters.get("type", "").lower(), parameters.get("file", ""))
        elif kind == "action":
            before, line = around
            target = parameters.get("type", "").lower()
            if target in ("omfwd", "omrelp"):
                self._target(target, parameters, _selected(before), line)

    def _module(self, name):
        self._found.modules.append(name)
        self._found.loads.append({"module": name, "source": self._path})

    def _input(self, kind, file):
        self._found.inputs.append({"type": kind, "file": file, "source": self._path})

    def _lines(self, text, depth):
        for line in text.splitlines():
            legacy = _LEGACY.match(line.strip())
            if legacy:
                self._directive(legacy.group(1).lower(), legacy.group(2).strip('"'), depth)
                continue
            chosen = _SELECTOR.match(line)
            if chosen:
                self._legacy_action(chosen.group(1), chosen.group(2).strip(), line.strip())

    def _directive(self, name, value, depth):
        if name == "includeconfig":
            self._include(value, depth)
        elif name in _GLOBAL_DIRECTIVES:
            self._found.settings[_GLOBAL_DIRECTIVES[name]] = value
        elif name in _ACTION_DIRECTIVES:
            self._pending[_ACTION_DIRECTIVES[name]] = value
        elif name == "modload":
            self._module(value.lower())
        elif name == "inputfilename":
            self._input("imfile", value)

    def _legacy_action(self, selector, text, line):
        forward = _FORWARD.match(text)
        relp = _RELP.match(text)
        # Directives before the action would hold for the next one if the action went.
        line = "" if self._pending else line
        if forward:
            protocol = "tcp" if forward.group(1) == "@@" else "udp"
            given = {"target": forward.group(3).strip("[]"), "port": forward.group(4), "protocol": protocol}
            self._target("omfwd", dict(self._pending, template=forward.group(5) or "", **given), selector, line)
        elif relp:
            given = {"target": relp.group(1).strip("[]"), "port": relp.group(2)}
            self._target("omrelp", dict(self._pending, template=relp.group(3) or "", **given), selector, line)
        # A legacy directive holds for one action, whatever that action is.
        self._pending = {}

    def _target(self, kind, given, selector, line):
        settings = self._found.settings
        relp = kind == "omrelp"
        driver = (
            given.get("streamdriver")
            or given.get("streamdriver.name")
            or settings.get("defaultnetstreamdriver")
            or "ptcp"
        ).lower()
        mode = given.get("streamdrivermode") or given.get("streamdriver.mode") or "0"
        tls = (
            given.get("tls", "off").lower() == "on"
            if relp
            else (
                given.get("protocol", "udp").lower() == "tcp" and driver in ("gtls", "ossl", "mbedtls") and mode == "1"
            )
        )
        peers = (
            given.get("tls.permittedpeer" if relp else "streamdriverpermittedpeers")
            or given.get("streamdriver.permittedpeers")
            or ""
        )
        self._found.targets.append(
            {
                "host": given.get("target", ""),
                "port": given.get("port") or ("514" if not relp else "2514"),
                "proto": "relp" if relp else given.get("protocol", "udp").lower(),
                "tls": tls,
                "driver": "relp" if relp else driver,
                "mode": mode,
                "auth_mode": (
                    given.get("tls.authmode" if relp else "streamdriverauthmode")
                    or given.get("streamdriver.authmode")
                    or ""
                ).lower(),
                "permitted_peers": re.findall(r"[^\s,\"\[\]]+", peers),
                "ca": given.get("tls.cacert" if relp else "streamdriver.cafile")
                or settings.get("defaultnetstreamdrivercafile", ""),
                "priority": given.get("tls.tlscfgcmd" if relp else "gnutlsprioritystring")
                or settings.get("gnutlsprioritystring", ""),
                "queue": {
                    "type": given.get("queue.type", "").lower(),
                    "filename": given.get("queue.filename", ""),
                    "save_on_shutdown": given.get("queue.saveonshutdown", "off").lower() == "on",
                },
                "template": given.get("template") or settings.get("actionforwarddefaulttemplate", ""),
                "selector": selector,
                "source": self._path,
                "line": line,
            }
        )


def _around(text, start, end):
    """(what stands before an object on its line, the line where the object is all of it, else an empty string)."""
    head = text.rfind("\n", 0, start) + 1
    line = text[head : _end(text, "\n", start)]
    return text[head:start], line.strip() if line.strip() == text[start:end].strip() else ""


def _selected(before):
    """What is written before an action on its line: a selector, a condition, or nothing (everything is sent)."""
    before = before.strip()
    if not before:
        return "*.*"
    chosen = re.match(r"^([\w*,;=!]+\.[\w*=!,;.]+)$", before)
    return chosen.group(1) if chosen else "conditional"


def _objects(text):
    """Yield (start, end, kind, {parameter: value}) of each top-level object; keywords inside strings do not count."""
    position = 0
    while True:
        match = _OBJECT.search(text, position)
        if not match:
            return
        end = _closing(text, match.end())
        body = text[match.end() : end - 1]
        if len(body) > MAX_OBJECT:
            raise Unreadable("rsyslog's configuration holds an object of %d characters" % len(body))
        parameters = {name.lower(): _value(value) for name, value in _PARAMETER.findall(body)}
        yield match.start(), end, match.group(1), parameters
        position = end


def _value(text):
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _closing(text, position):
    """The position behind the bracket that closes the object; the end of the text when none does."""
    depth, quoted = 1, False
    while position < len(text) and depth:
        char = text[position]
        if char == "\\" and quoted:
            position += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted:
            depth += {"(": 1, ")": -1}.get(char, 0)
        position += 1
    return position


def _without_comments(text):
    """Drop /* */ and # comments, not inside double quotes, and join lines that end in a backslash."""
    out, index, quoted = [], 0, False
    while index < len(text):
        char = text[index]
        if char == '"':
            quoted = not quoted
        elif char == "\n":
            quoted = False if out and out[-1] != "\\" else quoted
        elif not quoted and char == "#":
            index = _end(text, "\n", index) - 1
            char = ""
        # A path like /etc/rsyslog.d/*.conf holds the same two characters: a comment begins behind white space only.
        elif not quoted and text.startswith("/*", index) and (index == 0 or text[index - 1].isspace()):
            index = _end(text, "*/", index) + 1
            char = ""
        out.append(char)
        index += 1
    return re.sub(r"\\\n", " ", "".join(out))


def _end(text, mark, start):
    found = text.find(mark, start)
    return len(text) if found < 0 else found
