# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test`: run the stages, three lanes side by side, and say what passed, failed and was left out.

python tests/run                     every stage
python tests/run unit ruff           only these
CI=true python tests/run             a missing target is an error
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches

from stage import CHECKOUT, OUTPUT, Outcome, Stage, run
from table import LAST, SLOW, STAGES

TAIL = 60  # lines of a failed stage's log that are worth the screen; the whole log stays in tests/output/logs


def main(names: list[str]) -> int:
    """Run the named stages (default: all), print the closing line, return the exit code."""
    unknown = [name for name in names if name not in {stage.name for stage in STAGES}]
    if unknown:
        known = [stage.name for stage in STAGES]
        near = get_close_matches(unknown[0], known, 1)
        print(f"no stage {unknown[0]!r}{f', did you mean {near[0]!r}?' if near else ''} Stages: {' '.join(known)}")
        return 2
    required = os.environ.get("CI") == "true"
    chosen = [stage for stage in STAGES if (stage.name in names if names else stage.name not in SLOW)]
    first = [stage for stage in chosen if stage.name not in LAST]
    lanes = [[stage for stage in first if stage.lane == lane] for lane in ("targets", "hosts", "checks")]

    with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
        done = [outcome for lane in pool.map(lambda lane: _run_lane(lane, required), lanes) for outcome in lane]
    done += _run_lane([stage for stage in chosen if stage.name in LAST], required)
    return _close(done)


_screen = threading.Lock()


def _run_lane(lane: list[Stage], required: bool) -> list[Outcome]:
    outcomes = []
    for stage in lane:
        outcome = run(stage, everything_required=required)
        outcomes.append(outcome)
        with _screen:
            _report(outcome)
    return outcomes


def _report(outcome: Outcome) -> None:
    stage = outcome.stage
    counts = f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped"
    detail = counts if stage.pytest and outcome.seconds else ""
    print(f"{outcome.word:8}{stage.name:20}{outcome.seconds:7.1f} s  {detail}".rstrip(), flush=True)
    if outcome.failed and stage.log.exists() and outcome.seconds:
        lines = stage.log.read_text(encoding="utf-8", errors="replace").splitlines()
        print(f"    {outcome.reason}; the end of {stage.log.relative_to(CHECKOUT)}:")
        print("\n".join(f"    | {line}" for line in lines[-TAIL:]), flush=True)


def _close(done: list[Outcome]) -> int:
    left_out = [name for outcome in done for name in outcome.left_out]
    if left_out:
        print("\nLeft out:")
        print("\n".join(f"  {name}" for name in left_out))
    failed = [outcome for outcome in done if outcome.failed]
    if failed:
        print("\nFailed:")
        print("\n".join(f"  {outcome.stage.name}: {outcome.reason}" for outcome in failed))
    passed = sum(outcome.passed for outcome in done)
    broken = sum(outcome.failed for outcome in done)
    skipped = sum(outcome.skipped for outcome in done)
    line = f"{passed} passed, {broken} failed, {skipped} skipped"
    (OUTPUT / "closing-line").write_text(line + "\n", encoding="utf-8")  # for .ci/run
    print(f"\n{line}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
