# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two processes do what one would have done, and say what went wrong in either of them."""

from __future__ import annotations

import os
import signal
import time

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import side_by_side as module
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.side_by_side import side_by_side


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(module, "_cores", lambda: 2)


def who_and_what(item):
    time.sleep(0.05)
    return item * 2, os.getpid()


def test_the_answers_are_in_the_order_of_the_items_and_two_processes_gave_them():
    found = side_by_side(who_and_what, range(6))
    assert [answer for answer, _pid in found] == [0, 2, 4, 6, 8, 10]
    assert os.getpid() in {pid for _answer, pid in found}
    assert len({pid for _answer, pid in found}) == 2


def test_what_this_process_has_need_not_be_sent():
    cannot_be_pickled = {"entries": [lambda: 1, lambda: 2]}
    assert side_by_side(lambda number: cannot_be_pickled["entries"][number](), [0, 1]) == [1, 2]


@pytest.mark.parametrize("items", [[], ["a"]])
def test_little_is_done_here(items):
    assert side_by_side(lambda _item: os.getpid(), items) == [os.getpid()] * len(items)


def test_one_core_or_too_little_work_is_done_here(monkeypatch):
    assert side_by_side(lambda _item: os.getpid(), "abc", worth_it=False) == [os.getpid()] * 3
    monkeypatch.setattr(module, "_cores", lambda: 1)
    assert side_by_side(lambda _item: os.getpid(), "abc") == [os.getpid()] * 3


@pytest.mark.parametrize("where", [0, 3])
def test_what_is_raised_in_either_is_raised(where):
    def work(item):
        time.sleep(0.02)
        if item == where:
            raise OSError(28, "No space left on device")
        return item

    with pytest.raises(OSError, match="No space left"):
        side_by_side(work, range(4))


def test_a_process_that_is_killed_is_named():
    here = os.getpid()

    def work(_item):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.2)

    with pytest.raises(OSError, match="was killed; has the machine memory enough"):
        side_by_side(work, range(4))
