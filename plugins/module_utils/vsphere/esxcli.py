# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""esxcli over the API, for what no property tells.

pyVmomi has no types for it since 7.0.3 (pitfall P1): a host's ManagedMethodExecuter takes a method's name and arguments
as text and answers with XML inside XML.
"""

from __future__ import annotations

from xml.etree import ElementTree

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import tag, value


class EsxCli(object):
    """esxcli of one host. The host is asked for its executer with the first command."""

    def __init__(self, session, host):
        self._session = session
        self._host = host
        self._executer = None

    def run(self, command):
        """What a command without arguments says: a dict, or a list of dicts; names have their spaces removed.

        command: words as on the command line, `system account list`.

        :raises Unreadable: the host does not know the command, or it failed. :raises SoapFault: no permission.
        """
        if self._executer is None:
            found = self._session.call("HostSystem", self._host, "RetrieveManagedMethodExecuter")
            self._executer = value(found[0])
        words = command.split()
        answer = self._session.call(
            # As the server names it: ReflectManagedMethodExecuter, but nobody documents it.
            self._executer.type,
            self._executer,
            "ExecuteSoap",
            element("moid", "ha-cli-handler-" + "-".join(words[:-1]))
            + element("version", "urn:vim25/5.0")
            + element("method", "vim.EsxCLI." + ".".join(words)),
        )
        return _read(command, answer)


def _read(command, answer):
    parts = {tag(child): child for child in answer[0]} if answer else {}
    if "fault" in parts:
        raise Unreadable("esxcli %s failed: %s" % (command, _reason(parts["fault"])))
    text = parts["response"].text if "response" in parts else None
    if not text:
        raise Unreadable("esxcli %s said nothing" % command)
    try:
        return value(ElementTree.fromstring(text))
    except ElementTree.ParseError:
        raise Unreadable("what esxcli %s said is not XML" % command)


def _reason(fault):
    """The words of a fault; its detail is XML once more."""
    texts = {tag(child): child.text or "" for child in fault}
    try:
        detail = ElementTree.fromstring(texts.get("faultDetail", ""))
        words = [child.text for child in detail.iter() if tag(child) in ("localizedMessage", "errMsg") and child.text]
    except ElementTree.ParseError:
        words = []
    return " ".join(" ".join(words or [texts.get("faultMsg", "no reason given")]).split())[:200]
