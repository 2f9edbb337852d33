# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ssh: what every ssh server of the host really enforces, for root, for an administrator and for every Match block."""

from __future__ import annotations

import os

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import passwd, sshd_config, sshd_servers
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt, side_by_side
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.sshd_contexts import contexts, specification

LISTS = ("allowusers", "allowgroups", "denyusers", "denygroups")
SPACED = ("authenticationmethods", "pubkeyauthoptions", "authorizedkeysfile")
COMMAS = (
    "ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms", "casignaturealgorithms",
)  # fmt: skip
SCALARS = (
    "permitrootlogin", "passwordauthentication", "kbdinteractiveauthentication", "pubkeyauthentication", "usepam",
    "permitemptypasswords", "hostbasedauthentication", "ignorerhosts", "strictmodes", "permituserenvironment",
    "x11forwarding", "allowtcpforwarding", "allowagentforwarding", "allowstreamlocalforwarding", "gatewayports",
    "permittunnel", "maxauthtries", "maxsessions", "clientaliveinterval", "clientalivecountmax", "logingracetime",
    "loglevel", "trustedusercakeys", "authorizedkeyscommand", "authorizedprincipalsfile", "authorizedprincipalscommand",
    "forcecommand", "pidfile",
)  # fmt: skip
# Programs with arguments, which may hold secrets and decide nothing here.
COMMANDS = ("authorizedkeyscommand", "authorizedprincipalscommand", "forcecommand")
# Built without, or older than, the feature: sshd -T says nothing of it.
OPTIONAL = ("gssapiauthentication", "kerberosauthentication", "requiredrsasize", "disableforwarding")
# OpenSSH before 8.5 and 8.7 printed these names.
RENAMED = {
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "challengeresponseauthentication": "kbdinteractiveauthentication",
}
SHARED = ("ciphers", "macs", "kexalgorithms", "hostkeyalgorithms")
NOT_KEPT = SHARED + ("pidfile",)
# Sources of nsswitch.conf without people of their own.
LOCAL_SOURCES = {"files", "systemd", "compat"}
NOBODY = {"users": {}, "groups": {}}
PATH = "remote_access.ssh"
MAX_IGNORED = 20
SHORTCUTS = ("effective_root", "effective", "allow_users", "allow_groups")


def collect(host, note):
    """Return {"remote_access": {"ssh": {...}}} with servers, contexts, user_ca and four shortcuts into contexts.

    servers: one per sshd that listens, is started by a socket, or would start at boot; [] when there is none. contexts:
    [{id, server, user, address, why, settings}]. effective_root and effective: the settings for root and for an
    administrator from outside, on the first server. user_ca: [{path, keys}] of each TrustedUserCAKeys file.
    """
    found = {"servers": None, "contexts": None, "user_ca": None, **dict.fromkeys(SHORTCUTS)}
    servers = attempt(note, PATH, lambda: sshd_servers.servers(host, note))
    if servers is not None:
        asked, whole = _questions(host, note, servers)
        answers = _answers(host, note, asked)
        _describe_all(host, note, servers, asked, answers)
        whole = whole and not any(isinstance(answer, Unreadable) for answer in answers)
        entries = _entries(asked, answers) if whole else None
        found.update(servers=servers, contexts=entries, user_ca=_user_ca(host, note, entries), **_shortcuts(entries))
        for name in SHORTCUTS:
            if found[name] is None:
                note(
                    "%s.%s" % (PATH, name),
                    "no ssh server" if entries == [] else "sshd -T was not answered for everybody",
                )
    return {"remote_access": {"ssh": found}}


def _questions(host, note, servers):
    """Return ([(server, context)], whether no connection that some Match distinguishes is missing)."""
    accounts = attempt(note, PATH + ".contexts", lambda: _accounts(host, servers))
    asked, whole = [], accounts is not None
    for server in servers:
        configuration, listen = server.pop("_configuration"), server.pop("_listen")
        if configuration is None:
            whole = False
            continue
        chosen, cut = contexts(configuration.blocks, accounts or NOBODY, listen, _client())
        if cut:
            why = "%s: %d connections besides the %d tried were not tried" % (server["id"], cut, len(chosen))
            note(PATH + ".contexts", why)
        for criterion in configuration.unfollowed:
            note(PATH + ".contexts", "%s: Match %s cannot be tried" % (server["id"], criterion))
        asked.extend((server, context) for context in chosen)
    return asked, whole


def _entries(asked, answers):
    several = len({(context["laddr"], context["lport"]) for _server, context in asked}) > 1
    return [_entry(server, context, answer, several) for (server, context), answer in zip(asked, answers)]


def _describe_all(host, note, servers, asked, answers):
    for server in servers:
        mine = [answer for (owner, _context), answer in zip(asked, answers) if owner is server]
        good = [answer for answer in mine if not isinstance(answer, Unreadable)]
        if not good:
            note("%s.servers[%s]" % (PATH, server["id"]), str(mine[0]) if mine else "its configuration was not read")
        _describe(host, server, good[0] if good else None)


def _answers(host, note, asked):
    def ask(pair):
        server, context = pair
        argv = [server["program"], "-T", *server["arguments"], "-C", specification(context)]
        try:
            answer = host.run(argv)
            if answer.rc != 0:
                last = (answer.err.strip() or "no message").splitlines()[-1]
                raise Unreadable("sshd -T for %s: exit code %d: %s" % (server["id"], answer.rc, last[:200]))
            return settings(answer.out), answer.err
        except Unreadable as reason:
            return reason

    # sshd -T takes about 10 ms; a host with many Match blocks has dozens of contexts.
    answers = side_by_side(ask, asked, 4)
    reasons = list(dict.fromkeys(str(answer) for answer in answers if isinstance(answer, Unreadable)))
    for reason in reasons[:5]:
        note(PATH + ".contexts", reason)
    return answers


def settings(out):
    """What `sshd -T` printed, as {keyword: value} of the keywords in the tables above; lists as lists.

    Raises Unreadable when a keyword is missing: the answer was cut short or is in a form this collector does not know.
    """
    lines = {}
    for line in out.splitlines():
        keyword, _space, value = line.strip().partition(" ")
        lines.setdefault(RENAMED.get(keyword.lower(), keyword.lower()), []).append(value.strip())
    found = {}
    for keyword in SCALARS + SPACED + COMMAS:
        if keyword not in lines:
            raise Unreadable("sshd -T does not say %s" % keyword)
        found[keyword] = lines[keyword][0]
    # Before 8.7 ChallengeResponseAuthentication yes switched keyboard-interactive on beside its own keyword.
    if "yes" in lines["kbdinteractiveauthentication"]:
        found["kbdinteractiveauthentication"] = "yes"
    for keyword in SPACED:
        found[keyword] = found[keyword].split()
    for keyword in COMMAS:
        found[keyword] = [name for name in found[keyword].split(",") if name]
    for keyword in COMMANDS:
        program, blank, _arguments = found[keyword].partition(" ")
        found[keyword] = program + (" ***" if blank else "")
    for keyword in LISTS:
        # One entry on each line: the name of a directory's group may hold blanks.
        found[keyword] = lines.get(keyword, [])
    for keyword in OPTIONAL:
        found[keyword] = lines.get(keyword, ["unsupported"])[0]
    return found


def _entry(server, context, answer, several):
    values = {key: value for key, value in answer[0].items() if key not in NOT_KEPT}
    name = "%s@%s" % (context["user"], context["address"])
    if context["host"] != context["address"]:
        name += " (%s)" % context["host"]
    return {
        "id": name + (" on %s:%d" % (context["laddr"], context["lport"]) if several else ""),
        "server": server["id"],
        "user": context["user"],
        "address": context["address"],
        "why": context["why"],
        "settings": values,
    }


def _describe(host, server, answer):
    """What is the same for every connection: algorithms, keywords sshd ignores, and whether the files are in force."""
    server.update(algorithms=None, ignored_keywords=None, in_force=None, in_force_why=None)
    if answer is None:
        return
    values, complaints = answer
    server["algorithms"] = {key: values[key] for key in SHARED}
    server["ignored_keywords"] = _ignored(complaints)
    server["in_force"], server["in_force_why"] = sshd_servers.in_force(host, server, values["pidfile"])


def _ignored(err):
    lines = [line.strip() for line in err.splitlines() if "Deprecated option" in line or "Unsupported option" in line]
    return sorted(set(lines))[:MAX_IGNORED]


def _shortcuts(entries):
    root = next((entry["settings"] for entry in entries or [] if entry["user"] == "root"), None)
    other = next((entry["settings"] for entry in entries or [] if entry["user"] != "root"), None)
    return {
        "effective_root": root,
        "effective": other,
        "allow_users": other and other["allowusers"],
        "allow_groups": other and other["allowgroups"],
    }


def _user_ca(host, note, entries):
    if entries is None:
        note(PATH + ".user_ca", "sshd -T was not answered for everybody")
        return None
    found = []
    for path in sorted({entry["settings"]["trustedusercakeys"] for entry in entries} - {"none", ""}):
        try:
            lines = [
                line for line in host.read(path).splitlines() if line.strip() and not line.lstrip().startswith("#")
            ]
            found.append({"path": path, "keys": len(lines)})
        except Absent:
            found.append({"path": path, "keys": 0})
        except Unreadable as reason:
            note(PATH + ".user_ca", str(reason))
            found.append({"path": path, "keys": None})
    return found


def _accounts(host, servers):
    """The local accounts, and the members of every group that some Match speaks of.

    Raises Unreadable for a group that a directory may hold and nobody can list: its Match block could not be tried.
    """
    users = passwd.users(host.read("/etc/passwd"))
    groups = passwd.with_primary(passwd.groups(host.read("/etc/group")), users)
    blocks = [block for server in servers if server["_configuration"] for block in server["_configuration"].blocks]
    matched = {pattern.lstrip("!") for block in blocks for pattern in block.get("group", [])} - set(groups)
    if matched and set(passwd.name_services(host, "group")) - LOCAL_SOURCES:
        for name in sorted(matched):
            wild = "*" in name or "?" in name
            members = {} if wild else passwd.groups(host.run(["getent", "group", name], timeout=5).out)
            if not members.get(name, {}).get("members"):
                raise Unreadable(
                    "Match Group %s: its members cannot be listed, so no connection of theirs was tried" % name
                )
            groups[name] = members[name]["members"]
    return {"users": users, "groups": groups}


def _client():
    """Where the ssh connection that runs this collection comes from; sudo keeps or drops it, both are fine."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    return words[0] if words and sshd_config.sample_address(words[0]) else None


PART = Part("ssh", [PATH], collect, sshd_servers.UNITS)
