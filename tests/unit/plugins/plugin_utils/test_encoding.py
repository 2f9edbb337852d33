# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON is the same bytes whether Python's encoder in C is there or not, and never what JSON does not have."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import encoding

VALUE = {
    "name": "\ud83d <b>é\n\x1b",
    "list": [1, 2.5, None, True, {"a": []}, MappingProxyType({"b": 1})],
    "shared": MappingProxyType({"x": {}}),
}


@pytest.fixture(params=["c", "python"])
def compact(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The encoder, with and without what C has of it."""
    if request.param == "python":
        monkeypatch.setattr(json.encoder, "c_make_encoder", None)
    yield importlib.reload(encoding).compact
    monkeypatch.undo()
    importlib.reload(encoding)


def test_one_line_of_ascii(compact: Any) -> None:
    assert compact(VALUE) == (
        '{"name":"\\ud83d <b>\\u00e9\\n\\u001b","list":[1,2.5,null,true,{"a":[]},{"b":1}],"shared":{"x":{}}}'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_what_json_does_not_have(compact: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        compact(value)


def test_what_is_no_data(compact: Any) -> None:
    with pytest.raises(TypeError, match="set is not JSON"):
        compact({"a": {1}})
