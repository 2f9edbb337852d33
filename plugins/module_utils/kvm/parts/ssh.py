# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ssh: what every ssh server of the host really enforces, for root, for an administrator and for every Match block."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import passwd, sshd_config, sshd_servers
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt
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
# Built without, or older than, the feature: sshd -T says nothing of it.
OPTIONAL = ("gssapiauthentication", "kerberosauthentication", "requiredrsasize", "disableforwarding")
# OpenSSH before 8.5 and 8.7 printed these names.
RENAMED = {
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "challengeresponseauthentication": "kbdinteractiveauthentication",
}
SHARED = ("ciphers", "macs", "kexalgorithms", "hostkeyalgorithms")
NOT_KEPT = SHARED + ("pidfile",)
PATH = "remote_access.ssh"
MAX_IGNORED = 20


def collect(host, note):
    """Return {"remote_access": {"ssh": {...}}} with servers, contexts, user_ca and four shortcuts into contexts.

    servers: one per sshd that listens, is started by a socket, or would start at boot; [] when there is none. contexts:
    [{id, server, user, address, why, settings}]. effective_root and effective: the settings for root and for an
    administrator from outside, on the first server. user_ca: [{path, keys}] of each TrustedUserCAKeys file.
    """
    found = {
        "servers": None,
        "contexts": None,
        "effective_root": None,
        "effective": None,
        "allow_users": None,
        "allow_groups": None,
    }
    found["user_ca"] = None
    servers = attempt(note, PATH, lambda: sshd_servers.servers(host, note))
    if servers is not None:
        found.update(_ask(host, note, servers))
    return {"remote_access": {"ssh": found}}


def _ask(host, note, servers):
    accounts = attempt(note, PATH + ".contexts", lambda: _accounts(host))
    asked, entries = [], []
    for server in servers:
        configuration = server.pop("_configuration")
        if configuration is None or accounts is None:
            entries = None
            continue
        chosen, cut = contexts(configuration.blocks, accounts, server.pop("_listen"), _client())
        if cut:
            note(
                PATH + ".contexts",
                "%s: %d connections beyond the first %d were not tried" % (server["id"], cut, len(chosen)),
            )
        for criterion in configuration.unfollowed:
            note(PATH + ".contexts", "%s: Match %s cannot be tried" % (server["id"], criterion))
        asked.extend((server, context) for context in chosen)
    answers = _answers(host, note, asked)
    if entries is not None:
        several = len({(context["laddr"], context["lport"]) for _server, context in asked}) > 1
        entries = [
            _entry(server, context, answer, several) for (server, context), answer in zip(asked, answers) if answer
        ]
        entries = entries if len(entries) == len(asked) else None
    for server in servers:
        server.pop("_listen", None)
        mine = [answer for (owner, _context), answer in zip(asked, answers) if owner is server and answer]
        _describe(host, server, mine[0] if mine else None)
    result = {"servers": servers, "contexts": entries}
    result.update(_summary(entries))
    result["user_ca"] = _user_ca(host, note, entries)
    return result


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
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = list(pool.map(ask, asked))
    reasons = list(dict.fromkeys(str(answer) for answer in answers if isinstance(answer, Unreadable)))
    for reason in reasons[:5]:
        note(PATH + ".contexts", reason)
    return [None if isinstance(answer, Unreadable) else answer for answer in answers]


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
    for keyword in SPACED:
        found[keyword] = found[keyword].split()
    for keyword in COMMAS:
        found[keyword] = [name for name in found[keyword].split(",") if name]
    for keyword in LISTS:
        found[keyword] = [name for value in lines.get(keyword, []) for name in value.split()]
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


def _summary(entries):
    empty = {"effective_root": None, "effective": None, "allow_users": None, "allow_groups": None}
    if not entries:
        return empty
    root = next((entry["settings"] for entry in entries if entry["user"] == "root"), None)
    other = next((entry["settings"] for entry in entries if entry["user"] != "root"), None)
    lists = {"allow_users": other and other["allowusers"], "allow_groups": other and other["allowgroups"]}
    return dict(empty, effective_root=root, effective=other, **lists)


def _user_ca(host, note, entries):
    if entries is None:
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


def _accounts(host):
    users = passwd.users(host.read("/etc/passwd"))
    return {"users": users, "groups": passwd.with_primary(passwd.groups(host.read("/etc/group")), users)}


def _client():
    """Where the ssh connection that runs this collection comes from; sudo keeps or drops it, both are fine."""
    words = os.environ.get("SSH_CONNECTION", "").split()
    return words[0] if words and sshd_config.sample_address(words[0]) else None


PART = Part("ssh", [PATH], collect)
