# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of a vCenter share and it configures: clusters, distributed switches and their port groups."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.network import SECURITY
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.inventory import CLUSTERS
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import WORDS, element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import flag

SWITCHES = Properties(
    "DistributedVirtualSwitch", {"name": None, "uuid": None, "config.networkResourceManagementEnabled": None}, page=500
)
PORTGROUPS = Properties(
    "DistributedVirtualPortgroup",
    {"name": None, "key": None, "config.configVersion": None, "config.defaultPortConfig": None},
    page=200,
)


def _keyed(controller, wanted, name, key_of, what):
    """The object of a type that a row names as people know it and, in brackets, by its key: names are unique in a
    datacenter only. :raises ChangeError: it is not there."""
    key = name.rpartition("(")[2].rstrip(")")
    for found in controller.all(wanted).values():
        if key_of(found) == key:
            return found
    raise ChangeError("there is no %s %s any more" % (what, name))


def _cluster(controller, name):
    return _keyed(controller, CLUSTERS, name, lambda found: str(found.moid), "cluster")


def _switch(controller, name):
    return _keyed(controller, SWITCHES, name, lambda found: found.values.get("uuid"), "distributed switch")


def _portgroup(controller, name):
    return _keyed(controller, PORTGROUPS, name, lambda found: found.values.get("key"), "distributed port group")


def admission(controller, name):
    """Whether a cluster keeps capacity for a host that is lost."""
    found = _cluster(controller, name).values.get("configurationEx") or {}
    current = flag(found.get("admissionControlEnabled"))
    if current is None:
        raise ChangeError("the admission control of cluster %s was not read" % name)
    return current


def set_admission(controller, changes):
    """The same, set; the rest of the cluster's configuration stays."""
    for name, wanted in changes:
        spec = element("admissionControlEnabled", WORDS[wanted])
        controller.run(
            "ClusterComputeResource", _cluster(controller, name).moid, "ReconfigureComputeResource_Task",
            '<spec xsi:type="ClusterConfigSpecEx"><dasConfig>%s</dasConfig></spec>%s'
            % (spec, element("modify", "true")),
            "cluster %s" % name,
        )  # fmt: skip
        controller.written()


def network_control(controller, name):
    """Whether a distributed switch shares out its bandwidth."""
    current = _switch(controller, name).values.get("config.networkResourceManagementEnabled")
    if current is None:
        raise ChangeError("the network I/O control of switch %s was not read" % name)
    return current


def set_network_control(controller, changes):
    """The same, set."""
    for name, wanted in changes:
        found = _switch(controller, name)
        controller.call(found.type, found.moid, "EnableNetworkResourceManagement", element("enable", WORDS[wanted]))
        controller.written()


def security(controller, name):
    """{promiscuous, mac_changes, forged_transmits: whether accepted} of a port group's own; what it inherits is left
    out."""
    setting = _portgroup(controller, name).values.get("config.defaultPortConfig") or {}
    policy = setting.get("securityPolicy") or setting.get("macManagementPolicy")
    if not policy:
        raise ChangeError("the security policy of port group %s was not read" % name)
    if flag(policy.get("inherited")):
        return {}
    return {key: flag(policy[field]["value"]) for key, field in SECURITY if not flag(policy[field].get("inherited"))}


def set_security(controller, changes):
    """The same, set; ConcurrentAccess is answered where somebody has changed the port group since it was read."""
    for name, wanted in changes:
        controller.written()
        found = _portgroup(controller, name)
        policy = "".join("<%s>%s</%s>" % (field, _policy(wanted.get(key)), field) for key, field in SECURITY)
        controller.run(
            "DistributedVirtualPortgroup", found.moid, "ReconfigureDVPortgroup_Task",
            '<spec>%s<defaultPortConfig xsi:type="VMwareDVSPortSetting"><securityPolicy>%s%s</securityPolicy>'
            "</defaultPortConfig></spec>"
            % (
                element("configVersion", found.values.get("config.configVersion", "")),
                element("inherited", WORDS[not wanted]),
                policy,
            ),
            "port group %s" % name,
        )  # fmt: skip
        controller.written()


def _policy(accepted):
    if accepted is None:
        return element("inherited", "true")
    return element("inherited", "false") + element("value", WORDS[accepted])
