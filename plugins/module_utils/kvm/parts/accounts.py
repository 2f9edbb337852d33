# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""accounts: who can get a session on this host, and by what."""

from __future__ import annotations

import base64
import posixpath
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import logins, passwd, processes, sshd_config
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

MAX_ACCOUNTS = 500
DIRECTORY_SOURCES = ("sss", "ldap", "winbind", "nis", "compat", "nisplus")
# Membership that amounts to root, or leads there in one step. docker, lxd and incus: a container with the host's root
# mounted; disk: raw block devices; libvirt: a read-write connection (libvirt.org/aclpolkit.html: as good as root).
ROOT_GROUPS = ("root", "sudo", "wheel", "admin", "libvirt", "docker", "lxd", "incus-admin", "disk", "shadow")
CRON_TABLES = ("/var/spool/cron/crontabs", "/var/spool/cron")
KEY_FILES = (".ssh/authorized_keys", ".ssh/authorized_keys2")
# sshd(8), AUTHORIZED_KEYS: options may stand before the type, the key itself begins with its own type in base64.
KEY_TYPE = re.compile(r"(?:^|\s)((?:sk-)?(?:ssh|ecdsa)-[\w.@-]+)\s+(AAAA[\w+/]+)")
DAY = 86400


def collect(host, note):
    """Return {"accounts": [...], "groups": {name: [members]}, "account_logins": {source, since, last}}.

    An account: name, source (local, directory), uid_or_sid, shell, shell_path, password (locked, password, none,
    directory), expired, expires_on and changed_on (ISO dates, "" for none), keys, key_types (of its authorised keys),
    certificate (whether sshd trusts an authority that can name it), usable, privileged, groups, human, services (units
    that run under it), cron.
    usable: a login shell, unexpired, and a password, key or certificate. None where that cannot be decided.
    """
    local = passwd.users(host.read("/etc/passwd"))
    local_groups = passwd.groups(host.read("/etc/group"))
    lowest = attempt(note, "accounts", lambda: passwd.uid_min(host), passwd.UID_MIN)
    directory = attempt(note, "accounts", lambda: _directory(host, local, local_groups), {})
    everyone = {**directory, **local}
    groups = passwd.with_primary(local_groups, everyone)
    today = int(host.now() // DAY)
    shadow = attempt(note, "accounts", lambda: passwd.shadow(host.read("/etc/shadow"), today))
    trust = attempt(note, "accounts", lambda: _Trust(host))
    candidates = {user["uid"] for user in everyone.values() if user["shell"] and user["uid"]}
    owners = attempt(note, "accounts", lambda: processes.owners(host, candidates), {})
    tables = attempt(note, "accounts", lambda: _cron(host), set())
    names = sorted(everyone, key=lambda name: (not everyone[name]["shell"], everyone[name]["uid"]))
    if len(names) > MAX_ACCOUNTS:
        note("accounts", "%d accounts, only %d of them read" % (len(names), MAX_ACCOUNTS))
    accounts = []
    for name in names[:MAX_ACCOUNTS]:
        account = _describe(name, everyone[name], "local" if name in local else "directory", groups)
        account.update(_secret(name, account["source"], shadow))
        account.update(_keys(trust, account, note))
        owner = owners.get(everyone[name]["uid"], {"services": [], "session": False})
        account["usable"] = _usable(account)
        account["services"] = owner["services"]
        account["cron"] = name in tables
        account["human"] = _human(account, everyone[name]["uid"], lowest)
        accounts.append(account)
    used_now = {name for name in names if owners.get(everyone[name]["uid"], {}).get("session")}
    return {
        "accounts": accounts,
        "groups": groups,
        "account_logins": attempt(note, "account_logins", lambda: _logins(host, everyone, used_now)),
    }


def _directory(host, local, local_groups):
    """Accounts that only the directory knows: what getent lists, and strangers among the members of local groups."""
    if not set(passwd.name_services(host, "passwd")) & set(DIRECTORY_SOURCES):
        return {}
    found = passwd.users(host.succeed(["getent", "passwd"], timeout=5))
    strangers = sorted({name for group in local_groups.values() for name in group["members"]} - set(found))[:100]
    if strangers:
        # getent says 2 when some names are unknown, and prints those it knows.
        found.update(passwd.users(host.run(["getent", "passwd"] + strangers, timeout=5).out))
    return {name: user for name, user in found.items() if name not in local}


def _describe(name, user, source, groups):
    member_of = sorted(group for group, members in groups.items() if name in members)
    return {
        "name": name,
        "source": source,
        "uid_or_sid": str(user["uid"]),
        "home": user["home"],
        "shell": user["shell"],
        "shell_path": user["shell_path"],
        "groups": member_of,
        "privileged": user["uid"] == 0 or bool(set(member_of) & set(ROOT_GROUPS)),
    }


def _secret(name, source, shadow):
    if source == "directory":
        return {"password": "directory", "expired": False, "expires_on": "", "changed_on": ""}
    if shadow is None:
        return {"password": None, "expired": None, "expires_on": None, "changed_on": None}
    # No line in shadow: nothing can match, and nothing expires.
    entry = shadow.get(name, {"password": "locked", "expired": False, "expires_on": None, "changed_day": None})
    return {
        "password": entry["password"],
        "expired": entry["expired"],
        "expires_on": logins.day(entry["expires_on"] * DAY) if entry["expires_on"] is not None else "",
        "changed_on": logins.day(entry["changed_day"] * DAY) if entry["changed_day"] is not None else "",
    }


class _Trust(object):
    """Which files, commands and authorities sshd takes keys from, over every block of its configuration.

    A union: a key file that only some Match block names still counts, so that no way in is missed.
    """

    def __init__(self, host):
        self._host = host
        values = {
            "authorizedkeysfile": [],
            "authorizedkeyscommand": [],
            "trustedusercakeys": [],
            "authorizedprincipalsfile": [],
        }
        try:
            files = sshd_config.read(host).files
        except Absent:
            files = []
        for path in files:
            for line in host.read(path).splitlines():
                words = line.replace("=", " ", 1).split()
                if words and words[0].lower() in values:
                    values[words[0].lower()].extend(word.strip('"') for word in words[1:])
        self._files = [word for word in values["authorizedkeysfile"] if word != "none"] or list(KEY_FILES)
        self._command = any(word != "none" for word in values["authorizedkeyscommand"])
        self._authority = any(word != "none" for word in values["trustedusercakeys"])
        self._principals = [word for word in values["authorizedprincipalsfile"] if word != "none"]

    def keys(self, account):
        """Whether the account has an authorised key; raises Unreadable where only a command could tell."""
        if any(self._filled(pattern, account) for pattern in self._files):
            return True
        if self._command:
            raise Unreadable("sshd asks a program for keys (AuthorizedKeysCommand): whether there are any is not known")
        return False

    def types(self, account):
        """The types of its authorised keys, as far as they lie in files."""
        lines = [line for pattern in self._files for line in self._lines(pattern, account)]
        pairs = [pair for line in lines for pair in KEY_TYPE.findall(line)]
        return sorted({kind for kind, key in pairs if _begins_with(key, kind)})

    def certificate(self, account):
        """Whether a certificate of a trusted authority can name the account."""
        return self._authority and (
            not self._principals or any(self._filled(name, account) for name in self._principals)
        )

    def _filled(self, pattern, account):
        return bool(self._lines(pattern, account))

    def _lines(self, pattern, account):
        path = pattern.replace("%%", "\0").replace("%h", account["home"]).replace("%u", account["name"])
        path = posixpath.join(account["home"], path.replace("%U", account["uid_or_sid"]).replace("\0", "%"))
        try:
            text = self._host.read(path)
        except Absent:
            return []
        return [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def _keys(trust, account, note):
    if not account["shell"]:
        return {"keys": False, "key_types": [], "certificate": False}
    if trust is None:
        return {"keys": None, "key_types": None, "certificate": None}
    path = "accounts[%s]" % account["name"]
    return {
        "keys": attempt(note, path + ".keys", lambda: trust.keys(account)),
        "key_types": attempt(note, path + ".key_types", lambda: trust.types(account)),
        "certificate": attempt(note, path + ".certificate", lambda: trust.certificate(account)),
    }


def _begins_with(key, kind):
    """Whether a key in base64 says itself that it is of this type: an option or comment may look like a key."""
    name = kind.encode()
    wanted = len(name) + 4
    try:
        return base64.b64decode(key[: (wanted + 2) // 3 * 4])[4:wanted] == name
    except ValueError:
        return False


def _usable(account):
    if not account["shell"] or account["expired"]:
        return False
    ways = (account["password"] and account["password"] != "locked", account["keys"], account["certificate"])
    if account["expired"] is None:
        return None
    if any(ways):
        return True
    return None if None in (account["password"], account["keys"], account["certificate"]) else False


def _human(account, uid, lowest):
    """A person's account, as far as a host can tell: one can log in to it and no service runs under it."""
    if not uid or uid == passwd.NOBODY or not account["shell"] or account["services"]:
        return False
    return uid >= lowest or account["usable"] is not False


def _cron(host):
    for path in CRON_TABLES:
        try:
            return {name for name in host.list(path) if "." not in name}
        except Absent:
            continue
    return set()


def _logins(host, everyone, used_now):
    people = {name: user for name, user in everyone.items() if user["shell"]}
    found = logins.last_logins(host, people)
    for name in used_now & set(people):
        found["last"][name] = logins.day(host.now())
    return found


PART = Part("accounts", ["accounts", "groups", "account_logins"], collect)
