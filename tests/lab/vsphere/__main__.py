# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the vSphere lab; see README.md in this directory."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from ..kvm import paths
from . import program, target


def _user(text: str) -> target.User:
    name, separator, role = text.rpartition(":")
    if not separator or not name or not role:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME:ROLE, for example auditor@vsphere.local:ReadOnly")
    return target.User(name, role)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab.vsphere", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the program once; `up` does it when needed")
    up = commands.add_parser("up", help="start a fresh target and print its inventory's path")
    up.add_argument("name")
    up.add_argument("--hosts", type=int, default=3, help="ESXi hosts (default: %(default)s)")
    up.add_argument("--per-cluster", type=int, default=64, help="hosts of a cluster (default: %(default)s)")
    up.add_argument("--vms", type=int, default=6, help="virtual machines (default: %(default)s)")
    release = up.add_mutually_exclusive_group()
    release.add_argument(
        "--standalone", metavar="RELEASE", choices=target.RELEASES, help="one ESXi host without a vCenter"
    )
    release.add_argument(
        "--vcenter", metavar="RELEASE", choices=target.VCENTERS, default=target.VCENTERS[0], help="default: %(default)s"
    )
    up.add_argument(
        "--user",
        metavar="NAME:ROLE",
        type=_user,
        action="append",
        default=[],
        help="a further account; may be repeated",
    )
    down = commands.add_parser("down", help="stop a target and remove what it left")
    down.add_argument("name", nargs="?")
    down.add_argument("--all", action="store_true")
    commands.add_parser("list", help="print the targets")
    commands.add_parser("inventory", help="print the path of a target's inventory").add_argument("name")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "build":
            print(program.build())
        elif options.command == "up":
            start = time.monotonic()
            size = target.Size(options.hosts, options.vms, options.standalone, options.vcenter, options.per_cluster)
            found = target.up(options.name, size, options.user)
            print(f"{options.name}: up in {time.monotonic() - start:.1f} s", file=sys.stderr)
            print(found.inventory)
        elif options.command == "down":
            if not options.all and not options.name:
                raise paths.LabError("down needs a name or --all")
            for name in target.names() if options.all else [options.name]:
                target.down(name)
        elif options.command == "list":
            for name in target.names():
                found = target.find(name)
                if found is not None:
                    print(f"{name}\t127.0.0.1:{found.port}\t{found.control}\t{found.inventory}")
        else:
            print(target.running(options.name).inventory)
    except (paths.LabError, subprocess.SubprocessError, ValueError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
