# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control group of its own for each lab host.

libvirt names a domain's group after its number and name only, so two hosts below one group would share (and kill)
each other's guests.
"""

from __future__ import annotations

import contextlib
import pathlib
import time

# A command line in front of another: join the groups, then become the other command.
JOIN = 'for group in $LAB_GROUPS; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'


def _mounts() -> list[pathlib.Path]:
    found = []
    for line in pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _device, where, kind = line.split()[:3]
        if kind in ("cgroup", "cgroup2"):
            found.append(pathlib.Path(where))
    return found


def create(name: str) -> list[pathlib.Path]:
    """Make the host's group in every hierarchy and return the directories."""
    groups = []
    for mount in _mounts():
        group = mount / f"dwplab-{name}"
        group.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # Empty in a new v1 group, and nothing can join before both are set.
            if (mount / setting).exists() and (group / setting).exists():
                (group / setting).write_text((mount / setting).read_text(encoding="utf-8"), encoding="utf-8")
        groups.append(group)
    return groups


def destroy(name: str) -> None:
    """Remove the host's groups; its processes may need a moment to be gone."""
    for mount in _mounts():
        group = mount / f"dwplab-{name}"
        for _attempt in range(30):
            for child in sorted(group.rglob("*"), key=lambda path: len(path.parts), reverse=True):
                if child.is_dir():
                    with contextlib.suppress(OSError):
                        child.rmdir()
            with contextlib.suppress(OSError):
                group.rmdir()
            if not group.exists():
                break
            time.sleep(0.1)
