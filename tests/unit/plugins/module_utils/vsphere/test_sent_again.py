# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A refusal of what a call, sent again after its answer was lost, has done itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes import engine
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import (
    ChangeError,
    PartlyDone,
    Refused,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.kind import Kind
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Lost
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault

SAME, BUSY = SoapFault("InvalidState", "it runs", {}), SoapFault("TaskInProgress", "", {})


class Target:
    """A host with settings; later: what happens to them each time they are read anew."""

    name = "esx1"

    def __init__(self, later: Callable[[dict[str, Any]], Any] = lambda _settings: None, **settings: Any) -> None:
        self.settings = settings
        self._later = later
        self.read = 0

    def again(self, _paths: Any) -> Target:
        self.read += 1
        self._later(self.settings)
        return self


def kinds(error: Exception, done: tuple[str, ...] = ()) -> dict[str, Kind]:
    """A kind whose settings are written together; `done` are made before the server refuses."""

    def put(host: Target, changes: list[tuple[str, Any]]) -> None:
        host.settings.update((name, wanted) for name, wanted in changes if name in done)
        raise error

    return {"service": Kind("%s", (), lambda host, name: host.settings[name], put, together="all")}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.time, "sleep", lambda _seconds: None)


@pytest.fixture
def send(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def sent(host: Target, error: Exception, done: tuple[str, ...] = ()) -> None:
        found = kinds(error, done)
        monkeypatch.setattr(engine, "KINDS", found)
        engine.write(host, [engine.Change("service", name, False, True) for name in ("a", "b")])

    return sent


@pytest.mark.parametrize("error", [SAME, BUSY, Unreadable("refused"), ChangeError("cluster c: gone", "InvalidState")])
def test_what_is_there_all_the_same_is_done(send: Callable[..., None], error: Exception) -> None:
    host = Target(a=False, b=False)
    send(host, error, done=("a", "b"))
    assert host.settings == {"a": True, "b": True} and host.read == 1


def test_a_server_that_is_still_at_it_is_waited_for(send: Callable[..., None]) -> None:
    host = Target(lambda settings: settings.update(a=host.read > 2, b=host.read > 3), a=False, b=False)
    send(host, BUSY)
    assert host.read == 4


@pytest.mark.parametrize("error", [SAME, BUSY])
def test_a_refusal_stays_one_where_one_setting_is_not_there(
    send: Callable[..., None], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(engine, "SETTLING_SECONDS", 0)
    host = Target(a=False, b=False)
    with pytest.raises(ChangeError, match=f"a, b was refused: {error}"):
        send(host, error, done=("a",))


@pytest.mark.parametrize("lost", [False, True])
def test_what_cannot_be_read_anew_is_not_taken_for_done(send: Callable[..., None], lost: bool) -> None:
    def gone(_settings: dict[str, Any]) -> None:
        raise Lost("no answer") if lost else SoapFault("NoPermission", "", {})

    # Without an answer it may have been made, and is put back.
    with pytest.raises(ChangeError, match=r"no answer; NOT put back" if lost else "InvalidState: it runs; what"):
        send(Target(gone, a=False, b=False), SAME, done=("a", "b"))


def test_of_several_that_are_refused_those_that_are_there_are_done(send: Callable[..., None]) -> None:
    first, second = (Refused([("service", name)], "InvalidState", f"machine {name} runs") for name in ("a", "b"))
    host = Target(a=False, b=False)
    send(host, PartlyDone([first, second]), done=("a", "b"))
    with pytest.raises(ChangeError, match="b was refused: machine b runs"):
        send(Target(a=False, b=False), PartlyDone([first, second]), done=("a",))


def test_what_nobody_knows_of_counts_as_made() -> None:
    unknown = Refused([("service", "a")], "", "machine a: it takes longer than 120 s")
    refused = Refused([("service", "b")], "InvalidState", "machine b runs")
    batch = [engine.Change("service", name, False, True) for name in "abc"]
    assert [change.name for change in PartlyDone([unknown, refused]).made(batch)] == ["a", "c"]
