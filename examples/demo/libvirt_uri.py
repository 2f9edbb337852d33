# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the libvirt that `make demo` asks: this machine's own when it answers, else the shipped sample."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SYSTEM = "qemu:///system"
SAMPLE = Path(__file__).with_name("libvirt-sample.xml")
LIMIT = 10  # seconds; a libvirtd that hangs is one that does not answer


def main() -> None:
    """Choose: without libvirt's Python binding nobody can read the sample, so kvm_info is left to say what is missing."""
    try:
        import libvirt  # noqa: F401
    except ImportError:
        print(SYSTEM)
        return
    print(SYSTEM if _answers() else f"test://{SAMPLE.resolve()}")


def _answers() -> bool:
    """Whether libvirtd answers, asked in a process of its own so that the time limit holds."""
    virsh = shutil.which("virsh")
    if not virsh:
        return False
    try:
        asked = subprocess.run(
            [virsh, "--readonly", "--connect", SYSTEM, "uri"], check=False, capture_output=True, timeout=LIMIT
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


if __name__ == "__main__":
    main()
