# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML of the vim25 API into plain data.

pyVmomi builds an object for every property: at a thousand hosts that is most of an audit's time (design.md section 7).
"""

from __future__ import annotations

import re

TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
NUMBERS = frozenset(("int", "long", "short", "byte", "unsignedInt", "unsignedLong", "unsignedShort", "unsignedByte"))


class Ref(str):
    """A managed object reference: its id, and in `type` what it is."""

    def __new__(cls, value, type_name=""):
        self = str.__new__(cls, value)
        self.type = type_name
        return self


def tag(element):
    """The element's name without its namespace."""
    return LOCAL[element.tag]


class _Local(dict):
    """{name with namespace: name}: a reply repeats a few hundred names some hundred thousand times."""

    def __missing__(self, name):
        local = name[name.rfind("}") + 1 :]
        if len(self) < 10000:
            self[name] = local
        return local


LOCAL = _Local()


def value(element):
    """Plain data of one element.

    A structure becomes a dict with its type under "_type" where the server says it, a repeated field a list, ArrayOf…
    a list, and a typed scalar int, float, bool or str. Scalars inside a structure carry no type: they stay text, see
    flag and number. A field that occurs once is no list: see many.

    :raises ValueError: it is nested hundreds of levels deep.
    """
    try:
        return _value(element)
    except RecursionError:
        raise ValueError("nested too deeply")


def _value(element):
    kind = element.get(TYPE)
    if kind is not None:
        kind = kind[kind.rfind(":") + 1 :]
        if kind.startswith("ArrayOf"):
            return [_value(child) for child in element]
    if len(element) == 0:
        return _scalar(element, kind)
    found = {}
    if kind is not None:
        found["_type"] = kind
    for child in element:
        name = LOCAL[child.tag]
        inner = _value(child)
        if name not in found:
            found[name] = inner
        elif isinstance(found[name], Repeated):
            found[name].append(inner)
        else:
            found[name] = Repeated((found[name], inner))
    return found


class Repeated(list):
    """A field that occurred more than once; an ArrayOf… inside a field stays a list of its own."""


def _scalar(element, kind):
    text = element.text or ""
    if kind is None:
        reference = element.get("type")
        return Ref(text, reference) if reference else text
    if kind == "boolean":
        return flag(text)
    if kind in NUMBERS:
        return number(text)
    if kind in ("double", "float"):
        try:
            return float(text)
        except ValueError:
            return None
    if kind == "ManagedObjectReference":
        return Ref(text, element.get("type", ""))
    if text or kind == "string":
        return text
    return {"_type": kind}


def flag(text):
    """True, False, or None for what is neither."""
    if isinstance(text, bool):
        return text
    return {"true": True, "1": True, "false": False, "0": False}.get(text)


def number(text):
    """An int, or None for what is none."""
    if isinstance(text, int):
        return text
    try:
        return int(text)
    except (TypeError, ValueError):
        return None


def many(found):
    """A field as a list: absent, once or repeated."""
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def at(found, path, default=None):
    """The value at a dotted path of nested dicts, or `default` where a step is missing."""
    for step in path.split("."):
        if not isinstance(found, dict) or step not in found:
            return default
        found = found[step]
    return found


def version(text):
    """(8, 0, 3) of "8.0.3"; () where there is none."""
    return tuple(int(part) for part in re.findall(r"\d+", str(text or ""))[:4])
