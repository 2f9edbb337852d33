# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""protocols: how somebody could administer the host from elsewhere, each way enabled, active and listening."""

from __future__ import annotations

import re
import shlex

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.listening import endpoint, listening
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.systemd import show

PATH = "remote_access.protocols"
# protocol: units that start it (Debian and RHEL families), the processes that speak it, the ports a super-server would
# use for it. libvirt's TCP and TLS differ by port only and are told apart by its configuration.
PROTOCOLS = {
    "ssh": (
        (
            "ssh.service",
            "sshd.service",
            "ssh.socket",
            "sshd.socket",
            "dropbear.service",
            "dropbear.socket",
            "tinysshd.socket",
        ),
        ("sshd", "dropbear", "tinysshd"),
        (),
    ),
    "cockpit": (("cockpit.socket",), ("cockpit-tls", "cockpit-ws"), ()),
    "libvirt_tcp": (("libvirtd-tcp.socket", "virtproxyd-tcp.socket"), (), ()),
    "libvirt_tls": (("libvirtd-tls.socket", "virtproxyd-tls.socket"), (), ()),
    "rdp": (("xrdp.service", "gnome-remote-desktop.service"), ("xrdp", "gnome-remote-de"), ()),
    # QEMU's own VNC servers are guests' consoles (11.4.5), not a way to the host.
    "vnc": (
        ("vncserver@*.service", "tigervncserver@*.service", "xvnc.socket", "x11vnc.service", "wayvnc.service"),
        ("Xvnc", "Xtigervnc", "Xtightvnc", "x11vnc", "x0vncserver", "vino-server", "wayvnc"),
        (),
    ),
    "telnet": (("telnet.socket", "telnetd.service", "inetutils-telnetd.service"), ("telnetd", "in.telnetd"), (23,)),
    "rsh": (("rsh.socket", "rlogin.socket", "rexec.socket"), ("in.rshd", "in.rlogind", "in.rexecd"), (512, 513, 514)),
    "webmin": (("webmin.service",), ("miniserv.pl",), ()),
}
SUPER_SERVERS = ("systemd", "inetd", "xinetd")
LIBVIRT_DAEMONS = ("libvirtd", "virtproxyd", "virtqemud")
LIBVIRT_UNITS = ("libvirtd.service", "virtproxyd.service")
LIBVIRT_OPTION_FILES = (
    ("/etc/default/libvirtd", "libvirtd_opts"),
    ("/etc/sysconfig/libvirtd", "LIBVIRTD_ARGS"),
    ("/etc/default/virtproxyd", "virtproxyd_opts"),
    ("/etc/sysconfig/virtproxyd", "VIRTPROXYD_ARGS"),
)
# Remote.c and the daemons' configuration files: defaults of the ports and of listen_tcp and listen_tls.
LIBVIRT_DEFAULTS = {"tcp_port": "16509", "tls_port": "16514", "listen_tcp": "0", "listen_tls": "1"}
UNITS = (*(unit for units, _names, _ports in PROTOCOLS.values() for unit in units), *LIBVIRT_UNITS)
# systemd starts a unit in these states at boot, itself or as an alias of one.
AT_BOOT = ("enabled", "enabled-runtime", "alias")


def collect(host, note):
    """Return {"remote_access": {"protocols": [{name, enabled, active, listening, units, listen}]}}.

    enabled: would start at boot (unit file state). active: a unit of it is active now. listening: a process or a
    super-server holds a socket of it. units: {unit: "state at boot, state now"} of what is installed. Every protocol of
    the table is listed, with false where it is not installed; None where it cannot be told.
    """
    sockets = attempt(note, PATH, lambda: _tcp(host))
    libvirt = attempt(note, PATH, lambda: _libvirt_options(host))
    units = attempt(note, PATH, lambda: show(host, UNITS))
    return {"remote_access": {"protocols": [_protocol(name, units, sockets, libvirt) for name in PROTOCOLS]}}


def _tcp(host):
    found = [socket for socket in listening(host) if socket["proto"] == "tcp"]
    if host.euid() != 0 and any(socket["pid"] is None for socket in found):
        raise Unreadable("which process holds a listening socket is shown to root only")
    return found


def _protocol(name, units, sockets, libvirt):
    patterns, processes, ports = PROTOCOLS[name]
    mine = None if units is None else {unit: state for unit, state in units.items() if _matches(unit, patterns)}
    found = {"name": name, "enabled": None, "active": None, "listening": None, "units": {}, "listen": []}
    if mine is not None:
        found["enabled"] = any(state["UnitFileState"] in AT_BOOT for state in mine.values())
        found["active"] = any(state["ActiveState"] in ("active", "activating", "reloading") for state in mine.values())
        found["units"] = {
            unit: "%s, %s" % (state["UnitFileState"] or "no unit file", state["ActiveState"])
            for unit, state in sorted(mine.items())
        }
    if sockets is not None:
        held = _held_for(mine or {})
        ends = [
            socket
            for socket in sockets
            if _speaks(name, socket, processes, ports, libvirt)
            or (socket["name"] in SUPER_SERVERS and endpoint(socket) in held)
        ]
        found["listen"] = sorted({endpoint(socket) for socket in ends})[:50]
        found["listening"] = None if name.startswith("libvirt_") and libvirt is None else bool(ends)
    if name.startswith("libvirt_"):
        _configured_listen(found, name, units, libvirt)
    return found


def _held_for(units):
    """The endpoints that systemd holds for active socket units."""
    active = [state["Listen"] for state in units.values() if state["ActiveState"] == "active"]
    return {found for text in active for found in re.findall(r"(\S+:\d+) \(Stream\)", text)}


def _matches(unit, patterns):
    return any(re.match("^" + re.escape(pattern).replace(r"\*", ".*") + "$", unit) for pattern in patterns)


def _speaks(protocol, socket, processes, ports, libvirt):
    if socket["name"] in processes:
        return True
    if socket["name"] in SUPER_SERVERS and socket["port"] in ports:
        return True
    if protocol.startswith("libvirt_") and socket["name"] in LIBVIRT_DAEMONS and libvirt is not None:
        spoken = "libvirt_tls" if socket["port"] == libvirt["tls_port"] else "libvirt_tcp"
        return spoken == protocol
    return False


def _configured_listen(found, protocol, units, libvirt):
    """--listen on the daemon's command line opens its ports at the next start; systemd's sockets are apart (P7)."""
    if libvirt is None or units is None:
        found["enabled"] = found["enabled"] or None
        return
    starts = any(units[unit]["UnitFileState"] in AT_BOOT for unit in LIBVIRT_UNITS if unit in units)
    if libvirt["listen"] and libvirt["listen_" + protocol[-3:]] and starts:
        found["enabled"] = True
        found["units"]["--listen"] = "on the daemon's command line"


def _libvirt_options(host):
    """{listen, listen_tcp, listen_tls: bool, tls_port: int} of the libvirt daemon that takes connections."""
    options = {"listen": False}
    for path, variable in LIBVIRT_OPTION_FILES:
        options["listen"] = options["listen"] or _asks_to_listen(host, path, variable)
    settings = dict(LIBVIRT_DEFAULTS)
    for path in ("/etc/libvirt/libvirtd.conf", "/etc/libvirt/virtproxyd.conf"):
        try:
            text = host.read(path)
        except Absent:
            continue
        for name in settings:
            given = re.findall(r'^\s*%s\s*=\s*"?(\d+)"?' % name, text, re.M)
            settings[name] = given[-1] if given else settings[name]
    for name in ("listen_tcp", "listen_tls"):
        options[name] = settings[name] == "1"
    options["tls_port"] = int(settings["tls_port"])
    return options


def _asks_to_listen(host, path, variable):
    try:
        text = host.read(path)
    except Absent:
        return False
    for line in re.findall(r"^\s*%s=(.*)$" % variable, text, re.M):
        try:
            words = " ".join(shlex.split(line)).split()
        except ValueError:
            raise Unreadable("%s: %s cannot be read" % (path, variable))
        if any(word == "--listen" or re.match("^-[a-z]*l[a-z]*$", word) for word in words):
            return True
    return False


PART = Part("protocols", [PATH], collect, UNITS)
