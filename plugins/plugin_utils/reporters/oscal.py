# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every OSCAL document here shares: identifiers made from content, properties, metadata, the tool, the subjects.

OSCAL (NIST) knows two states, satisfied and not-satisfied. Everything else is in properties of our namespace, with the
names that results.json has. Its identifiers are tokens, which may not begin with a digit: 11.4.6 is ss009-11.4.6.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.audit.run_report import moment
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.release import VERSION
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.text import Remembered, plain

OSCAL_VERSION = "1.1.3"
NAMESPACE = "https://github.com/dwp/ansible-collection-hypervisor/ns/oscal"
_UUIDS = uuid.uuid5(uuid.NAMESPACE_URL, NAMESPACE).bytes
_TEXT_LIMIT = 2000
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}

Node = dict[str, Any]


@lru_cache(maxsize=2048)
def uid(*parts: Any) -> str:
    """A version 5 UUID of what a thing is: the same in every document that tells of it, and in every run of the code.

    Written out, because uuid.uuid5 takes three times as long and a fleet needs half a million.
    """
    return uids(*parts[:-1])(str(parts[-1]))


def uids(*parts: Any) -> Callable[[str], str]:
    """uid(*parts, last) of many last ones, which are not remembered."""
    begin = hashlib.sha1(
        _UUIDS + "".join(f"{part}\x1f" for part in parts).encode("utf-8", "surrogatepass"), usedforsecurity=False
    )

    def of(last: str) -> str:
        found = begin.copy()
        found.update(last.encode("utf-8", "surrogatepass"))
        digest = found.hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"

    return of


def line(value: Any, otherwise: str = "none") -> str:
    """One line as OSCAL wants text: not empty, without space at its ends."""
    return (_LINES[value] if isinstance(value, str) else plain(value, _TEXT_LIMIT).strip()) or otherwise


_LINES = Remembered(lambda text: plain(text, _TEXT_LIMIT).strip())


@lru_cache(maxsize=4096)
def prop(name: str, value: str | float | bool) -> Node:
    """A property of our namespace. Never changed after it is made: many nodes hold the same one."""
    return {"name": name, "ns": NAMESPACE, "value": line(value)}


def props(values: Mapping[str, Any]) -> list[Node]:
    """Properties for all that is known: None is left out."""
    return [prop(name, value) for name, value in values.items() if value is not None]


def time(text: str) -> str:
    """A time with its zone, which OSCAL requires."""
    return moment(text).isoformat().replace("+00:00", "Z")


def end_of(day: str) -> str:
    """The last moment of a day: registers count through the end of their last day, UTC."""
    return f"{day}T23:59:59Z"


def control_id(measure: str) -> str:
    return f"ss009-{measure}"


def statement_id(measure: str) -> str:
    return f"ss009-{measure}_smt"


def metadata(title: str, run: Mapping[str, Any]) -> Node:
    """Metadata of a document about a run; its time is the run's, so that the same run gives the same bytes."""
    return {
        "title": line(title),
        "last-modified": time(run["run"]["finished"]),
        "version": line(run["run"]["id"]),
        "oscal-version": OSCAL_VERSION,
        "props": props({"marking": run["marking"], "run": run["run"]["id"], "mode": run["run"]["mode"]}),
    }


def tool() -> Node:
    """This collection, as the component that assesses."""
    return {
        "uuid": TOOL,
        "type": "software",
        "title": f"dwp.hypervisor {VERSION}",
        "description": "Ansible collection that audits hypervisors against the DWP Security Standard SS-009.",
        "props": [{"name": "version", "value": VERSION}],
        "status": {"state": "operational"},
    }


TOOL = uid("component", "dwp.hypervisor", VERSION)


def item_id(subject: str) -> str:
    """UUID of a subject: the same in every run."""
    return uid("subject", subject)


def inventory_item(subject: Mapping[str, Any]) -> Node:
    """A subject."""
    about = {
        "name": subject["name"],
        "subject-id": subject["id"],
        "endpoint": subject["endpoint"],
        "platform": subject["platform"],
        "kind": subject["kind"],
        "product": subject["product"] or None,
    }
    return {
        "uuid": item_id(subject["id"]),
        "description": line(f"{subject['name']}: {subject['product'] or subject['platform']}"),
        "props": props(about),
    }


def origins() -> list[Node]:
    """Who found it: the tool."""
    return [{"actors": [{"type": "tool", "actor-uuid": TOOL}]}]
