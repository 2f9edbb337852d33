# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual machines that a run itself hangs on: by their addresses, which VMware Tools in them tells."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, in_view, of_objects
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import value

VCENTER = "summary.managementServerIp"
UUID = "config.instanceUuid"


def found(session, source):
    """{UUID in lower case: what it is} of the vCenter's machine and of the one that a run comes from.

    source: the address that the run comes from, as the server sees it, or None. One without VMware Tools is not found.

    :raises SoapFault: the server refused to tell.
    """
    what = {source: "where this run comes from"} if source else {}
    if session.content["about"].get("apiType") == "VirtualCenter":
        # Its hosts know by which address it manages them; the one that people log in to may be a name or a proxy's.
        for host in in_view(session, Properties("HostSystem", {VCENTER: None}, page=1000), {}):
            what[host.values.get(VCENTER)] = "the vCenter"
    machines = {}
    for address in filter(None, what):
        asked = element("ip", address) + element("vmSearch", "true")
        references = session.call("SearchIndex", session.content["searchIndex"], "FindAllByIp", asked)
        wanted = Properties("VirtualMachine", {UUID: None})
        for machine in of_objects(session, wanted, [value(one) for one in references], {}):
            machines[str(machine.values.get(UUID, "")).lower()] = what[address]
    return machines
