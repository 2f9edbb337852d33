# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""polkit's rule files as the gold configuration would have them, and what all rules together would then say (11.2.2).

They are written in the few forms of JavaScript that the collector reads without a doubt, so that the judgement of the
audit can be asked about a file before it is written.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.polkit_rules import javascript
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import polkit_policy as policy

DIRECTORY = "/etc/polkit-1/rules.d"
# The first answer is final (polkit(8)), so denials sort before every grant.
DENIALS = f"{DIRECTORY}/00-dwp-hypervisor-deny.rules"
GRANTS = f"{DIRECTORY}/20-dwp-hypervisor.rules"
# The order in which polkitd prefers directories where two files have one name.
DIRECTORIES = (DIRECTORY, "/run/polkit-1/rules.d", "/usr/local/share/polkit-1/rules.d", "/usr/share/polkit-1/rules.d")
NAME = re.compile(r"%?[A-Za-z0-9_][A-Za-z0-9_.@ -]*\$?")
WORD = re.compile(r"[A-Za-z0-9_.:*/ @-]+")
HEAD = "// Written by dwp.hypervisor (measures 11.2.2 and 11.2.3). Changes here are replaced.\n"


def grants(situation: Situation) -> str:
    """The rules that give what gold_rbac_matrix declares.

    :raises Refusal: nothing is declared, or an entry that no rule can say.
    """
    declared = situation.gold["gold_rbac_matrix"]
    if not declared:
        raise Refusal(
            "gold_rbac_matrix is empty: who may do what is not decided, and without rules nobody could do anything"
        )
    try:
        entries = policy.matrix(declared)
    except ValueError as error:
        raise Refusal(str(error)) from None
    text = HEAD
    for number, entry in enumerate(entries, start=1):
        if entry["objects"] and any(action.startswith(policy.CONNECT) for action in entry["actions"]):
            raise Refusal(
                f"entry {number} of gold_rbac_matrix limits {policy.CONNECT} to objects: a connection has none; give "
                "it an "
                "entry of its own without objects"
            )
        tests = [_any([_action(action) for action in entry["actions"]]), _principal(entry["principal"])]
        tests += [
            _any([f"action.lookup({_quoted(key)}) == {_quoted(value)}" for value in values])
            for key, values in sorted(entry["objects"].items())
        ]
        text += _rule(tests, "YES")
    return text


def denials(situation: Situation) -> str:
    """The rules that refuse what gold_deny_map declares; "" where it declares nothing.

    :raises Refusal: an entry without principal or domain_uuid.
    """
    text = ""
    for number, entry in enumerate(situation.gold["gold_deny_map"], start=1):
        if not isinstance(entry, Mapping) or not entry.get("principal") or not entry.get("domain_uuid"):
            raise Refusal(f"entry {number} of gold_deny_map lacks principal or domain_uuid")
        uuid = str(entry["domain_uuid"]).lower()
        tests = [_action(policy.DOMAIN + "*"), _principal(str(entry["principal"]))]
        text += _rule([*tests, f'action.lookup("domain_uuid") == {_quoted(uuid)}'], "NO")
    return HEAD + text if text else ""


def _rule(tests: Sequence[str], result: str) -> str:
    joined = " &&\n        ".join(tests)
    return (
        f"polkit.addRule(function(action, subject) {{\n    if ({joined}) {{\n"
        f"        return polkit.Result.{result};\n    }}\n}});\n"
    )


def _any(tests: list[str]) -> str:
    joined = " ||\n         ".join(tests)
    return tests[0] if len(tests) == 1 else f"({joined})"


def _action(action: str) -> str:
    if action.endswith("*"):
        return f"action.id.indexOf({_quoted(action[:-1])}) == 0"
    return f"action.id == {_quoted(action)}"


def _principal(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Refusal(f"{name!r} is neither an account nor a group with a leading %")
    return f"subject.isInGroup({_quoted(name[1:])})" if name.startswith("%") else f"subject.user == {_quoted(name)}"


def _quoted(word: str) -> str:
    """A string of JavaScript. What a register says ends up in a program that polkitd runs."""
    if not WORD.fullmatch(word):
        raise Refusal(f"{word!r} has a letter that no polkit rule of ours may hold")
    return json.dumps(word)


def proposed(situation: Situation, texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """rbac.rules of the facts as they would be with these files; an empty text: the file is gone.

    :raises Refusal: the rules were not read.
    """
    found = (situation.facts.get("rbac") or {}).get("rules")
    if not isinstance(found, list):
        raise Refusal("polkit's rule files were not read: no rule is added to rules that nobody knows")
    rules = [dict(rule) for rule in found if rule["path"] not in texts]
    for path, text in texts.items():
        if text:
            digest = hashlib.sha256(text.encode()).hexdigest()
            rules.append(
                {"path": path, "kind": "rules", "sha256": digest, "mode": "0644", "uid": 0, "gid": 0,
                 "returns": javascript(text)}
            )  # fmt: skip
    return sorted(rules, key=_order)


def _order(rule: Mapping[str, Any]) -> tuple[bool, str, int]:
    directory, name = posixpath.split(rule["path"])
    rank = DIRECTORIES.index(directory) if directory in DIRECTORIES else len(DIRECTORIES)
    # Files of the older kind come last, in the order in which they were read.
    return (True, "", 0) if rule["kind"] == "pkla" else (False, name, rank)
