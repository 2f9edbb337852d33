# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of a vCenter share and it configures: clusters, distributed switches and their port groups."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.network import (
    ADAPTERS,
    SECURITY,
    refuse_carrying,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.inventory import CLUSTERS
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import WORDS, element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import flag, many

SWITCHES = Properties(
    "DistributedVirtualSwitch", {"name": None, "uuid": None, "config.networkResourceManagementEnabled": None}, page=500
)
PORTGROUPS = Properties(
    "DistributedVirtualPortgroup",
    {"name": None, "key": None, "config.configVersion": None, "config.defaultPortConfig": None},
    page=200,
)
HOSTS = Properties("HostSystem", dict.fromkeys(("name", *ADAPTERS)), page=50)
ID_SPEC, TRUNK_SPEC = (
    "VmwareDistributedVirtualSwitchVlanIdSpec",
    "VmwareDistributedVirtualSwitchTrunkVlanSpec",
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
        policy = "".join("<%s>%s</%s>" % (field, _policy(wanted.get(key)), field) for key, field in SECURITY)
        policy = element("inherited", WORDS[not wanted]) + policy
        _reconfigure(controller, name, "<securityPolicy>%s</securityPolicy>" % policy)


def _reconfigure(controller, name, setting):
    """Change what all ports of a distributed port group are set to, by the version that is read now; the rest stays."""
    controller.written()
    found = _portgroup(controller, name)
    controller.run(
        "DistributedVirtualPortgroup", found.moid, "ReconfigureDVPortgroup_Task",
        '<spec>%s<defaultPortConfig xsi:type="VMwareDVSPortSetting">%s</defaultPortConfig></spec>'
        % (element("configVersion", found.values.get("config.configVersion", "")), setting),
        "port group %s" % name,
    )  # fmt: skip
    controller.written()


def vlan(controller, name):
    """The VLAN of a distributed port group's own: its id (0 is none), the ranges of a trunk as text ("0-99,200-300"),
    or None where it inherits that of its switch. :raises ChangeError: it was not read, or is a private one."""
    setting = _portgroup(controller, name).values.get("config.defaultPortConfig") or {}
    found = setting.get("vlan") or {}
    if flag(found.get("inherited")):
        return None
    if found.get("_type") == ID_SPEC:
        return int(found["vlanId"])
    if found.get("_type") == TRUNK_SPEC:
        return ",".join(_range(one["start"], one["end"]) for one in many(found.get("vlanId")))
    raise ChangeError("the VLAN of port group %s is %s" % (name, found.get("_type") or "not told"))


def set_vlan(controller, changes):
    """The same, set.

    :raises ChangeError: an adapter of a host is on the port group that may not lose its connection, or nobody knows.
    """
    for name, wanted in changes:
        # Asked now, on the way back too: what was planned, or set, may have been overtaken by hand.
        _refuse_carrying(controller, _portgroup(controller, name).values["key"])
        _reconfigure(controller, name, _vlan(wanted))


def _refuse_carrying(controller, key):
    for host in controller.all(HOSTS).values():
        try:
            refuse_carrying(host.values.__getitem__, key)
        except KeyError as error:
            raise ChangeError("what the adapters of %s carry was not read (%s)" % (host.name, error))
        except ChangeError as error:
            raise ChangeError("%s: %s" % (host.name, error))


def _range(low, high):
    return low if low == high else "%s-%s" % (low, high)


def _vlan(wanted):
    ranges = wanted.split(",") if isinstance(wanted, str) else []
    pairs = [one.partition("-") for one in ranges]
    ids = "".join(
        "<vlanId>%s%s</vlanId>" % (element("start", low), element("end", high or low)) for low, _dash, high in pairs
    )
    return '<vlan xsi:type="%s">%s%s</vlan>' % (
        TRUNK_SPEC if ranges else ID_SPEC,
        element("inherited", WORDS[wanted is None]),
        ids or element("vlanId", wanted or 0),
    )


def _policy(accepted):
    if accepted is None:
        return element("inherited", "true")
    return element("inherited", "false") + element("value", WORDS[accepted])
