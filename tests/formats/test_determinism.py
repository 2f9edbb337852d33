# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same results give the same bytes, in every format and in every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import formats

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPT = """
import hashlib, json, sys
sys.path.insert(0, ".collections")
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import formats
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder, builder_history
standard = builder.a_standard()
run = builder.a_run(standard, **builder_history.everything())
if sys.argv[1] == "read again":
    run = json.loads(json.dumps(run))
found = {}
for name in formats.FORMATS:
    for path, data in formats.files(name, run, standard):
        whole = data if isinstance(data, bytes) else b"".join(data)
        found[path] = hashlib.sha256(whole).hexdigest()
print(json.dumps(found))
"""


def written(seed: str, how: str = "") -> dict[str, str]:
    """SHA-256 of every file, made in a process whose sets and hashes are ordered by this seed."""
    command = [sys.executable, "-c", SCRIPT, how]
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo" if seed == "2" else "UTC"}
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, check=True, capture_output=True, text=True, timeout=120
    )
    return json.loads(done.stdout)


def test_two_processes_write_the_same_bytes():
    first = written("1")
    assert len(first) > 40
    assert {"results.json", "results.oscal.json", "results.sarif", "summary.md"} <= set(first)
    assert first == written("2")
    assert first == written("3", "read again"), "and so does the run document read from results.json"


def test_every_format_has_files():
    assert set(formats.DEFAULT) <= set(formats.FORMATS)
