# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody is locked out: the host takes such changes back by itself, whatever happens to controller and host."""

from __future__ import annotations

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.tests.integration.enforcement import enforced
from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted, footprint
from ansible_collections.dwp.hypervisor.tests.lab.kvm import host as nspawn

SECONDS = 20
# How long ssh may take to give up on a host that drops everything.
PATIENCE = SECONDS + 100
DROP = "table inet lab_drop {\n chain i {\n  type filter hook input priority 0; policy drop;\n }\n}\n"
NO_DROP = ["nft", "delete", "table", "inet", "lab_drop"]
SHUT_OUT = {
    "firewall": [
        plan.file("/etc/lab-drop.nft", DROP, then=[plan.run("nft", "-f", "/etc/lab-drop.nft", undo=NO_DROP)])
    ],
    "sshd": [
        plan.keys("/etc/ssh/sshd_config.d/00-lab.conf", {"AllowUsers": "nobody-here"}, syntax="sshd",
                  then=[plan.run("/usr/sbin/sshd", "-t"), plan.restart("ssh.service")])
    ],
    "pam": [plan.lines("/etc/pam.d/sshd", present=[{"line": "account required pam_deny.so", "before": "^account"}])],
    "sudo": [
        plan.file("/etc/sudoers.d/zz-lab", "ansible ALL=(ALL) !ALL\n", mode="0440", validate=["visudo", "-cf", "%s"])
    ],
}  # fmt: skip
# A person's way in only: the controller would not notice.
PEOPLE_OUT = [plan.keys("/etc/ssh/sshd_config.d/00-lab.conf", {"DenyUsers": "alice bob"}, syntax="sshd",
                        then=[plan.reload("ssh.service")])]  # fmt: skip


@pytest.fixture
def host(lab_ready: None, request: pytest.FixtureRequest) -> Iterator[booted.BootedHost]:
    """A host of its own for each test: it is cut off, killed and started again."""
    started = booted.BootedHost(f"guard-{os.getpid()}-{abs(hash(request.node.name)) % 1000}")
    yield started
    started.stop()


def guarded(host: booted.BootedHost, rows: list[plan.Row], area: str, seconds: int = SECONDS, **gold: Any) -> dict:
    """Change a host by rows under the guard; returns the task's result."""
    task = {"name": "Change", "guarded_rows": {"area": area, "rows": rows, "seconds": seconds}}
    play = [{"name": "Guarded", "hosts": host.name, "gather_facts": False, "vars": {**enforced.PEOPLE, **gold},
             "roles": ["dwp.hypervisor.gold"], "tasks": [task]}]  # fmt: skip
    return enforced.play_result(host, play)["tasks"][-1]


def role_command(host: booted.BootedHost) -> tuple[list[str], dict[str, str]]:
    """The command that applies remote_access with a short time limit, and its environment."""
    play = [{"name": "Harden", "hosts": host.name, "gather_facts": False,
             "roles": [{"role": "dwp.hypervisor.remote_access",
                        "vars": {**enforced.PEOPLE, "hypervisor_rollback_seconds": SECONDS}}]}]  # fmt: skip
    playbook = host.lab.state / "harden.yml"
    playbook.write_text(yaml.safe_dump(play), encoding="utf-8")
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", str(host.inventory), str(playbook)]
    return command, booted.ansible_environment()


def states(host: booted.BootedHost) -> list[str]:
    return [entry["state"] for entry in host.module("dwp.hypervisor.kvm_changes", {})["changes"]]


def assert_whole(host: booted.BootedHost) -> None:
    """The host lets the controller in, nothing is armed, nothing is half-written."""
    assert host.module("ansible.builtin.ping", {})["ping"] == "pong"
    assert set(states(host)) <= {"confirmed", "undone"}
    left = host.run("find /etc -name '.dwp-hypervisor.*'; ls /etc/systemd/system | grep dwp-hypervisor || true")
    assert left == "", left
    host.run("/usr/sbin/sshd -t && visudo -c && systemctl is-active ssh")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("area", SHUT_OUT)
def test_a_change_that_cuts_the_controller_off_is_taken_back(host: booted.BootedHost, area: str) -> None:
    host.module("ansible.builtin.ping", {})
    before = footprint.footprint(host)
    result = guarded(host, SHUT_OUT[area], area)
    assert result["failed"]
    assert "cut the controller off" in result["msg"] or "was taken back" in result["msg"], result["msg"]
    assert "answers again" in result["msg"] or "was taken back" in result["msg"], result["msg"]
    assert states(host) == ["undone"]
    assert footprint.differences(host, before, enforced.KEPT) == []
    assert_whole(host)


@pytest.mark.timeout(200)
def test_a_change_that_shuts_people_out_is_taken_back_at_once(host: booted.BootedHost) -> None:
    result = guarded(host, PEOPLE_OUT, "sshd")
    assert result["failed"]
    assert "was taken back: only 0 of at least 2 administrators" in result["msg"], result["msg"]
    assert_whole(host)


@pytest.mark.timeout(200)
def test_a_change_that_fails_is_put_back_whole(host: booted.BootedHost) -> None:
    host.module("ansible.builtin.ping", {})
    before = footprint.footprint(host)
    rows = [plan.keys("/etc/ssh/sshd_config.d/00-lab.conf", {"Ciphers": "no-such-cipher"}, syntax="sshd",
                      then=[plan.run("/usr/sbin/sshd", "-t"), plan.reload("ssh.service")]),
            plan.unit("chrony.service", active=False)]  # fmt: skip
    result = guarded(host, rows, "sshd")
    assert result["failed"] and "everything was put back" in result["msg"], result["msg"]
    assert host.run("systemctl is-active chrony").strip() == "active"
    assert footprint.differences(host, before, enforced.KEPT) == []
    assert_whole(host)


@pytest.mark.timeout(300)
def test_a_second_run_leaves_an_armed_rollback_alone(host: booted.BootedHost) -> None:
    arguments = {"area": "lab", "settings": [{**row, "checks": ["kvm-11.4.6-ssh-root"]} for row in PEOPLE_OUT],
                 "rollback_after": SECONDS, "about": {"run_id": "first", "controller": "first"}}  # fmt: skip
    host.module("dwp.hypervisor.kvm_settings", arguments)
    command, environment = role_command(host)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment,
                          cwd=booted.CHECKOUT)  # fmt: skip
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "a rollback of lab is armed" in told or "administrators of gold_hypervisor_admins can log in" in told, told
    time.sleep(SECONDS + 5)
    assert states(host) == ["undone"]
    assert_whole(host)


@pytest.mark.timeout(300)
def test_two_controllers_at_once_do_not_fight(host: booted.BootedHost) -> None:
    command, environment = role_command(host)
    with ThreadPoolExecutor(max_workers=2) as pool:
        runs = [
            pool.submit(subprocess.run, command, capture_output=True, text=True, timeout=200, check=False,
                        env=environment, cwd=booted.CHECKOUT)
            for _number in range(2)
        ]  # fmt: skip
        done = [run.result() for run in runs]
    assert 0 in [run.returncode for run in done], [run.stdout[-2000:] for run in done]
    for run in done:
        if run.returncode:
            assert "is armed" in run.stdout + run.stderr or "another run changes" in run.stdout + run.stderr, run.stdout
    assert_whole(host)
    assert states(host).count("confirmed") == 1


@pytest.mark.timeout(300)
def test_revert_after_a_restart_brings_every_byte_back(host: booted.BootedHost) -> None:
    host.module("ansible.builtin.ping", {})
    before = footprint.footprint(host)
    command, environment = role_command(host)
    subprocess.run(command, capture_output=True, timeout=200, check=True, env=environment, cwd=booted.CHECKOUT)
    assert footprint.differences(host, before, enforced.KEPT)
    nspawn.cut_power(host.lab)
    host.lab = nspawn.power_on(host.lab)
    assert states(host) == ["confirmed"]
    host.module("dwp.hypervisor.kvm_changes", {"state": "reverted"})
    ours = [line for line in footprint.differences(host, before, enforced.KEPT) if "/etc/ssh" in line]
    assert ours == []
    assert_whole(host)


@pytest.mark.timeout(1200)
def test_power_lost_at_any_moment_leaves_the_host_reachable(host: booted.BootedHost) -> None:
    seed = int(os.environ.get("LAB_SEED", random.SystemRandom().randrange(10**6)))
    dice, undone = random.Random(seed), 0
    for moment in range(14):
        command, environment = role_command(host)
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
                               cwd=booted.CHECKOUT, start_new_session=True)  # fmt: skip
        time.sleep(dice.uniform(1.0, 8.0))
        nspawn.cut_power(host.lab)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        host.lab = nspawn.power_on(host.lab)
        # How long a host takes to start is the machine's load, and nothing that the guard promises.
        _wait_until_settled(host, 120)
        assert_whole(host)
        undone += "undone" in states(host)
        if "confirmed" in states(host)[-1:]:
            host.module("dwp.hypervisor.kvm_changes", {"state": "reverted"})
        print(f"seed {seed}, moment {moment}: {states(host)[-1:]}")
    assert undone, f"seed {seed}: no power cut met a change half-way"


@pytest.mark.timeout(900)
def test_controller_killed_at_any_moment_leaves_the_host_reachable(lab_ready: None) -> None:
    seed = int(os.environ.get("LAB_SEED", random.SystemRandom().randrange(10**6)))
    dice = random.Random(seed)
    hosts = [booted.BootedHost(f"killed-{os.getpid()}-{number}") for number in range(4)]
    try:
        for _round in range(2):
            runs = []
            for host in hosts:
                command, environment = role_command(host)
                runs.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                             env=environment, cwd=booted.CHECKOUT, start_new_session=True))  # fmt: skip
            with ThreadPoolExecutor(max_workers=len(runs)) as pool:
                list(pool.map(_kill_after, runs, [dice.uniform(3.0, 16.0) for _run in runs]))
            for host in hosts:
                _wait_until_settled(host, SECONDS + 100)
                assert_whole(host)
                host.module("dwp.hypervisor.kvm_changes", {"state": "reverted", "run": "all"})
    finally:
        for host in hosts:
            host.stop()


def _kill_after(run: subprocess.Popen, seconds: float) -> None:
    time.sleep(seconds)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def _wait_until_settled(host: booted.BootedHost, seconds: float) -> None:
    """Wait until nothing is armed any more, and no module of a controller that is gone still works (and arms later)."""
    deadline = time.monotonic() + seconds
    script = (
        "pgrep -f BECOME-SUCCES[S] > /dev/null && echo busy; "
        "cat /var/lib/dwp-hypervisor/changes/*/state.json 2> /dev/null; ls /etc/systemd/system; true"
    )
    while time.monotonic() < deadline:
        told = host.run(script)
        if not any(word in told for word in ("busy", '"armed"', '"applying"', "dwp-hypervisor-rollback")):
            return
        time.sleep(0.5)
    raise AssertionError(f"after {seconds} s: {json.dumps(told)}")
