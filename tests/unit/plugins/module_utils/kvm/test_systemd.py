# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd.show: one call for every part, of what is installed, and never half an answer."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector, systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Host, Unreadable
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.recorded_host import ReplayHost

RECORDING = json.loads((Path(__file__).parent / "recordings" / "debian12.json").read_text())


def block(unit, state="loaded", names="", **more):
    values = {"Id": unit, "Names": names or unit, "LoadState": state, "ActiveState": "active", **more}
    return "".join(f"{name}={value}\n" for name, value in values.items())


def asking(asked, *blocks, files=()):
    answer = (0, "\n".join(blocks), "")
    return FakeHost(files=dict.fromkeys(files, ""), commands={" ".join(systemd.command(asked)): answer})


def test_one_call_answers_every_part():
    host = ReplayHost(RECORDING)
    collector.collect(host)
    assert len([key for key in host.asked if key.startswith("run") and "systemctl" in key]) == 1


def test_a_part_alone_asks_for_its_own_units():
    host = asking(["a.service", "b.service"], block("a.service"), block("b.service", "not-found"))
    host.expected_units = ("other.service",)
    assert list(systemd.show(host, ["a.service", "b.service"])) == ["a.service"]


def test_a_part_gets_only_what_it_asked_for():
    host = asking(["a.service", "b.service"], block("a.service"), block("b.service", "masked"))
    host.expected_units = ("a.service", "b.service")
    assert list(systemd.show(host, ["b.service"])) == ["b.service"]


def test_an_alias_is_answered_under_the_units_own_name():
    host = asking(["sshd.service"], block("ssh.service", names="ssh.service sshd.service"))
    assert list(systemd.show(host, ["sshd.service"])) == ["ssh.service"]


def test_what_has_no_file_is_not_asked_for_unless_it_runs():
    files = (
        "/lib/systemd/system/file.service",
        "/lib/systemd/system/vnc@.service",
        "/run/systemd/units/invocation:started.service",
    )
    units = ["vnc@*.service", "absent.service", "file.service", "started.service", "vnc@1.service"]
    asked = ["vnc@*.service", "file.service", "started.service", "vnc@1.service"]
    named = [block(unit) for unit in ("file.service", "started.service", "vnc@1.service")]
    host = asking(asked, *named, block("vnc@2.service"), files=files)
    assert sorted(systemd.show(host, units)) == ["file.service", "started.service", "vnc@1.service", "vnc@2.service"]


@pytest.mark.parametrize(
    "out",
    [
        "",
        "\n".join([block("a.service"), block("vnc@1.service")]),
        "\n".join([block("a.service"), block("b.service")]).rstrip("\n"),
        "\n".join([block("a.service"), "Id=b.service\n"]),
    ],
)
def test_half_an_answer_is_none(out):
    units = ["a.service", "b.service", "vnc@*.service"]
    host = FakeHost(commands={" ".join(systemd.command(units)): (0, out, "")})
    with pytest.raises(Unreadable):
        systemd.show(host, units)


def test_a_question_is_asked_once_and_its_failure_is_everybodys():
    host, asked, answers = Host(), [], []

    def ask():
        asked.append(True)
        raise Unreadable("no answer")

    def part():
        try:
            host.once("question", ask)
        except Unreadable as reason:
            answers.append(str(reason))

    threads = [threading.Thread(target=part) for _part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    assert answers == ["no answer"] * 8


def test_every_part_that_asks_systemd_is_asked_for_first():
    early = {part.name for part in collector.ASK_SYSTEMD}
    assert {part.name for part in collector.every_part() if part.units} == early
    assert len(collector.names()) == len(set(collector.names())) == 22
