# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Can a PAM stack be passed without its second factor? Every way through the stack is followed, as libpam would.

The semantics are those of pam_dispatch.c and pam.conf(5): what a module returns selects an action, the actions build an
impression, and the stack succeeds when the impression is positive and its status is success.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact

KEYWORDS = {
    "required": {"success": "ok", "new_authtok_reqd": "ok", "ignore": "ignore", "default": "bad"},
    "requisite": {"success": "ok", "new_authtok_reqd": "ok", "ignore": "ignore", "default": "die"},
    "sufficient": {"success": "done", "new_authtok_reqd": "done", "default": "ignore"},
    "optional": {"success": "ok", "new_authtok_reqd": "ok", "default": "ignore"},
    "substack": {"default": "ignore"},
}
GOOD = ("success", "new_authtok_reqd")
# Always the same answer. pam_rootok: whoever has to prove himself is not root yet.
ALWAYS_FAIL = ("pam_deny.so", "pam_rootok.so")
ALWAYS_SUCCEED = ("pam_permit.so",)
# Arguments by which a second factor lets somebody in who has not enrolled (pam_google_authenticator(8), pam_u2f(8),
# pam_yubico(8): nullok and nouserok; pam_duo: failmode=safe is in its own file).
NOT_ENFORCED = ("nullok", "nouserok")
MAX_LINES = 400
MAX_CONTROL = 500


@dataclass(frozen=True)
class _State:
    line: int
    impression: str = "undefined"
    success: bool = False
    # What reset goes back to: impression and success when each substack around the line was entered.
    entered: tuple[tuple[str, bool], ...] = ()


def unenforced(lines: list[Mapping[str, Any]], modules: Collection[str], exempt: Collection[str] = ()) -> str:
    """Say how somebody passes the stack without a second factor, or an empty string when nobody can.

    lines: [{control, module, args, level}] as the collector resolved them; modules: those that count as second factor;
    exempt: accounts that may be excused by name (pam_succeed_if user = ...).

    :raises MissingFact: a line is not whole.
    """
    if len(lines) > MAX_LINES:
        raise MissingFact("the stack is too long to judge")
    steps = [_step(line) for line in lines]
    factors = [step for step in steps if step.module in modules]
    if not factors:
        return "no second factor is asked for"
    for step in factors:
        lax = [word for word in step.args.split() if word in NOT_ENFORCED]
        if lax:
            return f"{step.module} {lax[0]} lets everybody in who has not enrolled"
    by = _way_through(steps, modules, exempt)
    return f"{by} lets people in although the second factor failed" if by else ""


@dataclass(frozen=True)
class _Step:
    actions: Mapping[str, str]
    module: str
    args: str
    level: int


def _step(line: Any) -> _Step:
    if not isinstance(line, Mapping):
        raise MissingFact("a line of the stack was not read")
    control, module, args, level = (line.get(key) for key in ("control", "module", "args", "level"))
    if not (isinstance(control, str) and isinstance(module, str) and isinstance(args, str)) or not isinstance(
        level, int
    ):
        raise MissingFact("a line of the stack was not read")
    if len(control) > MAX_CONTROL:
        raise MissingFact("a control of the stack is too long to judge")
    if control in KEYWORDS:
        return _Step(KEYWORDS[control], module, args, level)
    pairs = re.findall(r"([a-z_]+)=([a-z]+|\d+)", control)
    if not control.startswith("[") or not pairs:
        raise MissingFact(f"the control {control[:40]!r} is none that PAM knows")
    return _Step(dict(pairs), module, args, level)


def _way_through(steps: list[_Step], modules: Collection[str], exempt: Collection[str]) -> str:
    """The module whose answer lets people through although every second factor failed; "" if there is none."""
    waiting = [(_State(0), "the end of the stack")]
    seen = set()
    while waiting:
        state, last = waiting.pop()
        if state in seen:
            continue
        seen.add(state)
        if state.line >= len(steps):
            if state.impression == "positive" and state.success:
                return last
            continue
        step = steps[state.line]
        for good, action in _answers(step, modules, exempt):
            after = _after(state, steps, good, action)
            waiting.append((after, step.module if after.impression == "positive" and good else last))
    return ""


def _answers(step: _Step, modules: Collection[str], exempt: Collection[str]) -> Iterator[tuple[bool, str]]:
    """(whether the module said success, the action that selects), for everything the module may say."""
    default = step.actions.get("default", "bad")
    if step.module not in ALWAYS_SUCCEED:
        yield False, default
        for name, action in step.actions.items():
            # A factor that is enforced does not ask to be ignored.
            if name not in (*GOOD, "default", "ignore"):
                yield False, action
    fails = step.module in modules or step.module in ALWAYS_FAIL or _only_for(step, exempt)
    if not fails and step.actions is not KEYWORDS["substack"]:
        yield True, step.actions.get("success", default)
        if "ignore" in step.actions:
            yield False, step.actions["ignore"]


def _only_for(step: _Step, exempt: Collection[str]) -> bool:
    """Whether a pam_succeed_if succeeds for exempt accounts only."""
    if step.module != "pam_succeed_if.so":
        return False
    match = re.search(r"\buser\s+(?:=|in)\s+(\S+)", step.args)
    return bool(match) and set(match.group(1).split(":")) <= set(exempt)  # type: ignore[union-attr]


def _after(state: _State, steps: list[_Step], good: bool, action: str) -> _State:
    impression, success = state.impression, state.success
    level = steps[state.line].level
    entered = state.entered[:level]
    following = state.line + 1
    if steps[state.line].actions is KEYWORDS["substack"]:
        entered += ((impression, success),)
    elif action in ("ok", "done"):
        if impression == "undefined" or (impression == "positive" and success):
            impression, success = "positive", good
        if action == "done" and impression == "positive":
            following = _end_of_level(steps, state.line, level)
    elif action in ("bad", "die") or not (action.isdigit() or action in ("ignore", "reset")):
        impression, success = "negative", False
        if action == "die":
            following = _end_of_level(steps, state.line, level)
    elif action == "reset":
        impression, success = entered[-1] if entered else ("undefined", False)
    elif action.isdigit():
        for _count in range(min(int(action), len(steps))):
            if following >= len(steps) or steps[following].level < level:
                # A jump past the end of its stack or substack is an error, and a refusal.
                impression, success = "negative", False
                break
            following = _next_of_level(steps, following, level)
    return _State(following, impression, success, entered)


def _end_of_level(steps: list[_Step], line: int, level: int) -> int:
    """Where a decision leads: the end of the stack, or of the substack it is made in."""
    if level == 0:
        return len(steps)
    while line < len(steps) and steps[line].level >= level:
        line += 1
    return line


def _next_of_level(steps: list[_Step], line: int, level: int) -> int:
    """The line after `line`, a substack counting as one."""
    line += 1
    while line < len(steps) and steps[line].level > level:
        line += 1
    return line
