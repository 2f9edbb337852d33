# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of an endpoint share: clusters, datastores, distributed switches, and a first look at every host."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.facts import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.host_network import setting
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties, in_view
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import SoapFault
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import (
    at,
    flag,
    many,
    number,
    value,
    version,
)

CONNECTED = "connected"
HOSTS = Properties(
    "HostSystem",
    dict.fromkeys(
        ("name", "parent", "runtime.connectionState", "runtime.cryptoState", "config.product.version",
         "hardware.systemInfo.uuid", "hardware.cpuInfo.numCpuCores", "hardware.memorySize")
    ),
    page=500,
)  # fmt: skip
DATACENTERS = Properties("Datacenter", {"datastore": None}, page=500)
DATASTORES = Properties("Datastore", dict.fromkeys(("name", "summary.type", "info")), page=500)
SWITCHES = Properties(
    "DistributedVirtualSwitch", dict.fromkeys(("name", "uuid", "config.networkResourceManagementEnabled")), page=500
)
PORTGROUPS = Properties(
    "DistributedVirtualPortgroup",
    dict.fromkeys(
        ("name", "key", "config.distributedVirtualSwitch", "config.defaultPortConfig", "config.uplink",
         "config.backingType", "tag")
    ),
    page=200,
)  # fmt: skip


def _availability(element):
    """Of a cluster's configuration only what concerns high availability; the rest lists every machine's overrides."""
    found = next((child for child in element if child.tag.endswith("dasConfig")), None)
    return {} if found is None else value(found)


CLUSTERS = Properties(
    "ClusterComputeResource", {"name": None, "host": None, "configurationEx": _availability}, page=500
)


class Inventory(object):
    """hosts, clusters, datastores: {id: Found}; distributed: see Distributed; refused: {kind of object: reason}."""

    def __init__(self, session):
        self.refused = {}
        self.unknown = {}
        self.hosts = self._all(session, HOSTS)
        self.clusters = self._all(session, CLUSTERS)
        self.datastores = self._all(session, DATASTORES)
        self._datacenters = self._all(session, DATACENTERS)
        self.distributed = Distributed(self._all(session, SWITCHES), self._all(session, PORTGROUPS))

    def unseen_clusters(self):
        """Why clusters are not known although there may be some, or None."""
        if not self.hosts:
            return self.refused.get(HOSTS.type, "the account sees no host")
        for found in self.hosts.values():
            parent = found.values.get("parent")
            if getattr(parent, "type", "") == CLUSTERS.type and parent not in self.clusters:
                return self.refused.get(CLUSTERS.type) or "the account may not see the cluster %s" % parent
        return None

    def unseen_hosts(self):
        """[(id, name of its cluster)] of hosts that their cluster names and the account may not see."""
        return [
            (str(moid), found.values.get("name", cluster))
            for cluster, found in self.clusters.items()
            for moid in many(found.values.get("host"))
            if moid not in self.hosts
        ]

    def all_datastores(self):
        """Ids of all datastores, those as well that the account may not see: their datacenter names them.

        :raises Unreadable: the account sees none, or a datacenter does not name its own.
        """
        if not self.datastores:
            # A host boots from one; where none is told of, nobody knows how they are reached.
            raise Unreadable(self.refused.get("Datastore", "the account sees no datastore"))
        if not self._datacenters:
            raise Unreadable(self.refused.get("Datacenter", "the account sees no datacenter"))
        named = dict.fromkeys(self.datastores)
        for found in self._datacenters.values():
            if "datastore" in found.missing:
                raise Unreadable(found.missing["datastore"])
            named.update(dict.fromkeys(many(found.values.get("datastore"))))
        return list(named)

    def _all(self, session, wanted):
        try:
            return {found.moid: found for found in in_view(session, wanted, self.unknown)}
        except SoapFault as error:
            # A stand-alone host knows no clusters and no distributed switches.
            self.refused[wanted.type] = str(error)
            return {}

    def release_of(self, host):
        """(8, 0, 3) of a host's id, or ()."""
        found = self.hosts.get(host)
        return version(found.values.get("config.product.version")) if found else ()

    def datastore_names(self):
        """{id: name}."""
        return {moid: found.values.get("name", moid) for moid, found in self.datastores.items()}

    def cluster(self, host_found, memory_of_vms):
        """(facts, errors) of a host's cluster; a host outside of clusters counts as one of its own without a name.

        memory_of_vms: {host id: bytes of its powered-on machines}, None where one does not tell; the id is None as well
        of machines that do not tell their host.
        """
        if "parent" in host_found.missing:
            return {}, [{"path": "cluster", "reason": host_found.missing["parent"]}]
        above = host_found.values.get("parent")
        parent = self.clusters.get(above)
        if parent is None and getattr(above, "type", "") == CLUSTERS.type:
            return {}, [{"path": "cluster", "reason": self.unseen_clusters() or "the cluster was not read"}]
        members = [str(moid) for moid in many(parent.values.get("host"))] if parent else [host_found.moid]
        unseen = [moid for moid in members if moid not in self.hosts]
        if unseen:
            return {}, [{"path": "cluster", "reason": "the account may not see %d hosts of the cluster" % len(unseen)}]
        known = [self.hosts[moid].values for moid in members]
        used = [memory_of_vms.get(moid, 0) for moid in (*members, None)]
        memory = [number(host.get("hardware.memorySize")) or 0 for host in known]
        cores = [number(host.get("hardware.cpuInfo.numCpuCores")) or 0 for host in known]
        facts = {
            "id": str(parent.moid) if parent else "",
            "name": parent.values.get("name", "") if parent else "",
            "hosts": len(members),
            "smallest_host_cores": min(cores, default=0),
            "memory_total_b": sum(memory),
            "largest_host_memory_b": max(memory, default=0),
        }
        errors = []
        if None in used or used[-1]:
            reason = "the memory of a running machine, or where it runs, was not read"
            errors.append({"path": "cluster.vm_memory_b", "reason": reason})
        else:
            facts["vm_memory_b"] = sum(used)
        configuration = {} if parent is None else parent.values.get("configurationEx")
        if configuration is None:
            reason = parent.missing.get("configurationEx", "configurationEx is unset")
            errors += [{"path": "cluster.%s" % name, "reason": reason} for name in ("ha", "admission_control")]
            return facts, errors
        facts["ha"] = flag(configuration.get("enabled")) is True
        facts["admission_control"] = flag(configuration.get("admissionControlEnabled")) is True
        return facts, errors

    def storage(self, datastore_ids):
        """(entries, errors) of some datastores."""
        entries, errors = [], []
        for moid in datastore_ids:
            found = self.datastores.get(moid)
            if found is None:
                entries.append({"id": str(moid)})
                errors.append({"path": "storage.datastores[%s]" % moid, "reason": "the account may not see it"})
                continue
            entry, lost = _datastore(found, str(moid))
            errors += [{"path": "storage.datastores[%s].%s" % (entry["id"], key), "reason": lost[key]} for key in lost]
            entries.append(entry)
        return entries, errors


def _datastore(found, moid):
    """(entry, {key: why it is not told}) of one datastore."""
    values, lost = found.values, {}
    entry = {"id": values.get("name", moid)}
    kind = values.get("summary.type")
    if kind is None:
        lost["kind"] = lost["encrypted"] = found.missing.get("summary.type", "summary.type is unset")
    else:
        entry["kind"] = kind
        if kind.lower().startswith("vsan"):
            # The vSAN API, another service than vim25, knows whether data at rest is encrypted.
            lost["encrypted"] = "encryption of vSAN is not told by the vSphere API"
        else:
            entry["encrypted"] = False
    if "info" in found.missing:
        lost["remote_host"] = lost["security"] = found.missing["info"]
    else:
        nas = at(values.get("info") or {}, "nas", {})
        entry.update({"remote_host": nas.get("remoteHost", ""), "security": nas.get("securityType", "")})
    return entry, lost


class Distributed(object):
    """Distributed switches and their port groups, by the switch's UUID."""

    def __init__(self, switches, portgroups):
        by_switch = {}
        for found in portgroups.values():
            by_switch.setdefault(found.values.get("config.distributedVirtualSwitch"), []).append(found)
        self._switches, self._portgroups = {}, {}
        for moid, found in switches.items():
            uuid = found.values.get("uuid")
            nioc = found.values.get("config.networkResourceManagementEnabled")
            self._switches[uuid] = {"name": found.values.get("name", moid), "nioc": nioc}
            if moid in by_switch:
                self._portgroups[uuid] = [portgroup(one) for one in by_switch[moid] if not _uplink(one)]

    def switch(self, uuid):
        """{name, nioc}, or None where the account may not see it."""
        return self._switches.get(uuid)

    def portgroups(self, uuid):
        """The port groups of a switch, without those of its uplinks; teaming still by the uplinks' names.

        :raises Unreadable: nobody told of the switch. It has one for its uplinks at least.
        """
        if uuid not in self._portgroups:
            raise Unreadable("the account may not see a distributed switch of the host, or its port groups")
        return self._portgroups[uuid]


def _uplink(found):
    tags = [entry.get("key") for entry in many(found.values.get("tag"))]
    return found.values.get("config.uplink") is True or "SYSTEM/DVS.UPLINKPG" in tags


def portgroup(found):
    """The entry of one distributed port group, as far as it is the same on every host.

    What its ports are set to is left out where the account may not read it.
    """
    entry = {
        "id": found.values.get("key", found.moid),
        "name": found.values.get("name", ""),
        "nsx": found.values.get("config.backingType") == "nsx",
        **_ports(found.values.get("config.defaultPortConfig") or {}),
    }
    return {key: one for key, one in entry.items() if one is not None}


def _ports(config):
    """What every port of a group is set to; {} where it is not told."""
    if not config:
        return {}
    vlan = config.get("vlan") or {}
    trunk = vlan.get("_type", "").endswith("TrunkVlanSpec")
    ranges = [[number(one.get("start")), number(one.get("end"))] for one in many(vlan.get("vlanId"))] if trunk else []
    order = at(config, "uplinkTeamingPolicy.uplinkPortOrder", {})
    policy = config.get("securityPolicy") or config.get("macManagementPolicy") or {}
    names = (
        ("promiscuous", "allowPromiscuous"),
        ("mac_changes", "macChanges"),
        ("forged_transmits", "forgedTransmits"),
    )
    return {
        "vlan": 0 if trunk else number(vlan.get("vlanId") or vlan.get("pvlanId")) or 0,
        "trunk": ranges,
        "pvlan": vlan.get("_type", "").endswith("PvlanSpec"),
        **{name: flag(setting(policy.get(field))) for name, field in names},
        "shaping_in": flag(setting(at(config, "inShapingPolicy.enabled"))) is True,
        "shaping_out": flag(setting(at(config, "outShapingPolicy.enabled"))) is True,
        "uplinks_active": [str(name) for name in many(order.get("activeUplinkPort"))],
        "uplinks_standby": [str(name) for name in many(order.get("standbyUplinkPort"))],
    }


def reachable(found):
    """Whether the server has a live connection to a host; of the others it tells what they said when they last had."""
    return found.values.get("runtime.connectionState") == CONNECTED
