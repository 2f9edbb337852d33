# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the properties that an audit reads of hosts and machines: as pyVmomi does, or with the collector.

python benchmarks/pyvmomi_bulk.py INVENTORY [--collector]
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from clock import CHECKOUT

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere import collector, host_facts, machines
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.connection import Endpoint
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.session import logged_in


def endpoint(inventory: Path) -> Endpoint:
    """Where to log in, of a target's inventory; its path may be relative to the checkout."""
    ((name, found),) = yaml.safe_load((CHECKOUT / inventory).read_text())["all"]["hosts"].items()
    return Endpoint(
        name, found["ansible_host"], found["ansible_user"], found["ansible_password"],
        port=found["hypervisor_port"], ca_file=found["hypervisor_ca_file"], time_limit=600,
    )  # fmt: skip


def bulk(content: Any, kind: Any, paths: Iterable[str]) -> int:
    """Every object of a kind, page by page; the number of them."""
    from pyVmomi import vim, vmodl

    parts = vmodl.query.PropertyCollector
    view = content.viewManager.CreateContainerView(content.rootFolder, [kind], True)
    select = parts.TraversalSpec(name="view", path="view", skip=False, type=vim.view.ContainerView)
    spec = parts.FilterSpec(
        objectSet=[parts.ObjectSpec(obj=view, skip=True, selectSet=[select])],
        propSet=[parts.PropertySpec(type=kind, pathSet=list(paths), all=False)],
    )
    page = content.propertyCollector.RetrievePropertiesEx([spec], parts.RetrieveOptions())
    count = len(page.objects)
    while page.token:
        page = content.propertyCollector.ContinueRetrievePropertiesEx(page.token)
        count += len(page.objects)
    return count


def main(inventory: str, *mode: str) -> None:
    """Read, and say how many objects there were."""
    from pyVmomi import vim

    with logged_in(endpoint(Path(inventory))) as session:
        if mode:
            gc.disable()  # as the action does
            print(sum(1 for _subject in collector.collect(session)))
            return
        content = session.instance.RetrieveContent()
        print(
            bulk(content, vim.HostSystem, host_facts.PROPERTIES.paths),
            bulk(content, vim.VirtualMachine, machines.PROPERTIES.paths),
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
