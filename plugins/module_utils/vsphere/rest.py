# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vSphere Automation API (REST) of a vCenter: one session of its own. The audit reads only, see Rest.tell."""

from __future__ import annotations

import base64
import contextlib
import json

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable

HEADER = "vmware-api-session-id"


class NotFound(Unreadable):
    """The vCenter does not have the resource: it is too old for it, or there is no such object."""


@contextlib.contextmanager
def opened(session):
    """A Rest over the same connections, logged out at the end.

    :raises Unreadable: the API is not there or refuses the login. :raises Lost: no answer.
    """
    endpoint, connections = session.endpoint, session.connections
    pair = ("%s:%s" % (endpoint.user, endpoint.password)).encode("utf-8")
    headers = {"Authorization": "Basic " + base64.b64encode(pair).decode("ascii"), "Content-Length": "0"}
    status, _headers, body = connections.request("POST", "/api/session", headers=headers)
    token = _decoded(body) if status in (200, 201) else None
    if not isinstance(token, str):
        what = "is not there" if status == 404 else "refuses the login"
        raise Unreadable("the vSphere Automation API %s (HTTP %d)" % (what, status))
    try:
        yield Rest(connections, token)
    finally:
        with contextlib.suppress(Exception):
            connections.request("DELETE", "/api/session", headers={HEADER: token})


class Rest(object):
    """Asks with a session's token."""

    def __init__(self, connections, token):
        self._connections = connections
        self._headers = {HEADER: token, "Accept": "application/json"}

    def get(self, path):
        """The answer as plain data.

        :raises NotFound: no such resource. :raises Unreadable: no permission, or no JSON. :raises Lost: no answer.
        """
        return self._asked("GET", path, None, self._headers)

    def post(self, path, query):
        """The same of a question that is too long for an address. query: plain data."""
        headers = dict(self._headers, **{"Content-Type": "application/json"})
        return self._asked("POST", path, json.dumps(query).encode("utf-8"), headers)

    def tell(self, method, path, content):
        """Set something as a whole, so that it may be sent twice. method: PUT or PATCH; content: plain data.

        :raises NotFound: no such resource. :raises Unreadable: it is refused. :raises Lost: no answer.
        """
        headers = dict(self._headers, **{"Content-Type": "application/json"})
        body = json.dumps(content).encode("utf-8")
        status, _headers, answer = self._connections.request(method, path, body, headers)
        if status == 404:
            raise NotFound("the vCenter does not offer %s" % path)
        if status in (401, 403):
            raise Unreadable("no permission: the account may not set %s" % path)
        if status not in (200, 204):
            raise Unreadable("%s was refused with HTTP %d%s" % (path, status, _said(answer)))

    def _asked(self, method, path, body, headers):
        status, _headers, body = self._connections.request(method, path, body, headers)
        if status == 404:
            raise NotFound("the vCenter does not offer %s" % path)
        if status in (401, 403):
            raise Unreadable("no permission: the account may not read %s" % path)
        if status != 200:
            raise Unreadable("%s answered HTTP %d" % (path, status))
        found = _decoded(body)
        if found is None:
            raise Unreadable("%s answered no JSON" % path)
        return found


def _decoded(body):
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _said(body):
    """What an error answer says in words, as far as it does."""
    found = _decoded(body)
    messages = found.get("messages") if isinstance(found, dict) else None
    texts = [str(one.get("default_message", "")) for one in messages or [] if isinstance(one, dict)]
    kind = str(found.get("error_type", "")) if isinstance(found, dict) else ""
    said = " ".join(filter(None, [kind, *texts]))
    return ": " + said[:200] if said else ""
