# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a vCenter that its vSphere Automation API holds: log servers, firewall, security of libraries."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote

from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.changes.failure import ChangeError
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.retrieve import Properties
from ansible_collections.dwp.hypervisor.plugins.module_utils.vsphere.values import at, many

FORWARDING = "/api/appliance/logging/forwarding"
FIREWALL = "/api/appliance/networking/firewall/inbound"
POLICIES = "/api/content/security-policies"
# Every interface, and what stands between two rules in the text of a list.
ANY, THEN = "*", "; "
CARRIED = "config.virtualNicManagerInfo.netConfig"
ADDRESSES = Properties("HostSystem", {"name": None, "config.network.vnic": None, CARRIED: None})


def forwarding(controller, _name):
    """The appliance's log servers, each as "TLS log1.example.org:6514"."""
    return ["%s %s:%d" % (one["protocol"], one["hostname"], int(one["port"])) for one in controller.asked(FORWARDING)]


def set_forwarding(controller, changes):
    """The same, set as a whole."""
    for _name, wanted in changes:
        controller.told("PUT", FORWARDING, {"cfg_list": [_target(text) for text in wanted]})
        controller.written()


def _target(text):
    protocol, _space, address = text.partition(" ")
    hostname, _colon, port = address.rpartition(":")
    if not hostname or not port.isdigit():
        raise ChangeError("%r is no log server, expected a protocol, a name and a port" % text)
    return {"hostname": hostname, "port": int(port), "protocol": protocol}


def firewall(controller, _name):
    """The rules for what comes in, in the order in which they are asked: "ACCEPT 192.0.2.0/24; REJECT 0.0.0.0/0"."""
    return THEN.join(_rule(one) for one in controller.asked(FIREWALL))


def _rule(found):
    where = str(found.get("interface_name") or ANY)
    said = "%s %s/%d" % (found["policy"], found["address"], int(found["prefix"]))
    return said if where == ANY else "%s on %s" % (said, where)


def set_firewall(controller, changes):
    """The same, set as a whole."""
    for _name, wanted in changes:
        controller.told("PUT", FIREWALL, {"rules": [_as_rule(text) for text in wanted.split(THEN) if text]})
        controller.written()


def _as_rule(text):
    said, _on, where = text.partition(" on ")
    policy, _space, network = said.partition(" ")
    address, _slash, prefix = network.partition("/")
    if not prefix.isdigit():
        raise ChangeError("%r is no rule, expected a policy and a network" % text)
    return {"address": address, "prefix": int(prefix), "policy": policy, "interface_name": where or ANY}


def cut_off(controller, wanted):
    """Names of the hosts that would not be let in any more. wanted: see firewall.

    A host sends its heartbeats from its management adapters; another of its addresses says nothing of them.
    """
    names = []
    for host in controller.all(ADDRESSES).values():
        found = _management(host) or many(host.values.get("config.network.vnic"))
        addresses = [address for address in (at(one, "spec.ip.ipAddress", "") for one in found) if address]
        if not addresses or not all(_admitted(address, wanted) for address in addresses):
            names.append(str(host.name))
    return sorted(names)


def _management(host):
    """The adapters of a host that carry management; none where the server does not tell."""
    for config in many(host.values.get(CARRIED)):
        if config.get("nicType") == "management":
            selected = many(config.get("selectedVnic"))
            return [found for found in many(config.get("candidateVnic")) if found.get("key") in selected]
    return []


def _admitted(text, wanted):
    address = ipaddress.ip_address(text)
    for rule in filter(None, wanted.split(THEN)):
        found = _as_rule(rule)
        if address in ipaddress.ip_network("%s/%d" % (found["address"], found["prefix"]), strict=False):
            return found["policy"] == "ACCEPT"
    return True


def library_policy(controller, name):
    """The name of a content library's security policy, empty where it has none.

    name: its kind (local or subscribed), its id, and what people call it, with a space between each.
    """
    found = str(controller.asked(_library(name)).get("security_policy_id") or "")
    return next((called for called, policy in _policies(controller).items() if policy == found), found)


def _library(name):
    kind, _space, rest = name.partition(" ")
    return "/api/content/%s-library/%s" % (kind, quote(rest.partition(" ")[0], safe=""))


def _policies(controller):
    """{name: id}"""
    return {str(one["name"]): str(one["policy"]) for one in controller.asked(POLICIES)}


def set_library_policy(controller, changes):
    """The same, set. :raises ChangeError: the vCenter has no such policy."""
    for name, wanted in changes:
        known = _policies(controller)
        if wanted and wanted not in known:
            raise ChangeError("the vCenter has no security policy %s for libraries" % wanted)
        content = {"security_policy_id": known[wanted]} if wanted else {"unset_security_policy_id": True}
        controller.told("PATCH", _library(name), content)
        controller.written()
