# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in the background survives the process that began it, and holds its file as long as it takes."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import time
from pathlib import Path

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.background import in_background


def test_it_survives_who_began_it_with_all_he_has_started(tmp_path: Path) -> None:
    """As Ansible ends a worker at the end of a play: its whole process group."""
    kept, written = tmp_path / "kept", tmp_path / "written"

    def work() -> None:
        time.sleep(0.3)
        written.write_text("done", encoding="utf-8")

    def begin() -> None:
        os.setsid()
        with kept.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            in_background(work, held.fileno())
        os.killpg(0, signal.SIGTERM)

    worker = multiprocessing.get_context("fork").Process(target=begin)
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGTERM
    assert not written.exists()
    with kept.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
    assert written.read_text(encoding="utf-8") == "done"


def test_a_fault_ends_there(tmp_path: Path) -> None:
    began = os.getpid()
    with (tmp_path / "kept").open("w") as held:
        in_background(lambda: 1 / 0, held.fileno())
    assert os.getpid() == began
    with (tmp_path / "kept").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
