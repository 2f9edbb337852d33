# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the alarm of our name is as we make it, with what a server adds to it by itself."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import alarm
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Found

NAME, WANTED = "a", {"enabled": True, "mail": "soc@example.test", "trap": True}
HEAD = 'xmlns="urn:vim25" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
TRANSITION = "<transitionSpecs><startState>yellow</startState><finalState>red</finalState></transitionSpecs>"
ADDED = (
    "<setting><toleranceRange>0</toleranceRange><reportingFrequency>300</reportingFrequency></setting>"
    '<key>alarm-7</key><alarm type="Alarm">alarm-7</alarm><lastModifiedUser>VSPHERE.LOCAL\\x</lastModifiedUser>'
)


class Server:
    """A vCenter with one alarm."""

    def __init__(self, told: str) -> None:
        self.session: Any = None
        self.told = told

    def once(self, _key: str, _read: Any) -> dict[str, str]:
        return {NAME: "alarm-7"}


@pytest.fixture(autouse=True)
def replies(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(session: Server, wanted: Any, reference: Any, _unknown: Any) -> Found:
        text = f'<val {HEAD} xsi:type="AlarmInfo">{session.told}</val>'
        return Found("Alarm", str(reference), {"info": wanted.paths["info"](ElementTree.fromstring(text))}, {})

    monkeypatch.setattr(alarm, "of_object", read)


def current(told: str) -> Any:
    server: Any = Server(told)
    server.session = server
    return alarm.current(server, NAME)


def test_what_a_server_adds_by_itself_is_nobodys_change() -> None:
    told = alarm._fields(NAME, WANTED).replace("<green2yellow>", f"{TRANSITION}<green2yellow>")
    assert current(told.replace("<objectType>", "<objectType xsi:type='xsd:string'>") + ADDED) == WANTED


@pytest.mark.parametrize(
    ("ours", "somebodys"),
    [
        ("SS-009", "SS-010"),
        ("VmReconfiguredEvent", "VmRemovedEvent"),
        ("<ccList></ccList>", "<ccList>boss@example.test</ccList>"),
        ("{eventDescription}", "Look at it"),
        ("<actionFrequency>0<", "<actionFrequency>600<"),
        ("</expression>", "<status>red</status></expression>"),
        ('xsi:type="SendSNMPAction"/>', 'xsi:type="RunScriptAction"><script>/bin/x --key s3cret</script></action>'),
    ],
)
def test_what_somebody_has_set_is_kept_whole_and_not_shown(ours: str, somebodys: str) -> None:
    told = alarm._fields(NAME, WANTED).replace(ours, somebodys)
    found = current(told + ADDED)
    spec = ElementTree.fromstring(alarm._spec(NAME, found).replace("<spec", f"<spec {HEAD}"))
    assert [child.tag.rpartition("}")[2] for child in spec] == list(alarm.FIELDS)
    assert somebodys.partition(">")[2].partition("<")[0] in ElementTree.tostring(spec, "unicode")
    assert alarm.shown(found) == {**{key: found[key] for key in WANTED}, "more": "as somebody set it"}


@pytest.mark.parametrize("value", [None, WANTED])
def test_ours_is_shown_as_it_is(value: Any) -> None:
    assert alarm.shown(value) == value
