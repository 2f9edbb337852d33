# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes on a file system of our own: made whole, taken back byte for byte, also half-way and beside somebody else."""

from __future__ import annotations

import os
import pathlib
import stat
import subprocess
import sys

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes import engine, record, undo, waiting
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan


@pytest.fixture(autouse=True)
def ours(tmp_path, monkeypatch):
    """The state below a directory of the test, files of the user who runs it."""
    monkeypatch.setattr(undo, "ROOT", str(tmp_path / "state"))
    monkeypatch.setattr(undo, "SYSTEMD", str(tmp_path / "units") + "/")
    links = {name: str(tmp_path / "units" / "wants" / name) for name in undo.WANTED}
    monkeypatch.setattr(undo, "WANTED", links)
    if os.geteuid() != 0:
        monkeypatch.setattr(os, "fchown", lambda *_arguments: None)
    monkeypatch.setattr(engine.signal, "signal", lambda *_arguments: None)
    return tmp_path


def _file(path, text, **how):
    me = {"owner": str(os.geteuid()), "group": str(os.getegid())}
    return {**plan.file(str(path), text, **me, **how), "checks": ["c"]}


def _apply(*rows):
    world, updated, then, _by_hand = engine.compare(rows)
    return (engine.apply("area", world, then, {"run_id": "r1"}, 0) if updated else ""), updated


def test_a_new_file_goes_again_with_the_directory_made_for_it(tmp_path):
    name, updated = _apply(_file(tmp_path / "new" / "deep" / "file", "x\n", mode="0600"))
    path = tmp_path / "new" / "deep" / "file"
    assert path.read_text() == "x\n" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert updated == {str(path): {"old": "absent", "new": "gold content", "checks": ["c"], "pending": ""}}
    assert _apply(_file(path, "x\n", mode="0600")) == ("", {})
    assert waiting.revert([name], force=False) == {name: []}
    assert not (tmp_path / "new").exists()
    assert [entry["state"] for entry in waiting.listed()] == ["undone"]


def test_content_mode_and_time_stamp_come_back(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old\xff\n")
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18 + 7))
    name, _updated = _apply(_file(path, "new\n", mode="0644"))
    assert path.read_text() == "new\n"
    waiting.revert([name], force=False)
    found = path.stat()
    assert path.read_bytes() == b"old\xff\n"
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o640, 10**18 + 7)


def test_a_removed_file_comes_back_and_a_link_is_followed(tmp_path):
    (tmp_path / "real").write_text("kept\n")
    (tmp_path / "link").symlink_to("real")
    name, _updated = _apply(_file(tmp_path / "link", None))
    assert not (tmp_path / "real").exists()
    waiting.revert([name], force=False)
    assert (tmp_path / "real").read_text() == "kept\n" and (tmp_path / "link").is_symlink()


def test_a_failing_activation_puts_everything_back(tmp_path):
    (tmp_path / "one").write_text("1\n")
    rows = [_file(tmp_path / "one", "2\n"), _file(tmp_path / "two", "2\n", then=[plan.run("/bin/false")])]
    with pytest.raises(engine.ChangeError, match="/bin/false ended with 1: no message; PUTTING IT BACK FAILED TOO"):
        _apply(*rows)
    assert (tmp_path / "one").read_text() == "1\n" and not (tmp_path / "two").exists()
    rows[1]["then"] = [plan.run("/bin/false", undo=["/bin/true"])]
    with pytest.raises(engine.ChangeError, match="everything was put back"):
        _apply(*rows)


def test_a_file_that_does_not_validate_is_never_in_place(tmp_path):
    (tmp_path / "one").write_text("1\n")
    with pytest.raises(engine.ChangeError, match="grep"):
        _apply(_file(tmp_path / "one", "bad\n", validate=["grep", "-q", "good", "%s"]))
    assert (tmp_path / "one").read_text() == "1\n"
    assert {path.name for path in tmp_path.iterdir()} == {"state", "one"}


def test_what_a_command_rewrites_is_put_back(tmp_path):
    made = tmp_path / "generated"
    made.write_text("old\n")
    script = f"echo new > {made}"
    name, _updated = _apply(
        _file(
            tmp_path / "source",
            "x\n",
            then=[plan.run("/bin/sh", "-c", script, undo=["/bin/true"], touches=[str(made)])],
        )
    )
    assert made.read_text() == "new\n"
    waiting.revert([name], force=False)
    assert made.read_text() == "old\n"


def test_what_somebody_else_wrote_since_stays(tmp_path):
    path = tmp_path / "conf"
    path.write_text("a = 1\nb = 1\n")
    row = {**plan.keys(str(path), {"a": "2", "c": "3"}, syntax="libvirt"), "checks": ["c"]}
    name, _updated = _apply(row)
    path.write_text(path.read_text().replace("b = 1", "b = theirs"))
    assert waiting.revert([name], force=False) == {name: []}
    assert path.read_text() == "a = 1\nb = theirs\n"


def test_a_line_of_ours_that_somebody_changed_is_reported_and_kept(tmp_path):
    path = tmp_path / "conf"
    path.write_text("a = 1\n")
    name, _updated = _apply({**plan.keys(str(path), {"a": "2"}, syntax="libvirt"), "checks": ["c"]})
    path.write_text("a = 99\n")
    faults = waiting.revert([name], force=False)[name]
    assert "was changed by somebody else since" in faults[0]
    assert path.read_text() == "a = 99\n"
    assert [entry["state"] for entry in waiting.listed()] == ["undo failed"]


def test_force_puts_the_file_back_all_the_same(tmp_path):
    path = tmp_path / "conf"
    path.write_text("a = 1\n")
    name, _updated = _apply({**plan.keys(str(path), {"a": "2"}, syntax="libvirt"), "checks": ["c"]})
    path.write_text("a = 99\n")
    assert waiting.revert([name], force=True) == {name: []}
    assert path.read_text() == "a = 1\n"


def test_an_interrupted_change_is_taken_back_before_the_next(tmp_path):
    path = tmp_path / "conf"
    path.write_text("old\n")
    change = record.Change("area", {"run_id": "r0"})
    change.keep_file(str(path), b"new\n")
    path.write_text("new\n")
    with (pathlib.Path(change.path) / "journal").open("a", encoding="utf-8") as handle:
        handle.write('{"op": "file", "pa')
    waiting.refuse_or_recover()
    assert path.read_text() == "old\n"
    assert waiting.listed()[0]["reason"] == "the run that made it was interrupted"


def test_undo_twice_is_undo_once(tmp_path):
    path = tmp_path / "conf"
    path.write_text("old\n")
    name, _updated = _apply(_file(path, "new\n"))
    change = str(pathlib.Path(undo.ROOT) / "changes" / name)
    assert undo.undo(change) == [] and undo.undo(change) == []
    assert path.read_text() == "old\n"


def test_selected_is_the_newest_run_or_the_one_that_is_named(tmp_path):
    first, _updated = _apply(_file(tmp_path / "a", "1\n"))
    world, _changed, then, _hand = engine.compare([_file(tmp_path / "b", "1\n")])
    second = engine.apply("other", world, then, {"run_id": "r2"}, 0)
    assert waiting.selected([], "last") == [second]
    assert waiting.selected([], "all") == [second, first]
    assert waiting.selected(["area"], "last") == [first]
    assert waiting.selected([], "r1") == [first]
    assert waiting.selected([], "r9") == []


def test_the_copy_on_the_host_runs_without_the_collection(tmp_path):
    script = tmp_path / "undo.py"
    script.write_text(record.source())
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import undo; print(undo.APPLYING)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "applying\n"


def test_a_second_process_is_told_who_holds_the_lock():
    with undo.lock(), pytest.raises(undo.Busy, match=f"process {os.getpid()} since"), undo.lock(wait=0):
        pass


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (plan.lines("/no/such/file", present=[{"line": "x"}]), "does not exist"),
        (plan.file("/etc", "x"), "not a regular file"),
        (plan.file("/tmp/x", "x", owner="nobody-of-that-name"), "there is no user"),
    ],
)
def test_a_row_that_cannot_be_followed_names_its_check(row, told):
    with pytest.raises(engine.ChangeError, match=f"kvm-x: .*{told}"):
        engine.compare([{**row, "checks": ["kvm-x"]}])


def test_a_setting_that_two_checks_ask_for_is_reported_once_with_both(tmp_path):
    row = {**_file(tmp_path / "file", "x\n"), "checks": ["a", "b"]}
    hand = {**plan.by_hand("Ask the site."), "checks": ["a", "b"]}
    _world, updated, _then, by_hand = engine.compare([row, hand])
    assert [entry["checks"] for entry in updated.values()] == [["a", "b"]]
    assert by_hand == [{"checks": ["a", "b"], "what": "Ask the site."}]
    with pytest.raises(engine.ChangeError, match=r"^a, b: there is no group"):
        engine.compare([{**plan.members("no-such-group", add=["root"]), "checks": ["a", "b"]}])
