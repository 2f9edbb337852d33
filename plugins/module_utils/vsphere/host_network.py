# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of one ESXi host: adapters, switches, port groups after all overrides, and its own addresses."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import at, flag, many, number

# On a standard switch this number means every VLAN of the wire.
ALL_VLANS = 4095
WHOLE_TRUNK = [[0, 4094]]


def fill(facts, read):
    """Put network.* into `facts`."""
    facts.attempt("network.nics", lambda: [_nic(found) for found in read.known("config.network.pnic")])
    facts.attempt("network.switches", lambda: list(_switches(read)))
    facts.attempt("network.portgroups", lambda: list(_standard(read)) + list(_distributed(read)))
    facts.attempt("network.vmkernel", lambda: list(_vmkernel(read)))


def _nic(found):
    speed = number(at(found, "linkSpeed.speedMb"))
    return {"id": found["device"], "up": speed is not None, "speed_mb": speed or 0}


def _devices(read):
    return {found["key"]: found["device"] for found in read.known("config.network.pnic")}


def _switches(read):
    devices = _devices(read)
    for found in read.known("config.network.vswitch"):
        yield {"id": found["name"], "kind": "standard", "uplinks": _named(found, devices), "nioc": False}
    for found in read.told("config.network.proxySwitch") or []:
        switch = read.distributed.switch(found.get("dvsUuid"))
        entry = {
            "id": found.get("dvsName", ""),
            "key": found.get("dvsUuid", ""),
            "kind": "distributed",
            "uplinks": _named(found, devices),
        }
        if switch and switch["nioc"] is not None:
            entry["nioc"] = switch["nioc"]
        yield entry
    for found in read.told("config.network.opaqueSwitch") or []:
        yield {
            "id": found.get("name") or found["key"],
            "kind": "opaque",
            "uplinks": _named(found, devices),
            "nioc": False,
        }


def _named(switch, devices):
    return [devices.get(key, key.rpartition("-")[2]) for key in many(switch.get("pnic"))]


def _standard(read):
    for found in read.known("config.network.portgroup"):
        policy, spec = found.get("computedPolicy") or {}, found["spec"]
        vlan = number(spec.get("vlanId")) or 0
        order = at(policy, "nicTeaming.nicOrder", {})
        yield {
            "id": spec["name"],
            "name": spec["name"],
            "switch": str(spec.get("vswitchName", "")),
            "vlan": 0 if vlan == ALL_VLANS else vlan,
            "trunk": WHOLE_TRUNK if vlan == ALL_VLANS else [],
            "nsx": False,
            "active": many(order.get("activeNic")),
            "standby": many(order.get("standbyNic")),
            "teaming": str(at(policy, "nicTeaming.policy", "")),
            **_security(policy.get("security") or {}),
            # A standard switch limits what leaves it only.
            "shaping_in": False,
            "shaping_out": flag(at(policy, "shapingPolicy.enabled")) is True,
        }


def _security(found):
    entry = {
        "promiscuous": flag(setting(found.get("allowPromiscuous"))),
        "mac_changes": flag(setting(found.get("macChanges"))),
        "forged_transmits": flag(setting(found.get("forgedTransmits"))),
    }
    return {key: inner for key, inner in entry.items() if inner is not None}


def setting(found):
    """The value of a setting of a distributed switch, which says beside it whether it is inherited."""
    return found.get("value") if isinstance(found, dict) else found


def _distributed(read):
    for proxy in read.told("config.network.proxySwitch") or []:
        uplinks = _uplinks(proxy)
        for portgroup in read.distributed.portgroups(proxy.get("dvsUuid")):
            entry = {**portgroup, "switch": proxy.get("dvsName", "")}
            for key in ("active", "standby"):
                names = entry.pop("uplinks_" + key, None)
                if names is not None:
                    entry[key] = [nic for name in names for nic in uplinks.get(name, [])]
            yield entry


def _uplinks(proxy):
    """{name of an uplink or of a link aggregation group: [adapters]} of a distributed switch on this host."""
    by_port = {}
    for pnic in many(at(proxy, "spec.backing.pnicSpec")):
        by_port.setdefault(str(pnic.get("uplinkPortKey", "")), []).append(pnic.get("pnicDevice"))
    found = {}
    for port in many(proxy.get("uplinkPort")):
        found[str(port.get("value"))] = by_port.get(str(port.get("key")), [])
    for group in many(proxy.get("hostLag")):
        ports = [str(port.get("key")) for port in many(group.get("uplinkPort"))]
        found[str(group.get("lagName"))] = [nic for port in ports for nic in by_port.get(port, [])]
    return found


def _vmkernel(read):
    services = _services(read)
    for found in read.known("config.network.vnic"):
        spec = found.get("spec") or {}
        portgroup = at(spec, "distributedVirtualPort.portgroupKey") or found.get("portgroup") or ""
        yield {
            "id": found["device"],
            "portgroup": portgroup,
            "address": _address(spec.get("ip") or {}),
            "services": sorted(services.get(found["device"], ())),
        }


def _address(ip):
    if ip.get("ipAddress"):
        return ip["ipAddress"]
    for found in many(at(ip, "ipV6Config.ipV6Address")):
        try:
            if not ipaddress.ip_address(str(found.get("ipAddress"))).is_link_local:
                return found["ipAddress"]
        except ValueError:
            continue
    return ""


def _services(read):
    """{vmk device: {service}}; a selection names the key of a candidate, which names its device."""
    found = {}
    for config in read.known("config.virtualNicManagerInfo.netConfig"):
        devices = {candidate.get("key"): candidate.get("device") for candidate in many(config.get("candidateVnic"))}
        for key in many(config.get("selectedVnic")):
            match = re.search(r"vmk\d+$", str(key))
            device = devices.get(key) or (match.group(0) if match else None)
            if device:
                found.setdefault(device, set()).add(config["nicType"])
    return found
