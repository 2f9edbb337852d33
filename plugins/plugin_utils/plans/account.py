# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run did to an inventory host so far, for the areas that follow and for the report.

It is kept as a fact of the host. Of an endpoint with hundreds of hosts it has megabytes, which Ansible copies for each
task that follows: then it lies in the run's directory, and the fact says where.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.evidence import evidence
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.updated import no_restarts

FACT = "hypervisor_enforcement"
# Below the directory of a run, sealed with what its report says of them.
FOLDER = "changes"
KEPT = ("run_id", "areas", "restarts", "selected")
Account = dict[str, Any]


def of(kept: Mapping[str, Any] | None, run_id: str) -> Account:
    """{run_id, areas, restarts, selected} of a run. kept: the fact; what it says of another run is nothing of this one.

    :raises ValueError: its file is none. :raises OSError: it cannot be read.
    """
    if not kept or kept.get("run_id") != run_id:
        return {"run_id": run_id, "areas": {}, "restarts": no_restarts(), "selected": None}
    if "file" not in kept:
        return {key: kept[key] for key in KEPT}
    try:
        account = json.loads(Path(kept["file"]).read_bytes())
        return {key: account[key] for key in KEPT}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{kept['file']} does not say what was enforced ({type(error).__name__})") from None


def fact(account: Account, run_directory: str | None, name: str) -> dict[str, Any]:
    """What is kept of an account as a fact. run_directory: where it is written instead of being in the fact; name: of
    the inventory host.

    :raises OSError: it cannot be written.
    """
    changed = anything(account["areas"], account["restarts"])
    if not run_directory:
        return {**account, "changed": changed}
    file = Path(run_directory) / FOLDER / f"{evidence.slug(name)}.json"
    evidence.write_private(file, evidence.encode(account))
    return {"run_id": account["run_id"], "changed": changed, "file": str(file)}


def anything(areas: Mapping[str, Any], restarts: Mapping[str, Any]) -> bool:
    """Whether anything was changed, or would be."""
    return any(entry["updated"] for entry in areas.values()) or bool(restarts["restarted"])
