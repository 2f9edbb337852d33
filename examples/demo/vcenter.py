# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit, harden and audit again a simulated vCenter with three ESXi hosts and six virtual machines, for `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
sys.path.insert(0, str(CHECKOUT))

from tests.lab.vsphere import program  # noqa: E402

NAME = "vcenter"
LAB = [sys.executable, "-m", "tests.lab.vsphere"]


def main() -> int:
    """Exit code of the hardening run; without a Go toolchain there is no vCenter to show, and that is no failure."""
    reason = program.why_not()
    if reason:
        print(f"The simulated vCenter is left out: {reason}.")
        return 0
    print("\nA simulated vCenter is built, started, audited, hardened and audited again; no real machine is touched.")
    up = subprocess.run([*LAB, "up", NAME], cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True, timeout=900)
    try:
        return subprocess.run(
            [
                Path(sys.executable).with_name("ansible-playbook"), "--inventory", up.stdout.splitlines()[-1],
                CHECKOUT / "playbooks" / "harden.yml", "--extra-vars", f"@{HERE / 'vcenter-gold.yml'}",
            ],
            cwd=CHECKOUT, env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")}, check=False, timeout=600,
        ).returncode  # fmt: skip
    finally:
        subprocess.run([*LAB, "down", NAME], cwd=CHECKOUT, check=False, capture_output=True, timeout=60)


if __name__ == "__main__":
    sys.exit(main())
