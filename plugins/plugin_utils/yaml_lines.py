# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read YAML (or JSON) that people write, and say in which line they went wrong.

Loading is the fast path: 36 measure files are read at the start of every audit, so nothing but the data is built.
Lines are looked up only when there is something to complain about, by composing the text a second time.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

# A register of 10,000 records is about 5 MB. YAML of this size takes seconds, more is a mistake.
MAX_BYTES = 16 * 1024 * 1024
# The C composer recurses without a limit: 100,000 times "[" ends the process (libyaml 0.2.5). Ours nest about 12 deep.
MAX_DEPTH = 60
_MAX_SHOWN = 120
_UNSAID: Any = object()

_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DataError(ValueError):
    """A data file that cannot be used, in words its author can act on.

    message says what is wrong, file and line where (line is None when unknown), key which key,
    found the value read (null is worth saying), expected what would be right (in words),
    nearest the closest valid name.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int | None = None,
        key: str | None = None,
        found: Any = _UNSAID,
        expected: str | None = None,
        nearest: str | None = None,
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.key = key
        self.found = None if found is _UNSAID else found
        self._shows_found = found is not _UNSAID
        self.expected = expected
        self.nearest = nearest
        super().__init__(message)

    def __str__(self) -> str:
        """`measures/11.4.6.yml:23: unknown key "exepct" in check kvm-…; did you mean "expect"?`"""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        text = f"{where}: {self.message}"
        if self._shows_found:
            text += f"; found {shown(self.found)}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.nearest:
            text += f'; did you mean "{self.nearest}"?'
        return text


def shown(value: Any) -> str:
    """A value as an author wrote it, on one line and bounded, for messages."""
    try:
        text = json.dumps(value, ensure_ascii=True, default=str)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."


def nearest(word: Any, choices: Iterable[Any]) -> str | None:
    """The choice most like word, or None when nothing is like it."""
    match = difflib.get_close_matches(str(word), [str(choice) for choice in choices], n=1, cutoff=0.6)
    return match[0] if match else None


class _Loader(_FastLoader):
    """The safe loader, refusing what YAML itself lets pass: a key written twice (the last one silently wins)."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        pairs = node.value
        written = len(pairs)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        # super() takes merge keys out of this very list; what they stand for may be overridden, and is not in it.
        if len(mapping) != written or len(pairs) != written:
            self._refuse_duplicates(pairs)
        return mapping

    def _refuse_duplicates(self, pairs: list[tuple[Any, Any]]) -> None:
        seen: set[Any] = set()
        for key_node, _value in pairs:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f'key "{key}" appears twice', problem_mark=key_node.start_mark)
            seen.add(key)


def load(path: str | os.PathLike[str], name: str | None = None) -> Any:
    """The data of one YAML file, or of one JSON file when path ends in .json.

    name is what messages call the file (default: path as given). An empty file gives None.
    Raises DataError when the file cannot be read, is not UTF-8, is over 16 MiB, is not one YAML document,
    or has a key twice.
    """
    name = os.fspath(path) if name is None else name
    return load_text(_read(path, name), name)


def load_text(text: str, name: str) -> Any:
    """The data of a text. See load; JSON when name ends in .json."""
    if name.endswith(".json"):
        return _load_json(text, name)
    try:
        _refuse_depth(text, name)
        return yaml.load(text, Loader=_Loader)  # a subclass of the safe loader  # noqa: S506
    except yaml.YAMLError as exc:
        # Without the cause: Ansible adds what each cause says to the message, which says it already.
        raise _from_yaml_error(exc, text, name) from None
    except RecursionError:
        raise DataError("is nested too deeply", file=name) from None
    except ValueError as exc:
        if isinstance(exc, DataError):
            raise
        raise _from_bad_scalar(exc, text, name) from None


class LineMap:
    """Says in which line of a file a key or list entry stands.

    Nothing is read or parsed before the first question.
    """

    def __init__(self, path: str | os.PathLike[str], text: str | None = None) -> None:
        self._path = os.fspath(path)
        self._text = text
        self._root: Any = None

    def line(self, path: Iterable[Any]) -> int:
        """Line (from 1) of the key or entry at path, e.g. ("checks", 0, "expect").

        Where the path ends early, the line of the deepest part that exists: that is where a missing key belongs.
        """
        node = self._compose()
        if node is None:
            return 1
        # A mapping starts at its first key, which is where a reader looks when the path is ().
        found: int = node.start_mark.line
        for step in path:
            child = _child(node, step)
            if child is None:
                break
            found, node = child
        return found + 1

    def _compose(self) -> Any:
        if self._root is None:
            try:
                text = _read(self._path, self._path) if self._text is None else self._text
                # JSON may be indented with tabs, YAML may not; a JSON string holds no raw tab.
                text = text.expandtabs(1) if self._path.endswith(".json") else text
                _refuse_depth(text, self._path)
                self._root = yaml.compose(text, Loader=_FastLoader)
            except (yaml.YAMLError, DataError, RecursionError):
                return None
        return self._root


def _child(node: Any, step: Any) -> tuple[int, Any] | None:
    """(line from 0, node) one step below node, or None."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            if key_node.value == str(step):
                return key_node.start_mark.line, value_node
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        return node.value[step].start_mark.line, node.value[step]
    return None


def _read(path: str | os.PathLike[str], name: str) -> str:
    try:
        with Path(path).open("rb") as handle:
            raw = handle.read(MAX_BYTES + 1)
    except OSError as exc:
        raise DataError(f"cannot be read: {exc.strerror or exc}", file=name) from None
    if len(raw) > MAX_BYTES:
        raise DataError(f"is larger than {MAX_BYTES // 1024 // 1024} MiB", file=name)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise DataError("is not UTF-8 text", file=name, line=line) from None


def _refuse_depth(text: str, name: str) -> None:
    """Refuse nesting that would exhaust the C stack.

    Only what can nest many times in one line can go that deep within MAX_BYTES: brackets and runs of "- " or "? ".
    """
    depth = deepest = 0
    for line in text.split("\n"):
        opened = line.count("[") + line.count("{")
        deepest = max(deepest, depth + opened + line.count("- ") + line.count("? "))
        depth = max(0, depth + opened - line.count("]") - line.count("}"))
    if deepest <= MAX_DEPTH:
        return
    # That was an upper bound, for brackets in strings count as well; the parser, which does not recurse, knows better.
    depth = 0
    for event in yaml.parse(text, Loader=_FastLoader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                where = event.start_mark.line + 1 if event.start_mark else None
                raise DataError(f"is nested more than {MAX_DEPTH} levels deep", file=name, line=where)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1


def _from_yaml_error(exc: yaml.YAMLError, text: str, name: str) -> DataError:
    mark = getattr(exc, "problem_mark", None)
    if mark is not None:
        problem = getattr(exc, "problem", None) or getattr(exc, "context", None) or "is not YAML"
        return DataError(str(problem), file=name, line=mark.line + 1)
    position = getattr(exc, "position", None)
    if isinstance(position, int):
        # The C reader counts bytes.
        line = text.encode("utf-8", "surrogatepass").count(b"\n", 0, position) + 1
        return DataError("holds a character that YAML does not allow", file=name, line=line)
    return DataError("is not YAML", file=name)


def _from_bad_scalar(exc: ValueError, text: str, name: str) -> DataError:
    """The form of 2027-02-30 is right, and the constructor then raises a bare ValueError: find which value it was."""
    loader = _FastLoader(text)
    try:
        pending = [loader.get_single_node()]
        while pending:
            node = pending.pop()
            if isinstance(node, yaml.ScalarNode):
                try:
                    loader.construct_object(node)
                except ValueError as reason:
                    return DataError(str(reason), file=name, line=node.start_mark.line + 1, found=node.value)
            elif isinstance(node, yaml.MappingNode):
                pending.extend(part for pair in reversed(node.value) for part in reversed(pair))
            elif isinstance(node, yaml.SequenceNode):
                pending.extend(reversed(node.value))
    finally:
        loader.dispose()
    return DataError(str(exc), file=name)


def _load_json(text: str, name: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        mapping = dict(pairs)
        if len(mapping) != len(pairs):
            keys = [key for key, _value in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise DataError(f'key "{twice}" appears twice', file=name, key=twice, line=_line_of_json_key(text, twice))
        return mapping

    def refuse_constant(word: str) -> Any:
        raise DataError("is not a JSON value", file=name, found=word)

    if not text.strip():
        return None
    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse_constant)
    except json.JSONDecodeError as exc:
        raise DataError(exc.msg, file=name, line=exc.lineno) from None
    except RecursionError:
        raise DataError("is nested too deeply", file=name) from None


def _line_of_json_key(text: str, key: str) -> int | None:
    """Line of the last place where key is written; good enough for a key that appears twice."""
    position = text.rfind(json.dumps(key))
    return None if position < 0 else text.count("\n", 0, position) + 1
