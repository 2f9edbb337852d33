# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers import registers
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.registers import (
    RegisterError,
    twelve_months_after,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard.loader import load_standard

ROOT = Path(__file__).parents[5]
EXCEPTION = """\
# agreed in the risk board of 20 November
- id: EX-2026-014
  checks: [kvm-11.4.6-ssh-root]
  subjects: [kvm1, kvm-dr-*]
  approved_subjects: [kvm1, kvm-dr-1]
  risk_ref: RR-0123
  justification: The backup appliance logs in as root until it is replaced in March.
  residual_risk: A stolen key of the appliance opens the host.
  compensating_controls:
    - Source address limited to the backup network
  requested_by: Ada Operator
  approved_by: Bo Owner <bo.owner@example.org>
  approved_by_role: Senior risk owner
  approved_on: 2026-11-20
  expires_on: 2027-03-31
"""
ATTESTATION = """\
- id: AT-2026-003
  measure: "11.4.6"
  subjects: ["*.prod.example.org"]
  statement: The list of administrators was reviewed.
  evidence_ref: DOC-77
  signed_by: Bo Owner
  accepted_by: Cy Auditor
  signed_on: 2026-11-01
"""


@pytest.fixture(scope="module")
def standard():
    return load_standard()


def load(tmp_path, text, kind="exceptions", standard=None, name="register.yml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return getattr(registers, f"load_{kind}")(str(path), standard)


def refused(tmp_path, text, kind="exceptions", standard=None, name="register.yml"):
    with pytest.raises(RegisterError) as caught:
        load(tmp_path, text, kind, standard, name)
    return caught.value


def with_line(base, key, line):
    """base with the line of one key replaced (or added at the end), and the number of that line."""
    lines = base.splitlines()
    for number, text in enumerate(lines):
        if text.lstrip(" -").startswith(f"{key}:"):
            lines[number] = text[: len(text) - len(text.lstrip(" -"))] + line
            return "\n".join(lines) + "\n", number + 1
    return base + f"  {line}\n", len(lines) + 1


def test_an_exception_is_read_and_normalised(tmp_path, standard):
    text = EXCEPTION + "  vms: [0A81F5B2-8403-7B23-C8D6-21CCC2F80D6F]\n  review_on: '2027-01-15'\n"
    assert load(tmp_path, text, standard=standard) == [
        {
            "id": "EX-2026-014",
            "checks": ["kvm-11.4.6-ssh-root"],
            "subjects": ["kvm1", "kvm-dr-*"],
            "approved_subjects": ["kvm1", "kvm-dr-1"],
            "vms": ["0a81f5b2-8403-7b23-c8d6-21ccc2f80d6f"],
            "risk_ref": "RR-0123",
            "justification": "The backup appliance logs in as root until it is replaced in March.",
            "residual_risk": "A stolen key of the appliance opens the host.",
            "compensating_controls": ["Source address limited to the backup network"],
            "requested_by": "Ada Operator",
            "approved_by": "Bo Owner <bo.owner@example.org>",
            "approved_by_role": "Senior risk owner",
            "approved_on": "2026-11-20",
            "expires_on": "2027-03-31",
            "review_on": "2027-01-15",
        }
    ]


def test_an_attestation_is_read_and_normalised(tmp_path, standard):
    text = ATTESTATION + f"  evidence_sha256: {'AB' * 32}\n  expires_on: 2027-05-01\n"
    (record,) = load(tmp_path, text, "attestations", standard)
    assert record["signed_on"] == "2026-11-01"
    assert record["expires_on"] == "2027-05-01"
    assert record["evidence_sha256"] == "ab" * 32


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "[]\n", "---\n"])
def test_an_empty_register_is_a_register(tmp_path, text):
    assert load(tmp_path, text) == []
    assert load(tmp_path, text, "attestations") == []


@pytest.mark.parametrize("kind", ["exceptions", "attestations"])
def test_json_is_accepted_and_what_was_read_can_be_read_again(tmp_path, standard, kind):
    records = load(tmp_path, EXCEPTION if kind == "exceptions" else ATTESTATION, kind, standard)
    assert load(tmp_path, json.dumps(records), kind, standard, "register.json") == records
    assert load(tmp_path, json.dumps(records, indent=2), kind, standard) == records
    assert getattr(registers, f"check_{kind}")(records, "memory", standard) == records


@pytest.mark.parametrize("kind", ["exceptions", "attestations"])
def test_the_examples_are_valid(kind, standard):
    path = ROOT / "examples" / "registers" / f"{kind}.yml"
    assert getattr(registers, f"load_{kind}")(str(path), standard)


@pytest.mark.parametrize(
    "key, line, words",
    [
        ("id", "id: 14", '"id" of exception is wrong; found 14; expected text (put it in quotes)'),
        ("id", 'id: "EX 14"', "beginning with a letter or digit"),
        ("checks", "checks: kvm-11.4.6-ssh-root", "expected a list with at least one entry"),
        ("checks", "checks: []", "expected a list with at least one entry"),
        ("checks", "checks: [kvm-11.4.6-ssh-rot]", 'found "kvm-11.4.6-ssh-rot"; did you mean "kvm-11.4.6-ssh-root"?'),
        ("checks", 'measure: "11.4.99"', 'does not have; found "11.4.99"'),
        ("checks", "measure: 11.4", "found 11.4; expected text (put it in quotes)"),
        ("subjects", "subjects: kvm1", "expected a list with at least one entry"),
        ("subjects", 'subjects: ["*"]', "that say which ones are meant"),
        ("subjects", 'subjects: [kvm1, "**?"]', "that say which ones are meant"),
        ("subjects", "subjects: [kvm1, ~]", "found null; expected text"),
        ("subject", "subject: [kvm1]", 'unknown key "subject" in exception EX-2026-014; did you mean "subjects"?'),
        ("approved_subjects", "approved_subjects: [kvm*]", 'found "kvm*"; expected names or ids without * and ?'),
        ("groups", "groups: ['*']", "that say which ones are meant"),
        ("platforms", "platforms: [kvn]", 'found "kvn"; expected some of kvm, vsphere, hyperv; did you mean "kvm"?'),
        ("items", "items: [alice, 'svc-*']", 'lacks "approved_items"; found "svc-*"'),
        ("residual_risk", "residual_risk: 3", "found 3; expected text"),
        ("approved_by_role", "approved_by_role: ''", "expected text of 1 to 4000"),
        ("vms", "vms: [db01]", 'found "db01"; expected the UUIDs of VMs'),
        ("accepted_value", "accepted_value:", 'found null; expected the value that was accepted'),
        ("risk_ref", "risk_ref: ''", 'found ""; expected text of 1 to 4000 characters'),
        ("risk_ref", 'risk_ref: "a\\tb"', "one line of at most 200 characters"),
        ("justification", "justification: '  '", "expected text of 1 to 4000 characters"),
        ("approved_by", "approved_by: ada  operator", "approved by the person who requested it"),
        ("requested_by", "requested_by: B. O. <Bo.Owner@example.org>", "approved by the person who requested it"),
        ("approved_on", "approved_on: 20/11/2026", 'found "20/11/2026"; expected a date as YYYY-MM-DD, without a time'),
        ("approved_on", "approved_on: 2026-11-20T09:00:00Z", "expected a date as YYYY-MM-DD, without a time"),
        ("approved_on", "approved_on: 20261120", "found 20261120; expected a date as YYYY-MM-DD"),
        ("approved_on", "approved_on: true", "found true; expected a date"),
        ("expires_on", "expires_on: '2027-02-29'", 'found "2027-02-29"; expected a date that exists'),
        ("expires_on", "expires_on: 2027-02-29", 'found "2027-02-29"'),
        ("expires_on", "expires_on: never", 'found "never"; expected a date'),
        ("expires_on", "expires_on:", 'found null; expected a date'),
        ("expires_on", "expires_on: 9999-12-31", "expected a date from 2000 to 2199"),
        ("expires_on", "expires_on: 2026-11-19", "expires before it was approved"),
        ("expires_on", "expires_on: 2027-11-21", "more than 12 months from its approval on 2026-11-20"),
        ("review_on", "review_on: 2027-04-01", "expected a date from 2026-11-20 to 2027-03-31"),
        ("review_on", "review_on: 2026-11-19", "is reviewed outside its term"),
        ("expires", "expires: 2027-03-31", 'key "expires" in exception EX-2026-014; did you mean "expires_on"?'),
    ],
)  # fmt: skip
def test_a_bad_exception_is_refused_with_its_line(tmp_path, standard, key, line, words):
    text, number = with_line(EXCEPTION, key, line)
    error = refused(tmp_path, text, standard=standard)
    assert words in str(error)
    # Two rules look at two keys each; the message stands at the one that the reader will change.
    expected = {"requested_by": number + 1}.get(key, number)
    assert (error.file, error.line) == (str(tmp_path / "register.yml"), expected)


@pytest.mark.parametrize(
    "key, line, words",
    [
        ("signed_on", "signed_on: soon", "expected a date as YYYY-MM-DD"),
        ("expires_on", "expires_on: 2026-10-31", "expires before it was signed"),
        ("accepted_by", "accepted_by: bo owner", "accepted by the person who signed it; found"),
        ("accepted_by", "accepted_by: 7", "expected text (put it in quotes)"),
        ("evidence_url", "evidence_url: ftp://x", "expected an address that begins with https:// or http://"),
        ("evidence_file", "evidence_file: absent.pdf", "cannot be read: No such file or directory; found"),
        (
            "satisfied_by",
            "satisfied_by: SS-26",
            "expected one of SS-001, SS-002, SS-007, SS-012, SS-025, SS-033; did you",
        ),
        ("evidence_sha256", "evidence_sha256: abc", "expected a SHA-256 in 64 hexadecimal digits"),
        ("approved_by", "approved_by: x", 'unknown key "approved_by" in attestation AT-2026-003'),
        ("statement", "statement: [a]", "expected text"),
    ],
)
def test_a_bad_attestation_is_refused_with_its_line(tmp_path, standard, key, line, words):
    text, number = with_line(ATTESTATION, key, line)
    error = refused(tmp_path, text, "attestations", standard)
    assert words in str(error)
    assert error.line == number


@pytest.mark.parametrize(
    "key",
    "id risk_ref justification residual_risk requested_by approved_by approved_by_role approved_on expires_on".split(),
)
def test_every_required_key_is_asked_for(tmp_path, key):
    lines = [line for line in EXCEPTION.splitlines() if not line.strip().removeprefix("- ").startswith(f"{key}:")]
    text = "\n".join(lines) + "\n"
    text = text.replace("  checks:", "- checks:", 1) if key == "id" else text
    error = refused(tmp_path, text)
    assert f'lacks "{key}"' in str(error)
    assert error.line == 2


def test_a_pattern_or_a_group_needs_what_it_stood_for(tmp_path):
    text = EXCEPTION.replace("  approved_subjects: [kvm1, kvm-dr-1]\n", "")
    assert 'lacks "approved_subjects"; found "kvm-dr-*"; expected the names' in str(refused(tmp_path, text))
    for changed in (text.replace("subjects: [kvm1, kvm-dr-*]", "groups: [lab]"),):
        assert 'found "lab"; expected the names' in str(refused(tmp_path, changed))
    assert load(tmp_path, text.replace("kvm-dr-*", "kvm-dr-1"))
    assert 'found "nothing"; expected "subjects" or "groups"' in str(
        refused(tmp_path, text.replace("  subjects: [kvm1, kvm-dr-*]\n", ""))
    )


def test_an_attestation_names_its_evidence_and_who_accepted_it(tmp_path):
    error = refused(tmp_path, ATTESTATION.replace("  evidence_ref: DOC-77\n", ""), "attestations")
    assert "names no evidence" in str(error)
    error = refused(tmp_path, ATTESTATION.replace("  accepted_by: Cy Auditor\n", ""), "attestations")
    assert 'lacks "accepted_by"; expected another person' in str(error)


def test_an_evidence_file_is_hashed_and_may_not_be_exchanged(tmp_path):
    (tmp_path / "proof.txt").write_text("signed")
    text = ATTESTATION + "  evidence_file: proof.txt\n"
    (record,) = load(tmp_path, text, "attestations")
    assert record["evidence_sha256"] == hashlib.sha256(b"signed").hexdigest()
    bound = text + f"  evidence_sha256: {record['evidence_sha256']}\n"
    assert load(tmp_path, bound, "attestations") == [record]
    (tmp_path / "proof.txt").write_text("exchanged")
    error = refused(tmp_path, bound, "attestations")
    assert "is not the file that was signed" in str(error)
    assert error.line == 10


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.dates() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMORY = {
    "id": "EX-1", "measure": "11.4.6", "subjects": ["kvm1"], "risk_ref": "RR-1", "justification": "j",
    "residual_risk": "r",
    "compensating_controls": ["none"], "requested_by": "a", "approved_by": "b", "approved_by_role": "owner",
    "approved_on": "2026-11-20", "expires_on": dt.date(2027, 11, 20),
}  # fmt: skip

SCHEMAS = {
    kind: jsonschema.Draft202012Validator(
        json.loads((ROOT / f"plugins/plugin_utils/schemas/{kind}.json").read_text(encoding="utf-8")),
        format_checker=jsonschema.FormatChecker(),
    )
    for kind in ("exceptions", "attestations")
}
# What a record is and JSON Schema cannot say: people, dates in order, ids, files. The loader alone refuses these.
LOADER_ONLY = (
    "approved by the person", "accepted by the person", "expires before", "more than 12 months", "outside its term",
    "already used",
    "a date from 2000", "without a time", "that exists", "cannot be read", "one line of",
    "does not exist", "does not have",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["exceptions", "attestations"])
def test_the_published_schema_accepts_the_examples(kind):
    records = getattr(registers, f"load_{kind}")(str(ROOT / "examples" / "registers" / f"{kind}.yml"))
    SCHEMAS[kind].validate(records)


@given(st.sampled_from(sorted(registers.EXCEPTION_FIELDS)), st.data())
def test_the_schema_and_the_loader_agree(key, data):
    value = data.draw(JUNK | st.sampled_from([["kvm1"], ["kvm*"], "11.4.6", "2026-12-01", ["none"], "x", ["kvm"]]))
    record = json.loads(json.dumps({**MEMORY, "expires_on": "2027-11-20", key: value}, default=str))
    try:
        registers.check_exceptions([record], "x", load_standard())
    except RegisterError as error:
        if not any(words in str(error) for words in LOADER_ONLY):
            assert not SCHEMAS["exceptions"].is_valid([record]), str(error)
    else:
        SCHEMAS["exceptions"].validate([record])


def test_exactly_one_scope(tmp_path):
    assert 'found "both"' in str(refused(tmp_path, EXCEPTION + '  measure: "11.4.6"\n'))
    text = "\n".join(line for line in EXCEPTION.splitlines() if "checks" not in line)
    assert 'found "neither"; expected either "checks" or "measure"' in str(refused(tmp_path, text))


def test_one_accepted_value_is_for_one_check(tmp_path):
    assert load(tmp_path, EXCEPTION + "  accepted_value: without-password\n")[0]["accepted_value"] == "without-password"
    text, _number = with_line(EXCEPTION, "checks", 'measure: "11.4.6"')
    error = refused(tmp_path, text + "  accepted_value: 3\n")
    assert "accepts one value for several checks" in str(error)
    assert error.line == 16


def test_an_id_is_used_once(tmp_path):
    error = refused(tmp_path, EXCEPTION + EXCEPTION)
    assert error.line == 17
    assert "the id EX-2026-014 is already used by record 1" in str(error)


@pytest.mark.parametrize(
    "text, words",
    [
        ("exceptions:\n  - id: a\n", 'is a list of records; found ["exceptions"]; expected "- id: '),
        ("just text\n", "is a list of records"),
        ("- just text\n", 'an exception is a mapping; found "just text"'),
        ("- id: a\n  id: b\n", 'key "id" appears twice'),
        ("- id: [\n", "expected"),
        ("- on: 2026-11-20\n", 'unknown key "True"'),
        ("- !vault x\n", "could not determine a constructor"),
    ],
)
def test_what_is_no_register_is_refused(tmp_path, text, words):
    assert words in str(refused(tmp_path, text))


def test_a_missing_register_is_refused(tmp_path):
    with pytest.raises(RegisterError, match="cannot be read: No such file"):
        registers.load_exceptions(str(tmp_path / "absent.yml"))


def test_records_in_memory_are_named_by_number():
    with pytest.raises(RegisterError, match=r"^exceptions: record 2: an exception is a mapping; found 7"):
        (first,) = registers.check_exceptions([{**MEMORY}], "exceptions")
        registers.check_exceptions([first, 7], "exceptions")


@given(st.dates(dt.date(2000, 1, 1), dt.date(2198, 12, 31)))
def test_twelve_months_is_the_same_day_or_the_end_of_february(day):
    latest = twelve_months_after(day)
    assert latest.year == day.year + 1
    assert (latest.month, latest.day) == ((2, 28) if (day.month, day.day) == (2, 29) else (day.month, day.day))


@given(st.dates(dt.date(2000, 1, 1), dt.date(2197, 12, 31)), st.integers(-30, 800))
def test_an_exception_lives_from_its_approval_to_twelve_months_later(approved, days):
    expires = approved + dt.timedelta(days=days)
    record = {**MEMORY, "approved_on": approved, "expires_on": expires.isoformat()}
    if approved <= expires <= twelve_months_after(approved):
        assert registers.check_exceptions([record], "x")[0]["expires_on"] == expires.isoformat()
    elif expires.year >= 2000:
        with pytest.raises(RegisterError) as caught:
            registers.check_exceptions([record], "x")
        assert caught.value.key == "expires_on"


@given(st.sampled_from(sorted(registers.EXCEPTION_FIELDS)), JUNK)
def test_junk_in_any_field_is_accepted_or_refused_but_never_crashes(key, junk):
    try:
        (record,) = registers.check_exceptions([{**MEMORY, key: junk}], "x")
    except RegisterError as error:
        assert str(error).startswith("x: record 1")
    else:
        json.dumps(record, default=str)


@given(JUNK)
def test_junk_as_a_register_never_crashes(junk):
    try:
        registers.check_attestations(junk, "x")
    except RegisterError as error:
        assert str(error).startswith("x: ")
