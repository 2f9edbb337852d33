# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pyVmomi client of the vSphere target, with the private esxcli calls and the target's control endpoint."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree
from xml.sax import saxutils

import pytest
from pyVim import connect, task
from pyVmomi import vim

from ansible_collections.dwp.hypervisor.tests.lab.vsphere import target

VIM = "{urn:vim25}"
ENVELOPE = (
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>{}'
    "</soapenv:Body></soapenv:Envelope>"
)


class CliFault(Exception):
    """esxcli answered with a fault; the message is its own."""


class Client:
    """One session of one account."""

    def __init__(self, lab: target.Target, user: int = 0) -> None:
        self.lab = lab
        account = lab.users[user]
        self.tls = ssl.create_default_context(cafile=str(lab.state / "ca.pem"))
        self.service = connect.SmartConnect(
            host="127.0.0.1", port=lab.port, user=account["name"], pwd=account["password"], sslContext=self.tls
        )
        self.content = self.service.content

    def close(self) -> None:
        """Log out."""
        connect.Disconnect(self.service)

    def all(self, kind: type) -> list[Any]:
        """Return every object of the kind, by name."""
        view = self.content.viewManager.CreateContainerView(self.content.rootFolder, [kind], True)
        try:
            return sorted(view.view, key=lambda found: found.name)
        finally:
            view.Destroy()

    def host(self, release: str) -> vim.HostSystem:
        """Return the host of the release, for example 8.0.3."""
        return next(host for host in self.all(vim.HostSystem) if host.config.product.version == release)

    def machine(self, name: str) -> vim.VirtualMachine:
        """Return the virtual machine of the name."""
        return next(found for found in self.all(vim.VirtualMachine) if found.name == name)

    def options(self, host: vim.HostSystem) -> dict[str, Any]:
        """Return the host's advanced options as its config shows them."""
        return {option.key: option.value for option in host.config.option}

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control endpoint and return its answer."""
        data = None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self.lab.control.removeprefix("http://"), timeout=10)
        try:
            connection.request(method, path, data)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(text.decode())
        return json.loads(text) if text else None

    @contextlib.contextmanager
    def fault(self, **rule: Any) -> Iterator[None]:
        """Have something go wrong for the time of a block."""
        self.control("POST", "/faults", rule)
        try:
            yield
        finally:
            self.control("DELETE", "/faults")

    def soap(self, body: str) -> ElementTree.Element:
        """Post a call that pyVmomi does not know, in its session, and return the body's first element."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.lab.port, context=self.tls, timeout=20)
        headers = {
            "Cookie": self.service._stub.cookie.split(";")[0],
            "Content-Type": "text/xml",
            "SOAPAction": "urn:vim25/9.0.0.0",
        }
        try:
            connection.request("POST", "/sdk", ENVELOPE.format(body), headers)
            root = ElementTree.fromstring(connection.getresponse().read())
        finally:
            connection.close()
        return root[0][0]

    def rest(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """Call the Automation API; without a token one is got first with the account's password."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.lab.port, context=self.tls, timeout=20)
        try:
            if token is None:
                account = self.lab.users[0]
                plain = f"{account['name']}:{account['password']}".encode()
                basic = base64.b64encode(plain).decode()
                connection.request("POST", "/api/session", headers={"Authorization": f"Basic {basic}"})
                token = json.loads(connection.getresponse().read())
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"vmware-api-session-id": token, "Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        return answer.status, json.loads(text) if text else None

    def esxcli(self, host: vim.HostSystem, command: str, **arguments: str) -> list[dict[str, str]] | str:
        """Run a command; an array comes back as rows, one object as one row, a single value as text."""
        found = self.soap(
            f'<RetrieveManagedMethodExecuter xmlns="urn:vim25"><_this type="HostSystem">{host._moId}</_this>'
            "</RetrieveManagedMethodExecuter>"
        ).find(f"{VIM}returnval")
        assert found is not None
        moid = "ha-cli-handler-" + command.rpartition(".")[0].replace(".", "-")
        given = "".join(
            f"<argument><name>{name}</name><val>"
            + saxutils.escape(f'<{name} xmlns="urn:vim25">{value}</{name}>')
            + "</val></argument>"
            for name, value in arguments.items()
        )
        answer = self.soap(
            f'<ExecuteSoap xmlns="urn:vim25"><_this type="{found.get("type")}">{found.text}</_this>'
            f"<moid>{moid}</moid><version>urn:vim25/5.0</version>"
            f"<method>vim.EsxCLI.{command}</method>{given}</ExecuteSoap>"
        ).find(f"{VIM}returnval")
        assert answer is not None
        fault = answer.find(f"{VIM}fault")
        if fault is not None:
            raise CliFault(fault.findtext(f"{VIM}faultMsg"))
        root = ElementTree.fromstring(answer.findtext(f"{VIM}response") or "")
        if not len(root):
            return root.text or ""
        rows = root.findall(f"{VIM}DataObject") or [root]
        return [{field.tag.removeprefix(VIM): field.text or "" for field in row} for row in rows]


def refused(fault: type[Exception]) -> Any:
    """Expect the fault from the block."""
    return pytest.raises(fault)


def done(running: Any) -> Any:
    """Wait for a task and return its result; its fault is raised."""
    task.WaitForTask(running)
    return running.info.result


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def restart(host: vim.HostSystem, force: bool = True) -> None:
    """Restart a host and wait until its vCenter has it back."""
    before = host.runtime.bootTime
    done(host.RebootHost_Task(force=force))
    until(lambda: host.runtime.bootTime != before and host.runtime.connectionState == "connected")
