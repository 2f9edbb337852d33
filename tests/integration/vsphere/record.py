# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what the collector asks of the lab's vCenter, for the tests that break the answers.

    python3 -m tests.lab.vsphere up record
    .venv/bin/python tests/integration/vsphere/record.py record
    python3 -m tests.lab.vsphere down record

Record again whenever the collector asks something new.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(CHECKOUT / ".collections"))


def main(name: str) -> None:
    """Write the recording of a running target."""
    from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import collector, session
    from ansible_collections.dwp.hypervisor.tests.integration.vsphere.vcenter import Target
    from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.vsphere import recorded_session

    with session.logged_in(Target(name).endpoint()) as opened:
        recording = recorded_session.RecordingSession(opened)
        # One thread: pages of a view and a host's calls in an order that is the same each time.
        for _subject in collector.collect(recording, threads=1):
            pass
    text = json.dumps(recording.calls, sort_keys=True, indent=0)
    recorded_session.RECORDING.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
