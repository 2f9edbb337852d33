# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change a host without locking anybody out: arm a rollback on the host, change, prove over a new connection, confirm.

Where the proof fails, or the host cannot be reached any more, the host takes the change back by itself, and the task
fails saying so.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.proposal import (
    Access,
    loss,
    people_fault,
    without_stopped,
)

# A connection through which nothing comes any more never ends by itself.
ANSWER_SECONDS = 120
# How long guests may take to answer again after a ruleset was loaded.
SETTLE_SECONDS = 10
# After the host has put everything back: how long it may take until it lets the controller in again.
RETURN_SECONDS = 90


class HostError(Exception):
    """A module on the host failed; the message says what the host is like now."""


class Lost(Exception):
    """The host does not answer any more."""


def ask(action: ActionBase, module: str, arguments: Mapping[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
    """Run one module of this collection and return its answer.

    :raises Lost: no connection. :raises HostError: the module failed.
    """
    try:
        with _time_limit(ANSWER_SECONDS):
            answer = action._execute_module(
                module_name=f"dwp.hypervisor.{module}", module_args=dict(arguments), task_vars=task_vars
            )
    except AnsibleConnectionFailure as error:
        raise Lost(str(error)) from error
    except AnsibleError as error:
        raise HostError(f"{module}: {error}") from error
    if answer.get("unreachable"):
        raise Lost(str(answer.get("msg", "unreachable")))
    if answer.get("failed"):
        raise HostError(str(answer.get("msg") or answer.get("module_stderr") or f"{module} gave no answer")[:2000])
    return answer


@contextlib.contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    def expire(_number: int, _frame: Any) -> None:
        raise AnsibleConnectionFailure(f"no answer within {seconds} s")

    former = signal.signal(signal.SIGALRM, expire)
    # A limit of the task's own (its keyword timeout) goes on afterwards.
    left = signal.alarm(seconds)
    started = time.monotonic()
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)
        if left:
            signal.alarm(max(1, left - int(time.monotonic() - started)))


class Guard:
    """Changes of one host. rollback_seconds: how long the host waits for the confirmation."""

    def __init__(self, action: ActionBase, task_vars: Mapping[str, Any], rollback_seconds: int) -> None:
        self._action = action
        self._vars = task_vars
        self._seconds = rollback_seconds

    def access(self, gold: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of kvm_access_info for the people of the gold configuration."""
        arguments = {
            "people": gold["gold_hypervisor_admins"],
            "break_glass": gold["gold_breakglass_accounts"],
            "peers": gold["gold_migration_peers"],
        }
        return ask(self._action, "kvm_access_info", arguments, self._vars)

    def settings(self, area: str, rows: list[Row], about: Mapping[str, Any], rollback_after: int) -> dict[str, Any]:
        """Have kvm_settings bring the host to the rows; in check mode it only says what would change."""
        arguments = {"area": area, "settings": rows, "about": dict(about), "rollback_after": rollback_after}
        return ask(self._action, "kvm_settings", arguments, self._vars)

    def change(
        self, area: str, rows: list[Row], about: Mapping[str, Any], before: Access, gold: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The same under guard; returns kvm_settings' answer once the change was proved and confirmed.

        :raises HostError: it was taken back, and why.
        """
        started = time.monotonic()
        try:
            done = self.settings(area, rows, about, self._seconds)
        except Lost as lost:
            raise HostError(self._wait_for_rollback(area, started, str(lost))) from lost
        if not done["change"]:
            return done
        try:
            fault = self._prove(without_stopped(before, rows), gold)
            if not fault:
                ask(self._action, "kvm_changes", {"state": "confirmed", "change": done["change"]}, self._vars)
                return done
            arguments = {"state": "rolled_back", "change": done["change"], "reason": fault}
            ask(self._action, "kvm_changes", arguments, self._vars)
        except (Lost, HostError) as error:
            # A host on which sudo or PAM refuses the controller answers, and is as lost as one that does not.
            raise HostError(self._wait_for_rollback(area, started, str(error))) from error
        raise HostError(f"the change of {area} was taken back: {fault}")

    def _prove(self, before: Access, gold: Mapping[str, Any]) -> str:
        """Ask again over a connection that did not exist before the change; returns what is wrong, or nothing."""
        # By the clock: asking for what does not answer takes long, and the host's own time limit is running.
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            self._reset()
            after = Access.of(self.access(gold))
            fault = people_fault(after) or loss(before, after)
            if not fault or time.monotonic() > deadline:
                return fault
            time.sleep(1)

    def _reset(self) -> None:
        # ControlPersist's master survives a ruleset that would let no new connection in (design.md section 6).
        connection = self._action._connection
        if connection.transport != "local":
            try:
                connection.reset()
            except AnsibleConnectionFailure as error:
                raise Lost(str(error)) from error

    def _wait_for_rollback(self, area: str, started: float, why: str) -> str:
        """Wait until the host has taken the change back and answers again; returns what to tell."""
        time.sleep(max(0.0, self._seconds - (time.monotonic() - started)))
        deadline = time.monotonic() + RETURN_SECONDS
        while time.monotonic() < deadline:
            try:
                self._reset()
                changes = ask(self._action, "kvm_changes", {"state": "listed"}, self._vars)["changes"]
            except (Lost, HostError):
                time.sleep(3)
                continue
            mine = [entry for entry in changes if entry["area"] == area]
            if not mine:
                return f"the host was lost before anything of {area} was changed ({why}), and answers again"
            if mine[-1]["state"] != "armed":
                return (
                    f"the change of {area} cut the controller off ({why}); the host has taken it back by itself "
                    f"({mine[-1]['state']}: {mine[-1]['reason']}) and answers again"
                )
            time.sleep(3)
        return (
            f"the change of {area} cut the controller off ({why}), and the host does not answer {RETURN_SECONDS} s "
            f"after the end of its time limit of {self._seconds} s: look at its console"
        )
