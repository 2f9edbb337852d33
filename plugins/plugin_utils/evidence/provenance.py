# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs an audit, from where, and by what it judges. run.json of the run directory carries it from task to task."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import socket
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.evidence import encode, write_private
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence.pack_verify import RUN

SCHEMA = "dwp.hypervisor.run/1"
_HERE = Path(__file__).parents[1]
# What a verdict comes from beside the facts and the gold configuration.
_JUDGES = (
    "measures/*", "gold_settings/*.yml", "standard/parsed_data.*", "standard/expect.py", "standard/facts_path.py",
    "predicates/**/*.py", "packets/*.py", "assessment/evaluate.py", "assessment/rollup.py", "moments.py", "outcome.py",
)  # fmt: skip
# Large, and in results.json.
_NOT_IN_RUN = ("results", "measures", "drift")


def by(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Who and from where. variables: of the task; AWX sets its user and job there."""
    try:
        account = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # an execution environment runs as a number without a name
        account = f"uid {os.geteuid()}"
    version = variables.get("ansible_version")
    job = variables.get("awx_job_id") or variables.get("tower_job_id")
    return {
        "user": str(variables.get("awx_user_name") or variables.get("tower_user_name") or account)[:200],
        "controller": socket.gethostname()[:200],
        "job": str(job)[:64] if job else None,
        "ansible": str(version.get("full") if isinstance(version, Mapping) else version)[:40],
    }


@lru_cache(maxsize=1)
def catalogue_sha256() -> str:
    """SHA-256 over the measures, gold settings and tests of this collection, by name and content."""
    digest = hashlib.sha256()
    for path in sorted({found for pattern in _JUDGES for found in _HERE.glob(pattern)}):
        if path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.relative_to(_HERE).as_posix()} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def begin(directory: Path, run: Mapping[str, Any], **more: Any) -> None:
    """Say in a run directory who began what; finished is null until the report is written.

    more: parts of the run document that only the beginning knows (rollup, scope), and base, the run to compare with.
    """
    write_private(directory / RUN, encode({"schema": SCHEMA, "run": {**run, "finished": None}, **more}))


def summary(document: Mapping[str, Any]) -> bytes:
    """run.json of a finished run: the run document without its results."""
    small = {key: value for key, value in document.items() if key not in _NOT_IN_RUN}
    if small["comparison"]:
        small["comparison"] = {key: value for key, value in small["comparison"].items() if key != "changes"}
    return encode({**small, "schema": SCHEMA})


def read(directory: Path) -> dict[str, Any]:
    """run.json of a run directory; empty where there is none that can be read."""
    try:
        document = json.loads((directory / RUN).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) and document.get("schema") == SCHEMA else {}
