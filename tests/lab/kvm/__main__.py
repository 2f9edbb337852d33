# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the KVM lab; see README.md in this directory."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from . import host, inventory, paths, rootfs, vm, vmimage


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.kvm", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("deps", help="install with apt what the lab needs on this machine")
    build = commands.add_parser("build", help="build the root of a variant, or all, once")
    build.add_argument("--variant", choices=[*rootfs.VARIANTS, "all"], default="monolithic")
    up = commands.add_parser("up", help="start a fresh host and print its inventory's path")
    up.add_argument("name")
    up.add_argument("--variant", choices=list(rootfs.VARIANTS), default="monolithic")
    down = commands.add_parser("down", help="stop a host and remove what it left")
    down.add_argument("name", nargs="?")
    down.add_argument("--all", action="store_true")
    commands.add_parser("list", help="print the hosts")
    run = commands.add_parser("exec", help="run a command as root inside a host, without ssh")
    run.add_argument("name")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    commands.add_parser("inventory", help="print the path of a host's inventory").add_argument("name")
    machine = commands.add_parser("vm", help="the full VM (emulated): deps, build, up, down, exec, inventory")
    machine.add_argument("action", choices=["deps", "build", "up", "down", "exec", "inventory"])
    machine.add_argument("name", nargs="?", default="vm")
    machine.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


def _up(name: str, variant: str) -> None:
    rootfs.build(variant)
    start = time.monotonic()
    host.up(name, variant)
    print(f"{name}: up in {time.monotonic() - start:.1f} s", file=sys.stderr)
    print(inventory.path(name))


def _list() -> None:
    for name in host.names():
        found = host.find(name)
        if found is not None:
            print(f"{name}\t{found.variant}\t{found.address}\t{inventory.path(name)}")


def _vm(action: str, name: str, words: list[str]) -> int:
    if action == "deps":
        rootfs.install_host_packages(rootfs.HOST_PACKAGES + vmimage.HOST_PACKAGES)
    elif action == "build":
        print(vm.build())
    elif action == "up":
        vm.build()
        start = time.monotonic()
        vm.up(name)
        print(f"{name}: up in {time.monotonic() - start:.1f} s", file=sys.stderr)
        print(inventory.path(name))
    elif action == "down":
        vm.down(name)
    elif action == "inventory":
        vm.running(name)
        print(inventory.path(name))
    else:
        done = vm.running(name).run(words[1:] if words[:1] == ["--"] else words)
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        return done.returncode
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "deps":
            rootfs.install_host_packages()
        elif options.command == "build":
            for variant in rootfs.VARIANTS if options.variant == "all" else [options.variant]:
                print(rootfs.build(variant))
        elif options.command == "up":
            _up(options.name, options.variant)
        elif options.command == "down":
            if not options.all and not options.name:
                raise paths.LabError("down needs a name or --all")
            for name in host.names() if options.all else [options.name]:
                host.down(name)
            for name in vm.names() if options.all else []:
                vm.down(name)
        elif options.command == "list":
            _list()
        elif options.command == "inventory":
            host.running(options.name)
            print(inventory.path(options.name))
        elif options.command == "vm":
            return _vm(options.action, options.name, options.words)
        elif options.command == "exec":
            words = options.words[1:] if options.words[:1] == ["--"] else options.words
            return subprocess.run(host.running(options.name).command(words or ["bash", "-l"]), check=False).returncode
    except (paths.LabError, subprocess.SubprocessError, ValueError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
