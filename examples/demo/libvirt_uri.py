# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the libvirt that `make demo` asks: this machine's own when it answers, else the shipped sample."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

SYSTEM = "qemu:///system"
SAMPLE = Path(__file__).with_name("libvirt-sample.xml")
LIMIT = 10  # seconds; a libvirtd that hangs is one that does not answer


def main() -> None:
    """Choose. Without libvirt's Python binding the sample cannot be read: kvm_info then says itself what is missing."""
    if importlib.util.find_spec("libvirt") is None or _answers():
        print(SYSTEM)
    else:
        print(f"test://{SAMPLE.resolve()}")


def _answers() -> bool:
    """Whether libvirtd answers, asked in a process of its own so that the time limit holds."""
    question = f"import libvirt; libvirt.openReadOnly({SYSTEM!r})"
    try:
        asked = subprocess.run([sys.executable, "-c", question], check=False, capture_output=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


if __name__ == "__main__":
    main()
