# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results that subjects share: every format has the same bytes as where each result stands alone."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit import run_report
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.repeated import Once, Repeated
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import formats
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.reporters import run_directory as rd
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.reporters import builder

STANDARD = builder.a_standard(3)


def expired(kind, subject, check):
    """A record that covered one check of one subject until it ran out."""
    return {
        "id": f"{kind}-1", "state": "expired", "checks": [check], "measure": None, "subjects": [subject],
        "expires_on": "2026-11-01", "risk_ref": "RISK-1", "days_left": -22,
    }  # fmt: skip


@pytest.fixture
def directory(tmp_path):
    """Five subjects, of which three are alike; one has hostile texts."""
    directory = rd.prepare(tmp_path / "reports", "run-1")
    documents = [builder.every_status(STANDARD, name) for name in ("kvm1", "kvm2", "kvm3")]
    documents += [builder.a_document(STANDARD, builder.a_subject(name)) for name in ("kvm4", "kvm5")]
    for result, text in zip(documents[3]["results"], builder.HOSTILE.values()):
        result.update(status="fail", measured="fail", actual=text, message=text, fix=text)
    rd.write(directory, dict(rd.subject_file(document) for document in documents))
    return directory


def run_of(documents):
    for number, document in enumerate(documents):
        for result in document["results"]:
            # The same day, and another one.
            result["failing_since"] = f"2026-11-2{number // 2}T00:00:00Z" if result["status"] == "fail" else None
    run = run_report.merge(documents, standard=STANDARD, run=builder.RUN)
    failing = next(result for result in run["results"] if result["status"] == "fail")
    manual = next(result for result in run["results"] if result["status"] == "manual")
    for kind, result in (("exceptions", failing), ("attestations", manual)):
        records = [expired(kind, result["subject"], result["check"])]
        run["registers"][kind] = {"records": records, "file": "f", "sha256": "0", "signature": {"banner": ""}}
    return run


def made(name, run):
    return {
        file: data if isinstance(data, bytes) else b"".join(data) for file, data in formats.files(name, run, STANDARD)
    }


@pytest.mark.parametrize("name", [name for name in formats.FORMATS if name != "html"])
def test_every_format_has_the_same_bytes(directory, name):
    documents, unreadable = rd.read_subjects(directory)
    assert not unreadable
    alone = copy.deepcopy(documents)
    for document in alone:
        document["results"] = [dict(result) for result in document["results"]]
    assert any(isinstance(result, Repeated) and result.common for result in documents[1]["results"])
    assert made(name, run_of(documents)) == made(name, run_of(alone))


def test_pages_have_the_same_bytes(directory):
    documents, _unreadable = rd.read_subjects(directory)
    alone = [{**document, "results": [dict(result) for result in document["results"]]} for document in documents]
    shared, single = (run_report.merge(found, standard=STANDARD, run=builder.RUN) for found in (documents, alone))
    assert made("html", shared) == made("html", single)


def test_what_is_shared_is_what_one_reading_of_the_file_gives(directory):
    documents, _unreadable = rd.read_subjects(directory)
    for document in documents:
        path = directory / "subjects" / f"{document['subject']['slug']}.json"
        alone = rd.read_subject(path)
        assert document == alone
        assert [list(result) for result in document["results"]] == [list(result) for result in alone["results"]]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"results":[\n{', b'"results":[\n {'),
        (b'{"subject":"kvm1/', b'{"subject":"kvm9/'),
        (b'"items_total":', b'"failing_since":null,"items_total":'),
    ],
)
def test_a_file_that_looks_otherwise_is_read_in_one_piece(directory, old, new):
    document = builder.every_status(STANDARD)
    path = directory / "subjects" / f"{document['subject']['slug']}.json"
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    documents, unreadable = rd.read_subjects(directory)
    assert not unreadable and documents[0] == rd.read_subject(path)
    assert not any(isinstance(result, Repeated) for result in documents[0]["results"])


def test_a_result_that_is_changed_is_shared_no_more():
    common = {"subject": None, "check": "kvm-1", "status": "pass"}
    one, other, third = (Repeated(common, name) for name in ("a", "b", "c"))
    seen = []
    once = Once(lambda result: seen.append(result["subject"]) or result["status"])
    one["status"] = "fail"
    third.update(status="manual")
    other["failing_since"] = None
    assert [once.of(result) for result in (one, other, third, Repeated(common, "d"))] == [
        "fail", "pass", "manual", "pass",
    ]  # fmt: skip
    assert seen == ["a", "b", "c"]
    assert common == {"subject": None, "check": "kvm-1", "status": "pass"}
