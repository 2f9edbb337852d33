# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the vim25 API over an open session: requests as text, replies as elements."""

from __future__ import annotations

from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import tag, value

ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
    '<soapenv:Body><%(method)s xmlns="urn:vim25"><_this type=%(type)s>%(moid)s</_this>%(arguments)s</%(method)s>'
    "</soapenv:Body></soapenv:Envelope>"
)


class SoapFault(Exception):
    """What the server refused. name: of the fault, NoPermission for example; detail: its fields as plain data."""

    def __init__(self, name, text, detail):
        Exception.__init__(self, reason(name, text, detail))
        self.name = name
        self.detail = detail


def reason(name, text, detail):
    """One line for people: what was refused, and the privilege it would take."""
    privilege = detail.get("privilegeId") if isinstance(detail, dict) else None
    if name == "NoPermission" and privilege:
        return "no permission: the account lacks the privilege %s" % str(privilege)[:100]
    short = str(text).strip()[:200]
    return "%s: %s" % (name, short) if short and short != name else name


# A boolean as XML has it.
WORDS = {True: "true", False: "false"}


def element(name, content, kind=None):
    """An argument as XML; content is text and is escaped."""
    return "<%s%s>%s</%s>" % (name, " xsi:type=%s" % quoteattr(kind) if kind else "", escape(str(content)), name)


def reference(name, ref_type, moid):
    """An argument that is a managed object reference."""
    return "<%s type=%s>%s</%s>" % (name, quoteattr(ref_type), escape(moid), name)


class Soap(object):
    """connections: see there; version: of the API, as the server and pyVmomi agreed; cookie: of the session; answers:
    see repeats.Answers."""

    def __init__(self, connections, version, cookie, answers):
        self._connections = connections
        self._headers = {
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": '"urn:vim25/%s"' % version,
            "Cookie": cookie,
        }
        self._answers = answers
        self.cookie = cookie

    def call(self, ref_type, moid, method, arguments="", shorten=None, begun=None):
        """The returnval elements of one call.

        arguments: XML, see element and reference; shorten: gets the reply's bytes and returns those that are parsed;
        begun: of the same call, see begin.

        :raises SoapFault: the server refused. :raises Lost: no answer, or none of a vim25 API.
        """
        status, answer = begun() if begun else self._asked(ref_type, moid, method, arguments)
        return elements(method, status, shorten(answer) if shorten and status == 200 else answer)

    def told(self, ref_type, moid, method, arguments, shape):
        """shape(plain data of the returnvals) of a call that many hosts are asked alike.

        It is the same object for the same reply, which nobody may change; shape is a function without state.

        :raises SoapFault, Lost: as call; and what shape raises.
        """
        status, answer = self._asked(ref_type, moid, method, arguments)
        return self._answers.of(
            answer, shape, lambda: shape([value(found) for found in elements(method, status, answer)])
        )

    def begin(self, *asked):
        """Send a call, as call has it, and leave its reply for later: for the server to be at work meanwhile."""
        answer = self._connections.begun(*self._request(*asked))
        return lambda: _status_and_body(answer())

    def _asked(self, *asked):
        return _status_and_body(self._connections.request(*self._request(*asked)))

    def _request(self, ref_type, moid, method, arguments):
        body = ENVELOPE % {
            "method": method,
            "type": quoteattr(ref_type),
            "moid": escape(moid),
            "arguments": arguments,
        }
        return "POST", "/sdk", body.encode("utf-8"), self._headers


def _status_and_body(answer):
    status, _headers, body = answer
    return status, body


def elements(method, status, answer):
    """The returnval elements of a reply, its bytes. :raises SoapFault, Lost: see Soap.call."""
    try:
        root = ElementTree.fromstring(answer)
    except ElementTree.ParseError as error:
        raise Lost("the answer to %s (HTTP %d) is not XML: %s" % (method, status, error))
    answer = root.find("{*}Body/*")
    if answer is None:
        raise Lost("the answer to %s (HTTP %d) is not of the vSphere API" % (method, status))
    if tag(answer) == "Fault":
        raise fault(answer)
    return [child for child in answer if tag(child) == "returnval"]


def fault(answer):
    """A SoapFault of the element Fault."""
    text = next((child.text or "" for child in answer.iter() if tag(child) == "faultstring"), "")
    detail = next((child for child in answer if tag(child) == "detail"), None)
    inner = detail[0] if detail is not None and len(detail) else None
    if inner is None:
        return SoapFault("fault", text, {})
    found = value(inner)
    name = found.get("_type") if isinstance(found, dict) else None
    name = name or tag(inner)
    return SoapFault(name[:-5] if name.endswith("Fault") and len(name) > 5 else name, text, found)
