# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an ESXi host is joined to a domain. The account of the directory that joins it is the endpoint's joins_as."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import tasks
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, of_object
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import Ref, flag, many, value

INFO, OPTIONS = "config.authenticationManagerInfo", "config.option"
STORES = Properties("HostAuthenticationManager", {"supportedStore": None})
STORE = "HostActiveDirectoryAuthentication"
# Broadcom on CVE-2024-37085: on joining, members of a group of the directory become administrators by its name.
ADMINS = "Config.HostAgent.plugins.hostsvc.esxAdminsGroupAutoAdd"
# What to do about a fault of the server (vSphere API reference, HostActiveDirectoryAuthentication).
HINTS = {
    "BlockedByFirewall": "the ports of the directory are blocked, see the rule set activeDirectoryAll",
    "ClockSkew": "the clocks of host and domain controller differ: give the host time servers first",
    "DomainNotFound": "no domain controller can be reached: check the host's DNS servers and search domain",
    "InvalidHostName": "the host's own name is not in the domain",
    "InvalidLogin": "wrong account or password",
    "NoPermissionOnAD": "the account may not add hosts to the domain",
}
PERMISSIONS = "accounts of the domain may have permissions on the host: take these away, then revert again"


def current(host, _name):
    """The name of the domain in lower case, empty where the host is in none."""
    for store in many(host.known(INFO).get("authConfig")):
        if store.get("_type") == "HostActiveDirectoryInfo":
            return str(store.get("joinedDomain", "")).lower() if flag(store.get("enabled")) else ""
    raise ChangeError("the host names no directory service")


def put(host, changes):
    """Join the host to the domain, or have it leave its own. Leaving takes no account.

    :raises ChangeError: the server refused, or the host would give rights to whoever is in a group of some name.
    """
    for _name, wanted in changes:
        if wanted:
            _join(host, wanted)
        else:
            _task(host, "LeaveCurrentDomain_Task", element("force", "false"), {"InvalidState": PERMISSIONS})


def _join(host, domain):
    # Asked now: what has been planned may have been changed by hand since.
    option = host.again((OPTIONS,)).known(OPTIONS).get(ADMINS)
    if option is None or option.content is not False:
        raise ChangeError("%s has to be false before a host is joined (CVE-2024-37085)" % ADMINS)
    if not host.session.endpoint.joins_as:
        raise ChangeError("it takes an account of the directory")
    account, password = host.session.endpoint.joins_as
    arguments = element("domainName", domain) + element("userName", account) + element("password", password)
    _task(host, "JoinDomain_Task", arguments, HINTS, password)


def _task(host, method, arguments, hints, secret=None):
    store = _store(host)

    def start():
        return value(host.session.call(STORE, store, method, arguments)[0])

    fault = tasks.run(host.session, {method: start}).get(method)
    if fault is None:
        return
    told = str(fault) if secret is None else str(fault).replace(secret, "***")
    told += "; %s" % hints[fault.name] if fault.name in hints else ""
    raise fault.error(told)


def _store(host):
    """The id of the host's Active Directory."""
    manager = Ref(host.manager("authenticationManager"), "HostAuthenticationManager")
    for store in many(of_object(host.session, STORES, manager, {}).values.get("supportedStore")):
        if store.type == STORE:
            return store
    raise ChangeError("the host cannot be joined to a domain: it names no %s" % STORE)
