# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what the parts ask of a booted lab host, for the tests that break the answers.

    python3 -m tests.integration.kvm.record NAME > tests/unit/plugins/module_utils/kvm/recordings/debian12.json

Record again whenever a part asks something new; the lab's keys and passwords are of no use outside the lab.
"""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
PLACE = "ansible_collections/dwp/hypervisor"
RECORDER = "tests/unit/plugins/module_utils/kvm/recorded_host.py"
BOOTSTRAP = """
import io, runpy, sys, tarfile, tempfile
with tempfile.TemporaryDirectory() as place:
    tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read())).extractall(place)
    sys.path.insert(0, place)
    sys.argv = ["recorded_host"]
    runpy.run_path(place + "/recorder.py", run_name="__main__")
"""


def packed() -> bytes:
    """The collector and the recorder as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted((ROOT / "plugins/module_utils").rglob("*.py")):
            archive.add(path, f"{PLACE}/{path.relative_to(ROOT)}")
        archive.add(ROOT / RECORDER, "recorder.py")
    return buffer.getvalue()


def lean(calls: dict[str, dict]) -> dict[str, dict]:
    """Without password hashes, and without the descriptions that make dpkg's database large."""
    for key, answer in calls.items():
        if key.startswith("read_bytes") and "value" in answer:
            data = base64.b64decode(answer["value"]["bytes"])
            if "/etc/shadow" in key or "/etc/gshadow" in key:
                data = re.sub(rb"(?m)^([^:\n]+):\$[^:\n]+", rb"\1:$y$removed", data)
            if "/var/lib/dpkg/status" in key:
                data = b"\n".join(re.findall(rb"(?m)^(?:(?:Package|Status|Version|Architecture): .*)?$", data)) + b"\n"
            answer["value"]["bytes"] = base64.b64encode(data).decode()
    return calls


def main() -> None:
    command = [sys.executable, "-m", "tests.lab.kvm", "exec", sys.argv[1], "--", "python3", "-c", BOOTSTRAP]
    said = subprocess.run(command, input=packed(), check=True, timeout=120, cwd=ROOT, stdout=subprocess.PIPE).stdout
    json.dump(lean(json.loads(said)), sys.stdout, sort_keys=True, indent=0)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
