# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of docs/performance.md, measured on this machine.

    .venv/bin/python benchmarks                  all of them
    .venv/bin/python benchmarks module assess    some
    .venv/bin/python benchmarks --write          and put them into docs/performance.md

Ratios are taken within one run, the two sides in turn, because the machine's speed changes from minute to minute.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from difflib import get_close_matches

import fleet
import harden
import many_subjects
import one_process
import over_ssh
import vsphere
import vsphere_harden
from clock import CHECKOUT, Figure

BENCHMARKS: dict[str, Callable[[], list[Figure]]] = {
    "module": one_process.module,
    "assess": one_process.assess,
    "kept": one_process.kept,
    "report": fleet.report,
    "verify": many_subjects.verify,
    "audit": over_ssh.audit,
    "twenty": over_ssh.twenty,
    "harden": harden.first,
    "fleet": harden.fleet,
    "vsphere": vsphere.vsphere,
}
# Only when named: some minutes each.
LONG: dict[str, Callable[[], list[Figure]]] = {
    "vsphere_large": vsphere.vsphere_large,
    "vsphere_harden": vsphere_harden.vsphere_harden,
}
PAGE = CHECKOUT / "docs" / "performance.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def main(arguments: list[str]) -> int:
    """Run the named benchmarks; exit 1 when a figure misses its budget."""
    write = "--write" in arguments
    names = [name for name in arguments if name != "--write"] or list(BENCHMARKS)
    known = {**BENCHMARKS, **LONG}
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            print(f"no benchmark {name!r}{hint} They are: {' '.join(known)}")
            return 2
    figures = []
    for name in names:
        for figure in known[name]():
            print(f"{figure.what}: {figure.value}{f' (budget {figure.budget})' if figure.budget else ''}", flush=True)
            figures.append(figure)
    if write:
        write_page(figures)
    return 1 if any(figure.missed for figure in figures) else 0


def write_page(figures: list[Figure]) -> None:
    """Replace the table of docs/performance.md."""
    lines = [
        BEGIN,
        f"Measured on {datetime.now(timezone.utc).date()} at commit {_commit()}: {_machine()}.",
        "",
        "| what | figure | budget | how |",
        "|---|---|---|---|",
        *(f"| {f.what} | {f.value}{' **missed**' if f.missed else ''} | {f.budget} | {f.how} |" for f in figures),
        END,
    ]
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: "\n".join(lines), text, flags=re.DOTALL), encoding="utf-8")


def _commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def _machine() -> str:
    asked = [CHECKOUT / ".venv/bin/ansible", "--version"]
    shown = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()[0]
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {shown}, load {os.getloadavg()[0]:.1f} before"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
