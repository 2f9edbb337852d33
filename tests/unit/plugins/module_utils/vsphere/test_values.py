# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML of the vim25 API becomes plain data."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import values

HEAD = 'xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'


def read(kind: str, inner: str) -> object:
    return values.value(ElementTree.fromstring(f'<val {HEAD} xsi:type="{kind}">{inner}</val>'))


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("xsd:boolean", "true", True),
        ("xsd:boolean", "0", False),
        ("xsd:int", "-5", -5),
        ("xsd:long", "9223372036854775807", 9223372036854775807),
        ("xsd:short", "7", 7),
        ("xsd:double", "0.5", 0.5),
        ("xsd:string", "", ""),
        ("xsd:string", "12", "12"),
        ("xsd:dateTime", "2026-11-30T06:12:44Z", "2026-11-30T06:12:44Z"),
        ("HostSystemConnectionState", "connected", "connected"),
        # What is none of its type is unknown, and never another value.
        ("xsd:int", "many", None),
        ("xsd:boolean", "perhaps", None),
        ("xsd:double", "", None),
    ],
)
def test_a_typed_scalar_has_its_type(kind: str, text: str, found: object) -> None:
    assert read(kind, text) == found
    assert type(read(kind, text)) is type(found)


def test_a_structure_is_a_dict_and_a_repeated_field_a_list() -> None:
    found = read("HostIpRouteConfig", "<a>1</a><b>x</b><b>y</b><b>z</b>")
    assert found == {"_type": "HostIpRouteConfig", "a": "1", "b": ["x", "y", "z"]}


def test_a_repeated_field_of_arrays_keeps_each_array() -> None:
    inner = '<b xsi:type="ArrayOfString"><string>1</string></b>'
    assert read("X", inner + inner)["b"] == [["1"], ["1"]]


def test_an_array_is_a_list_whatever_its_length() -> None:
    assert read("ArrayOfString", "") == []
    assert read("ArrayOfString", "<string>one</string>") == ["one"]


def test_a_reference_knows_its_type() -> None:
    found = read("ArrayOfManagedObjectReference", '<r type="Datastore">datastore-1</r>')
    assert found == ["datastore-1"]
    assert found[0].type == "Datastore"


def test_an_empty_structure_is_no_text() -> None:
    assert read("HostLocalAuthenticationInfo", "") == {"_type": "HostLocalAuthenticationInfo"}


@pytest.mark.parametrize(("found", "entries"), [(None, []), ("a", ["a"]), (["a"], ["a"]), ({"a": 1}, [{"a": 1}])])
def test_a_field_once_or_repeated_or_absent_is_a_list(found: object, entries: list[object]) -> None:
    assert values.many(found) == entries


def test_a_path_ends_where_a_step_is_missing() -> None:
    assert values.at({"a": {"b": 1}}, "a.b") == 1
    assert values.at({"a": "text"}, "a.b", "absent") == "absent"
    assert values.at({}, "a.b") is None
