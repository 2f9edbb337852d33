# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port groups of standard switches, and what VMkernel adapters carry. Switches themselves are never changed."""

from __future__ import annotations

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.soap import WORDS, element
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import at, flag, many

# HostNetworkSecurityPolicy: the field by its name among the facts.
SECURITY = (
    ("promiscuous", "allowPromiscuous"),
    ("mac_changes", "macChanges"),
    ("forged_transmits", "forgedTransmits"),
)
ADAPTERS = ("config.network.vnic", "config.virtualNicManagerInfo.netConfig")
# Fields of the API's structures in the order of its schema, which servers insist on. What is not named here is kept by
# nobody: UpdatePortGroup replaces the whole specification.
TEAMING = ("policy", "reversePolicy", "notifySwitches", "rollingOrder", "failureCriteria", "nicOrder")
CRITERIA = (
    "checkSpeed", "speed", "checkDuplex", "fullDuplex", "checkErrorPercent", "percentage", "checkBeacon",
)  # fmt: skip
OFFLOAD = ("csumOffload", "tcpSegmentation", "zeroCopyXmit")
SHAPING = ("enabled", "averageBandwidth", "peakBandwidth", "burstSize")
# What an adapter may lose for a moment while machines run: storage, vSAN and Fault Tolerance would lose connections in
# use.
MOVABLE = ("vmotion", "vSphereProvisioning", "vSphereReplication", "vSphereReplicationNFC", "vSphereBackupNFC")


def _group(host, name):
    for found in host.known("config.network.portgroup"):
        if at(found, "spec.name") == name:
            return found["spec"]
    raise ChangeError("the host has no port group %s on a standard switch" % name)


def security(host, name):
    """{promiscuous, mac_changes, forged_transmits: whether accepted} of a port group's own; what it inherits is left
    out."""
    found = at(_group(host, name), "policy.security", {}) or {}
    return {key: flag(found[field]) for key, field in SECURITY if field in found}


def set_security(host, changes):
    """The same, set; what is left out is inherited from the switch again."""
    for name, wanted in changes:
        fields = {field: WORDS[wanted[key]] for key, field in SECURITY if key in wanted}
        _update(host, name, {"security": fields or None})


def teaming(host, name):
    """{active, standby: adapters} of a port group's own; {} where it inherits them from the switch."""
    order = at(_group(host, name), "policy.nicTeaming.nicOrder")
    if order is None:
        return {}
    order = order if isinstance(order, dict) else {}
    return {"active": many(order.get("activeNic")), "standby": many(order.get("standbyNic"))}


def set_teaming(host, changes):
    """The same, set; the rest of the teaming stays."""
    for name, wanted in changes:
        now = dict(at(_group(host, name), "policy.nicTeaming", {}) or {})
        now.pop("nicOrder", None)
        if wanted:
            now["nicOrder"] = {"activeNic": wanted["active"], "standbyNic": wanted["standby"]}
        _update(host, name, {"nicTeaming": now or None})


def vlan(host, name):
    """The VLAN of a port group: 0 is none, 4095 every one."""
    return int(_group(host, name)["vlanId"])


def set_vlan(host, changes):
    """The same, set; the policy of the port group stays.

    :raises ChangeError: an adapter of the host is on it that may not lose its connection.
    """
    for name, wanted in changes:
        # Asked now, on the way back too: what was planned, or set, may have been overtaken by hand.
        refuse_carrying(host.again(ADAPTERS).known, name)
        _update(host, name, {}, wanted)


def refuse_carrying(known, group):
    """Refuse to change a port group with an adapter that may not lose its connection: one of management or storage, or
    one without a service, which may carry storage.

    known(path): properties ADAPTERS of a host; group: a name, or the key of a distributed one.

    :raises ChangeError: which adapter.
    """
    for device, services in carried(known, group):
        if not services or not set(services) <= set(MOVABLE):
            what = ", ".join(services) or "what no service tells, storage maybe"
            raise ChangeError("%s, which carries %s, is on port group %s" % (device, what, group))


def carried(known, group):
    """(device, services) of each adapter that is on a port group."""
    chosen = {}
    for config in known("config.virtualNicManagerInfo.netConfig"):
        devices = {found["key"]: found["device"] for found in many(config.get("candidateVnic"))}
        for key in many(config.get("selectedVnic")):
            chosen.setdefault(devices.get(key), []).append(config["nicType"])
    for found in known("config.network.vnic"):
        if group in (found.get("portgroup"), at(found, "spec.distributedVirtualPort.portgroupKey")):
            yield found["device"], chosen.get(found["device"], [])


def _update(host, name, parts, number=None):
    """UpdatePortGroup with parts of the policy, or the VLAN, changed. What a change before this one wrote is read
    first."""
    spec = _group(host.again(("config.network.portgroup",)), name)
    policy = dict(spec.get("policy") or {}) if isinstance(spec.get("policy"), dict) else {}
    policy.update(parts)
    number = spec["vlanId"] if number is None else number
    host.call(
        "networkSystem", "HostNetworkSystem", "UpdatePortGroup",
        "%s<portgrp>%s%s%s<policy>%s</policy></portgrp>"
        % (element("pgName", name), element("name", name), element("vlanId", number),
           element("vswitchName", spec["vswitchName"]), _policy(policy)),
    )  # fmt: skip


def _policy(policy):
    """HostNetworkPolicy as XML."""
    parts = (
        ("security", _plain([field for _key, field in SECURITY])),
        ("nicTeaming", _teaming),
        ("offloadPolicy", _plain(OFFLOAD)),
        ("shapingPolicy", _plain(SHAPING)),
    )
    return "".join("<%s>%s</%s>" % (name, shape(policy[name]), name) for name, shape in parts if policy.get(name))


def _plain(fields):
    return lambda found: "".join(element(field, found[field]) for field in fields if field in found)


def _teaming(found):
    text = ""
    for field in TEAMING:
        if field == "failureCriteria" and found.get(field):
            text += "<failureCriteria>%s</failureCriteria>" % _plain(CRITERIA)(found[field])
        elif field == "nicOrder" and field in found:
            order = found[field] if isinstance(found[field], dict) else {}
            text += "<nicOrder>%s</nicOrder>" % "".join(
                element(name, nic) for name in ("activeNic", "standbyNic") for nic in many(order.get(name))
            )
        elif field in found and field not in ("failureCriteria", "nicOrder"):
            text += element(field, found[field])
    return text


def carries(host, name):
    """Whether a VMkernel adapter carries a service. name: `vmk0 vmotion`."""
    device, _space, service = name.partition(" ")
    for config in host.known("config.virtualNicManagerInfo.netConfig"):
        if config.get("nicType") == service:
            keys = [found["key"] for found in many(config.get("candidateVnic")) if found.get("device") == device]
            if not keys:
                raise ChangeError("the host has no adapter %s that could carry %s" % (device, service))
            return keys[0] in many(config.get("selectedVnic"))
    raise ChangeError("the host knows no service %s of an adapter" % service)


def set_service(host, changes):
    """The same, set."""
    for name, wanted in changes:
        device, _space, service = name.partition(" ")
        method = "SelectVnicForNicType" if wanted else "DeselectVnicForNicType"
        host.call(
            "virtualNicManager", "HostVirtualNicManager", method,
            element("nicType", service) + element("device", device),
        )  # fmt: skip
