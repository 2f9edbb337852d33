# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two processes do what one would have done, and say what went wrong in either of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import side_by_side as module
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.side_by_side import Elsewhere, in_turn, side_by_side


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(module, "several_cores", lambda: True)


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
    monkeypatch.setattr(module, "several_cores", lambda: False)
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


def test_items_in_turn_are_answered_in_their_order_by_two_processes():
    for count in range(8):
        found = list(in_turn(who_and_what, iter(range(count))))
        assert [answer for answer, _pid in found] == [2 * number for number in range(count)]
        assert len({pid for _answer, pid in found}) == (2 if count > 2 else min(count, 1))
    assert multiprocessing.active_children() == []


def test_on_one_core_items_in_turn_are_answered_here(monkeypatch):
    monkeypatch.setattr(module, "several_cores", lambda: False)
    assert [pid for _answer, pid in in_turn(who_and_what, range(5))] == [os.getpid()] * 5


@pytest.mark.parametrize("where", [0, 2, 3])
def test_what_an_item_in_turn_raises_is_raised_after_the_answers_before_it(where):
    def work(item):
        if item == where:
            raise ValueError(f"{item} is not allowed")
        return item

    found = []
    with pytest.raises(ValueError, match=f"{where} is not allowed"):
        found.extend(in_turn(work, range(6)))
    assert multiprocessing.active_children() == []


def test_items_that_end_in_an_error_end_the_other_process():
    def items():
        yield from range(5)
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        list(in_turn(who_and_what, items()))
    assert multiprocessing.active_children() == []


def test_whoever_takes_no_more_items_in_turn_leaves_no_process():
    found = in_turn(who_and_what, range(100))
    for _number in range(4):
        next(found)
    found.close()
    assert multiprocessing.active_children() == []


def test_a_process_that_is_killed_over_an_item_in_turn_is_named():
    here = os.getpid()

    def work(_item):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(OSError, match="was killed; has the machine memory enough"):
        list(in_turn(work, range(6)))
    assert multiprocessing.active_children() == []


class Counting:
    """A worker that remembers what it was given, and where it worked."""

    def __init__(self):
        self.given = []
        self.pids = set()

    def __call__(self, text, number):
        if number == 13:
            raise ValueError(f"{text}: 13 is not allowed")
        if number == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        self.given.append((text, number))
        self.pids.add(os.getpid())


def test_a_worker_elsewhere_comes_back_with_all_it_was_given():
    here = Counting()
    there = Elsewhere(here)
    for number in (1, 2, 3):
        there("a", number)
    found = there.end()
    assert found.given == [("a", 1), ("a", 2), ("a", 3)]
    assert os.getpid() not in found.pids
    assert here.given == []


@pytest.mark.parametrize(
    ("number", "error", "said"), [(13, ValueError, "13 is not allowed"), (9, OSError, "was killed")]
)
def test_what_ends_a_worker_elsewhere_is_raised_here(number, error, said):
    there = Elsewhere(Counting())

    def give_and_end():
        # What is given after its end finds nobody, sooner or later.
        for _time in range(1000):
            there("a" * 1000, number)
        there.end()

    with pytest.raises(error, match=said):
        give_and_end()
    assert multiprocessing.active_children() == []


def test_a_worker_elsewhere_does_not_outlive_who_made_it():
    code = (
        "import os, signal\n"
        "from ansible_collections.dwp.hypervisor.plugins.plugin_utils.side_by_side import Elsewhere\n"
        "there = Elsewhere(print)\n"
        "print(there._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **path},
    )
    pid = int(done.stdout)
    for _try in range(100):
        if not alive(pid):
            return
        time.sleep(0.1)
    raise AssertionError(f"process {pid} goes on")


def alive(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
