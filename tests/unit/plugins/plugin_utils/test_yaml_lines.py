# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import yaml_lines
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.yaml_lines import (
    DataError,
    LineMap,
    load,
    load_text,
    nearest,
)

MEASURE = """\
# a comment
id: "11.4.6"
checks:
  - id: kvm-11.4.6-root-login
    expect: {equals: {gold: gold_ssh_permit_root}}
  -
    id: kvm-11.4.6-x11
    exepct:
      equals: "no"
"""


def refused(text: str, name: str = "measures/x.yml") -> DataError:
    with pytest.raises(DataError) as caught:
        load_text(text, name)
    return caught.value


def test_loads_what_is_written(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text(MEASURE, encoding="utf-8")
    assert load(path)["checks"][0]["expect"] == {"equals": {"gold": "gold_ssh_permit_root"}}
    assert load_text("on: 2026-11-23", "x.yml") == {True: datetime.date(2026, 11, 23)}
    assert load_text("", "x.yml") is None
    assert load_text("\ufeffa: 1".encode().decode("utf-8-sig"), "x.yml") == {"a": 1}


@pytest.mark.parametrize(
    "path, line",
    [
        ((), 2),
        (("id",), 2),
        (("checks",), 3),
        (("checks", 0), 4),
        (("checks", 0, "expect", "equals", "gold"), 5),
        (("checks", 1, "id"), 7),
        (("checks", 1, "exepct"), 8),
        (("checks", 1, "exepct", "equals"), 9),
        (("checks", 1, "absent", "deeper"), 7),
        (("checks", 9), 3),
        (("absent",), 2),
    ],
)
def test_line_of_a_path(path, line):
    assert LineMap("x.yml", MEASURE).line(path) == line


def test_line_map_reads_the_file_only_when_asked(tmp_path):
    lines = LineMap(tmp_path / "late.yml")
    (tmp_path / "late.yml").write_text("a: 1\nb: 2\n", encoding="utf-8")
    assert lines.line(("b",)) == 2
    assert LineMap(tmp_path / "never.yml").line(("b",)) == 1


def test_json_with_tabs_has_lines_too(tmp_path):
    path = tmp_path / "register.json"
    path.write_text('{\n\t"exceptions": [\n\t\t{"id":\t"a"},\n\t\t{"id": "b"}\n\t]\n}\n', encoding="utf-8")
    assert load(path) == {"exceptions": [{"id": "a"}, {"id": "b"}]}
    assert LineMap(path).line(("exceptions", 1, "id")) == 4


def test_a_key_written_twice_is_refused():
    error = refused("a: 1\nb: {c: 1, d: 2, c: 3}\n")
    assert str(error) == 'measures/x.yml:2: key "c" appears twice'
    assert refused("a: 1\n\na: 1\n").line == 3
    assert refused('{"a": 1,\n"a": 2}', "r.json").line == 2


def test_merge_keys_are_not_duplicates():
    text = "base: &base {a: 1, b: 2}\nuse:\n  <<: *base\n  b: 3\n"
    assert load_text(text, "x.yml")["use"] == {"a": 1, "b": 3}
    assert refused(text + "  b: 4\n").line == 5


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "expected"),
        ("a: 1\n\tb: 2\n", 2, ""),
        ("a: 1\nwhen: 2027-02-30\n", 2, 'found "2027-02-30"'),
        ("a:\n  - b: !vault secret\n", 2, "could not determine a constructor"),
        ("a: 1\n---\nb: 2\n", 2, "but found another document"),
        ("a: 1\nb: \x07\n", 2, "does not allow"),
        ("a: 1\n? [b]\n: 2\n", 2, "unhashable key"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("a:\n  " + "[" * 100_000, 2, "nested more than"),
        ("- " * 100_000, 1, "nested more than"),
    ],
)
def test_a_bad_text_is_refused_with_its_line(text, line, words):
    error = refused(text)
    assert error.line == line
    assert words in str(error)


def test_brackets_inside_strings_are_not_nesting():
    assert load_text('a: "' + "[" * 500 + '"\n', "x.yml") == {"a": "[" * 500}


@pytest.mark.parametrize("text", ["[" * 5000, '{"a": NaN}', '{"a": ', "{}}", "[1, 2"])
def test_a_bad_json_text_is_refused(text):
    assert refused(text, "r.json").file == "r.json"


def test_a_file_that_cannot_be_used(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"absent\.yml: cannot be read: No such file"):
        load(tmp_path / "absent.yml")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        load(tmp_path)
    (tmp_path / "latin.yml").write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(DataError, match=r"r\.yml:2: is not UTF-8 text"):
        load(tmp_path / "latin.yml", "r.yml")
    monkeypatch.setattr(yaml_lines, "MAX_BYTES", 3)
    with pytest.raises(DataError, match="is larger than"):
        load(tmp_path / "latin.yml")


def test_message_of_a_complaint():
    error = DataError(
        'unknown key "exepct" in check kvm-11.4.6-root-login',
        file="measures/11.4.6.yml",
        line=23,
        key="exepct",
        nearest=nearest("exepct", ["expect", "each", "where"]),
    )
    assert str(error) == (
        'measures/11.4.6.yml:23: unknown key "exepct" in check kvm-11.4.6-root-login; did you mean "expect"?'
    )
    assert (
        str(DataError("tier is wrong", file="f", found=3, expected="1 or 2"))
        == "f: tier is wrong; found 3; expected 1 or 2"
    )
    assert len(str(DataError("x", file="f", found="y" * 10_000))) < 200
    assert nearest("zzz", ["expect"]) is None


def test_a_measure_file_loads_in_about_a_millisecond(tmp_path):
    """36 of them are read at the start of every audit (budget 60 ms); the bound is loose for busy machines."""
    import time

    text = MEASURE + "".join(f"  - id: kvm-check-{n}\n    expect: {{equals: {{gold: gold_{n}}}}}\n" for n in range(10))
    started = time.process_time()
    for _round in range(20):
        load_text(text, "x.yml")
    assert (time.process_time() - started) / 20 < 0.02
