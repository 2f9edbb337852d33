# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What polkit's rules amount to, compared with the access matrix: which answers grant, deny, and cover what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.shapes import mappings, texts

API = "org.libvirt.api."
CONNECT = "org.libvirt.unix.manage"
# pkexec runs a program as root, systemd's actions stop and edit any service.
ROOT = ("org.freedesktop.policykit.exec", "org.freedesktop.systemd1.")
DOMAIN = "org.libvirt.api.domain."
# An answer that lets the caller in without an administrator: "self" asks for the caller's own password only.
GRANTING = ("yes", "self", "unknown")


@dataclass(frozen=True)
class Answer:
    """One return of one rule file. certain: given exactly under these conditions, no others."""

    path: str
    result: str
    actions: tuple[str, ...]
    users: tuple[str, ...]
    groups: tuple[str, ...]
    lookups: Mapping[str, tuple[str, ...]]
    certain: bool

    @property
    def grants(self) -> bool:
        return self.result in GRANTING

    @property
    def principals(self) -> set[str]:
        return set(self.users) | {f"%{group}" for group in self.groups}

    def touches(self, prefix: str) -> bool:
        """Whether an action of the family `prefix` can be meant."""
        return any(
            action.startswith(prefix) or _covers(action, prefix + "*") or _reaches(action, prefix)
            for action in self.actions
        )


def answers(rules: Any) -> list[Answer]:
    """The answers of every rule file, in the order in which polkit asks.

    :raises MissingFact: a file or an answer was not read.
    """
    found = []
    for rule in mappings(rules, "rbac.rules"):
        path = str(need(rule, "path"))
        for entry in mappings(need(rule, "returns"), f"returns of {path}"):
            lookups = need(entry, "lookups")
            if not isinstance(lookups, Mapping):
                raise MissingFact(f"lookups of {path} were not read")
            found.append(
                Answer(
                    path=path,
                    result=str(need(entry, "result")),
                    actions=tuple(texts(need(entry, "actions"), f"actions of {path}")),
                    users=tuple(texts(need(entry, "users"), f"users of {path}")),
                    groups=tuple(texts(need(entry, "groups"), f"groups of {path}")),
                    lookups={str(key): tuple(texts(value, f"{key} of {path}")) for key, value in lookups.items()},
                    certain=need(entry, "exact") is True,
                )
            )
    return found


def reviewed(rules: Any, files: Iterable[Mapping[str, Any]]) -> set[str]:
    """The paths of rule files whose content is on the list of reviewed files."""
    listed = {
        (str(entry.get("path")), str(entry.get("sha256")).lower()) for entry in files if isinstance(entry, Mapping)
    }
    return {
        str(need(rule, "path"))
        for rule in mappings(rules, "rbac.rules")
        if (need(rule, "path"), need(rule, "sha256")) in listed
    }


def within(answer: Answer, entry: Mapping[str, Any]) -> bool:
    """Whether a grant gives no more than an entry of the matrix."""
    if answer.result != "yes" or not answer.certain or answer.principals != {entry["principal"]}:
        return False
    if not all(any(_covers(wanted, action) for wanted in entry["actions"]) for action in answer.actions):
        return False
    return all(
        key in answer.lookups and set(answer.lookups[key]) <= set(values) for key, values in entry["objects"].items()
    )


def realises(answer: Answer, entry: Mapping[str, Any]) -> bool:
    """Whether a grant gives at least what an entry of the matrix says."""
    if answer.result != "yes" or not answer.certain or entry["principal"] not in answer.principals:
        return False
    if not all(any(_covers(action, wanted) for action in answer.actions) for wanted in entry["actions"]):
        return False
    limits = {key: values for key, values in answer.lookups.items() if key != "connect_driver"}
    return all(key in entry["objects"] and set(entry["objects"][key]) <= set(values) for key, values in limits.items())


def denies(answer: Answer, principal: str, uuid: str) -> bool:
    """Whether an answer is a NO to everything the principal may ask of that virtual machine."""
    if (
        answer.result != "no"
        or not answer.certain
        or not any(_covers(action, DOMAIN + "*") for action in answer.actions)
    ):
        return False
    if answer.principals and principal not in answer.principals:
        return False
    limits = {key: values for key, values in answer.lookups.items() if key != "connect_driver"}
    return set(limits) == {"domain_uuid"} and uuid.lower() in {value.lower() for value in limits["domain_uuid"]}


def matrix(entries: Sequence[Any]) -> list[dict[str, Any]]:
    """The access matrix in one shape.

    :raises ValueError: an entry without principal or actions, for everybody, or with actions that are not libvirt's: no
        gold configuration makes an open door a granular right.
    """
    found = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, Mapping) or not entry.get("principal") or not entry.get("actions"):
            raise ValueError(f"entry {number} of gold_rbac_matrix lacks principal or actions")
        if str(entry["principal"]).lstrip("%") in ("", "*", "ALL"):
            raise ValueError(f"entry {number} of gold_rbac_matrix is for everybody")
        foreign = [str(action) for action in _listed(entry["actions"]) if not str(action).startswith((API, CONNECT))]
        if foreign:
            raise ValueError(f"entry {number} of gold_rbac_matrix has {foreign[0]}, expected actions below {API}")
        objects = {
            str(key): [str(value) for value in _listed(values)] for key, values in (entry.get("objects") or {}).items()
        }
        found.append(
            {
                "principal": str(entry["principal"]),
                "actions": [str(a) for a in _listed(entry["actions"])],
                "objects": objects,
            }
        )
    return found


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _covers(wide: str, narrow: str) -> bool:
    if wide.endswith("*"):
        return narrow.startswith(wide[:-1])
    return wide == narrow


def _reaches(action: str, prefix: str) -> bool:
    return action.endswith("*") and prefix.startswith(action[:-1])
