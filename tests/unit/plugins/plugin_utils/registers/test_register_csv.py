# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registers as CSV: what is written can be read again, and what cannot be read is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers import register_csv, registers
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.register_fields import (
    ATTESTATION_FIELDS,
    EXCEPTION_FIELDS,
)
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.registers.registers import RegisterError

EXAMPLES = Path(__file__).parents[5] / "examples" / "registers"
RECORD = {
    "id": "EX-1", "checks": ["kvm-11.4.6-ssh-root"], "subjects": ["kvm1", "kvm2"], "risk_ref": "RR-1",
    "justification": "j", "residual_risk": "r", "compensating_controls": ["one; and more", "two, as well"],
    "requested_by": "a", "approved_by": "b", "approved_by_role": "o", "approved_on": "2026-11-20",
    "expires_on": "2027-03-31",
}  # fmt: skip


def stored(tmp_path, data):
    path = tmp_path / "risks.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


def refused(tmp_path, data):
    with pytest.raises(RegisterError) as caught:
        registers.load_exceptions(stored(tmp_path, data))
    return caught.value


@pytest.mark.parametrize(
    ("kind", "fields"), [("exceptions", EXCEPTION_FIELDS), ("attestations", ATTESTATION_FIELDS)], ids=["ex", "at"]
)
def test_the_examples_survive_a_round_trip(tmp_path, kind, fields):
    load = getattr(registers, f"load_{kind}")
    records = load(str(EXAMPLES / f"{kind}.yml"))
    (tmp_path / "access-review-2026-11.txt").write_bytes((EXAMPLES / "access-review-2026-11.txt").read_bytes())
    assert load(stored(tmp_path, register_csv.render(records, fields))) == records


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).map(str.strip).filter(bool)


@given(
    st.fixed_dictionaries(
        {"justification": TEXTS | st.sampled_from(["=1+1", "'=1+1", "@x", "-1", "''+2"]), "risk_ref": TEXTS},
        optional={
            "accepted_value": st.none() | st.booleans() | st.integers() | TEXTS | st.lists(TEXTS, max_size=2)
            | st.sampled_from(["no", "22", "null", "NaN", "=x", '"q"']),
        },
    )
)  # fmt: skip
def test_any_value_survives_a_round_trip(changes):
    record = {key: value for key, value in {**RECORD, **changes}.items() if value is not None}
    text = register_csv.render([record], EXCEPTION_FIELDS).decode("utf-8-sig")
    (found,), _lines = register_csv.parse(text, "x.csv", EXCEPTION_FIELDS)
    assert found == record


def test_a_spreadsheet_runs_nothing():
    changes = {"justification": "=HYPERLINK(1)", "requested_by": "@SUM(1)", "compensating_controls": ["+1", "-2"]}
    record = {**RECORD, **changes}
    rows = register_csv.render([record], EXCEPTION_FIELDS).decode("utf-8-sig")
    assert "'=HYPERLINK(1)" in rows
    assert "'@SUM(1)" in rows
    assert "\"'+1" in rows


def test_headings_as_people_write_them(tmp_path):
    text = (
        "Id,Measure,Subjects,Risk ref,Justification,Residual risk,Compensating-controls,Requested by,Approved by,"
        "Approved by role,Approved on,Expires on\r\n"
        'EX-1,11.4.6,"kvm1; kvm2",RR-1,j,r,none,a,b,o,2026-11-20,2027-03-31\r\n\r\n'
    )
    (record,) = registers.load_exceptions(stored(tmp_path, text))
    assert record["subjects"] == ["kvm1", "kvm2"]
    assert record["compensating_controls"] == ["none"]


HEAD = ",".join(RECORD) + "\n"
ROW = 'EX-1,kvm-11.4.6-ssh-root,kvm1,RR-1,"j\nj",r,none,a,b,o,2026-11-20,2027-03-31\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("id,chekcs\n", 1, 'unknown column "chekcs"; expected columns named as the keys of the register; did you mean'),
        ("id,id\n", 1, 'column "id" appears twice'),
        (HEAD + ROW + ROW.replace("EX-1", "EX-2").replace("2027-03-31", "31/03/2027"), 4, 'found "31/03/2027"'),
        (HEAD + "\n" + ROW + ROW, 5, "the id EX-1 is already used"),
        (HEAD + ROW.rstrip() + ",x\n", 2, "has more cells than columns; found 13"),
        (HEAD + 'EX-1,"x"y\n', 2, "is not CSV"),
        (HEAD.encode() + b"\xff\n", 2, "is not UTF-8"),
        (HEAD + ROW.replace("b,o", ",o"), 2, 'lacks "approved_by"'),
    ],
)
def test_a_fault_is_named_by_its_line(tmp_path, text, line, words):
    error = refused(tmp_path, text)
    assert words in str(error)
    assert (error.file, error.line) == (str(tmp_path / "risks.csv"), line)
