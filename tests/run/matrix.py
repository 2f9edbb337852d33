# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test-all`: every supported line of ansible-core: ansible-test sanity, and an audit of this machine.

The audit runs the module under the oldest Python that hosts may have, where this machine has it. The table goes into
docs/development.md.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from sanity import find_pythons, prepare, sanity
from stage import CACHE, CHECKOUT, environment

# ansible-core release line -> a Python that it supports as controller.
LINES = {"2.16": "3.11", "2.18": "3.12", "2.19": "3.12", "2.21": "3.13"}
TARGET_PYTHON = "3.9"
PAGE = CHECKOUT / "docs" / "development.md"
BEGIN, END = "<!-- sanity matrix -->", "<!-- end of sanity matrix -->"


def main() -> int:
    """Run every line and write the table; exit 1 when anything failed or was left out."""
    os.environ.update(environment())
    pythons = find_pythons()
    prepare()
    rows, faults = [], 0
    for line, wanted in LINES.items():
        if wanted not in pythons:
            rows.append(f"| {line} | {wanted} | left out: no python{wanted} on this machine | | |")
            faults += 1
            continue
        started = time.monotonic()
        folder = environment_of(line, pythons[wanted])
        checked = sanity(folder / "bin", [])
        audited = audit(folder / "bin", pythons.get(TARGET_PYTHON))
        faults += bool(checked) + bool(audited)
        words = ["failed" if code else "passed" for code in (checked, audited)]
        seconds = time.monotonic() - started
        rows.append(f"| {version_of(folder)} | {wanted} | {words[0]} | {words[1]} | {seconds:.0f} s |")
        print(rows[-1], flush=True)
    write(rows, TARGET_PYTHON if TARGET_PYTHON in pythons else "of the controller")
    return 1 if faults else 0


def environment_of(line: str, python: Path) -> Path:
    """A virtual environment with the newest release of one line."""
    folder = CHECKOUT / f".venv-{line}"
    pip = folder / "bin" / "pip"
    if not pip.exists():
        subprocess.run([python, "-m", "venv", folder], check=True, timeout=120)
    install = [pip, "install", "--quiet", "--upgrade", f"ansible-core~={line}.0", "-r", CHECKOUT / "requirements.txt"]
    subprocess.run(install, check=True, timeout=600)
    return folder


def version_of(folder: Path) -> str:
    """The exact ansible-core release in a virtual environment."""
    asked = [folder / "bin" / "pip", "show", "ansible-core"]
    shown = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout
    return next(row.split()[1] for row in shown.splitlines() if row.startswith("Version:"))


def audit(bin_folder: Path, target_python: Path | None) -> int:
    """Audit this machine with one line's ansible-playbook; the exit code."""
    interpreter = ["--extra-vars", f"ansible_python_interpreter={target_python}"] if target_python else []
    done = subprocess.run(
        [
            bin_folder / "ansible-playbook", "--inventory", "examples/demo/inventory.yml", "playbooks/audit.yml",
            "--extra-vars", f"hypervisor_report_dir={CACHE}/matrix", *interpreter,
        ],
        cwd=CHECKOUT, check=False, timeout=300, capture_output=True, text=True,
    )  # fmt: skip
    print(done.stdout[-3000:], done.stderr[-3000:])
    return done.returncode


def write(rows: list[str], target_python: str) -> None:
    """Replace the table of docs/development.md."""
    table = "\n".join(
        [
            BEGIN,
            f"Last run on {datetime.now(timezone.utc).date()}, the audited host's module under Python {target_python}:",
            "",
            "| ansible-core | Python | sanity | audit | time |",
            "|---|---|---|---|---|",
            *rows,
            END,
        ]
    )
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
