# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt_daemons: the libvirt daemons and sockets, what they were configured with, and whether it is in force."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import libvirt_conf, passwd, processes, systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

MONOLITHIC = "libvirtd"
MODULAR = (
    "virtqemud",
    "virtnetworkd",
    "virtstoraged",
    "virtsecretd",
    "virtnodedevd",
    "virtnwfilterd",
    "virtinterfaced",
    "virtproxyd",
)
REMOTE = (MONOLITHIC, "virtproxyd")
# It hands every call on to the daemon concerned, which asks its own access driver (libvirt docs/daemons.rst).
FORWARDING = ("virtproxyd",)
KINDS = {"": "rw", "-ro": "ro", "-admin": "admin"}
REMOTE_KINDS = {"-tls": "tls", "-tcp": "tcp"}
POLKIT_ACTION = "/usr/share/polkit-1/actions/org.libvirt.unix.policy"
# libvirtd.conf's own defaults; the two auth_unix ones depend on whether libvirt was built with polkit.
DEFAULTS = {
    "access_drivers": [],
    "unix_sock_group": "",
    "unix_sock_ro_perms": "0777",
    "unix_sock_rw_perms": "0777",
    "unix_sock_admin_perms": "0700",
    "listen_tls": 1,
    "listen_tcp": 0,
    "auth_tcp": "sasl",
    "auth_tls": "none",
    "tls_no_verify_certificate": 0,
    "tls_allowed_dn_list": [],
    "audit_level": 1,
    "audit_logging": 0,
    "log_outputs": "",
    "log_filters": "",
}
PATH = "libvirt_daemons.daemons"


def collect(host, note):
    """Return {"libvirt_daemons": {"mode", "daemons", "dev_kvm"}, "rbac": {"driver"}}.

    mode: monolithic, modular or none. A daemon: name, running, reachable (it or a socket that starts it is active),
    conf (path), in_force (False: it began before the file changed), every setting of DEFAULTS and auth_unix_rw/ro
    (defaults resolved), listen_argument (--listen), sockets [{unit, kind, active, enabled, listen, unit_mode, mode,
    user, group}]. mode, user and group of a socket are those of the file that is there, "" when there is none.
    rbac.driver: "polkit" when every reachable daemon was started with it, else "none".
    """
    units = systemd.show(host, units_of_libvirt())
    groups = attempt(note, PATH, lambda: passwd.groups(host.read("/etc/group")), {})
    by_gid = {group["gid"]: name for name, group in groups.items()}
    owned = _owned(units)
    daemons = []
    for name in (MONOLITHIC, *MODULAR):
        if "%s.service" % name in units or name in owned:
            daemon = attempt(
                note, "%s[%s]" % (PATH, name), lambda name=name: _daemon(host, name, units, owned.get(name, []), by_gid)
            )
            daemons.append(daemon or {"name": name})
    reachable = [daemon for daemon in daemons if daemon.get("reachable", True)]
    if any(daemon["name"] in MODULAR for daemon in reachable if daemon["name"] not in FORWARDING):
        mode = "modular"
    else:
        mode = "monolithic" if any(daemon["name"] == MONOLITHIC for daemon in reachable) else "none"
    driver = _driver(reachable)
    if driver is None:
        note("rbac.driver", "the configuration of a daemon could not be read")
    return {
        "libvirt_daemons": {
            "mode": mode,
            "daemons": daemons,
            "dev_kvm": attempt(note, "libvirt_daemons.dev_kvm", lambda: _dev_kvm(host, by_gid)),
        },
        "rbac": {"driver": driver},
    }


def units_of_libvirt():
    """Every unit that any of the daemons may have."""
    return [unit for name in (MONOLITHIC, *MODULAR) for unit in _units_of(name)]


def _units_of(name):
    kinds = {**KINDS, **REMOTE_KINDS} if name in REMOTE else KINDS
    return ["%s.service" % name] + ["%s%s.socket" % (name, kind) for kind in kinds]


def _driver(reachable):
    daemons = [daemon for daemon in reachable if daemon["name"] not in FORWARDING]
    if any("access_drivers" not in daemon for daemon in daemons):
        return None
    asked = [daemon["in_force"] and "polkit" in daemon["access_drivers"] for daemon in daemons]
    return "polkit" if asked and all(asked) else "none"


def _owned(units):
    """{daemon: its socket units}: the one a socket starts, which need not be the one it is named after."""
    found = {}
    for name in (MONOLITHIC, *MODULAR):
        for unit in _units_of(name)[1:]:
            if unit in units:
                triggered = units[unit]["Triggers"].split()
                owner = triggered[0][: -len(".service")] if triggered else name
                found.setdefault(owner, []).append((unit, unit[len(name) : -len(".socket")]))
    return found


def _daemon(host, name, units, owned, by_gid):
    service = units.get("%s.service" % name, {})
    pid = int(service.get("MainPID") or 0)
    arguments = _arguments(host, pid) if pid else []
    sockets = [_socket(host, unit, suffix, units[unit], by_gid) for unit, suffix in owned]
    conf = _option(arguments, ("-f", "--config")) or "/etc/libvirt/%s.conf" % name
    settings, changed = _settings(host, conf)
    running = service.get("ActiveState") in ("active", "activating", "reloading")
    return dict(
        settings,
        name=name,
        running=running,
        reachable=running or any(socket["active"] for socket in sockets if socket["kind"] != "admin"),
        conf=conf,
        # SIGHUP makes a daemon read its drivers' files again, never its own: only a start counts.
        in_force=not pid or processes.started(host, pid) >= changed,
        listen_argument=bool({"-l", "--listen"} & set(arguments)),
        sockets=sockets,
    )


def _settings(host, path):
    default_auth = "polkit" if host.exists(POLKIT_ACTION) else "none"
    settings = dict(DEFAULTS, auth_unix_rw=default_auth, auth_unix_ro=default_auth)
    try:
        found = libvirt_conf.parse(host.read(path))
        changed = host.stat(path)["mtime"]
    except Absent:
        return settings, 0
    except libvirt_conf.BadConfiguration as error:
        raise Unreadable("%s: %s" % (path, error))
    for key in settings:
        if key in found:
            value = found[key]
            settings[key] = [value] if isinstance(settings[key], list) and not isinstance(value, list) else value
    return settings, changed


def _arguments(host, pid):
    try:
        return host.read("/proc/%d/cmdline" % pid).split("\0")
    except Absent:
        return []


def _option(arguments, names):
    for index, word in enumerate(arguments):
        for name in names:
            if word == name and index + 1 < len(arguments):
                return arguments[index + 1]
            if word.startswith(name + "=") and name.startswith("--"):
                return word[len(name) + 1 :]
    return None


def _socket(host, unit, suffix, values, by_gid):
    listen = [line.rpartition(" (")[0] for line in values["Listen"].splitlines() if line]
    found = {
        "unit": unit,
        "kind": {**KINDS, **REMOTE_KINDS}[suffix],
        "active": values["ActiveState"] in ("active", "activating"),
        "enabled": values["UnitFileState"] in ("enabled", "enabled-runtime"),
        "listen": listen,
        "unit_mode": values["SocketMode"],
        "mode": "",
        "user": "",
        "group": "",
    }
    paths = [path for path in listen if path.startswith("/")]
    if paths and host.exists(paths[0]):
        stat = host.stat(paths[0])
        found.update(_owner(stat, by_gid))
    return found


def _owner(stat, by_gid):
    user = "root" if stat["uid"] == 0 else str(stat["uid"])
    return {"mode": stat["mode"], "user": user, "group": by_gid.get(stat["gid"], str(stat["gid"]))}


def _dev_kvm(host, by_gid):
    if not by_gid:
        raise Unreadable("/dev/kvm: the names of the groups were not read")
    return _owner(host.stat("/dev/kvm"), by_gid)


PART = Part(
    "libvirt_daemons",
    [PATH, "libvirt_daemons.mode", "libvirt_daemons.dev_kvm", "rbac.driver"],
    collect,
    units_of_libvirt(),
)
