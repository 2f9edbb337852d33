# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One login to a vCenter or an ESXi host, renewed when it expires, and always logged out."""

from __future__ import annotations

import contextlib
import threading
from xml.etree import ElementTree

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import (
    Connections,
    Lost,
    VsphereError,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.repeats import Answers
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import Soap, SoapFault
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import tag, value

# A server that ends sessions again and again is not asked for ever: each login counts towards locking the account.
MAX_LOGINS = 3


@contextlib.contextmanager
def logged_in(endpoint):
    """A Session, logged out at the end whatever happens.

    :raises VsphereError: pyVmomi is missing, the endpoint cannot be reached or trusted, or refuses the login.
    """
    session = Session(endpoint)
    try:
        session.login()
        yield session
    finally:
        session.logout()


class Session(object):
    """content: the service content as plain data (about, and the ids of the managers); instance: pyVmomi's."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.connections = Connections(endpoint)
        self._lock = threading.Lock()
        self._logins = 0
        self._answers = Answers()
        self.instance = None

    def login(self):
        """Log in and read the service content."""
        self._login()
        try:
            self.content = value(self.call("ServiceInstance", "ServiceInstance", "RetrieveServiceContent")[0])
            self.content["about"]["apiType"]
        except (IndexError, KeyError, TypeError, ValueError):
            raise Lost("%s does not describe itself as a vSphere API does" % self.endpoint)

    def call(self, *asked, begun=None):
        """See Soap.call; a session that has expired is logged in again and the call repeated."""
        # What was begun is of the session that has expired.
        replies = iter([begun])
        return self._again(lambda soap: soap.call(*asked, begun=next(replies, None)))

    def begin(self, *asked):
        """See Soap.begin."""
        return self._soap.begin(*asked)

    def told(self, *asked):
        """The same of Soap.told."""
        return self._again(lambda soap: soap.told(*asked))

    def _again(self, ask):
        used = self._soap
        try:
            return ask(used)
        except SoapFault as error:
            if error.name != "NotAuthenticated":
                raise
            self._renew(used)
        return ask(self._soap)

    def logout(self):
        """End the session; a server that is gone has ended it already."""
        if self.instance is not None:
            from pyVim import connect

            connect.Disconnect(self.instance)
        self.connections.close_all()

    def _renew(self, expired):
        with self._lock:
            if self._soap is not expired:
                return
            if self._logins >= MAX_LOGINS:
                raise Lost("%s ended the session %d times" % (self.endpoint, self._logins))
            self._login()

    def _login(self):
        try:
            from pyVim import connect
            from pyVmomi import VmomiSupport, vim
        except ImportError as error:
            raise VsphereError(
                "the Python package pyvmomi is missing on the controller (pip install pyvmomi): %s" % error
            )
        endpoint = self.endpoint
        for name, given in (("ansible_user", endpoint.user), ("ansible_password", endpoint.password)):
            if not given:
                raise VsphereError("%s: %s is not set" % (endpoint, name))
        known = VmomiSupport.GetServiceVersions("vim25")
        version = spoken(endpoint, self.connections, [(name, VmomiSupport.versionIdMap[name]) for name in known])
        self._logins += 1
        try:
            self.instance = connect.Connect(
                host=endpoint.host,
                port=endpoint.port,
                user=endpoint.user,
                pwd=endpoint.password,
                version=version,
                sslContext=self.connections.context,
                httpConnectionTimeout=endpoint.time_limit,
            )
        except (vim.fault.InvalidLogin, vim.fault.NoPermission) as error:
            raise VsphereError(refused(endpoint, error))
        except (vim.fault.VimFault, OSError) as error:
            raise Lost("%s refused the login: %s" % (endpoint, getattr(error, "msg", None) or error))
        cookie = self.instance._GetStub().cookie
        self._soap = Soap(self.connections, VmomiSupport.versionIdMap[version], cookie, self._answers)


def refused(endpoint, error):
    """Why a login was refused, and what to set."""
    if type(error).__name__.endswith("NoPermission"):
        return (
            "%s: user %s may not log in there. A host in lockdown mode lets in its exception users only: audit it "
            "through its vCenter" % (endpoint, endpoint.user)
        )
    return "%s: wrong user name or password for %s, or the account is locked. Set ansible_user and ansible_password" % (
        endpoint,
        endpoint.user,
    )


def spoken(endpoint, connections, known):
    """The newest API version that server and pyVmomi both know. known: [(name, id)], the newest first.

    :raises Lost: what answers is no vSphere API, or knows only others.
    """
    status, _headers, body = connections.request("GET", "/sdk/vimServiceVersions.xml")
    try:
        root = ElementTree.fromstring(body) if status == 200 else None
    except ElementTree.ParseError:
        root = None
    if root is None or tag(root) != "namespaces":
        raise Lost("%s answers, but not as a vSphere API (HTTP %d). Check hypervisor_port" % (endpoint, status))
    offered = {child.text for child in root.iter() if tag(child) == "version"}
    for name, version in known:
        if version in offered:
            return name
    raise Lost(
        "%s speaks only versions of the API that pyvmomi does not know (%s): install a newer pyvmomi"
        % (endpoint, ", ".join(sorted(filter(None, offered))[-3:])[:100])
    )
