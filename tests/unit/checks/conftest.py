# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases of every check, and the record of what was seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

OUTPUT = Path(__file__).parents[2] / "output" / "seen-unit.json"


class Seen:
    """Which statuses each check was seen to give in a unit case."""

    def __init__(self):
        self.statuses = {}

    def add(self, check_id, status):
        self.statuses.setdefault(check_id, set()).add(status)


@pytest.fixture(scope="session")
def seen():
    record = Seen()
    yield record
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(
        json.dumps({key: sorted(value) for key, value in sorted(record.statuses.items())}, indent=1) + "\n"
    )
