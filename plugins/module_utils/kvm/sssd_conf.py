# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sssd's configuration: sssd.conf and its drop-ins, without the passwords it may hold."""

from __future__ import annotations

import configparser
import posixpath

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable

MAIN = "/etc/sssd/sssd.conf"
DROP_INS = "/etc/sssd/conf.d"
# sssd.conf(5), sssd-ldap(5), sssd-simple(5): the options an audit needs, with sssd's own defaults.
DOMAIN = {
    "id_provider": "",
    "auth_provider": "",
    "access_provider": "",
    "simple_allow_users": [],
    "simple_allow_groups": [],
    "ad_access_filter": "",
    "ldap_access_filter": "",
    "ad_gpo_access_control": "enforcing",
    "ldap_uri": [],
    "ldap_id_use_start_tls": "false",
    "ldap_tls_reqcert": "hard",
    "ldap_sasl_mech": "",
    "krb5_realm": "",
}


def read(host):
    """Return {"domains": [{name, **DOMAIN}], "services": [...], "changed": mtime, "newest": path}, or None.

    None: there is no configuration file. Raises Unreadable: sssd.conf is 0600, so only root can tell.
    """
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    changed, newest = 0, None
    for path in _files(host):
        try:
            parser.read_string(host.read(path))
        except configparser.Error as error:
            raise Unreadable("%s: %s" % (path, str(error).splitlines()[0]))
        changed, newest = max((changed, newest or ""), (host.stat(path)["mtime"], path))
    if newest is None:
        return None
    names = _words(parser.get("sssd", "domains", fallback=""))
    # sssd.conf(5): a domain section may switch itself on without being listed.
    for section in parser.sections():
        name = section.partition("/")[2]
        if (
            section.lower().startswith("domain/")
            and "/" not in name
            and name not in names
            and parser.get(section, "enabled", fallback="").lower() == "true"
        ):
            names.append(name)
    return {
        "domains": [_domain(parser, name) for name in names],
        "services": _words(parser.get("sssd", "services", fallback="")),
        "changed": changed,
        "newest": newest,
    }


def _files(host):
    found = [MAIN] if host.exists(MAIN) else []
    try:
        names = [name for name in host.list(DROP_INS) if name.endswith(".conf") and not name.startswith(".")]
    except Absent:
        names = []
    return found + [posixpath.join(DROP_INS, name) for name in names]


def _words(text):
    return [word.strip() for word in text.split(",") if word.strip()]


def _domain(parser, name):
    section = "domain/%s" % name
    found = {"name": name}
    for option, default in DOMAIN.items():
        value = parser.get(section, option, fallback=None)
        if value is None:
            found[option] = list(default) if isinstance(default, list) else default
        else:
            found[option] = _words(value) if isinstance(default, list) else value.strip()
    found["auth_provider"] = found["auth_provider"] or found["id_provider"]
    # sssd.conf(5): without an access provider everybody the directory knows is let in.
    found["access_provider"] = found["access_provider"] or "permit"
    return found
