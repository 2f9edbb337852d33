# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enforcement tests: read enforced/*.yml and put each round of an area through the test law (enforced/README.md)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import yaml

from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted, entry_files, footprint, seen

DIRECTORY = pathlib.Path(__file__).resolve().parent / "enforced"
# Who the lab's people are to the roles: enough for every guard, and the account the controller comes in by.
PEOPLE = {
    "gold_hypervisor_admins": ["alice", "bob"],
    "gold_breakglass_accounts": ["breakglass"],
    "gold_automation_accounts": ["ansible"],
    "gold_remote_admins": ["alice", "ansible", "bob"],
}
# sssd's own cache, which it writes whenever it or sssctl is asked anything.
SSSD = "/var/lib/sss/"
# Ours, what a login writes, and what sssd keeps for itself.
KEPT = ("/var/lib/dwp-hypervisor", "/home/", "/root/", SSSD)
# Emulated, a change and its proof take minutes; a host of the lab that is lost comes back within one.
ROLLBACK_SECONDS = {booted.VM: 1200}
# Stands in an entry for the network the controller comes from, which differs from host to host.
LAB_NETWORK = "LAB_NETWORK"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One enforcement test; the fields are the keys of enforced/README.md."""

    area: str
    position: int
    check: str
    setup: list[str] = dataclasses.field(default_factory=list)
    gold: dict[str, Any] = dataclasses.field(default_factory=dict)
    variables: dict[str, Any] = dataclasses.field(default_factory=dict)
    restart: list[str] = dataclasses.field(default_factory=list)
    expect_before: str = "fail"
    expect_after: str = "pass"
    pending: str = ""
    by_hand: str = ""
    refused: str = ""
    expect_restored: str = ""
    message: str = ""
    round: int = 1
    variant: str = "monolithic"

    @property
    def id(self) -> str:
        """The name of the test."""
        return f"{self.area}[{self.position}]-{self.check}"

    @property
    def batch(self) -> tuple[str, str, int]:
        """What is enforced together on one booted host."""
        return (self.area, self.variant, self.round)


def load(directory: pathlib.Path = DIRECTORY) -> list[Entry]:
    """Return the entries of every file, in order; see entry_files.load."""
    return entry_files.load(directory, Entry, required=("check",))


class Rounds:
    """Runs each round once, when the first of its tests asks, and keeps what was seen for the others."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._done: dict[tuple[str, str, int], Round | Exception] = {}

    def of(self, entry: Entry) -> Round:
        """Return the round an entry belongs to; the error of a round that could not run is raised for all its tests."""
        if entry.batch not in self._done:
            try:
                self._done[entry.batch] = Round([other for other in self._entries if other.batch == entry.batch])
            except Exception as error:
                self._done[entry.batch] = error
        found = self._done[entry.batch]
        if isinstance(found, Exception):
            raise found
        return found


class Round:
    """A fresh host: setup, audit, check mode, apply, check mode, apply, audit, revert, audit."""

    def __init__(self, entries: list[Entry], host: booted.BootedHost | None = None) -> None:
        area, variant, number = entries[0].batch
        self._entries = entries
        self._area = area
        self.gold = {**PEOPLE, **{key: value for entry in entries for key, value in entry.gold.items()}}
        self._variables = {key: value for entry in entries for key, value in entry.variables.items()}
        with contextlib.ExitStack() as stack:
            if host is None:
                host = booted.BootedHost(f"enforce-{number}-{os.getpid()}", variant)
                stack.callback(host.stop)
            self._host = host
            self.gold = placed(self.gold, network_of(host))
            self._run()

    def _run(self) -> None:
        host = self._host
        for entry in self._entries:
            done = host.lab.run(["/bin/sh", "-e", "-c", "\n".join(entry.setup)], timeout=120)
            assert done.returncode == 0, f"setup of {entry.id}: {done.stdout}{done.stderr}"
        host.restart(sorted({unit for entry in self._entries for unit in entry.restart}))
        self.before = self._measure()
        original = footprint.footprint(host)
        self.preview = self._role("--check", "--diff")
        touched = footprint.changed(original, footprint.footprint(host))
        self.touched_in_check_mode = [line for line in touched if SSSD not in line]
        self.applied = self._role()
        self.after = self._measure()
        self.second_preview = self._role("--check")
        self.second = self._role()
        self.reverted = self._revert()
        self.left_behind = footprint.differences(host, original, KEPT)
        self.restored = self._measure()

    def _measure(self) -> dict[str, dict[str, Any]]:
        document = self._host.audit(self.gold)
        return {result["check"]: result for result in document["results"]}

    def _role(self, *arguments: str) -> dict[str, Any]:
        """Run the area's role by its name alone; returns what became of the area, with `changed` and `failed`."""
        checks = sorted({entry.check for entry in self._entries})
        variables = {
            **self.gold,
            "hypervisor_rollback_seconds": ROLLBACK_SECONDS.get(self._host.variant, 60),
            "hypervisor_time_limit": self._host.patience,
            **self._variables,
            f"{self._area}_checks": checks,
        }
        play = [
            {
                "name": "One role, alone",
                "hosts": self._host.name,
                "gather_facts": False,
                "roles": [{"role": f"dwp.hypervisor.{self._area}", "vars": variables}],
            }
        ]
        result = play_result(self._host, play, *arguments)
        assert result["tasks"], result["output"][-4000:]
        task = result["tasks"][-1]
        assert "areas" in task or "msg" in task, result["output"][-4000:]
        return {**task.get("areas", {}).get(self._area, {"updated": {}, "refused": task.get("msg", "")}),
                "changed": task.get("changed", False), "failed": task.get("failed", False),
                "msg": task.get("msg", "")}  # fmt: skip

    def _revert(self) -> dict[str, Any]:
        """Take back what the role did; a host on which it changed nothing has nothing to take back."""
        return self._host.module("dwp.hypervisor.kvm_changes", {"state": "reverted", "areas": [self._area]})

    def judge(self, entry: Entry) -> None:
        """Assert what the entry expects of its check, and what the test law expects of every change."""
        before, after, restored = (found[entry.check] for found in (self.before, self.after, self.restored))
        assert before["measured"] == entry.expect_before, f"before: {shown(before)}"
        assert entry.message in f"{before['message']} {before['items']}", shown(before)
        assert self.touched_in_check_mode == [], f"check mode changed the host: {self.touched_in_check_mode[:20]}"
        if entry.refused:
            assert entry.refused in self.applied["refused"], self.applied
            assert entry.refused in self.preview["refused"], self.preview
            assert self.applied["failed"] and not self.applied["updated"]
        else:
            self._judge_change(entry)
        assert after["measured"] == entry.expect_after, f"after: {shown(after)}; {self.applied}"
        assert self.left_behind == [], f"revert did not put everything back: {self.left_behind[:20]}"
        told = f"after revert: {shown(restored)}, before: {shown(before)}"
        assert restored["measured"] == (entry.expect_restored or before["measured"]), told
        assert entry.expect_restored or restored["actual"] == before["actual"], told
        if entry.expect_before == "fail" and entry.expect_after == "pass":
            self._saw(entry, f"{entry.area}[{entry.position}]")
        elif entry.pending:
            how = f"{entry.area}[{entry.position}], waits for {entry.pending}"
            self._saw(entry, how)

    def _saw(self, entry: Entry, how: str) -> None:
        lane = seen.ENFORCED_VM if entry.variant == booted.VM else seen.ENFORCED
        lane.status(entry.check, lane.where, how)

    def _judge_change(self, entry: Entry) -> None:
        assert not self.applied["refused"], self.applied
        assert not self.applied["failed"], self.applied
        mine = {key for key, value in self.applied["updated"].items() if entry.check in value["checks"]}
        previewed = {key for key, value in self.preview["updated"].items() if entry.check in value["checks"]}
        assert previewed == mine, (previewed, mine)
        if entry.by_hand:
            told = [found["what"] for found in self.applied["by_hand"] if entry.check in found["checks"]]
            assert any(entry.by_hand in what for what in told), self.applied["by_hand"]
        elif entry.expect_after == "pass" or entry.pending:
            assert self.applied["changed"], self.applied
        for name, again in (("check mode", self.second_preview), ("apply", self.second)):
            assert not again["changed"], f"a second {name} changes {again['updated']}"
        if entry.pending:
            waits = {found["check"]: found["waits_for"] for found in self.second["pending"]}
            assert waits.get(entry.check) == entry.pending, self.second["pending"]


def network_of(host: booted.BootedHost) -> str:
    """The network between this machine and a lab host."""
    address = yaml.safe_load(host.inventory.read_text(encoding="utf-8"))["all"]["hosts"][host.name]["ansible_host"]
    return f"{address.rpartition('.')[0]}.0/24"


def placed(value: Any, network: str) -> Any:
    """The same data with LAB_NETWORK replaced."""
    if isinstance(value, dict):
        return {key: placed(entry, network) for key, entry in value.items()}
    if isinstance(value, list):
        return [placed(entry, network) for entry in value]
    return network if value == LAB_NETWORK else value


def play_result(host: booted.BootedHost, play: list[dict[str, Any]], *arguments: str) -> dict[str, Any]:
    """Run a play on one host; returns {code, output, tasks: [the result of each task of the host, in order]}."""
    folder = pathlib.Path(host.lab.state)
    playbook, results = folder / "play.yml", folder / "results"
    playbook.write_text(yaml.safe_dump(play), encoding="utf-8")
    results.write_text("", encoding="utf-8")
    done = subprocess.run(
        [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", str(host.inventory), str(playbook)]
        + list(arguments),
        cwd=booted.CHECKOUT,
        capture_output=True,
        text=True,
        timeout=host.patience + 400,
        check=False,
        env={**booted.ansible_environment(), **callback(results)},
    )
    tasks = [json.loads(line)["result"] for line in results.read_text(encoding="utf-8").splitlines()]
    return {"code": done.returncode, "output": done.stdout + done.stderr, "tasks": tasks}


def callback(results: pathlib.Path) -> dict[str, str]:
    """The environment in which every task's result is written to a file."""
    return {
        "ANSIBLE_ACTION_PLUGINS": str(pathlib.Path(__file__).parent / "actions"),
        "ANSIBLE_CALLBACK_PLUGINS": str(pathlib.Path(__file__).parent / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "task_results",
        "LAB_TASK_RESULTS": str(results),
    }


def shown(result: dict[str, Any]) -> str:
    """The parts of a result a reader needs."""
    return ", ".join(
        f"{key}={str(result[key])[:600]}" for key in ("measured", "message", "actual", "expected", "items")
    )
