# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What parts share: questions asked side by side."""

from __future__ import annotations

import threading
import time

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import side_by_side


def test_answers_keep_the_order_of_the_questions_and_few_are_asked_at_a_time():
    running, most, lock = set(), [], threading.Lock()

    def ask(number):
        with lock:
            running.add(number)
            most.append(len(running))
        time.sleep(0.002 * (number % 3))
        with lock:
            running.discard(number)
        return number * 10

    assert side_by_side(ask, list(range(20)), 4) == [number * 10 for number in range(20)]
    assert 2 <= max(most) <= 4


def test_no_questions_no_answers():
    assert side_by_side(lambda question: question, [], 4) == []
