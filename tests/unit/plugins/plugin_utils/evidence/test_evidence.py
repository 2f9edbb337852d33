# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime as dt
import json
import os
import stat
import string
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.evidence import EvidenceError, slug, subject_id
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard

HARDWARE = "4c4c4544-0042-3510-8056-b4c04f4e4d32"
COLLECTED = dt.datetime(2026, 11, 23, 17, 0, tzinfo=dt.timezone.utc)
SUBJECT = {
    "id": f"kvm1/{HARDWARE}",
    "name": "kvm1",
    "slug": slug(f"kvm1/{HARDWARE}"),
    "platform": "kvm",
    "kind": "host",
    "endpoint": "kvm1",
    "product": "Debian GNU/Linux 12",
    "tags": {"owner": "platform team"},
}
HOSTILE_NAMES = ["../../etc/passwd", "..", ".", "", "a/b", "a\\b", "con", "a\nb", "\x00", "<script>", "=cmd()", "😀"]
HOSTILE_NAMES += ["\ud800", "-rf", "a" * 5000, "KVM1", "kvm1"]


def document(facts=None):
    return evidence.build(
        SUBJECT,
        {"host": {"name": "kvm1", "platform": "kvm"}} if facts is None else facts,
        collected_at=COLLECTED,
        collection="1.0.0",
        gold=gold.defaults(),
        gold_sources={},
    )


def stored(tmp_path, content):
    path = tmp_path / "kvm1.json"
    path.write_bytes(content if isinstance(content, bytes) else evidence.encode(content))
    return path


@pytest.mark.parametrize(
    "given_uuid, expected",
    [
        (HARDWARE.upper(), f"kvm1/{HARDWARE}"),
        (HARDWARE, f"kvm1/{HARDWARE}"),
        (None, "kvm1"),
        ("", "kvm1"),
        ("Not Settable", "kvm1"),
        ("../../x", "kvm1"),
        ("00000000-0000-0000-0000-000000000000", "kvm1"),
        ("03000200-0400-0500-0006-000700080009", "kvm1"),
        ({"a": 1}, "kvm1"),
    ],
)
def test_id_of_a_subject(given_uuid, expected):
    assert subject_id("kvm1", given_uuid) == expected


def test_slug_is_readable_and_decided_by_the_id_alone():
    assert slug(f"kvm1/{HARDWARE}").startswith("kvm1-")
    assert len(slug(f"kvm1/{HARDWARE}")) == len("kvm1-") + 8
    assert slug(f"kvm1/{HARDWARE}") == slug(f"kvm1/{HARDWARE}")
    assert slug("kvm1") != slug(f"kvm1/{HARDWARE}")
    assert slug("KVM1").lower() != slug("kvm1").lower()
    assert slug("esxi-03.example.org").startswith("esxi-03.example.org-")


@given(st.text(max_size=200) | st.sampled_from(HOSTILE_NAMES))
def test_any_id_gives_a_safe_file_name(name):
    found = slug(name)
    assert 9 <= len(found) <= 80
    assert set(found) <= set(string.ascii_letters + string.digits + "._-")
    assert not found.startswith((".", "-"))
    assert evidence._SLUG.fullmatch(found)
    assert ".." not in found


@given(st.lists(st.text(max_size=40), unique=True, min_size=2, max_size=50))
def test_different_ids_get_different_names_whatever_the_case(names):
    assert len({slug(name).lower() for name in names}) == len(names)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_private_and_so_are_new_directories(tmp_path):
    old = os.umask(0)
    try:
        evidence.write_private(tmp_path / "report" / "run" / "evidence" / "a.json", b"one")
    finally:
        os.umask(old)
    assert mode(tmp_path / "report" / "run" / "evidence" / "a.json") == 0o600
    for directory in ("report", "report/run", "report/run/evidence"):
        assert mode(tmp_path / directory) == 0o700


def test_a_write_replaces_a_link_and_leaves_its_target_alone(tmp_path):
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "a.json").symlink_to(tmp_path / "target")
    evidence.write_private(tmp_path / "a.json", b"new")
    assert (tmp_path / "target").read_bytes() == b"precious"
    assert (tmp_path / "a.json").read_bytes() == b"new"
    assert not (tmp_path / "a.json").is_symlink()


def test_a_write_that_fails_leaves_the_old_content_and_no_draft(tmp_path, monkeypatch):
    evidence.write_private(tmp_path / "a.json", b"old")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(evidence.Path, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device: .*a\.json"):
        evidence.write_private(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_is_built_is_what_is_read(tmp_path):
    facts = {"host": {"name": "kvm1"}, "vms": [{"name": "\ud83d <b>é\n", "password": "S3cr3t-Planted"}]}
    path = stored(tmp_path, document(facts))
    assert path.read_bytes().isascii()
    assert b"S3cr3t-Planted" not in path.read_bytes()
    found = evidence.read(path)
    assert found["schema"] == "dwp.hypervisor.evidence/1"
    assert found["collected_at"] == "2026-11-23T17:00:00Z"
    assert found["facts"]["vms"] == [{"name": "\ud83d <b>é\n", "password": None}]
    assert found["facts"]["collector"]["redacted"] == ["vms[0].password"]
    assert found["gold"] == gold.defaults()


def test_local_times_are_stored_as_utc():
    moment = dt.datetime(2026, 7, 1, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    built = evidence.build(SUBJECT, {}, collected_at=moment, collection="1.0.0", gold={}, gold_sources={})
    assert built["collected_at"] == "2026-07-01T00:30:00Z"


def test_numbers_that_json_does_not_have_become_null(tmp_path):
    found = evidence.read(stored(tmp_path, document({"a": [float("nan"), float("inf"), 1.5]})))
    assert found["facts"]["a"] == [None, None, 1.5]


def changed(**changes):
    base = document()
    base.update(changes)
    return json.dumps(base).encode()


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is not JSON"),
        (b"{", ":1: is not JSON"),
        (b'"\xe9"', "is not JSON text"),
        (b"[1]", "is not evidence; found \"list\"; expected a JSON object"),
        (b'{"a": NaN}', 'is not JSON; found "NaN"'),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON text"),
        (b"[" * 100_000, "is nested more than 60 levels deep"),
        (b"[" * 70 + b"]" * 70, "is nested more than 60 levels deep"),
        (b'{"schema": "dwp.hypervisor.evidence/2"}', "expected dwp.hypervisor.evidence/1"),
        (changed(fact={}), 'unknown key "fact"; did you mean "facts"?'),
        (changed(facts=[]), '"facts" is missing or wrong; found "list"; expected dict'),
        (changed(gold=None), '"gold" is missing or wrong; found "NoneType"'),
        (changed(collected_at="yesterday"), 'found "yesterday"; expected a date and time'),
        (changed(collected_at="2026-11-23T17:00:00"), "with its zone"),
        (changed(subject={}), '"subject.id" is missing or wrong'),
        (changed(subject={**SUBJECT, "slug": "../../x"}), '"subject.slug" is no file name; found "../../x"'),
        (changed(subject={**SUBJECT, "slug": ".x"}), '"subject.slug" is no file name'),
        (changed(subject={**SUBJECT, "platform": "kwm"}), 'expected one of kvm, vsphere, hyperv; did you mean "kvm"?'),
    ],
)  # fmt: skip
def test_bad_evidence_is_refused(tmp_path, content, words):
    path = stored(tmp_path, content)
    with pytest.raises(EvidenceError) as caught:
        evidence.read(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_evidence_that_is_missing_or_too_large_is_refused(tmp_path, monkeypatch):
    with pytest.raises(EvidenceError, match=r"absent\.json: cannot be read: No such file"):
        evidence.read(tmp_path / "absent.json")
    monkeypatch.setattr(evidence, "MAX_BYTES", 10)
    with pytest.raises(EvidenceError, match="is larger than"):
        evidence.read(stored(tmp_path, document()))


def test_facts_of_the_greatest_allowed_depth_can_be_read(tmp_path):
    deep: dict = {}
    for _level in range(70):
        deep = {"a": deep}
    assert evidence.read(stored(tmp_path, document(deep)))["facts"]["collector"]["redacted"]


def test_reassessment_gives_the_verdicts_of_the_day(tmp_path, root_may_log_in):
    exception = {
        "id": "EX-1", "measure": "11.4.6", "subjects": ["kvm1"], "risk_ref": "RR-1", "justification": "j",
        "compensating_controls": ["c"], "requested_by": "a", "approved_by": "b", "approved_by_role": "o",
        "residual_risk": "r",
        "approved_on": "2026-11-01", "expires_on": "2026-11-23",
    }  # fmt: skip
    standard = load_standard()
    path = stored(tmp_path, document(root_may_log_in))

    def root_login(**registers):
        results = evidence.reassess(path, standard, **registers)["results"]
        return next(result for result in results if result["check"] == "kvm-11.4.6-ssh-root")

    assert root_login()["status"] == "fail"
    assert root_login(exceptions=[exception])["status"] == "excepted"
    assert root_login(exceptions=[{**exception, "expires_on": "2026-11-22"}])["status"] == "fail"
    assert root_login(exceptions=[{**exception, "approved_on": "2026-11-24"}])["status"] == "fail"
    assert evidence.reassess(path, standard)["subject"]["collected_at"] == "2026-11-23T17:00:00Z"


def test_reassessment_judges_by_the_gold_that_was_in_force(tmp_path):
    built = document()
    built["gold"].pop("gold_section_11_3")
    built["gold"]["gold_of_another_age"] = True
    built["gold"]["gold_attestation_max_age_days"] = 30
    found = evidence.reassess(stored(tmp_path, built), load_standard())
    assert [entry["name"] for entry in found["gold"]["non_default"]] == ["gold_attestation_max_age_days"]


def test_a_stored_gold_value_of_the_wrong_type_is_refused(tmp_path):
    built = document()
    built["gold"]["gold_attestation_max_age_days"] = "30"
    with pytest.raises(EvidenceError, match=r'kvm1\.json: "gold" is wrong: gold_attestation_max_age_days'):
        evidence.reassess(stored(tmp_path, built), load_standard())


def test_a_reader_never_sees_half_a_file(tmp_path):
    """Two writers and a reader at once; every read is one of the two whole contents."""
    path = tmp_path / "a.json"
    program = (
        "import sys\n"
        "from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.evidence import write_private\n"
        f"[write_private({str(path)!r}, sys.argv[1].encode() * 100_000) for _ in range(60)]"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    evidence.write_private(path, b"a" * 100_000)
    writers = [subprocess.Popen([sys.executable, "-c", program, letter], env=environment) for letter in "ab"]
    try:
        while any(writer.poll() is None for writer in writers):
            data = path.read_bytes()
            assert data in (b"a" * 100_000, b"b" * 100_000)
    finally:
        codes = [writer.wait(timeout=60) for writer in writers]
    assert codes == [0, 0]


def test_sha256():
    assert evidence.sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
