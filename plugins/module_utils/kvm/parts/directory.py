# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""directory: whether accounts come from the enterprise directory, over what, and whom it lets in."""

from __future__ import annotations

import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import keytab, passwd, processes, sssd_conf, systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part, attempt

KEYTAB = "/etc/krb5.keytab"
SSSD = "sssd.service"
KRB5 = "/etc/krb5.conf"
# sssd providers that are no directory.
NO_DIRECTORY = ("files", "local", "proxy", "")
KERBEROS_PROVIDERS = ("ad", "ipa", "krb5")
OTHER_CLIENTS = ("winbind", "ldap", "nis", "nisplus")
MAX_GROUPS = 20


def collect(host, note):
    """Return {"identity": {joined, domain, protocol, nss, sssd, krb5, access}}.

    joined: sssd serves a directory domain and is running. protocol: kerberos, ldap or none. sssd: {configured, active,
    in_force, services, domains [{name, online, **sssd_conf.DOMAIN}]}; online is "online", "offline", or the reason why
    sssd does not say. krb5: {default_realm, principals (of the host keytab)}. access: {users, groups {name: members}}:
    who the directory may let in, [] where a group expands to nobody.
    """
    nss = attempt(note, "identity.nss", lambda: passwd.name_services(host, "passwd"))
    others = sorted(set(nss or []) & set(OTHER_CLIENTS))
    if others:
        note("identity.joined", "accounts also come from %s, which is not read" % ", ".join(others))
    sssd = attempt(note, "identity.sssd", lambda: _sssd(host))
    krb5 = {
        "default_realm": attempt(note, "identity.krb5.default_realm", lambda: _default_realm(host)),
        "principals": attempt(note, "identity.krb5.principals", lambda: _principals(host)),
    }
    identity = {"nss": nss, "sssd": sssd, "krb5": krb5}
    if sssd is None:
        note("identity.joined", "sssd's configuration could not be read")
        return {"identity": dict(identity, joined=None, domain=None, protocol=None, access=None)}
    domains = [domain for domain in sssd["domains"] if domain["id_provider"] not in NO_DIRECTORY]
    identity["joined"] = None if others else bool(domains) and sssd["active"]
    identity["domain"] = domains[0]["name"] if domains else ""
    kerberos = any(domain["auth_provider"] in KERBEROS_PROVIDERS for domain in domains)
    identity["protocol"] = "kerberos" if kerberos else "ldap" if domains else "none"
    identity["access"] = attempt(note, "identity.access", lambda: _access(host, note, domains))
    return {"identity": identity}


def _sssd(host):
    found = sssd_conf.read(host)
    if found is None:
        return {"configured": False, "active": False, "in_force": True, "services": [], "domains": []}
    unit = systemd.show(host, [SSSD]).get(SSSD, {})
    pid = int(unit.get("MainPID") or 0)
    active = unit.get("ActiveState") == "active"
    for domain in found["domains"]:
        domain["online"] = _online(host, domain["name"]) if active else "offline"
    return {
        "configured": True,
        "active": active,
        # sssd reads its configuration when it starts, and only then.
        "in_force": not pid or processes.started(host, pid) >= found["changed"],
        "services": found["services"],
        "domains": found["domains"],
    }


def _online(host, name):
    """online, offline, or the reason why sssd does not say: its InfoPipe responder is often not there to ask."""
    try:
        out = host.succeed(["sssctl", "domain-status", name, "--online"], timeout=5)
    except Unreadable as reason:
        return "not known: %s" % reason
    match = re.search(r"Online status:\s*(\w+)", out)
    return match.group(1).lower() if match else "not known: sssctl domain-status %s does not say" % name


def _default_realm(host):
    try:
        text = host.read(KRB5)
    except Absent:
        return ""
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        match = re.match(r"default_realm\s*=\s*(\S+)", line)
        if match and section == "[libdefaults]":
            return match.group(1)
    return ""


def _principals(host):
    try:
        return keytab.principals(host.read_bytes(KEYTAB))
    except Absent:
        return []


def _access(host, note, domains):
    users = sorted({name for domain in domains for name in domain["simple_allow_users"]})
    names = sorted({name for domain in domains for name in domain["simple_allow_groups"]})
    if len(names) > MAX_GROUPS:
        note("identity.access", "%d groups may log in, %d of them read" % (len(names), MAX_GROUPS))
    groups = {}
    for name in names[:MAX_GROUPS]:
        lines = passwd.groups(host.run(["getent", "group", name], timeout=5).out)
        groups[name] = sorted({member for group in lines.values() for member in group["members"]})
    return {"users": users, "groups": groups}


PART = Part("directory", ["identity"], collect, [SSSD])
