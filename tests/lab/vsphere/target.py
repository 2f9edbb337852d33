# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop vSphere targets."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence

from ..kvm import paths
from . import inventory, program

RELEASES = ("7.0.3", "8.0.3", "9.0.0")
VCENTERS = ("9.0.0", "8.0.3")
STATE_FILE = "target.json"
MOST_HOSTS, MOST_MACHINES = 2_000, 20_000
STOP_SECONDS = 10.0


@dataclasses.dataclass
class User:
    """An account of the target; its role holds on the root folder and propagates."""

    name: str
    role: str
    password: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)


@dataclasses.dataclass
class Size:
    """How much a target holds, and of which release.

    ``standalone`` is the release of a single ESXi host without a vCenter, ``vcenter`` that of the vCenter otherwise.
    """

    hosts: int = 3
    vms: int = 6
    standalone: str | None = None
    vcenter: str = VCENTERS[0]
    per_cluster: int = 64

    def check(self) -> None:
        """Raise LabError when the target would be too large, or a single host is asked to be many."""
        if self.per_cluster < 1:
            raise paths.LabError(f"{self.per_cluster} hosts in a cluster: expected 1 or more")
        if not 1 <= self.hosts <= MOST_HOSTS or not 0 <= self.vms <= MOST_MACHINES:
            raise paths.LabError(
                f"{self.hosts} hosts and {self.vms} VMs: expected 1 to {MOST_HOSTS} and 0 to {MOST_MACHINES}"
            )


@dataclasses.dataclass
class Target:
    """A started target; kept as JSON in its state directory."""

    name: str
    pid: int
    port: int
    control: str
    users: list[dict[str, str]]

    @property
    def state(self) -> pathlib.Path:
        """The state directory."""
        return paths.host_state(self.name)

    @property
    def inventory(self) -> pathlib.Path:
        """The inventory of the administrator."""
        return self.state / "inventory.yml"

    def alive(self) -> bool:
        """Say whether the program still runs (pids are reused, and a zombie is no longer one)."""
        return _is_server(self.pid, self.name)


def _is_server(pid: int, name: str) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(_config(name)).encode() in words


def _config(name: str) -> pathlib.Path:
    return paths.host_state(name) / "config.json"


def _scratch(name: str) -> pathlib.Path:
    """Return where the simulator keeps its machines' files, which are tens of thousands: in memory if possible."""
    memory = pathlib.Path("/dev/shm")
    return memory / f"dwp-hypervisor-lab-{name}" if os.access(memory, os.W_OK) else paths.host_state(name) / "scratch"


def find(name: str) -> Target | None:
    """Return a started target, or None."""
    try:
        return Target(**json.loads((paths.host_state(name) / STATE_FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def running(name: str) -> Target:
    """Return a started target, or a LabError that says how to start it."""
    found = find(name)
    if found is None or not found.alive():
        raise paths.LabError(f"no vSphere target {name!r}; start it with: python3 -m tests.lab.vsphere up {name}")
    return found


def names() -> list[str]:
    """Return the names of all targets that have state, running or not."""
    return sorted(path.parent.name for path in paths.STATE.glob(f"*/{STATE_FILE}"))


def default_users(standalone: bool) -> list[User]:
    """Return the administrator, who comes first, and a read-only user."""
    domain = "" if standalone else "@vsphere.local"
    return [User("root" if standalone else f"administrator{domain}", "Admin"), User(f"auditor{domain}", "ReadOnly")]


def up(name: str, size: Size | None = None, users: Sequence[User] = ()) -> Target:
    """Start a fresh target and wait until it listens; one of that name that runs already is taken down first."""
    size = size or Size()
    size.check()
    binary = program.build()
    state = paths.host_state(name)
    if state.exists() and not _config(name).exists():
        raise paths.LabError(f"{name!r} is a host of the KVM lab; choose another name")
    down(name)
    paths.STATE.mkdir(mode=0o755, exist_ok=True)
    state.mkdir(mode=0o700)
    accounts = [*default_users(size.standalone is not None), *users]
    config = {
        "state": str(state),
        "scratch": str(_scratch(name)),
        "hosts": 1 if size.standalone else size.hosts,
        "vms": size.vms,
        "per_cluster": size.per_cluster,
        "standalone": size.standalone or "",
        "vcenter": size.vcenter,
        "users": [dataclasses.asdict(account) for account in accounts],
    }
    _config(name).touch(mode=0o600)
    _config(name).write_text(json.dumps(config), encoding="utf-8")
    process = _start(binary, name)
    try:
        ready = _wait(state, process, name, 30.0 + size.hosts * 0.1 + size.vms * 0.02)
    except BaseException:
        process.kill()
        process.wait(timeout=STOP_SECONDS)
        shutil.rmtree(_scratch(name), ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)
        raise
    found = Target(name, process.pid, ready["port"], ready["control"], config["users"])
    (state / STATE_FILE).touch(mode=0o600)
    (state / STATE_FILE).write_text(json.dumps(dataclasses.asdict(found)), encoding="utf-8")
    for index, account in enumerate(accounts):
        # The administrator's is inventory.yml; every other account has one of its own beside it.
        path = found.inventory if index == 0 else state / f"inventory-{account.name.partition('@')[0]}.yml"
        inventory.write(path, found, account.name, account.password)
    return found


def _start(binary: pathlib.Path, name: str) -> subprocess.Popen[bytes]:
    state = paths.host_state(name)
    scratch = _scratch(name)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    with (state / "server.log").open("wb") as log:
        return subprocess.Popen(
            [str(binary), "-config", str(_config(name))],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            # Parsing thousands of objects makes much short-lived garbage: trade a little time for half the memory,
            # unless somebody measures the time of others beside it.
            env={
                "PATH": "/usr/bin:/bin",
                "TMPDIR": str(scratch),
                "HOME": str(state),
                "GOGC": os.environ.get("GOGC", "50"),
            },
        )


def _wait(state: pathlib.Path, process: subprocess.Popen[bytes], name: str, seconds: float) -> dict:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            return json.loads((state / "ready.json").read_text(encoding="utf-8"))
        time.sleep(0.05)
    log = (state / "server.log").read_text(encoding="utf-8", errors="replace")[-2000:]
    raise paths.LabError(f"{name} did not come up in {seconds:.0f} s:\n{log}")


def down(name: str) -> None:
    """Stop a target and remove everything it left; quiet when there is nothing."""
    found = find(name)
    if found is not None:
        _stop(found.pid, name)
    if _config(name).exists():
        shutil.rmtree(_scratch(name), ignore_errors=True)
        shutil.rmtree(paths.host_state(name), ignore_errors=True)


def _stop(pid: int, name: str) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    with contextlib.suppress(ProcessLookupError):
        if _is_server(pid, name):
            os.kill(pid, signal.SIGTERM)
        while _is_server(pid, name):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
