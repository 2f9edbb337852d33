# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections to ask `sshd -T -C` about, so that no Match block stays unseen.

Plain `sshd -T` ignores Match (pitfall P10). One connection per user, address, host name and local end that some Match
distinguishes, plus one from outside every administration network.
"""

from __future__ import annotations

import fnmatch
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.sshd_config import sample_address

# Documentation addresses (RFC 5737, RFC 3849): nobody's administration network.
OUTSIDE = "192.0.2.1"
OUTSIDE_6 = "2001:db8::1"
LOCAL = "192.0.2.254"
ADMIN_GROUPS = ("sudo", "wheel", "admin")
MAX_CONTEXTS = 64
# What may stand in a -C specification: it separates by commas.
_SAFE = re.compile(r"^[^,\x00-\x20\x7f]+$")


def administrator(accounts):
    """The account that stands for an ordinary administrator: with a login shell, of an administrators' group if any."""
    shells = [name for name, account in sorted(accounts["users"].items()) if account["shell"] and account["uid"] != 0]
    members = [name for group in ADMIN_GROUPS for name in accounts["groups"].get(group, [])]
    chosen = [name for name in sorted(members) if name in shells] or shells or members
    return chosen[0] if chosen else "administrator"


def contexts(blocks, accounts, listen, client=None):
    """Return ([{user, address, host, laddr, lport, why}], cut).

    blocks: sshd_config.Configuration.blocks. accounts: {"users": {name: {uid, shell}}, "groups": {name: [members]}}.
    listen: [(address, port)] of the server. client: address of the connection that runs the audit. cut: how many were
    left out, beyond MAX_CONTEXTS or because -C cannot express them. Base connections come first, then each block's own,
    then every user from everywhere.
    """
    admin = administrator(accounts)
    base_addresses = [(OUTSIDE, "an address outside"), (OUTSIDE_6, "an IPv6 address outside")]
    if client:
        base_addresses.append((client, "the address this audit comes from"))
    users = [("root", "root"), (admin, "an administrator")]
    addresses = list(base_addresses)
    hosts, locals_ = [(None, "")], [((_local(listen[0][0]), listen[0][1]), "")] if listen else [((LOCAL, 22), "")]
    for number, block in enumerate(blocks, start=1):
        why = "Match block %d" % number
        users.extend((user, why) for user in _users(block, accounts, admin))
        addresses.extend((address, why) for address in _addresses(block.get("address", [])))
        hosts.extend((name, why) for name in _literals(block.get("host", [])))
        locals_.extend((local, why) for local in _locals(block, listen))
    found = {}
    for group in (
        [(user, address, hosts[0], locals_[0]) for user in users[:2] for address in base_addresses],
        [(user, address, hosts[0], locals_[0]) for address in addresses for user in users],
        [
            (user, address, name, local)
            for user in users
            for address in addresses
            for name in hosts
            for local in locals_
        ],
    ):
        for user, address, name, local in group:
            key = (user[0], address[0], name[0] or address[0], local[0])
            found.setdefault(key, "; ".join(_once(part[1] for part in (user, address, name, local) if part[1])))
    entries = [
        {"user": key[0], "address": key[1], "host": key[2], "laddr": key[3][0], "lport": key[3][1], "why": why}
        for key, why in found.items()
        if all(_SAFE.match(str(part)) for part in (key[0], key[1], key[2], key[3][0]))
    ]
    return entries[:MAX_CONTEXTS], len(found) - len(entries[:MAX_CONTEXTS])


def specification(context):
    """The -C argument of a context."""
    return "user=%s,host=%s,addr=%s,laddr=%s,lport=%d" % tuple(
        context[key] for key in ("user", "host", "address", "laddr", "lport")
    )


def _once(texts):
    return list(dict.fromkeys(texts))


def _local(address):
    return LOCAL if address in ("0.0.0.0", "::", "*", "") else address


def _users(block, accounts, admin):
    """Users a block speaks of, and members of its groups; for a wildcard somebody it matches."""
    for pattern in block.get("user", []):
        name = pattern.lstrip("!").partition("@")[0]
        if "*" in name or "?" in name:
            known = [user for user in [admin, *sorted(accounts["users"])] if fnmatch.fnmatchcase(user, name)]
            yield known[0] if known else name.replace("*", "x").replace("?", "x")
        elif name:
            yield name
    for pattern in block.get("group", []):
        name = pattern.lstrip("!")
        groups = [group for group in sorted(accounts["groups"]) if fnmatch.fnmatchcase(group, name)]
        members = [member for group in groups for member in sorted(accounts["groups"][group])]
        yield from members[:2]


def _addresses(patterns):
    for pattern in patterns:
        others = [other for other in patterns if other.startswith("!") != pattern.startswith("!")]
        found = sample_address(pattern, others)
        if found:
            yield found


def _literals(patterns):
    for pattern in patterns:
        yield pattern.lstrip("!").replace("*", "x").replace("?", "x")


def _locals(block, listen):
    """Local ends a block distinguishes: each port the server listens on, each LocalAddress."""
    if "localport" not in block and "localaddress" not in block:
        return
    ports = _once(port for _address, port in listen) or [22]
    addresses = [sample_address(pattern) for pattern in block.get("localaddress", [])]
    for address in _once(
        [*[found for found in addresses if found], *[_local(address) for address, _port in listen]]
    ) or [LOCAL]:
        for port in ports:
            yield (address, port)
