# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second factor in PAM's stacks: what the stacks would be, judged before a line of them is written (11.4.3).

One file of ours holds the factor; each service's own file gets one line that includes it, before everything else that
asks for something. common-auth and system-auth stay as they are: other programs use them, and pam-auth-update and
authselect write them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import pam_stack
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.changes.text import edit_lines
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Absent, Unreadable
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal, Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates.pam_verdict import unenforced

FACTOR = "/etc/pam.d/dwp-hypervisor-mfa"
# The same for what a break-glass account uses at the machine itself, when the directory and the tokens are away.
LOCAL_FACTOR = "/etc/pam.d/dwp-hypervisor-mfa-local"
LOCAL = ("login", "sudo", "sudo-i")
VENDOR = "/usr/lib/pam.d/"
OWN = "/etc/pam.d/"
# Root changing to another account proves nothing; a cron job of root must not be asked for a code.
ROOT_PASSES = r"^\s*auth\s+sufficient\s+\S*pam_rootok\.so"
HEAD = "# Second factor of measure 11.4.3, written by dwp.hypervisor (role mfa). Changes here are replaced.\n"


class Stacks:
    """PAM's files as facts show them, and as a plan would leave them."""

    def __init__(self, texts: Mapping[str, str]):
        self.texts = dict(texts)

    def read(self, path: str) -> str:
        """What the resolver of the collector asks of a host."""
        if path not in self.texts:
            raise Absent(f"{path} does not exist")
        return self.texts[path]

    def exists(self, path: str) -> bool:
        """What the resolver of the collector asks of a host."""
        return path in self.texts

    def lines(self, service: str, kind: str = "auth") -> list[Mapping[str, Any]]:
        """The resolved stack of a service.

        :raises Unreadable: PAM could not resolve it either.
        """
        return list(pam_stack.stack(self, service, kind)["lines"])


def stacks(situation: Situation) -> Stacks:
    """The files behind the stacks.

    :raises Refusal: they were not read.
    """
    texts = (situation.facts.get("mfa") or {}).get("pam_files")
    if not isinstance(texts, Mapping) or not texts:
        raise Refusal("PAM's files were not read: no stack is changed that nobody has judged")
    return Stacks(texts)


def installed(situation: Situation, module: str) -> None:
    """A stack that names a module which is not there lets nobody in.

    :raises Refusal: it is not installed, or nobody knows.
    """
    modules = (situation.facts.get("mfa") or {}).get("pam_modules")
    if not isinstance(modules, list) or module not in modules:
        raise Refusal(
            f"{module} is not installed on this host: PAM would refuse everybody; install its package "
            f"({PACKAGES.get(module, {}).get(situation.family, 'see its vendor')}) first"
        )


PACKAGES = {
    "pam_oath.so": {"debian": "libpam-oath", "rhel": "pam_oath, from EPEL"},
    "pam_google_authenticator.so": {"debian": "libpam-google-authenticator", "rhel": "google-authenticator, from EPEL"},
    "pam_u2f.so": {"debian": "libpam-u2f", "rhel": "pam-u2f"},
    "pam_yubico.so": {"debian": "libpam-yubico", "rhel": "pam_yubico, from EPEL"},
    "pam_radius_auth.so": {"debian": "libpam-radius-auth", "rhel": "pam_radius, from EPEL"},
    "pam_faillock.so": {"debian": "libpam-modules", "rhel": "pam"},
}


def factor_text(factor: str, exempt: Collection[str], counted: bool) -> str:
    """The content of FACTOR or LOCAL_FACTOR.

    factor: module and arguments. exempt: accounts that are not asked. counted: a wrong code counts as a failed attempt
    like a wrong password does; without that somebody with the password could try all codes.
    """
    lines = [f"auth required {factor}"]
    if counted:
        lines = [
            "auth required pam_faillock.so preauth",
            f"auth [success=1 default=ignore] {factor}",
            "auth [default=die] pam_faillock.so authfail",
        ]
    if exempt:
        who = ":".join(sorted(exempt))
        lines.insert(0, f"auth [success={len(lines)} default=ignore] pam_succeed_if.so quiet user in {who}")
    return HEAD + "\n".join(lines) + "\n"


def rows(situation: Situation, services: Collection[str], factor: str, exempt: Collection[str]) -> list[Row]:
    """The rows that make the factor required in the stacks of some services.

    exempt: accounts that are not asked at the console and by sudo. A stack that would not enforce the factor even
    then is left to a person, with the reason; so is one PAM could not resolve.

    :raises Refusal: PAM's files were not read.
    """
    found = stacks(situation)
    modules, judged_exempt = situation.gold["gold_mfa_pam_modules"], set(exempt)
    counted = "preauth" in " ".join(line["args"] for line in _lines(found, "login") + _lines(found, "sshd"))
    texts = {FACTOR: factor_text(factor, (), counted), LOCAL_FACTOR: factor_text(factor, exempt, counted)}
    found.texts.update(texts)
    rows_: list[Row] = []
    used: list[str] = []
    for service in services:
        stack = situation.facts["mfa"]["pam"].get(service) or {}
        if stack.get("program") is not True and service != "cockpit":
            continue
        path = LOCAL_FACTOR if service in LOCAL else FACTOR
        row = _row(found, service, path)
        why = _judge(found, service, modules, judged_exempt)
        if why:
            rows_.append(plan.by_hand(f"PAM's stack of {service}: {why}; make the factor required there by hand"))
        elif row is not None:
            rows_.append(row)
        if path not in used and not why:
            used.append(path)
    # The included file first: a stack that includes what is not there lets nobody in.
    return [plan.file(path, texts[path], mode="0644") for path in sorted(used)] + rows_


def _lines(found: Stacks, service: str) -> list[Mapping[str, Any]]:
    try:
        return found.lines(service)
    except Unreadable:
        return []


def _row(found: Stacks, service: str, included: str) -> Row | None:
    """The row that puts our line into a service's own file; `found` is changed in the same way.

    None: nothing can be put there, or it goes through a file that has our line already (Debian's su-l includes su).
    """
    try:
        own = pam_stack.find(found, service)
        before = found.lines(service)
    except Unreadable:
        return None
    text = found.texts[own]
    line = f"auth include {included.rsplit('/', 1)[-1]}"
    mine = [name.rsplit("/", 1)[-1] for name in (FACTOR, LOCAL_FACTOR)]
    entry = {"line": line, "match": rf"^auth include ({'|'.join(map(re.escape, mine))})$", **_place(found, text)}
    if not re.search(entry["match"], text, re.M) and any(_ours(found, other, before) for other in mine):
        return None
    if own.startswith(VENDOR):
        # A vendor's file comes back with the next update; PAM takes one of the same name in /etc first.
        if "***" in text:
            return None
        own = OWN + service
        found.texts[own] = edit_lines(text, [entry], [])[0]
        return plan.file(own, HEAD + found.texts[own], mode="0644")
    found.texts[own] = edit_lines(text, [entry], [])[0]
    return plan.lines(own, present=[entry])


def _ours(found: Stacks, name: str, lines: list[Mapping[str, Any]]) -> bool:
    """Whether a resolved stack already goes through a file of ours."""
    wanted = [(line["control"], line["module"], line["args"]) for line in found.lines(name)]
    have = [(line["control"], line["module"], line["args"]) for line in lines]
    return any(have[start : start + len(wanted)] == wanted for start in range(len(have)))


def _place(found: Stacks, text: str) -> dict[str, str]:
    """Before whatever asks for something first, after the line by which root passes."""
    if re.search(ROOT_PASSES, text, re.M):
        return {"after": ROOT_PASSES}
    for line in text.splitlines():
        include = re.match(r"^@include\s+(\S+)$", line)
        if include and _lines(found, include.group(1)):
            return {"before": rf"^\s*@include\s+{re.escape(include.group(1))}\b"}
        words = line.split()
        if words and words[0].lstrip("-").lower() == "auth":
            return {"before": r"^\s*-?auth\s"}
    return {"before": r"^\s*[-@a-z]"}


def _judge(found: Stacks, service: str, modules: Collection[str], exempt: Collection[str]) -> str:
    """Why the proposed stack would not enforce the factor, by the judgement the audit uses; "" when it does."""
    try:
        return unenforced(found.lines(service), modules, exempt)
    except (Unreadable, MissingFact) as reason:
        return str(reason)
