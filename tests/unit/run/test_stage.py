# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test command's own promises: it counts truly, ends in time, and never calls a missing target a success."""

from __future__ import annotations

import sys
import time

import pytest

from ansible_collections.dwp.hypervisor.tests.run import stage


@pytest.fixture(autouse=True)
def output(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "OUTPUT", tmp_path / "output")


def a_stage(code="", **settings):
    defaults = {"name": "sample", "lane": "checks", "limit": 60, "command": (sys.executable, "-c", code)}
    return stage.Stage(**{**defaults, **settings})


def a_pytest_stage(tmp_path, text):
    (tmp_path / "test_sample.py").write_text(text, encoding="utf-8")
    made = a_stage(pytest=True)
    options = ("-p", "no:cacheprovider", "--rootdir", str(tmp_path), f"--junitxml={made.junit}")
    return a_stage(pytest=True, command=(sys.executable, "-m", "pytest", *options, str(tmp_path / "test_sample.py")))


def test_pytest_counts_one_by_one(tmp_path):
    text = (
        "import pytest\n"
        "def test_a(): pass\n"
        "def test_b(): pass\n"
        "def test_c(): raise ValueError\n"
        "@pytest.mark.skip('no such device')\n"
        "def test_d(): pass\n"
    )
    outcome = stage.run(a_pytest_stage(tmp_path, text), everything_required=False)
    assert (outcome.passed, outcome.failed, outcome.skipped) == (2, 1, 1)
    assert outcome.word == "failed"
    assert outcome.left_out == ["sample: test_sample::test_d: no such device"]


@pytest.mark.parametrize("text", ["", "import nothing_of_this_name\n"])
def test_a_pytest_run_without_tests_has_failed(tmp_path, text):
    outcome = stage.run(a_pytest_stage(tmp_path, text), everything_required=False)
    assert outcome.failed == 1
    assert outcome.passed == 0


def test_a_run_that_skips_everything_fails_where_everything_is_required(tmp_path):
    text = "import pytest\ndef test_a(): pytest.skip('no lab')\n"
    made = a_pytest_stage(tmp_path, text)
    assert stage.run(made, everything_required=False).word == "skipped"
    assert stage.run(made, everything_required=True).word == "failed"


@pytest.mark.parametrize(("required", "word"), [(False, "skipped"), (True, "failed")])
def test_a_missing_target_is_named(required, word):
    outcome = stage.run(a_stage(missing=lambda: "no such target"), everything_required=required)
    assert outcome.word == word
    assert outcome.left_out == ["sample: no such target"]
    assert (outcome.failed, outcome.skipped) == ((1, 0) if required else (0, 1))


def test_a_part_that_was_left_out_is_named():
    made = a_stage(f"print({stage.LEFT_OUT!r} + 'shellcheck is not installed')")
    outcome = stage.run(made, everything_required=False)
    assert (outcome.passed, outcome.skipped) == (1, 1)
    assert outcome.left_out == ["sample: shellcheck is not installed"]
    assert stage.run(made, everything_required=True).failed == 1


def test_exit_code_decides():
    outcome = stage.run(a_stage("raise SystemExit(3)"), everything_required=False)
    assert (outcome.word, outcome.reason) == ("failed", "exit code 3")


def test_the_limit_ends_a_stage_and_what_it_started(tmp_path):
    beats = tmp_path / "beats"
    grandchild = f"import time\nwhile True:\n open({str(beats)!r}, 'a').write('x')\n time.sleep(0.05)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    outcome = stage.run(a_stage(code, limit=2), everything_required=False)
    assert (outcome.word, outcome.reason) == ("failed", "not done after 2 s")
    assert beats.stat().st_size > 0
    time.sleep(0.2)
    size = beats.stat().st_size
    time.sleep(0.3)
    assert beats.stat().st_size == size, "the grandchild outlived the stage"
