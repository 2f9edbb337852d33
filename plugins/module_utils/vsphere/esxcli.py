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
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import many, tag, value


class EsxCli(object):
    """esxcli of one host. The host is asked for its executer with the first command."""

    def __init__(self, session, host):
        self._session = session
        self._host = host
        self._executer = None
        self._declared = {}

    def run(self, command, arguments=None):
        """What a command says: a dict, a list of dicts, or a single value; names have their spaces removed.

        command: words as on the command line, `system account list`. arguments: {long option without its dashes: bool,
        int or str}, `shellaccess` for --shell-access.

        :raises Unreadable: the host does not know the command, or it failed. :raises SoapFault: no permission.
        """
        words = command.split()
        handler = "ha-cli-handler-" + "-".join(words[:-1])
        return self._execute(command, handler, "vim.EsxCLI." + ".".join(words), arguments or {})

    def change(self, command, arguments):
        """The same of a command that writes, once the host's release is known to take the arguments.

        :raises Unreadable: it does not know one of them; named, with those it knows.
        """
        known = self.declared(command)
        for name in sorted(set(arguments) - set(known)):
            raise Unreadable("esxcli %s of this host knows no %s, only %s" % (command, name, ", ".join(sorted(known))))
        return self.run(command, arguments)

    def declared(self, command):
        """The names of the arguments that the host's release declares for a command.

        :raises Unreadable: it has no such command.
        """
        namespace, _dot, name = ".".join(command.split()).rpartition(".")
        if namespace not in self._declared:
            # A namespace has an object of its own that tells of its commands, beside the one that runs them.
            told = self._execute(
                "of " + namespace.replace(".", " "),
                "ha-dynamic-type-manager-local-cli-cliinfo",
                "vim.CLIInfo.FetchCLIInfo",
                {"typeName": "vim.EsxCLI." + namespace},
            )
            self._declared[namespace] = {
                method["name"]: [param["name"] for param in many(method.get("param"))]
                for method in many(told.get("method"))
            }
        if name not in self._declared[namespace]:
            raise Unreadable("this host has no esxcli %s" % command)
        return self._declared[namespace][name]

    def _execute(self, command, handler, method, arguments):
        if self._executer is None:
            found = self._session.call("HostSystem", self._host, "RetrieveManagedMethodExecuter")
            self._executer = value(found[0])
        try:
            return self._session.told(
                # As the server names it: ReflectManagedMethodExecuter, but nobody documents it.
                self._executer.type,
                self._executer,
                "ExecuteSoap",
                element("moid", handler)
                + element("version", "urn:vim25/5.0")
                + element("method", method)
                + "".join(_argument(name, arguments[name]) for name in sorted(arguments)),
                _said,
            )
        except Unreadable as error:
            raise Unreadable("esxcli %s %s" % (command, error))


def _argument(name, given):
    """One argument: its value as XML inside XML. A boolean is a word, a number its digits."""
    text = {True: "true", False: "false"}[given] if isinstance(given, bool) else given
    return "<argument>%s%s</argument>" % (element("name", name), element("val", element(name, text)))


def _said(answers):
    answer = answers[0] if answers and isinstance(answers[0], dict) else {}
    if "fault" in answer:
        raise Unreadable("failed: %s" % _reason(answer["fault"]))
    if not answer.get("response"):
        raise Unreadable("said nothing")
    try:
        return value(ElementTree.fromstring(answer["response"]))
    except ElementTree.ParseError:
        raise Unreadable("said what is not XML")


def _reason(fault):
    """The words of a fault; its detail is XML once more."""
    texts = fault if isinstance(fault, dict) else {}
    try:
        detail = ElementTree.fromstring(texts.get("faultDetail", ""))
        words = [child.text for child in detail.iter() if tag(child) in ("localizedMessage", "errMsg") and child.text]
    except ElementTree.ParseError:
        words = []
    return " ".join(" ".join(words or [texts.get("faultMsg") or "no reason given"]).split())[:200]
