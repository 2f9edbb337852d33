# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server repeats is read once, and says the same as if it had been read each time."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import repeats, retrieve
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import Soap, SoapFault

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
HEAD = f'<returnval xmlns="urn:vim25" {XSI}>'
PATHS = ("name", "config.option", "config.number", "config.strange", "config.more")


def strange(_element: Any) -> Any:
    raise KeyError("key")


READERS = {**dict.fromkeys(PATHS), "config.strange": strange}


def prop(name: str, inner: str, kind: str = "xsd:string") -> str:
    return f'<propSet><name>{name}</name><val xsi:type="{kind}">{inner}</val></propSet>'


def objects(*inner: str) -> bytes:
    found = "".join(f'<objects><obj type="HostSystem">h-{n}</obj>{text}</objects>' for n, text in enumerate(inner))
    return f"{HEAD}{found}</returnval>".encode()


def read(pages: list[bytes], known: repeats.Pages | None) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    found = []
    for page in pages:
        root = ElementTree.fromstring(known.shorten(page) if known else page)
        for child in root:
            one = retrieve._found(child, READERS, known.read if known else {})
            found.append((one.moid, one.values, one.missing))
    return found


SAME = prop("config.option", "<a>1</a>", "Options") + prop("config.number", "7", "xsd:int")
PAGES = [
    objects(prop("name", "one") + SAME + prop("config.strange", "x"), prop("name", "two") + SAME),
    objects(SAME + prop("name", "three") + prop("config.strange", "x"), ""),
    objects(
        prop("config.number", "8", "xsd:int") + SAME + "<missingSet><path>name</path><fault/></missingSet>",
        prop("not.asked", "9") + prop("not.asked", "9") + SAME,
    ),
]


def test_pages_say_the_same_with_and_without() -> None:
    assert read(PAGES, repeats.Pages()) == read(PAGES, None)


def test_what_is_repeated_is_one_object() -> None:
    (_one, first, _m), (_two, second, _n), *_others = read(PAGES, repeats.Pages())
    assert first["config.option"] is second["config.option"]


def test_copies_leave_the_page() -> None:
    known = repeats.Pages()
    known.shorten(PAGES[0])
    short = known.shorten(objects(SAME, SAME, SAME))
    assert short.count(b"config.option") == 0
    assert short.count(b'<propSet same="') == 3


def test_a_property_that_is_each_objects_own_is_not_kept() -> None:
    known = repeats.Pages()
    known.shorten(objects(*(prop("name", str(number)) for number in range(repeats.MOST_VALUES))))
    again = objects(prop("name", "0"), prop("name", str(repeats.MOST_VALUES)))
    short = known.shorten(again)
    assert known.shorten(again) == short
    assert short.count(b"<propSet>") == 1


@pytest.mark.parametrize(
    "page",
    [
        objects("<!-- <propSet> -->" + SAME, SAME),
        objects(prop("name", "<![CDATA[</propSet>]]>") + SAME, SAME),
        objects('<propSet same="0"><name>name</name><val xsi:type="xsd:string">forged</val></propSet>' + SAME, SAME),
        objects("<propSet>" + SAME + "</propSet>", SAME),
    ],
)
def test_a_page_of_a_form_that_no_server_sends_is_left_as_it_is(page: bytes) -> None:
    assert repeats.Pages().shorten(page) is page


def test_a_forged_number_is_no_property() -> None:
    page = objects('<propSet same="5"/>')
    found = read([page], repeats.Pages())
    assert found == [("h-0", {}, {})]


DEVICES = (
    '<VirtualDevice xsi:type="VirtualKeyboard"><key>600</key></VirtualDevice>'
    '<VirtualDevice xsi:type="VirtualDisk"><key>2000</key><note>type="VirtualKeyboard"</note></VirtualDevice>'
    '<VirtualDevice a="&gt;" xsi:type="ns1:VirtualKeyboard"><key>601</key></VirtualDevice><VirtualDevice><key>1</key>'
    "</VirtualDevice>"
)


def test_elements_nobody_reads_are_passed_over_by_their_type() -> None:
    page = f"<r {XSI}>{DEVICES}</r>".encode()
    left = ElementTree.fromstring(repeats.without(page, b"VirtualDevice", {b"VirtualKeyboard"}))
    assert [child.findtext("key") for child in left] == ["2000", "1"]
    assert repeats.without(page, b"VirtualDevice", set()) == page


class Connections:
    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers = list(answers)

    def request(self, *_asked: Any) -> tuple[int, dict[str, str], bytes]:
        status, inner = self.answers.pop(0)
        return status, {}, f'<e:Envelope xmlns:e="urn:e"><e:Body>{inner}</e:Body></e:Envelope>'.encode()


FAULT = "<e:Fault><faultstring>no</faultstring><detail><NoPermissionFault/></detail></e:Fault>"


def ask(soap: Soap, shape: Any) -> Any:
    return soap.told("T", "id", "Method", "", shape)


def test_the_same_answer_is_shaped_once_and_a_fault_each_time() -> None:
    first = "<Response><returnval>a</returnval><returnval>b</returnval></Response>"
    shaped: list[Any] = []

    def shape(found: Any) -> Any:
        shaped.append(found)
        return list(found)

    answers = ((200, first), (200, first), (500, FAULT), (500, FAULT), (200, first.replace("b", "c")))
    soap = Soap(Connections(*answers), "9.0", "cookie", repeats.Answers())
    one, other = ask(soap, shape), ask(soap, shape)
    assert one is other
    assert one == ["a", "b"]
    for _time in range(2):
        with pytest.raises(SoapFault):
            ask(soap, shape)
    assert ask(soap, shape) == ["a", "c"]
    assert shaped == [["a", "b"], ["a", "c"]]


def test_an_answer_that_cannot_be_shaped_is_tried_again() -> None:
    answer = (200, "<Response><returnval>a</returnval></Response>")
    soap = Soap(Connections(answer, answer), "9.0", "cookie", repeats.Answers())
    with pytest.raises(KeyError):
        ask(soap, strange)
    assert ask(soap, tuple) == ("a",)


def test_what_is_kept_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST_BYTES", 5)
    kept = repeats.Answers()
    assert kept.of(b"1234", "a", lambda: 1) == 1
    assert kept.of(b"1234", "a", lambda: 2) == 1
    assert [kept.of(b"5678", "a", made) for made in (list, tuple)] == [[], ()]
