# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One stage of the test command: what it runs, how long it may take, what came of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

CHECKOUT = Path(__file__).resolve().parents[2]
OUTPUT = CHECKOUT / "tests" / "output"
CACHE = CHECKOUT / ".cache"
BIN = CHECKOUT / ".venv" / "bin"
# mypy, ansible and pytest find the checkout under its collection name here (see the Makefile).
COLLECTIONS = CHECKOUT / ".collections"
LEFT_OUT = "left out: "  # a stage that is not pytest prints this before the name of a part it could not run


def environment() -> dict[str, str]:
    """What every program a stage starts gets: .venv first on PATH, and its caches in the checkout."""
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(CACHE / "hypothesis"),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PIP_CACHE_DIR": str(CACHE / "pip"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@dataclass(frozen=True)
class Stage:
    """A row of the table in table.py.

    lane: "checks", "targets" or "hosts"; lanes run side by side, the stages of one lane one after the other.
    limit: seconds after which the stage is killed with everything it started, and has failed.
    missing: says what the machine lacks for the stage, or None.
    pytest: the command writes tests/output/junit/<name>.xml and its tests are counted one by one.
    """

    name: str
    lane: str
    limit: int
    command: tuple[str, ...]
    missing: Callable[[], str | None] = lambda: None
    pytest: bool = False

    @property
    def log(self) -> Path:
        """The file that holds everything the stage printed."""
        return OUTPUT / "logs" / f"{self.name}.log"

    @property
    def junit(self) -> Path:
        """The file pytest writes for the stage."""
        return OUTPUT / "junit" / f"{self.name}.xml"


@dataclass
class Outcome:
    """What came of a stage: numbers for the closing line, and the reasons to print."""

    stage: Stage
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    left_out: list[str] = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0

    @property
    def word(self) -> str:
        """passed, failed or skipped."""
        if self.failed:
            return "failed"
        return "passed" if self.passed else "skipped"


def run(stage: Stage, *, everything_required: bool) -> Outcome:
    """Run one stage within its limit and read what came of it.

    With everything_required a missing target is a failure, and so is a pytest run in which nothing passed.
    """
    outcome = Outcome(stage)
    lacking = stage.missing()
    if lacking:
        _leave_out(outcome, [lacking], everything_required)
        return outcome

    started = time.monotonic()
    stage.junit.unlink(missing_ok=True)
    code = _execute(stage)
    outcome.seconds = time.monotonic() - started
    if stage.pytest:
        _count_tests(outcome, code, everything_required)
    else:
        _leave_out(outcome, _left_out_parts(stage.log), everything_required)
        if code == 0:
            outcome.passed = 1
        else:
            outcome.failed += 1
            outcome.reason = _code_text(stage, code)
    return outcome


def _leave_out(outcome: Outcome, parts: list[str], everything_required: bool) -> None:
    outcome.left_out += [f"{outcome.stage.name}: {part}" for part in parts]
    if not everything_required:
        outcome.skipped += len(parts)
    elif parts:
        outcome.failed += len(parts)
        outcome.reason = f"left out although everything is required: {'; '.join(parts)}"


def _left_out_parts(log: Path) -> list[str]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.removeprefix(LEFT_OUT) for line in lines if line.startswith(LEFT_OUT)]


def _execute(stage: Stage) -> int | None:
    """The exit code, or None when the stage ran into its limit."""
    stage.log.parent.mkdir(parents=True, exist_ok=True)
    stage.junit.parent.mkdir(parents=True, exist_ok=True)
    with stage.log.open("wb") as log:
        process = subprocess.Popen(  # its own session, so that the limit ends the grandchildren too
            stage.command,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,
        )
        try:
            return process.wait(stage.limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                _end_session(process)


def _end_session(process: subprocess.Popen) -> None:
    for sign, patience in ((signal.SIGTERM, 20), (signal.SIGKILL, 20)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


def _code_text(stage: Stage, code: int | None) -> str:
    return f"not done after {stage.limit} s" if code is None else f"exit code {code}"


def _count_tests(outcome: Outcome, code: int | None, everything_required: bool) -> None:
    """Add up pytest's own counts; a run that broke before or after its tests counts as one failure."""
    stage = outcome.stage
    try:
        cases = list(ElementTree.parse(stage.junit).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        cases = []
    for case in cases:
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
        elif (skip := case.find("skipped")) is not None:
            outcome.skipped += 1
            outcome.left_out.append(f"{stage.name}: {case.get('classname')}::{case.get('name')}: {skip.get('message')}")
        else:
            outcome.passed += 1
    if code != 0:
        outcome.failed = outcome.failed or 1
        outcome.reason = _code_text(stage, code)
    elif everything_required and not outcome.passed:
        outcome.failed, outcome.reason = 1, "no test passed although everything is required"
