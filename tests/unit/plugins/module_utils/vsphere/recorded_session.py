# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session that plays back what the lab's vCenter answered, and breaks it where a test says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Endpoint, Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import value

RECORDING = Path(__file__).parent / "recordings" / "vcenter.json"
CONTENT = "ServiceInstance ServiceInstance RetrieveServiceContent "

Calls = Mapping[str, Any]


def key(ref_type: str, moid: str, method: str, arguments: str) -> str:
    """How a call is found again."""
    return f"{ref_type} {moid} {method} {arguments}"


def load() -> dict[str, Any]:
    """{call: answer} of the recording; an answer is {"elements": [XML]}, {"fault": [name, text, detail]} or, of REST,
    [status, text]."""
    return json.loads(RECORDING.read_text())


class ReplaySession:
    """broken: gets the key and the recorded answer, returns another answer or raises."""

    def __init__(self, calls: Calls, broken: Callable[[str, Any], Any] = lambda _key, answer: answer) -> None:
        self.endpoint = Endpoint("vc1", "192.0.2.10", "auditor@vsphere.local", "unused")
        self.connections = self
        self._calls = calls
        self._broken = broken
        self.asked: list[str] = []
        self.content = value(self._elements(calls[CONTENT])[0])

    def told(self, ref_type: str, moid: str, method: str, arguments: str, shape: Callable[[list[Any]], Any]) -> Any:
        """As Session.told."""
        return shape([value(found) for found in self.call(ref_type, moid, method, arguments)])

    def call(
        self, ref_type: str, moid: str, method: str, arguments: str = "", _shorten: Any = None, begun: Any = None
    ) -> list[ElementTree.Element]:
        """As Session.call."""
        name = key(ref_type, moid, method, arguments)
        self.asked.append(name)
        if method == "DestroyView":
            return []
        if name not in self._calls:
            raise SoapFault("MethodNotFound", f"not in the recording: {name[:200]}", {})
        return self._elements(self._broken(name, self._calls[name]))

    @staticmethod
    def _elements(answer: Mapping[str, Any]) -> list[ElementTree.Element]:
        if "fault" in answer:
            raise SoapFault(*answer["fault"])
        return [ElementTree.fromstring(text) for text in answer["elements"]]

    def request(self, method: str, path: str, _body: Any = None, headers: Any = None) -> tuple[int, Any, bytes]:
        """As Connections.request, for the vSphere Automation API."""
        name = f"{method} {path}"
        self.asked.append(name)
        if method == "DELETE":
            return 204, {}, b""
        if name not in self._calls:
            return 404, {}, b""
        status, text = self._broken(name, self._calls[name])
        return status, {}, text.encode()


class RecordingSession:
    """A real session whose calls and answers are kept."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._request = session.connections.request
        self.endpoint, self.content, self.connections = session.endpoint, session.content, self
        self.calls: dict[str, Any] = {}
        # A view's id is new each time: in the recording it is the type that it shows.
        self._views: dict[str, str] = {}
        self.call("ServiceInstance", "ServiceInstance", "RetrieveServiceContent")

    def told(self, ref_type: str, moid: str, method: str, arguments: str, shape: Callable[[list[Any]], Any]) -> Any:
        return shape([value(found) for found in self.call(ref_type, moid, method, arguments)])

    def call(
        self, ref_type: str, moid: str, method: str, arguments: str = "", _shorten: Any = None, begun: Any = None
    ) -> list[ElementTree.Element]:
        name = key(ref_type, moid, method, arguments)
        for view, alias in self._views.items():
            name = name.replace(f">{view}<", f">{alias}<")
        try:
            found = self._session.call(ref_type, moid, method, arguments)
        except SoapFault as error:
            said = str(error).removeprefix(f"{error.name}: ")
            self.calls[name] = {"fault": [error.name, said, error.detail]}
            raise
        self.calls[name] = {"elements": [ElementTree.tostring(element, "unicode") for element in found]}
        if method == "CreateContainerView":
            view = found[0].text or ""
            self._views[view] = f"view of {arguments.split('<type>')[1].split('<')[0]}"
            self.calls[name] = {"elements": [f'<returnval type="ContainerView">{self._views[view]}</returnval>']}
        return found

    def request(self, method: str, path: str, *more: Any, **named: Any) -> tuple[int, Any, bytes]:
        status, headers, body = self._request(method, path, *more, **named)
        # A session's token opens nothing once it is logged out, and is none of a test's business.
        self.calls[f"{method} {path}"] = [status, '"token"' if path == "/api/session" else body.decode()]
        return status, headers, body


def lost(_key: str, _answer: Any) -> Any:
    """An answer that never comes."""
    raise Lost("unreachable: no answer within 60 seconds")
