# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of a run: what is read, what is written, and with which rights."""

from __future__ import annotations

import json
import os
import stat

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory as rd
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.runs import archive
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder

STANDARD = builder.a_standard(1)


@pytest.fixture
def directory(tmp_path):
    return rd.prepare(tmp_path / "reports", "run-1")


def store(directory, document, name=None):
    path, data = rd.subject_file(document)
    rd.write(directory, {name or path: data})


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def test_directories_are_0700_and_files_0600_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        directory = rd.prepare(tmp_path / "a" / "b", "run-1")
        store(directory, builder.a_document(STANDARD))
        archive.seal(directory, None)
    finally:
        os.umask(before)
    found = [*(tmp_path / "a").rglob("*"), tmp_path / "a"]
    assert {mode(path) for path in found if path.is_dir()} == {0o700}
    assert {mode(path) for path in found if path.is_file()} == {0o600}
    assert len([path for path in found if path.is_file()]) == 4, "no draft is left"


def test_a_link_or_a_file_is_no_run_directory(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("")
    for name in ("linked", "file"):
        with pytest.raises(rd.RunDirectoryError, match="is not a directory"):
            rd.prepare(tmp_path, name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of somebody else")
def test_somebody_elses_run_directory_is_refused(tmp_path):
    (tmp_path / "run-1").mkdir()
    os.chown(tmp_path / "run-1", 65534, 65534)
    with pytest.raises(rd.RunDirectoryError, match="belongs to user id 65534"):
        rd.prepare(tmp_path, "run-1")


def test_documents_come_back_as_they_were_written(directory):
    documents = [builder.a_document(STANDARD, builder.a_subject(name)) for name in ("kvm1", "kvm2")]
    for document in documents:
        store(directory, document)
    assert rd.read_subjects(directory) == (documents, [])


BROKEN = {
    "truncated": (b'{"schema": "dwp.hypervisor.subject-res', "Unterminated"),
    "a list": (b"[]", "expected schema dwp.hypervisor.subject-results/1, found list"),
    "another schema": (b'{"schema": "dwp.hypervisor.evidence/1"}', "found dwp.hypervisor.evidence/1"),
    "not UTF-8": (b'"\xff"', "utf-8"),
    "too deep": (b"[" * 100_000, "recursion"),
    "half of it": (
        b'{"schema": "dwp.hypervisor.subject-results/1", "subject": {}}',
        "document lacks attestations, drift",
    ),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_hides_no_other(directory, data, message):
    good = builder.a_document(STANDARD)
    store(directory, good)
    rd.write(directory, {"subjects/broken.json": data})
    documents, [unreadable] = rd.read_subjects(directory)
    assert documents == [good]
    assert unreadable["file"] == "subjects/broken.json"
    assert message in unreadable["reason"]


@pytest.mark.parametrize("part", ["subject", "results", "measures"])
def test_a_document_that_lacks_what_a_reporter_needs_is_named(directory, part):
    document = builder.a_document(STANDARD)
    target = document[part] if part == "subject" else document[part][3]
    target.pop("verdict" if part == "subject" else "status")
    store(directory, document)
    documents, [unreadable] = rd.read_subjects(directory)
    assert documents == []
    assert f"{part if part == 'subject' else part + '[3]'} lacks" in unreadable["reason"]


def test_not_a_number_is_kept_as_text(directory):
    document = builder.a_document(STANDARD)
    document["results"][0]["actual"] = float("nan")
    rd.write(directory, {"subjects/kvm1.json": json.dumps(document).encode()})
    [read], unreadable = rd.read_subjects(directory)
    assert (read["results"][0]["actual"], unreadable) == ("NaN", [])


def test_a_file_of_an_earlier_run_with_the_same_id_is_no_result_of_this_one(directory):
    store(directory, builder.a_document(STANDARD))
    documents, [unreadable] = rd.read_subjects(directory, started="2026-11-23T18:00:00+00:00")
    assert documents == []
    assert "before this run began" in unreadable["reason"]
    assert len(rd.read_subjects(directory, started="2026-11-23T17:43:58Z")[0]) == 1


def test_latest_leads_to_the_newest_run(tmp_path):
    for run in ("run-1", "run-2"):
        rd.prepare(tmp_path, run)
        rd.point_latest(tmp_path, run)
    assert (tmp_path / "latest").readlink().name == "run-2"
    assert rd.latest_run(tmp_path) == "run-2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "run-1", "run-2"]


def test_latest_is_a_file_where_there_are_no_links(tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    rd.point_latest(tmp_path, "run-1")
    assert (tmp_path / "latest").read_text() == "run-1\n"
    assert rd.latest_run(tmp_path) == "run-1"


def test_a_directory_named_latest_is_reported_and_kept(tmp_path):
    (tmp_path / "latest" / "precious").mkdir(parents=True)
    with pytest.raises(rd.RunDirectoryError, match="in the way"):
        rd.point_latest(tmp_path, "run-1")
    assert (tmp_path / "latest" / "precious").is_dir()
    assert rd.latest_run(tmp_path) is None


def test_there_may_be_no_latest(tmp_path):
    assert rd.latest_run(tmp_path) is None
    assert rd.previous_run(tmp_path / "run-1") is None


def test_subjects_that_only_the_run_before_has_are_named(tmp_path):
    earlier, now = rd.prepare(tmp_path, "run-1"), rd.prepare(tmp_path, "run-2")
    for slug in ("kvm1-11111111", "kvm2-22222222", "kvm3-33333333"):
        rd.write(earlier, {f"subjects/{slug}.json": b"{}"})
    for slug in ("kvm1-11111111", "kvm2-aaaaaaaa"):
        rd.write(now, {f"subjects/{slug}.json": b"{}"})
    rd.point_latest(tmp_path, "run-1")
    assert rd.previous_run(now) == {"run": "run-1", "subjects": ["kvm3-33333333"]}
    rd.point_latest(tmp_path, "run-2")
    assert rd.previous_run(now) is None
