# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ssh servers of a host: those that listen, those a socket unit starts, and the one that would start at boot."""

from __future__ import annotations

import re
import shlex

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import processes, sshd_config
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.listening import endpoint, listening
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.systemd import show

PROGRAM = "/usr/sbin/sshd"
# Other ssh servers: they listen, and no `sshd -T` tells what they enforce.
STRANGERS = ("dropbear", "tinysshd")
# Debian and Ubuntu | RHEL families: the unit's name, and the file with the options of its command line.
UNITS = ("ssh.service", "sshd.service", "ssh.socket", "sshd.socket")
OPTION_FILES = (("/etc/default/ssh", "SSHD_OPTS"), ("/etc/sysconfig/sshd", "OPTIONS"))
# sshd(8): options with an argument; of those, the ones that change what is enforced are handed to `sshd -T`.
WITH_ARGUMENT = "bCcEfghkopu"
KEPT = "cfghop"
MAX_SERVERS = 10
# A start time is worked out from two readings of the clock.
START_TOLERANCE = 2.0


def servers(host, note):
    """Return [{id, pid, activation, program, arguments, config, listen, started, config_files, config_newest, ...}].

    activation: service (a process listens), socket (systemd listens and starts it), boot (enabled, not running). Keys
    that begin with an underscore are for the part itself. Raises Unreadable when servers might be missing.
    """
    sockets = [socket for socket in listening(host) if socket["proto"] == "tcp"]
    if host.euid() != 0 and any(socket["pid"] is None for socket in sockets):
        raise Unreadable("which process holds a listening socket is shown to root only")
    strangers = sorted({socket["name"] for socket in sockets if socket["name"] in STRANGERS})
    if strangers:
        raise Unreadable("%s listens, whose settings cannot be read" % ", ".join(strangers))
    units = show(host, UNITS)
    found = [_running(host, pid, held) for pid, held in sorted(_sshd(host, sockets).items())]
    running = [name for name in UNITS[:2] if units.get(name, {}).get("ActiveState") == "active"]
    if running and not found:
        raise Unreadable("%s is active, but no sshd is seen to listen" % running[0])
    found += _socket_started(host, units, {address for server in found for address in server["listen"]})
    if not found and any(unit["UnitFileState"].startswith("enabled") for unit in units.values()):
        found.append(_server("starts at boot", None, "boot", PROGRAM, _options_of_unit(host), []))
    if len(found) > MAX_SERVERS:
        raise Unreadable("more than %d ssh servers listen" % MAX_SERVERS)
    for server in found:
        _read_configuration(host, note, server)
    return found


def _sshd(host, sockets):
    """{pid: [sockets]} of the sshd processes that accept logins; sessions with forwarded ports listen too."""
    held = {}
    for socket in sockets:
        if socket["name"] == "sshd":
            held.setdefault(socket["pid"], []).append(socket)
    return {pid: found for pid, found in held.items() if not _is_session(host.read("/proc/%d/cmdline" % pid))}


def _is_session(cmdline):
    # A session's title goes on with an account's name, a listener's with the path it was started by.
    return cmdline.startswith("sshd: ") and not cmdline.startswith("sshd: /")


def _running(host, pid, held):
    program = host.link("/proc/%d/exe" % pid)
    replaced = program.endswith(" (deleted)")
    words = _command_line(host.read("/proc/%d/cmdline" % pid))
    server = _server(
        ",".join(endpoint(socket) for socket in held),
        pid,
        "service",
        program[: -len(" (deleted)")] if replaced else program,
        options(words[1:]),
        [(socket["address"], socket["port"]) for socket in held],
    )
    server["program_replaced"] = replaced
    server["started"] = processes.started(host, pid)
    return server


def _command_line(cmdline):
    """The words of a command line. A listener shows them joined by blanks: `sshd: /usr/sbin/sshd -D [listener] ...`."""
    if not cmdline.startswith("sshd: "):
        return [word for word in cmdline.split("\0") if word]
    words, listener, _startups = cmdline[len("sshd: ") :].partition(" [listener]")
    if not listener:
        raise Unreadable("the command line of a listening sshd is cut short: %s" % words[:80])
    return words.split()


def options(words):
    """The options of a server that change what it enforces, as arguments for `sshd -T`.

    A value with blanks was split by the process title; words up to the next option belong to it.
    """
    kept, index = [], 0
    while index < len(words):
        word = words[index]
        index += 1
        flag = re.match(r"^-([0-9A-Za-z])(.*)$", word)
        if not flag:
            continue
        letter, value = flag.groups()
        if letter not in WITH_ARGUMENT:
            continue
        rest = [value] if value else []
        while index < len(words) and (not rest or not words[index].startswith("-")):
            rest.append(words[index])
            index += 1
        if letter in KEPT and rest:
            kept += ["-" + letter, " ".join(rest)]
    return kept


def _socket_started(host, units, served):
    found = []
    for name in ("ssh.socket", "sshd.socket"):
        unit = units.get(name)
        if unit is None or unit["ActiveState"] != "active":
            continue
        addresses = re.findall(r"(\S+:\d+) \(Stream\)", unit["Listen"])
        if unit["Accept"] == "yes" or not set(addresses) & served:
            listen = [
                (address.rpartition(":")[0].strip("[]"), int(address.rpartition(":")[2])) for address in addresses
            ]
            label = "%s (%s)" % (",".join(addresses), name)
            found.append(_server(label, None, "socket", PROGRAM, _options_of_unit(host), listen))
    return found


def _options_of_unit(host):
    for path, variable in OPTION_FILES:
        try:
            text = host.read(path)
        except Absent:
            continue
        given = re.findall(r"^\s*%s=(.*)$" % variable, text, re.M)
        if given:
            try:
                return options(" ".join(shlex.split(given[-1])).split())
            except ValueError:
                raise Unreadable("%s: %s cannot be read" % (path, variable))
    return []


def _server(name, pid, activation, program, arguments, listen):
    config = next((value for flag, value in zip(arguments[::2], arguments[1::2]) if flag == "-f"), sshd_config.MAIN)
    return {
        "id": name, "pid": pid or 0, "activation": activation, "program": program, "arguments": arguments,
        "config": config, "listen": [endpoint({"address": address, "port": port}) for address, port in listen],
        "program_replaced": False, "started": 0.0, "_listen": listen,
    }  # fmt: skip


def _read_configuration(host, note, server):
    server.update(config_files=None, config_newest=None, config_changed=None, _configuration=None)
    try:
        found = sshd_config.read(host, server["config"])
    except Unreadable as reason:
        note("remote_access.ssh.contexts", str(reason))
        note("remote_access.ssh.servers", str(reason))
        return
    server.update(
        config_files=found.files, config_newest=found.newest, config_changed=found.changed, _configuration=found
    )


def in_force(host, server, pid_file):
    """Whether a server read its configuration after the last change: (bool, how it is known).

    sshd writes its pid file when it starts and again when a SIGHUP makes it start anew, while its
    process keeps its start time; so a pid file that names the process tells when it last read its configuration.
    """
    if server["activation"] != "service":
        return True, "read at each start, none is running"
    if server["program_replaced"]:
        return False, "%s was replaced after the server started" % server["program"]
    changed = server["config_changed"]
    try:
        if pid_file.startswith("/") and host.read(pid_file).strip() == str(server["pid"]):
            loaded = host.stat(pid_file)["mtime"]
            if loaded >= changed:
                return True, "pid file written after the last change"
    except Unreadable:
        pass
    if server["started"] - START_TOLERANCE >= changed:
        return True, "started after the last change"
    return False, "%s changed after the server read its configuration" % server["config_newest"]
