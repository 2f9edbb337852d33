# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes survive a full disk, a killed process and two reports at once: a file is whole or it is not there."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence, pack_verify
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.runs.packs import a_pack

CHECKOUT = Path(__file__).resolve().parents[5]
# Seals and unseals one run as fast as it can: every write of a report is in it.
WRITER = """
import sys
from pathlib import Path
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.runs.packs import a_pack
reports, run = Path(sys.argv[1]), sys.argv[2]
names = tuple(f"kvm{n}" for n in range(20))
for number in range(int(sys.argv[3])):
    with archive.lock(reports):
        a_pack(reports, f"{run}-{number}", names)
    print(number, flush=True)
"""


def writer(reports, run, times):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(reports), run, str(times)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / ".collections")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def whole(reports):
    """Every file that is there under its own name is whole, and every run is sealed well or not at all."""
    for path in reports.rglob("*.json"):
        json.loads(path.read_bytes())
    sealed = [run for run in pack_verify.runs_of(reports) if (run / pack_verify.MANIFEST).exists()]
    assert [finding for run in sealed for finding in pack_verify.verify_pack(run)] == []
    assert pack_verify.verify_chain(reports) == []
    return len(sealed)


def test_killed_at_any_moment_there_is_no_half_file(tmp_path):
    rolls, sealed = random.Random(20261123), []
    for attempt in range(12):
        process = writer(tmp_path, f"run-{attempt:02}", 1000)
        process.stdout.readline()  # it is at work
        time.sleep(rolls.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        sealed.append(whole(tmp_path))
    assert sealed == sorted(sealed)
    assert sealed[-1] >= 12
    with archive.lock(tmp_path, seconds=0):  # the lock went with the process
        assert archive.head(tmp_path) is not None


def test_two_reports_at_once_make_one_chain(tmp_path):
    processes = [writer(tmp_path, name, 15) for name in ("left", "right")]
    for process in processes:
        _out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    assert whole(tmp_path) == 30


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_leaves_the_old_file_and_no_draft(small_disk):
    path = small_disk / "results.json"
    evidence.write_private(path, b'{"old": true}')
    with pytest.raises(OSError, match="No space left on device"):
        evidence.write_private(path, b"x" * 512 * 1024)
    assert path.read_bytes() == b'{"old": true}'
    assert [found.name for found in small_disk.iterdir()] == ["results.json"]


def test_a_run_on_a_full_disk_is_not_sealed_and_the_last_one_stays_good(small_disk):
    a_pack(small_disk, "run-1", ("kvm1",))
    with pytest.raises(OSError, match="No space left on device"):
        for number in range(2, 100):
            a_pack(small_disk, f"run-{number}", ("kvm1", "kvm2"))
    sealed = whole(small_disk)
    assert sealed >= 1
    unsealed = [run for run in pack_verify.runs_of(small_disk) if not (run / pack_verify.MANIFEST).exists()]
    kinds = [finding["kind"] for run in unsealed for finding in pack_verify.verify_pack(run)]
    assert kinds == ["unsealed"] * len(unsealed)
    assert not list(small_disk.rglob("*.part"))
    assert archive.head(small_disk)["run"] == f"run-{sealed}"
