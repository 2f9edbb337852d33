# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal of changes to a vCenter and its ESXi hosts: old values are on the controller's disk before a write.

One file for each change, <state directory>/<endpoint>/<number>-<area>.json, readable by its owner only. A change is
what one area did to the hosts of one endpoint in one run.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence

SCHEMA = "dwp.hypervisor.vsphere_change/1"
# A controller that died in between leaves STARTED: each setting then has its old value or its new one.
STARTED, CONFIRMED, ROLLED_BACK, REVERTED = "started", "confirmed", "rolled back", "reverted"
STATES = (STARTED, CONFIRMED, ROLLED_BACK, REVERTED)
Record = dict[str, Any]
# Stands where an area does: hosts that were put into maintenance mode, to be restarted.
RESTART = "restart"


class Journal:
    """The changes of one endpoint. directory: of all endpoints; endpoint: its inventory name."""

    def __init__(self, directory: str | Path, endpoint: str) -> None:
        self.directory = Path(directory).expanduser() / evidence.slug(endpoint)
        self._endpoint = endpoint

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other run on this controller from changing the endpoint's hosts.

        :raises ValueError: another run does.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                held = self.directory / "lock"
                raise ValueError(f"another run changes hosts of {self._endpoint} right now ({held}): wait") from None
            yield
        finally:
            os.close(descriptor)

    def start(self, area: str, run_id: str, hosts: Sequence[Mapping[str, Any]]) -> Record:
        """Keep a change before anything of it is made.

        hosts: [{name, uuid, settings: [{kind, name, old, new, checks}]}].
        """
        number = 1 + max((int(record["id"].partition("-")[0]) for record in self.listed()), default=0)
        record: Record = {
            "schema": SCHEMA,
            "id": f"{number:06d}-{area}",
            "area": area,
            "run_id": run_id,
            "endpoint": self._endpoint,
            "controller": socket.gethostname(),
            "started": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
            "hosts": [{**host, "state": STARTED, "reason": ""} for host in hosts],
        }
        self.keep(record)
        return record

    def keep(self, record: Mapping[str, Any]) -> None:
        """Write a record to the disk, whole or not at all."""
        evidence.write_private(self.directory / f"{record['id']}.json", evidence.encode(dict(record)), durable=True)

    def listed(self) -> list[Record]:
        """Every change, oldest first.

        :raises ValueError: a file that is none of ours, named.
        """
        return [_read(path) for path in sorted(self.directory.glob("[0-9]*-*.json"))]

    def unfinished(self) -> dict[str, Record]:
        """{hardware UUID: record} of the hosts that a run put into maintenance mode and did not take out again."""
        return {
            host["uuid"]: record
            for record in self.listed()
            if record["area"] == RESTART
            for host in record["hosts"]
            if host["state"] == STARTED
        }

    def selected(self, areas: Sequence[str], run: str) -> list[Record]:
        """The changes to take back, newest first. run: last, all, or the id of a run; areas: of all when empty."""
        left = [
            record for record in self.listed() if any(host["state"] in (STARTED, CONFIRMED) for host in record["hosts"])
        ]
        if run != "all":
            wanted = left[-1]["run_id"] if run == "last" and left else run
            left = [record for record in left if record["run_id"] == wanted]
        return [record for record in reversed(left) if not areas or record["area"] in areas]


def _read(path: Path) -> Record:
    try:
        record = json.loads(path.read_bytes())
        good = record["schema"] == SCHEMA and all(
            host["state"] in STATES and {"name", "uuid", "settings"} <= host.keys() for host in record["hosts"]
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no record of a change ({type(error).__name__}); move it away") from None
    if not good:
        raise ValueError(f"{path} is no record of schema {SCHEMA}; move it away")
    return dict(record)
