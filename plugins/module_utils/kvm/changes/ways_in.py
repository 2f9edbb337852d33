# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a person could log in to this host now and become root, without having the person's key.

The running controller's own connection proves the controller only. For everybody else it is asked what sshd would ask:
sshd's settings for that account from that address, keys it would accept, the account phase of PAM, a second factor that
is enrolled, and whether sudo lets the account do anything.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import fnmatch
import grp
import os
import pwd
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.engine import ChangeError, run

NO_SHELLS = ("nologin", "false", "sync", "shutdown", "halt")
# Where a module keeps that somebody is enrolled, unless an option of the module says otherwise (their manual pages).
ENROLMENT = {
    "pam_google_authenticator.so": ("secret", "~/.google_authenticator"),
    "pam_u2f.so": ("authfile", "~/.config/Yubico/u2f_keys"),
    "pam_oath.so": ("usersfile", "/etc/users.oath"),
}
# Files that name the account in a line of their own; the others belong to one account.
SHARED = ("pam_oath.so",)
PAM_SUCCESS = 0


def person(name, client):
    """{name, can, why}: whether a named administrator gets in by ssh and may become root."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return _answer(name, "there is no such account")
    for test in (_shell, _ssh, _account_of_sshd, _sudo):
        why = test(entry, client)
        if why:
            return _answer(name, why)
    return _answer(name)


def break_glass(name, _client):
    """The same for a local account at the console, by its password."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return _answer(name, "there is no such account")
    why = _shell(entry, None) or _local_password(entry) or _pam_account("login", name) or _sudo(entry, None)
    return _answer(name, why)


def _answer(name, why=""):
    return {"name": name, "can": not why, "why": why}


def _shell(entry, _client):
    if os.path.basename(entry.pw_shell) in NO_SHELLS or not os.path.exists(entry.pw_shell or "/bin/sh"):
        return "its shell is %s" % entry.pw_shell
    return ""


def _local_password(entry):
    with open("/etc/shadow", encoding="utf-8") as handle:
        for line in handle:
            if line.startswith(entry.pw_name + ":"):
                return "" if line.split(":")[1].startswith("$") else "it has no password that could be used"
    return "it is no local account"


def _ssh(entry, client):
    settings = _sshd(entry.pw_name, client)
    if not _admitted(entry, settings, client):
        return "AllowUsers, AllowGroups, DenyUsers or DenyGroups of sshd keep it out"
    methods = settings.get("authenticationmethods", "any").split()
    reasons = [_method(entry, settings, [] if method == "any" else method.split(",")) for method in methods]
    return "" if "" in reasons else reasons[0]


def _method(entry, settings, asked):
    """Why the account cannot go through one of AuthenticationMethods' lists ([]: any single way), "" when it can."""
    key = _key(entry, settings)
    if not asked:
        if settings.get("passwordauthentication") == "yes" and not _local_password(entry):
            return ""
        return key
    for way in asked:
        kind = way.partition(":")[0]
        if kind == "publickey" and key:
            return key
        if kind == "password" and _local_password(entry):
            return "sshd asks for a password, and %s" % _local_password(entry)
        if kind == "keyboard-interactive":
            missing = _not_enrolled(entry)
            if missing:
                return missing
    return ""


def _sshd(name, client):
    """{keyword: value} of sshd for an account from the controller's address."""
    client = client or {"address": "127.0.0.1", "local_address": "127.0.0.1", "local_port": 22}
    context = "user=%s,host=%s,addr=%s,laddr=%s,lport=%d" % (
        name, client["address"], client["address"], client["local_address"], client["local_port"]
    )  # fmt: skip
    found = {}
    for line in run(["/usr/sbin/sshd", "-T", "-C", context]).splitlines():
        keyword, _blank, value = line.strip().partition(" ")
        # Lists stand on several lines.
        found[keyword] = "%s %s" % (found[keyword], value) if keyword in found else value
    return found


def _admitted(entry, settings, client):
    name, address = entry.pw_name, (client or {}).get("address", "127.0.0.1")
    groups = [grp.getgrgid(number).gr_name for number in os.getgrouplist(name, entry.pw_gid) if _group_exists(number)]

    def listed(keyword, names):
        for pattern in settings.get(keyword, "").split():
            user, _at, host = pattern.partition("@")
            if any(fnmatch.fnmatchcase(one, user) for one in names) and (not host or fnmatch.fnmatch(address, host)):
                return True
        return False

    if listed("denyusers", [name]) or listed("denygroups", groups):
        return False
    if settings.get("allowusers") and not listed("allowusers", [name]):
        return False
    return not settings.get("allowgroups") or listed("allowgroups", groups)


def _group_exists(number):
    try:
        return bool(grp.getgrgid(number))
    except KeyError:
        return False


def _key(entry, settings):
    """Why no key of the account would be accepted, "" when one would."""
    if settings.get("pubkeyauthentication") != "yes":
        return "sshd accepts no keys"
    if settings.get("trustedusercakeys", "none") != "none" or settings.get("authorizedkeyscommand", "none") != "none":
        return ""
    accepted = settings.get("pubkeyacceptedalgorithms", "").split(",")
    tried = []
    for pattern in settings.get("authorizedkeysfile", ".ssh/authorized_keys").split():
        path = pattern.replace("%h", entry.pw_dir).replace("%u", entry.pw_name).replace("%%", "%")
        path = path if path.startswith("/") else os.path.join(entry.pw_dir, path)
        tried.append(path)
        if _has_key(path, accepted, entry, settings.get("strictmodes") != "no"):
            return ""
    return "no key that sshd accepts in %s" % ", ".join(tried)


def _has_key(path, accepted, entry, strict):
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            text = handle.read(1024 * 1024)
            found = os.fstat(handle.fileno())
    except OSError:
        return False
    if strict and (found.st_mode & 0o022 or found.st_uid not in (0, entry.pw_uid)):
        return False
    for line in text.splitlines():
        match = re.match(r"^\s*(?:[^#\s].*?\s)?((?:sk-)?(?:ssh|ecdsa)-[\w@.-]+)\s+[A-Za-z0-9+/=]{40,}", line)
        if match and _accepts(match.group(1), accepted):
            return True
    return False


def _accepts(kind, accepted):
    # A key of type ssh-rsa signs with SHA-2.
    wanted = ("rsa-sha2-256", "rsa-sha2-512") if kind == "ssh-rsa" else (kind,)
    return any(name in accepted for name in wanted)


def _account_of_sshd(entry, _client):
    return _pam_account("sshd", entry.pw_name)


def _pam_account(service, name):
    """Why PAM's account phase refuses somebody, "" when it does not (expired, nologin, pam_access, sssd's filter)."""
    library = ctypes.util.find_library("pam")
    if library is None:
        return "libpam was not found"
    pam = ctypes.CDLL(library)
    conversation = (ctypes.c_void_p * 2)(_no_conversation_address(), None)
    handle = ctypes.c_void_p()
    pam.pam_strerror.restype = ctypes.c_char_p
    code = pam.pam_start(service.encode(), name.encode(), ctypes.byref(conversation), ctypes.byref(handle))
    if code != PAM_SUCCESS:
        return "PAM could not be started for %s (code %d)" % (service, code)
    try:
        code = pam.pam_acct_mgmt(handle, 0)
        if code == PAM_SUCCESS:
            return ""
        return "PAM's account phase of %s says: %s" % (service, pam.pam_strerror(handle, code).decode())
    finally:
        pam.pam_end(handle, code)


_CONVERSE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
PAM_CONV_ERR = 19
# Kept for as long as the module runs: libpam calls it.
_SILENT = _CONVERSE(lambda _count, _messages, _answers, _data: PAM_CONV_ERR)


def _no_conversation_address():
    return ctypes.cast(_SILENT, ctypes.c_void_p).value


def _sudo(entry, _client):
    if entry.pw_uid == 0:
        return ""
    try:
        said = run(["sudo", "-n", "-l", "-U", entry.pw_name])
    except ChangeError as error:
        return "sudo did not tell what it may do: %s" % error
    return "" if "may run the following" in said else "sudo lets it do nothing"


def _not_enrolled(entry):
    """Why the second factor of sshd's PAM stack would not let somebody in, "" when it would or nobody can tell."""
    for module, arguments in _auth_modules("sshd"):
        if module not in ENROLMENT:
            continue
        option, default = ENROLMENT[module]
        given = [word.partition("=")[2] for word in arguments if word.startswith(option + "=")]
        path = (given[0] if given else default).replace("${USER}", entry.pw_name).replace("${HOME}", "~")
        path = path.replace("~", entry.pw_dir, 1) if path.startswith("~") else path
        if not _names(path, entry.pw_name, module):
            return "not enrolled for %s: nothing in %s" % (module, path)
    return ""


def _names(path, name, module):
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            text = handle.read(1024 * 1024)
    except OSError:
        return False
    if module in SHARED:
        return any(name in line.split()[:2] for line in text.splitlines() if not line.startswith("#"))
    return bool(text.strip())


def _auth_modules(service, depth=0):
    """[(module, [argument])] of the auth phase of a PAM service, includes followed."""
    try:
        with open("/etc/pam.d/%s" % os.path.basename(service), encoding="utf-8", errors="replace") as handle:
            text = handle.read(262144).replace("\\\n", " ")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        include = re.match(r"^\s*@include\s+(\S+)|^\s*-?auth\s+(?:include|substack)\s+(\S+)", line)
        if include and depth < 10:
            found += _auth_modules(include.group(1) or include.group(2), depth + 1)
            continue
        match = re.match(r"^\s*-?auth\s+(?:\[[^\]]*\]|\S+)\s+(?:\S*/)?(pam_\w+\.so)(.*)$", line)
        if match:
            found.append((match.group(1), match.group(2).split()))
    return found
