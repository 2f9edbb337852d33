# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vCenter whose 100 hosts each have one option that differs: harden.yml against audit.yml of the same hosts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from clock import BIN, CHECKOUT, WORK, Figure
from pyvmomi_bulk import endpoint
from vsphere import SMALL, Cost, cost, target

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in

# A long, as hosts have it; gold_dcui_timeout asks for at most 600.
OPTION, DRIFTED = "UserVars.DcuiTimeOut", 1800
# In these nothing is left for a person once they are set, so that the second run has nothing to attempt.
MEASURES = ["11.4.6"]
SITE = {
    "gold_remote_admins": ["alice"],
    "gold_log_servers": ["log.example.test"],
    "gold_admin_cidrs": ["127.0.0.0/16", "192.0.2.0/25"],
    "gold_mgmt_cidrs": ["192.0.2.0/24", "198.51.100.0/24"],
}
ROUNDS = 3
BUDGET, STILL_BUDGET = 2.0, 1.3


def vsphere_harden() -> list[Figure]:
    """All 36 measures with the one option, then one measure in which nothing drifts."""
    with target(*SMALL) as inventory:
        shutil.rmtree(WORK / "vsphere-state", ignore_errors=True)
        run("harden", inventory)
        drifting: list[tuple[Cost, Cost]] = []
        for _round in range(ROUNDS):
            drift(inventory)
            drifting.append((run("audit", inventory), run("harden", inventory)))
        still = [(run("audit", inventory, MEASURES), run("harden", inventory, MEASURES)) for _round in range(ROUNDS)]
    hosts, machines = SMALL
    return [
        ratio(f"harden of {hosts} hosts ({machines:,} machines) with one option each, against audit", drifting, BUDGET),
        ratio(f"harden of {hosts} hosts in which nothing drifts, against audit", still, STILL_BUDGET),
    ]


def ratio(what: str, pairs: Sequence[tuple[Cost, Cost]], budget: float) -> Figure:
    """Audit and harden in turn; the medians."""
    wall = median(harden.wall / audit.wall for audit, harden in pairs)
    cpu = median(harden.cpu / audit.cpu for audit, harden in pairs)
    audit, harden = (
        f"{median(cost.wall for cost in side):.1f} s, CPU {median(cost.cpu for cost in side):.1f} s"
        for side in zip(*pairs, strict=True)
    )
    how = f"`benchmarks vsphere_harden`: {ROUNDS} rounds in turn, whole processes"
    return Figure(
        what, f"{harden} against {audit}: wall {wall:.2f} x, CPU {cpu:.2f} x", how, f"at most {budget} x", wall > budget
    )


def run(name: str, inventory: Path, measures: Sequence[str] = ()) -> Cost:
    """One playbook."""
    variables = {
        **SITE,
        "hypervisor_fail_on": [],
        "hypervisor_report_dir": str(WORK / "vsphere"),
        "hypervisor_state_dir": str(WORK / "vsphere-state"),
        **({"hypervisor_measures": list(measures)} if measures else {}),
    }
    playbook = CHECKOUT / "playbooks" / f"{name}.yml"
    command = [str(BIN / "ansible-playbook"), "--inventory", str(inventory), str(playbook)]
    return cost([*command, "--extra-vars", json.dumps(variables)])


def drift(inventory: Path) -> None:
    """Change the option on every host, as a person would."""
    from pyVmomi import VmomiSupport, vim

    with logged_in(endpoint(inventory)) as session:
        content = session.instance.RetrieveContent()
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.HostSystem], True)
        for host in view.view:
            value = VmomiSupport.vmodlTypes["long"](DRIFTED)
            host.configManager.advancedOption.UpdateOptions([vim.option.OptionValue(key=OPTION, value=value)])
