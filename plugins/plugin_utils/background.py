# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that goes on when the task that began it has ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


def in_background(work: Callable[[], Any], kept: int) -> None:
    """Do work in a process of its own, which goes on when this one ends. kept: the file that it holds open until then.

    What work raises is lost: it leaves word itself for who needs what it makes. No other thread may run.
    """
    begun, ready = os.pipe()
    if os.fork():
        os.close(ready)
        # At the end of a play Ansible ends a worker with all that it has started, unless it is a session of its own.
        os.read(begun, 1)
        os.close(begun)
        return
    failed = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        # Whoever waits for the end of what this process says would wait for that one too; `ready` is closed with it.
        os.closerange(3, kept)
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
        work()
        failed = 0
    finally:
        os._exit(failed)
