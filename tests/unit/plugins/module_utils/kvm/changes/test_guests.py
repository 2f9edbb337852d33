# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orchestrators whose agents run on a host, by the names of their processes."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import guests


@pytest.mark.parametrize(("agent", "name"), guests.ORCHESTRATORS.items())
def test_an_agent_that_runs_is_seen(tmp_path, agent, name):
    assert name not in guests.orchestrators()
    program = tmp_path / agent
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen([str(program), "60"]) as process:
        try:
            deadline = time.monotonic() + 5
            # Until the child has become the program, its name is ours.
            while name not in guests.orchestrators() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert name in guests.orchestrators()
        finally:
            process.kill()
    assert name not in guests.orchestrators()


def test_a_kernel_shows_fifteen_characters_of_a_name():
    assert all(len(agent) <= 15 for agent in guests.ORCHESTRATORS)
