# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes of a host that are no text: the facts can always be sent."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.part import Part

LATIN = os.fsdecode(b"latin\xe9.img")


def test_a_file_name_in_another_encoding_becomes_a_visible_escape():
    assert collector.encodable({LATIN: [(LATIN, "é💣")]}) == {"latin\\udce9.img": [["latin\\udce9.img", "é💣"]]}


@given(st.text(alphabet=st.characters(codec=None, categories=["L", "Cs", "Cc", "So"])))
def test_every_text_can_be_encoded_and_text_stays_as_it_is(text):
    clean = collector.encodable(text)
    clean.encode("utf-8")
    assert clean == text or any("\ud800" <= char <= "\udfff" for char in text)


@pytest.mark.parametrize("note_it", [True, False])
def test_the_document_of_a_part_that_met_such_a_name_can_be_sent(monkeypatch, note_it):
    def collect(_host, note):
        if note_it:
            note("x", LATIN)
            return {"x": None}
        return {"x": {LATIN: LATIN}}

    class Clock:
        now = staticmethod(lambda: 0)
        euid = staticmethod(lambda: 0)

    monkeypatch.setattr(collector, "ASK_SYSTEMD", ())
    monkeypatch.setattr(collector, "other_parts", lambda: (Part("x", ["x"], collect),))
    document = collector.collect(Clock())
    assert "latin" in json.dumps(document, ensure_ascii=False).encode("utf-8").decode()
