# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""polkit: its version, its daemon, and every rule file with what it can answer for libvirt and for root."""

from __future__ import annotations

import hashlib
import posixpath
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import polkit_rules, processes, systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

# In the order polkitd prefers them where two files have the same name (polkit(8)).
RULES = (
    "/etc/polkit-1/rules.d",
    "/run/polkit-1/rules.d",
    "/usr/local/share/polkit-1/rules.d",
    "/usr/share/polkit-1/rules.d",
)
# pklocalauthority(8): read by polkit 0.105, and by later ones through polkit-pkla-compat.
AUTHORITIES = ("/var/lib/polkit-1/localauthority", "/etc/polkit-1/localauthority")
MAX_FILES = 200
UNITS = ("polkit.service", "polkitd.service")
LOADED = "Finished loading, compiling and executing"


def collect(host, note):
    """Return {"rbac": {"polkit": {...}, "rules": [...]}}.

    polkit: version ("" when absent), javascript (rules with conditions on objects need 0.106), running, in_force
    (False: the daemon began before the newest rule file changed and no reload is on record). rules, in the order they
    are asked: {path, kind (rules, pkla), sha256, mode, uid, gid, returns}; see kvm.polkit_rules for returns.
    """
    version = attempt(note, "rbac.polkit.version", lambda: _version(host))
    files = attempt(note, "rbac.rules", lambda: _files(host))
    polkit = {
        "version": version,
        "javascript": None if version is None else _javascript(version),
        "running": None,
        "in_force": None,
        "newest": None,
    }
    if files is None:
        for key in ("running", "in_force", "newest"):
            note(
                "rbac.polkit." + key, "the rule files could not be read, so there is nothing to compare the daemon with"
            )
    else:
        polkit.update(attempt(note, "rbac.polkit", lambda: _daemon(host, files), {}))
    return {"rbac": {"polkit": polkit, "rules": None if files is None else [entry["facts"] for entry in files]}}


def _version(host):
    for program in ("pkaction", "pkcheck"):
        try:
            match = re.search(r"version\s+([\d.]+)", host.succeed([program, "--version"]))
        except Absent:
            continue
        if not match:
            raise Unreadable("%s --version gives no version" % program)
        return match.group(1)
    return ""


def _javascript(version):
    parts = [int(part) for part in version.split(".") if part.isdigit()]
    return bool(parts) and (parts[0] > 0 or parts[1:2] >= [106])


def _files(host):
    found = []
    for rank, directory in enumerate(RULES):
        for name in _names(host, directory):
            if name.endswith(".rules"):
                found.append(((name, rank), posixpath.join(directory, name), "rules"))
    for rank, top in enumerate(AUTHORITIES):
        for folder in _names(host, top):
            for name in _names(host, posixpath.join(top, folder)):
                if name.endswith(".pkla"):
                    found.append((("~" + folder, rank, name), posixpath.join(top, folder, name), "pkla"))
    if len(found) > MAX_FILES:
        raise Unreadable("%d polkit rule files, more than the %d that are read" % (len(found), MAX_FILES))
    return [_file(host, path, kind) for _order, path, kind in sorted(found)]


def _names(host, directory):
    try:
        return host.list(directory)
    except Absent:
        return []


def _file(host, path, kind):
    data = host.read_bytes(path)
    stat = host.stat(path)
    text = data.decode("utf-8", "replace")
    read = polkit_rules.javascript if kind == "rules" else polkit_rules.authority_file
    facts = {"path": path, "kind": kind, "sha256": hashlib.sha256(data).hexdigest(), "returns": read(text)}
    facts.update({key: stat[key] for key in ("mode", "uid", "gid")})
    return {"facts": facts, "mtime": stat["mtime"]}


def _daemon(host, files):
    """polkitd watches the directories; whether it did is on record as the message it leaves after each loading."""
    changes = [(entry["mtime"], entry["facts"]["path"]) for entry in files]
    # A deleted file only shows in its directory.
    changes += [(host.stat(directory)["mtime"], directory) for directory in RULES if host.exists(directory)]
    changed, newest = max(changes) if changes else (0, "")
    units = systemd.show(host, UNITS)
    pid = max([int(unit["MainPID"] or 0) for unit in units.values()] or [0])
    if not pid:
        # Started for the next question that is asked, and reads all files then.
        return {"running": False, "in_force": True, "newest": newest}
    if processes.started(host, pid) >= changed:
        return {"running": True, "in_force": True, "newest": newest}
    since = "--since=@%d" % int(changed)
    log = host.succeed(["journalctl", "--no-pager", "-q", "-o", "cat", "-n", "50", since, "_PID=%d" % pid])
    return {"running": True, "in_force": LOADED in log, "newest": newest}


PART = Part("polkit", ["rbac.polkit", "rbac.rules"], collect, UNITS)
