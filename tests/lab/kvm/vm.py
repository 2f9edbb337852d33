# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The full VM: secure boot, TPM 2.0, AppArmor, auditd, sysctls of its own. Emulated, so started from a snapshot."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from . import inventory, paths, rootfs, vmimage

FIRMWARE = pathlib.Path("/usr/share/OVMF")
SNAPSHOT = "ready"
# A snapshot can only be loaded into the machine it was taken of: the words are part of its name.
QEMU = """
    qemu-system-x86_64 -name {name} -machine q35,smm=on -accel tcg,thread=multi -cpu max -smp 2 -m 2048
    -display none -nodefaults -no-user-config -global driver=cfi.pflash01,property=secure,value=on
    -drive if=pflash,unit=0,format=raw,readonly=on,file={firmware}/OVMF_CODE_4M.secboot.fd
    -drive if=pflash,unit=1,format=qcow2,file={directory}/vars.qcow2
    -drive if=none,id=disk,format=qcow2,cache=unsafe,file={directory}/disk.qcow2 -device virtio-blk-pci,drive=disk
    -chardev socket,id=tpm,path={state}/tpm -tpmdev emulator,id=tpm0,chardev=tpm -device tpm-crb,tpmdev=tpm0
    -netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:22 -device virtio-net-pci,netdev=net
    -serial file:{state}/console.log -qmp unix:{state}/qmp,server=on,wait=off -device virtio-rng-pci
""".split()
# Emulated, the first boot takes about two minutes and the first domain one more.
BOOT_WAIT = 900.0
SSH_OPTIONS = (
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "IdentitiesOnly=yes",
    "-o",
    "ConnectTimeout=10",
    "-o",
    "BatchMode=yes",
)


@dataclasses.dataclass
class Machine:
    """A running VM; kept as JSON beside its disk."""

    name: str
    port: int
    qemu: int
    directory: str

    @property
    def state(self) -> pathlib.Path:
        """The directory with the machine's inventory and sockets."""
        return paths.host_state(self.name)

    def run(
        self, words: list[str], timeout: float = 120.0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root inside the machine, over ssh; the caller looks at the return code."""
        quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
        command = [
            "ssh",
            *SSH_OPTIONS,
            "-o",
            "ControlMaster=auto",
            "-o",
            "ControlPersist=300",
            "-o",
            f"ControlPath={self.state}/cm-%C",
        ]
        command += [
            "-i",
            str(rootfs.keys() / "ansible"),
            "-p",
            str(self.port),
            "ansible@127.0.0.1",
            f"sudo -n {quoted}",
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=stdin, check=False)

    def monitor(self, line: str, timeout: float = 120.0) -> str:
        """Give QEMU one monitor command and return its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(f"{self.state}/qmp")
            stream = connection.makefile("rw", encoding="utf-8")
            stream.readline()
            for request in (
                {"execute": "qmp_capabilities"},
                {"execute": "human-monitor-command", "arguments": {"command-line": line}},
            ):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                while "event" in (answer := json.loads(stream.readline())):
                    pass
        if "error" in answer or answer["return"].startswith("Error"):
            raise paths.LabError(f"QEMU refused {line!r}: {answer}")
        return answer["return"]


def build() -> pathlib.Path:
    """Return the directory of the snapshotted machine: booted once, domains defined, saved while running."""
    disk = vmimage.build()
    seed = (paths.FILES / "seed.sh").read_text(encoding="utf-8")
    version = subprocess.run(
        ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True, timeout=20
    )
    ready = disk.with_name(f"{disk.stem}-{rootfs.digest(seed, version.stdout, *QEMU)}.ready")
    if ready.is_dir():
        return ready
    fresh = disk.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "tpm").mkdir(parents=True)
    # Writable disks must be qcow2 to hold a snapshot, the firmware's variables too.
    for source, target in ((disk, "disk.qcow2"), (FIRMWARE / "OVMF_VARS_4M.ms.fd", "vars.qcow2")):
        rootfs.quietly(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(source), str(fresh / target)], 300)
    machine = _start("vm-build", fresh, None)
    try:
        _wait_for_ssh(machine, BOOT_WAIT)
        done = machine.run(["/bin/sh", "-eu"], timeout=900, stdin=seed)
        if done.returncode:
            raise paths.LabError(f"could not define the domains:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        done = machine.run(["update-grub"], timeout=300)
        if done.returncode:
            raise paths.LabError(f"update-grub failed:\n{done.stderr[-2000:]}")
        # QEMU cannot load a snapshot that was taken while one of its processors ran a nested guest.
        machine.run(["virsh", "-q", "-c", "qemu:///system", "suspend", "vm1"])
        # The snapshot has the machine's memory; whoever starts from the disk alone (secure_boot False) has not.
        machine.run(["sync"])
        machine.monitor(f"savevm {SNAPSHOT}")
    finally:
        down("vm-build", keep=True)
    fresh.rename(ready)
    return ready


def up(name: str, secure_boot: bool = True) -> Machine:
    """Start a copy of the snapshotted machine and wait for ssh.

    secure_boot False: a firmware without keys, so a boot of its own (a minute or two), and no kernel lockdown.
    """
    ready = build()
    down(name)
    copy = paths.cache() / f"vm-run-{name}"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    rootfs.quietly(["cp", "-a", "--sparse=always", f"{ready}/.", str(copy)], 300)
    if not secure_boot:
        words = ["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(FIRMWARE / "OVMF_VARS_4M.fd")]
        rootfs.quietly([*words, str(copy / "vars.qcow2")], 300)
    machine = _start(name, copy, SNAPSHOT if secure_boot else None)
    try:
        _wait_for_ssh(machine, 180.0 if secure_boot else BOOT_WAIT)
        # The snapshot's clock stands where it was saved, and so does its guest.
        machine.run(["date", "-u", "-s", f"@{int(time.time())}"])
        machine.run(["virsh", "-q", "-c", "qemu:///system", "resume" if secure_boot else "start", "vm1"])
    except BaseException:
        down(name)
        raise
    inventory.write(name, "127.0.0.1", machine.port)
    return machine


def reboot(machine: Machine) -> None:
    """Restart the machine from inside and wait until it answers again, with another boot id."""
    question = ["cat", "/proc/sys/kernel/random/boot_id"]
    before = machine.run(question).stdout
    # libvirt would wait five minutes for a guest that halts without listening.
    machine.run(["virsh", "-q", "-c", "qemu:///system", "destroy", "vm1"])
    machine.run(["systemctl", "--no-block", "reboot"])
    # Whoever asks over the old connection waits for an answer that never comes.
    for control in machine.state.glob("cm-*"):
        subprocess.run(["ssh", "-O", "exit", "-S", str(control), "lab"], capture_output=True, timeout=10, check=False)
    deadline = time.monotonic() + BOOT_WAIT
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            answer = machine.run(question, timeout=30)
            if answer.returncode == 0 and answer.stdout != before:
                return
        for control in machine.state.glob("cm-*"):
            control.unlink(missing_ok=True)
        time.sleep(2)
    raise paths.LabError(f"{machine.name} did not come back within {BOOT_WAIT:.0f} s")


def _start(name: str, directory: pathlib.Path, snapshot: str | None) -> Machine:
    state = paths.host_state(name)
    state.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rootfs.quietly(
        [
            "swtpm",
            "socket",
            "--tpm2",
            "--tpmstate",
            f"dir={directory}/tpm",
            "--ctrl",
            f"type=unixio,path={state}/tpm",
            "--daemon",
            "--pid",
            f"file={state}/swtpm.pid",
            "--terminate",
        ],
        20,
    )
    names = {"name": name, "state": state, "directory": directory, "port": port, "firmware": FIRMWARE}
    command = [word.format(**names) for word in QEMU]
    if snapshot:
        command += ["-loadvm", snapshot]
    with (state / "qemu.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    machine = Machine(name, port, process.pid, str(directory))
    (state / "vm.json").write_text(json.dumps(dataclasses.asdict(machine)), encoding="utf-8")
    return machine


def _wait_for_ssh(machine: Machine, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if machine.run(["true"], timeout=60).returncode == 0:
                return
        if not _is_qemu(machine.qemu):
            break
        time.sleep(0.5)
    log = (machine.state / "qemu.log").read_text(errors="replace")[-1500:]
    console = machine.state / "console.log"
    tail = console.read_text(errors="replace")[-1500:] if console.exists() else ""
    raise paths.LabError(f"{machine.name} gave no ssh within {patience:.0f} s:\n{log}\n{tail}")


def find(name: str) -> Machine | None:
    """Return a started machine, or None."""
    try:
        return Machine(**json.loads((paths.host_state(name) / "vm.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def names() -> list[str]:
    """Return the names of all machines that have state, running or not."""
    return sorted(path.parent.name for path in paths.STATE.glob("*/vm.json"))


def running(name: str) -> Machine:
    """Return a started machine, or a LabError that says how to start it."""
    machine = find(name)
    if machine is None or not _is_qemu(machine.qemu):
        raise paths.LabError(f"no VM {name!r}; start it with: python3 -m tests.lab.kvm vm up {name}")
    return machine


def down(name: str, keep: bool = False) -> None:
    """Stop a machine and remove its copy of the disk (unless kept); quiet when there is nothing."""
    machine = find(name)
    if machine is None:
        return
    for control in machine.state.glob("cm-*"):
        subprocess.run(["ssh", "-O", "exit", "-S", str(control), "lab"], capture_output=True, timeout=10, check=False)
    if _is_qemu(machine.qemu):
        os.kill(machine.qemu, signal.SIGTERM)
    for _attempt in range(100):
        if not _is_qemu(machine.qemu):
            break
        time.sleep(0.1)
    if not keep:
        shutil.rmtree(machine.directory, ignore_errors=True)
    shutil.rmtree(machine.state, ignore_errors=True)


def _is_qemu(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return b"qemu-system" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
