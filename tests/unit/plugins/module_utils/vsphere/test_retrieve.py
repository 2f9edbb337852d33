# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The property collector: pages, refused properties, properties the server is too old for, expired sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import retrieve
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault, elements, fault

HEAD = 'xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
HOSTS = retrieve.Properties("HostSystem", {"name": None, "config.new": None}, page=1)


def page(*names: str, token: str = "", missing: str = "") -> bytes:
    objects = "".join(
        f'<objects><obj type="HostSystem">{name}</obj><propSet><name>name</name><val xsi:type="xsd:string">{name}</val>'
        f"</propSet>{missing}</objects>"
        for name in names
    )
    more = f"<token>{token}</token>" if token else ""
    answer = f"<returnval {HEAD}>{more}{objects}</returnval>"
    return f"<Envelope><Body><Response>{answer}</Response></Body></Envelope>".encode()


class Server:
    """Answers calls from a list of pages; one that is an exception is raised."""

    content = {"viewManager": "ViewManager", "rootFolder": "group-d1", "propertyCollector": "pc"}

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.begun: list[tuple[str, str]] = []

    def begin(self, _type: str, _moid: str, method: str, arguments: str) -> Callable[[], Any]:
        self.begun.append((method, arguments))
        return lambda: self.answers.pop(0)

    def call(
        self, _type: str, _moid: str, method: str, arguments: str = "", shorten: Any = None, begun: Any = None
    ) -> list[ElementTree.Element]:
        if begun is None:
            self.asked.append((method, arguments))
        if method == "CreateContainerView":
            return [ElementTree.fromstring('<returnval type="ContainerView">view-1</returnval>')]
        if method == "DestroyView":
            return []
        answer = begun() if begun else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return elements(method, 200, shorten(answer)) if answer else []

    def methods(self) -> list[str]:
        return [method for method, _arguments in self.asked]


def names(server: Server, unknown: dict[str, str] | None = None) -> list[str]:
    return [found.values["name"] for found in retrieve.in_view(server, HOSTS, {} if unknown is None else unknown)]


def test_pages_are_read_to_the_end_and_the_view_is_destroyed() -> None:
    server = Server(page("a", token="1"), page("b", token="2"), page("c"))
    assert names(server) == ["a", "b", "c"]
    assert server.methods() == [
        "CreateContainerView",
        "RetrievePropertiesEx",
        "ContinueRetrievePropertiesEx",
        "ContinueRetrievePropertiesEx",
        "DestroyView",
    ]
    assert "<maxObjects>1</maxObjects>" in server.asked[1][1]


def test_a_first_page_that_was_begun_is_not_asked_for_again() -> None:
    server = Server(page("a", token="1"), page("b"))
    begun = retrieve.begin(server, HOSTS, {})
    assert server.methods() == ["CreateContainerView"]
    found = [found.values["name"] for found in retrieve.in_view(server, HOSTS, {}, begun=begun)]
    assert found == ["a", "b"]
    assert server.methods() == ["CreateContainerView", "ContinueRetrievePropertiesEx", "DestroyView"]
    assert [method for method, _arguments in server.begun] == ["RetrievePropertiesEx"]


@pytest.mark.parametrize(
    ("fault_of_it", "methods"),
    [
        (SoapFault("InvalidProperty", "", {"name": "config.new"}), ["RetrievePropertiesEx"]),
        (None, ["ContinueRetrievePropertiesEx", "DestroyView", "CreateContainerView", "RetrievePropertiesEx"]),
    ],
)
def test_what_was_begun_in_vain_is_asked_for_as_usual(fault_of_it: SoapFault | None, methods: list[str]) -> None:
    first = [fault_of_it] if fault_of_it else [page("a", token="1"), SoapFault("ManagedObjectNotFound", "", {})]
    server, unknown = Server(*first, page("a"), page("b")), {}
    begun = retrieve.begin(server, HOSTS, unknown)
    assert [found.values["name"] for found in retrieve.in_view(server, HOSTS, unknown, begun=begun)] == ["a"]
    assert server.methods() == ["CreateContainerView", *methods, "DestroyView"]


def shared(server: Server, pages: list[bytes]) -> list[str]:
    """Names of the hosts, their pages given to somebody else."""

    def share(work: Callable[[bytes], list[Any]], given: Iterable[bytes]) -> Iterator[list[Any]]:
        for one in given:
            pages.append(one)
            yield work(one)

    return list(retrieve.in_view(server, HOSTS, {}, lambda found: found.values["name"], share))


def test_pages_can_be_read_by_somebody_else() -> None:
    answers, pages = [page("a", "b", token="1"), page("token", token="2"), page("c")], []
    assert shared(Server(*answers), pages) == ["a", "b", "token", "c"]
    assert pages == answers
    assert shared(Server(b""), []) == []


@pytest.mark.parametrize(
    "odd",
    [
        lambda one: one.replace(b"<objects>", b"<objects >"),
        lambda one: one.replace(b"objects>", b"v:objects>").replace(b'xmlns="', b'xmlns:v="urn:vim25" xmlns="'),
        lambda one: one.replace(b"<val ", b"<!-- <objects> --><val "),
    ],
)
def test_a_page_that_is_written_otherwise_is_not_the_last_one(odd: Callable[[bytes], bytes]) -> None:
    assert shared(Server(odd(page("a", token="1")), odd(page("b"))), []) == ["a", "b"]


def test_a_page_that_breaks_off_inside_is_no_answer() -> None:
    cut = page("a", "b", token="1").replace(b"</propSet></objects><objects>", b"</objects><objects>")
    with pytest.raises(Lost, match="is not XML"):
        shared(Server(cut, page("c")), [])


def test_a_view_that_went_is_made_again_where_pages_are_shared() -> None:
    gone = SoapFault("ManagedObjectNotFound", "", {})
    assert shared(Server(page("a", token="1"), gone, page("a", token="1"), page("b")), []) == ["a", "b"]


def test_no_object_at_all_is_an_empty_answer() -> None:
    assert names(Server(b"")) == []


def test_a_refused_property_is_missing_with_its_privilege() -> None:
    missing = (
        '<missingSet><path>config.new</path><fault><fault xsi:type="NoPermission"><privilegeId>System.Read'
        "</privilegeId></fault><localizedMessage>Permission was denied.</localizedMessage></fault></missingSet>"
    )
    found = next(retrieve.in_view(Server(page("a", missing=missing)), HOSTS, {}))
    assert found.missing == {"config.new": "no permission: the account lacks the privilege System.Read"}


@pytest.mark.parametrize("named", ["config.new", "new"])
def test_a_property_the_server_is_too_old_for_is_left_out_and_noted(named: str) -> None:
    server, unknown = Server(SoapFault("InvalidProperty", "", {"name": named}), page("a")), {}
    assert names(server, unknown) == ["a"]
    assert list(unknown) == ["config.new"]
    assert "config.new" not in server.asked[2][1]


def test_an_invalid_property_that_nobody_asked_for_is_raised() -> None:
    with pytest.raises(SoapFault):
        names(Server(SoapFault("InvalidProperty", "", {"name": "somewhere.else"})))


def test_a_view_that_went_with_its_session_is_made_again_and_nothing_is_read_twice() -> None:
    gone = SoapFault("ManagedObjectNotFound", "", {})
    server = Server(page("a", token="1"), gone, page("a", token="1"), page("b"))
    assert names(server) == ["a", "b"]
    assert server.methods().count("CreateContainerView") == 2


def test_a_view_that_goes_twice_is_raised() -> None:
    gone = SoapFault("ManagedObjectNotFound", "", {})
    with pytest.raises(SoapFault):
        names(Server(page("a", token="1"), gone, gone))


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ('<NoPermissionFault xsi:type="NoPermission"><privilegeId>Host.Config.X</privilegeId></NoPermissionFault>',
         "NoPermission", "no permission: the account lacks the privilege Host.Config.X"),
        ("<NotAuthenticatedFault/>", "NotAuthenticated", "NotAuthenticated: text"),
        ("", "fault", "fault: text"),
    ],
)  # fmt: skip
def test_a_fault_has_the_name_of_its_type(text: str, name: str, said: str) -> None:
    found = fault(
        ElementTree.fromstring(f"<Fault {HEAD}><faultstring>text</faultstring><detail>{text}</detail></Fault>")
    )
    assert (found.name, str(found)) == (name, said)


def test_text_in_an_argument_cannot_leave_it() -> None:
    from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import soap

    make: Callable[..., str] = soap.element
    assert make("name", "a<b>&") == "<name>a&lt;b&gt;&amp;</name>"
    assert soap.reference("entity", 'X" y="', "<z>") == "<entity type='X\" y=\"'>&lt;z&gt;</entity>"
