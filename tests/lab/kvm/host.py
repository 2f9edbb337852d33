# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and enter lab hosts."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence

from . import cgroups, inventory, network, paths, rootfs

SSH_WAIT = 60.0


@dataclasses.dataclass
class Host:
    """A lab host that was started; kept as JSON beside its file system."""

    name: str
    variant: str
    index: int
    nspawn: int
    address: str

    @property
    def state(self) -> pathlib.Path:
        """The state directory, a tmpfs that holds everything the host writes."""
        return paths.host_state(self.name)

    @property
    def root(self) -> pathlib.Path:
        """The host's root file system, as seen from outside."""
        return self.state / "root"

    def leader(self) -> int:
        """Return the pid of the host's init; LabError when it is not running."""
        for task in pathlib.Path(f"/proc/{self.nspawn}/task").glob("*/children"):
            for child in task.read_text(encoding="utf-8").split():
                if pathlib.Path(f"/proc/{child}/root/run/systemd").exists():
                    return int(child)
        raise paths.LabError(f"{self.name} is not running; its console is in {self.state / 'console.log'}")

    def command(self, words: Sequence[str]) -> list[str]:
        """Return the command line that runs ``words`` as root inside the host."""
        return ["nsenter", "-t", str(self.leader()), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--", *words]

    def run(
        self, words: Sequence[str], timeout: float = 60.0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside the host, without ssh; the caller looks at the return code."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
        return subprocess.run(
            self.command(words),
            capture_output=True,
            text=True,
            timeout=timeout,
            input=stdin,
            env=environment,
            check=False,
        )


@contextlib.contextmanager
def _state_lock() -> Iterator[None]:
    paths.STATE.mkdir(mode=0o755, exist_ok=True)
    with (paths.STATE / ".lock").open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def find(name: str) -> Host | None:
    """Return a started host, or None."""
    try:
        return Host(**json.loads((paths.host_state(name) / "state.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def running(name: str) -> Host:
    """Return a started host, or a LabError that says how to start it."""
    host = find(name)
    if host is None:
        raise paths.LabError(f"no lab host {name!r}; start it with: python3 -m tests.lab.kvm up {name}")
    host.leader()
    return host


def names() -> list[str]:
    """Return the names of all hosts that have state, running or not (full VMs and vSphere targets have their own)."""
    others = ("vm.json", "config.json")
    return sorted(
        path.name
        for path in paths.STATE.glob("*")
        if path.is_dir() and not any((path / name).exists() for name in others)
    )


def why_not() -> str | None:
    """Return why no lab host can run on this machine, or None."""
    if os.geteuid() != 0:
        return "not root"
    missing = [tool for tool in ("systemd-nspawn", "nsenter", "ip", "nft", "ssh-keygen") if not shutil.which(tool)]
    if missing:
        return f"missing on this machine: {', '.join(missing)} (python3 -m tests.lab.kvm deps)"
    if "overlay" not in pathlib.Path("/proc/filesystems").read_text(encoding="utf-8"):
        return "the kernel has no overlay file system"
    return None


def up(name: str, variant: str = "monolithic") -> Host:
    """Start a fresh host and wait for ssh; a host of that name that runs already is returned as it is."""
    reason = why_not()
    if reason:
        raise paths.LabError(reason)
    if (paths.host_state(name) / "config.json").exists():
        raise paths.LabError(f"{name!r} is a vSphere target; choose another name")
    lower = rootfs.build(variant)
    old = find(name)
    if old is not None:
        with contextlib.suppress(paths.LabError):
            old.leader()
            if old.variant != variant:
                raise ValueError(f"{name} runs as {old.variant}; take it down first")
            return old
    down(name)
    with _state_lock():
        index = network.free_index()
        network.create(name, index)
    state = paths.host_state(name)
    try:
        state.mkdir(mode=0o755)
        _mount(state, lower, name)
        host = Host(name, variant, index, _boot(name, state), network.address(index))
        (state / "state.json").write_text(json.dumps(dataclasses.asdict(host)), encoding="utf-8")
        _wait_for_ssh(host)
        _seed(host)
    except BaseException:
        console = state / "console.log"
        if console.exists():
            shutil.copy(console, paths.cache() / f"failed-{name}.log")
        down(name)
        network.destroy(name, index)
        raise
    inventory.write(name, host.address)
    return host


def _mount(state: pathlib.Path, lower: pathlib.Path, name: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755,size=2g", "dwplab", str(state)], check=True, timeout=20)
    for part in ("upper", "work", "root"):
        (state / part).mkdir(mode=0o755)
    options = f"lowerdir={lower},upperdir={state}/upper,workdir={state}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "dwplab", str(state / "root")], check=True, timeout=20)
    root = state / "root"
    (root / "etc/hostname").write_text(name + "\n", encoding="utf-8")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost\n", encoding="utf-8")
    (root / "etc/machine-id").write_text(os.urandom(16).hex() + "\n", encoding="utf-8")


def _boot(name: str, state: pathlib.Path) -> int:
    """Start systemd-nspawn detached and return its pid."""
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LAB_GROUPS": " ".join(str(group) for group in cgroups.create(name)),
        # Writable /proc/sys/net: libvirt sets forwarding on its bridges.
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        # The root is an overlay of ours; nspawn need not lock or snapshot anything.
        "SYSTEMD_NSPAWN_LOCK": "0",
    }
    command = [
        "/bin/sh",
        "-c",
        cgroups.JOIN,
        "sh",
        "systemd-nspawn",
        "-q",
        "-D",
        str(state / "root"),
        "-M",
        name,
        "--boot",
        "--register=no",
        "--keep-unit",
        f"--network-namespace-path=/run/netns/{network.namespace(name)}",
        "--resolv-conf=off",
        "--link-journal=no",
        "--console=pipe",
        "--capability=all",
        "--drop-capability=CAP_SYS_TIME",
        "--timezone=off",
    ]
    # systemd 256 and later refuse the cgroup v1 hierarchy unless told otherwise; older ones ignore the words.
    command += ["systemd.show_status=false", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]
    with (state / "console.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True, cwd="/"
        )
    return process.pid


def _wait_for_ssh(host: Host) -> None:
    deadline = time.monotonic() + SSH_WAIT
    while time.monotonic() < deadline:
        if not pathlib.Path(f"/proc/{host.nspawn}").exists():
            break
        with contextlib.suppress(OSError), socket.create_connection((host.address, 22), timeout=2) as connection:
            connection.settimeout(5)
            if connection.recv(4) == b"SSH-":
                return
        time.sleep(0.1)
    raise paths.LabError(
        f"{host.name} gave no ssh banner in {SSH_WAIT:.0f} s; console: {paths.cache()}/failed-{host.name}.log"
    )


def _seed(host: Host) -> None:
    """Define the pool, the volumes' secret and the two domains, and start the first domain."""
    script = (paths.FILES / "seed.sh").read_text(encoding="utf-8")
    done = host.run(["/bin/sh", "-eu"], stdin=script, timeout=90)
    if done.returncode:
        raise paths.LabError(
            f"could not define the domains of {host.name}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )


def down(name: str) -> None:
    """Stop a host and remove everything it left; quiet when there is nothing."""
    host = find(name)
    state = paths.host_state(name)
    if host is not None:
        # An ssh master that outlives its host would hang the next connection to the same address.
        for control in state.glob("cm-*"):
            subprocess.run(
                ["ssh", "-O", "exit", "-S", str(control), "lab"], capture_output=True, timeout=10, check=False
            )
        with contextlib.suppress(paths.LabError, subprocess.TimeoutExpired):
            # libvirt-guests would wait for guests that never answer.
            host.run(["sh", "-c", "for d in $(virsh -q list --name); do virsh -q destroy $d; done"], timeout=15)
        _kill(host)
        network.destroy(name, host.index)
    else:
        network.destroy(name, None)
    for mount in (state / "root", state):
        if mount.is_mount():
            subprocess.run(["umount", "-l", str(mount)], check=True, timeout=20)
    cgroups.destroy(name)
    shutil.rmtree(state, ignore_errors=True)


def _kill(host: Host) -> None:
    """Kill the host's init (its pid namespace dies with it) and wait for nspawn to end."""
    with contextlib.suppress(paths.LabError, ProcessLookupError):
        os.kill(host.leader(), signal.SIGKILL)
    for _attempt in range(50):
        if not _is_nspawn(host.nspawn):
            return
        time.sleep(0.1)
    os.kill(host.nspawn, signal.SIGKILL)


def cut_power(host: Host) -> None:
    """Stop a host between two instructions, as a power failure would; its file system stays as it is then."""
    for control in host.state.glob("cm-*"):
        subprocess.run(["ssh", "-O", "exit", "-S", str(control), "lab"], capture_output=True, timeout=10, check=False)
    _kill(host)
    cgroups.destroy(host.name)


def power_on(host: Host) -> Host:
    """Start a host again on the file system it had, and wait for ssh."""
    started = dataclasses.replace(host, nspawn=_boot(host.name, host.state))
    (host.state / "state.json").write_text(json.dumps(dataclasses.asdict(started)), encoding="utf-8")
    _wait_for_ssh(started)
    return started


def _is_nspawn(pid: int) -> bool:
    """Say whether the pid is a live systemd-nspawn (pids are reused, and a zombie is no longer one)."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return b"systemd-nspawn" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
