# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgements on where management and guests are plugged in (11.4.12) and by how many ways guests get out (11.4.13)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.dwp.hypervisor.plugins.plugin_utils import outcome as o
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import MissingFact, Outcome, need
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.addresses import AddressSet
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.packets.services import (
    ADMINISTRATION,
    inside,
    networks,
    ports,
)

# Modes of libvirt networks whose bridge and addresses libvirt makes itself (https://libvirt.org/formatnetwork.html).
ROUTED = ("nat", "route", "open")


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise MissingFact(f"{what} is not a list")
    return value


def _words(holder: Any, key: str, what: str) -> list[str]:
    found = _list(need(holder, key, what=what), key)
    if any(not isinstance(entry, str) for entry in found):
        raise MissingFact(f"{what}.{key} holds an entry that was not read")
    return found


def _text(holder: Any, key: str, what: str) -> str:
    return str(need(holder, key, what=what))


def management_addresses(interfaces: Any, segment: Mapping[int, AddressSet]) -> dict[str, Mapping[str, Any]]:
    """{address: interface} of the host's addresses in the management networks."""
    found = {}
    for interface in _list(interfaces, "network.interfaces"):
        for address in _list(need(interface, "addresses", what="network.interfaces"), "addresses"):
            text = str(ipaddress.ip_address(_text(address, "ip", "network.interfaces")))
            if inside(segment, text):
                found[text] = interface
    return found


def _plug(nic: Mapping[str, Any], defined: Mapping[str, Any]) -> tuple[str, str]:
    """Where a guest's interface ends on the host: (switch | isolated | routed | function | tap | user, name).

    switch: a bridge, an Open vSwitch bridge, or the interface below a macvtap. routed: a libvirt network behind the
    host's own routes; the name is the interface it is bound to, if any. function: a PCI function handed to the guest.
    """
    kind = _text(nic, "type", "vms.nics")
    if kind == "bridge":
        return "switch", _text(nic, "bridge", "vms.nics")
    if kind == "direct":
        return "switch", _text(nic, "dev", "vms.nics")
    if kind == "hostdev":
        return "function", ""
    if kind == "ethernet":
        return "tap", _text(nic, "target", "vms.nics")
    if kind == "user":
        return "routed", ""
    if kind != "network":
        raise MissingFact(f"an interface of type {kind[:40]} is not followed by this test")
    name = _text(nic, "net", "vms.nics")
    if name not in defined:
        raise MissingFact(f"network {name[:60]} is not defined")
    network = defined[name]
    forward, device = _text(network, "forward", "networks"), _text(network, "forward_dev", "networks")
    if forward == "":
        return "isolated", _text(network, "bridge", "networks")
    if forward in ROUTED:
        return "routed", device
    if forward == "hostdev":
        return "function", device
    switch = _text(network, "bridge", "networks") or device
    if not switch:
        raise MissingFact(f"network {name[:60]}: the interfaces of its pool were not read")
    return "switch", switch


def _by_name(entries: Any, what: str) -> dict[str, Any]:
    return {_text(entry, "name", what): entry for entry in _list(entries, what)}


def _nics(vms: Any) -> Iterable[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    for vm in _list(vms, "vms"):
        name = _text(vm, "name", "vms")
        for nic in _list(need(vm, "nics", what="vms"), "vms.nics"):
            yield name, vm, nic


# 11.4.12


def management_dedicated(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """The management address is on an interface no guest uses, and no switch of guests carries an address of the host.

    facts: interfaces, bridge_vlans, vms, networks. gold: gold_mgmt_cidrs.
    """
    segment = networks("gold_mgmt_cidrs", gold["gold_mgmt_cidrs"])
    interfaces, defined = _by_name(facts["interfaces"], "network.interfaces"), _by_name(facts["networks"], "networks")
    used = used_switches(facts["vms"], defined, interfaces)
    own = management_addresses(facts["interfaces"], segment)
    items = [
        o.item(f"{address} on {interface['name']}", apart(interface, interfaces, used, facts["bridge_vlans"]))
        for address, interface in own.items()
    ]
    items += [o.item(f"switch {name}", carries_none(name, interfaces)) for name in sorted(used)]
    items += [
        o.item(f"libvirt network {name}", _inactive(entry)) for name, entry in defined.items() if has_address(entry)
    ]
    if not own:
        items.append(
            o.item("management address", o.failed([], None, "no address of this host lies in gold_mgmt_cidrs"))
        )
    expected = f"an address in {', '.join(gold['gold_mgmt_cidrs'])} on an interface of its own"
    return o.combine(items, empty=o.failed([], expected, "no management address"), expected=expected)


def used_switches(vms: Any, defined: Mapping[str, Any], interfaces: Mapping[str, Any]) -> set[str]:
    used = {
        _text(entry, "master", "network.interfaces")
        for entry in interfaces.values()
        if _text(entry, "kind", "network.interfaces") == "tun"
    }
    used |= {
        _text(entry, "parent", "network.interfaces") for entry in interfaces.values() if entry["kind"] == "macvtap"
    }
    for _name, _vm, nic in _nics(vms):
        kind, name = _plug(nic, defined)
        used |= {name} if kind == "switch" else set()
    return used - {""} - {_text(entry, "bridge", "networks") for entry in defined.values() if has_address(entry)}


def apart(interface: Mapping[str, Any], interfaces: Mapping[str, Any], used: set[str], vlans: Any) -> Outcome:
    name, kind = str(interface["name"]), _text(interface, "kind", "network.interfaces")
    if name in used:
        return o.failed(name, None, f"guests are plugged into {name}, which holds the management address")
    if kind == "openvswitch":
        raise MissingFact(f"{name} is a port of Open vSwitch, whose VLANs are not followed by this test")
    parent = _text(interface, "parent", "network.interfaces")
    if kind != "vlan" or parent not in used:
        return o.passed(name)
    bridge, number = interfaces.get(parent, {}), need(interface, "vlan", what="network.interfaces")
    if bridge.get("kind") != "bridge":
        return o.passed(name)
    if need(bridge, "vlan_filtering", what="network.interfaces") is not True:
        return o.failed(
            name, None, f"guests on {parent} can send frames tagged with VLAN {number}: it does not filter VLANs"
        )
    for port in (entry for entry in interfaces.values() if entry["master"] == parent and entry["kind"] == "tun"):
        spans = need(vlans, port["name"], what="network.bridge_vlans")
        if any(low <= number <= high for low, high in spans):
            return o.failed(name, None, f"guest port {port['name']} of {parent} is in VLAN {number}")
    return o.passed(name)


def carries_none(name: str, interfaces: Mapping[str, Any]) -> Outcome:
    if name not in interfaces:
        return o.passed([], message=f"{name} is not there")
    addresses = [
        _text(entry, "ip", "network.interfaces") for entry in _list(need(interfaces[name], "addresses"), "addresses")
    ]
    # Every interface has a link-local address by itself; what reaches it is the firewall's matter.
    shown = [address for address in addresses if not ipaddress.ip_address(address).is_link_local]
    if shown:
        return o.failed(shown, None, f"guests are plugged into {name}, which carries the host's address {shown[0]}")
    return o.passed([])


def has_address(network: Mapping[str, Any]) -> bool:
    forward = _text(network, "forward", "networks")
    return forward in ("", *ROUTED) and bool(_list(need(network, "addresses", what="networks"), "addresses"))


def _inactive(network: Mapping[str, Any]) -> Outcome:
    active, autostart = need(network, "active", what="networks"), need(network, "autostart", what="networks")
    actual = {"active": active, "autostart": autostart}
    if active is not False:
        return o.failed(
            actual, None, f"active: its guests share {_text(network, 'bridge', 'networks')} with an address of the host"
        )
    if autostart is not False:
        return o.failed(actual, None, "not active now, but it starts with the host", persistent=False)
    return o.passed(actual, persistent=True)


def services_bound(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Management daemons listen on management addresses or the loopback, not on every address.

    facts: listeners, migration_address. gold: gold_mgmt_cidrs, gold_mgmt_ports.
    """
    segment = networks("gold_mgmt_cidrs", gold["gold_mgmt_cidrs"])
    wanted = [ports(text) for text in gold["gold_mgmt_ports"]]
    items = [o.item("migration", bound(need(facts, "migration_address") or "0.0.0.0", segment))]
    for entry in _list(facts["listeners"], "firewall.listeners"):
        process, protocol = _text(entry, "process", "firewall.listeners"), _text(entry, "proto", "firewall.listeners")
        port, address = need(entry, "port", what="firewall.listeners"), _text(entry, "addr", "firewall.listeners")
        declared = any(protocol == each and low <= port <= high for each, low, high in wanted)
        if declared or ADMINISTRATION.match(process):
            items.append(o.item(f"{process or 'unknown process'} {protocol} {address}:{port}", bound(address, segment)))
    return o.combine(items, empty=o.unknown("no listener was read"), expected="a management address or the loopback")


def bound(address: Any, segment: Mapping[int, AddressSet]) -> Outcome:
    text = str(address).strip("[]")
    if text in ("*", "0.0.0.0", "::"):
        return o.failed(text, None, "listens on every address")
    try:
        good = ipaddress.ip_address(text.partition("%")[0]).is_loopback or inside(segment, text)
    except ValueError:
        raise MissingFact(f"{text[:60]} is a name, not an address") from None
    return o.passed(text) if good else o.failed(text, None, f"listens on {text}, outside the management networks")


# 11.4.13


def multiple_uplinks(facts: dict[str, Any], gold: dict[str, Any]) -> Outcome:
    """Every guest interface that leads to a physical network leads there over enough adapters of their own.

    facts: vms, networks, switches, interfaces, routes. gold: gold_min_uplinks, gold_bond_modes, gold_guest_bond_vms.
    """
    defined, switches = _by_name(facts["networks"], "networks"), _by_name(facts["switches"], "network.switches")
    items = []
    for name, vm, nic in _nics(facts["vms"]):
        label = f"{name} {_text(nic, 'id', 'vms.nics')}"
        items.append(o.item(label, _guarded(lambda vm=vm, nic=nic: _ways_out(vm, nic, facts, defined, switches, gold))))  # type: ignore[misc]
    expected = f"at least {gold['gold_min_uplinks']} adapters, {' or '.join(gold['gold_bond_modes'])}"
    return o.combine(items, empty=o.not_applicable("no virtual machine has a network interface", []), expected=expected)


def _guarded(test: Callable[[], Outcome]) -> Outcome:
    """One guest whose wiring is not understood must not hide another that fails."""
    try:
        return test()
    except MissingFact as missing:
        return o.unknown(str(missing))


def _ways_out(
    vm: Mapping[str, Any],
    nic: Mapping[str, Any],
    facts: Mapping[str, Any],
    defined: Mapping[str, Any],
    switches: Mapping[str, Any],
    gold: Mapping[str, Any],
) -> Outcome:
    kind, name = _plug(nic, defined)
    if kind == "isolated":
        return o.not_applicable("an isolated network, without a way to the physical network", [])
    if kind == "function":
        return _functions(vm, facts, defined, switches, gold)
    if kind == "tap":
        name = next(
            (_text(entry, "master", "network.interfaces") for entry in facts["interfaces"] if entry["name"] == name), ""
        )
        if not name:
            raise MissingFact("the bridge of a tap interface made by somebody else is not known")
    if kind == "routed":
        devices = [name] if name else _routed_devices(facts, defined)
        if not devices:
            return o.not_applicable("a network behind the host, which has no way out itself", [])
        return _enough([_switch(device, switches) for device in devices], gold, len(devices) > 1)
    found = _switch(name, switches)
    if not need(found, "uplinks", what="network.switches"):
        return o.not_applicable(f"{name} has no way to the physical network", [])
    return _enough([found], gold, False)


def _switch(name: str, switches: Mapping[str, Any]) -> Mapping[str, Any]:
    if name not in switches:
        raise MissingFact(f"{name[:60]} is not among the interfaces of the host")
    return switches[name]


def _routed_devices(facts: Mapping[str, Any], defined: Mapping[str, Any]) -> list[str]:
    """Where the host's own packets leave: its default routes, else the interfaces with an address that is its own."""
    devices = [_text(route, "dev", "network.routes") for route in _list(facts["routes"], "network.routes")]
    if devices:
        return sorted(set(devices) - {""})
    own = {_text(entry, "bridge", "networks") for entry in defined.values()}
    return [
        _text(entry, "name", "network.interfaces")
        for entry in _list(facts["interfaces"], "network.interfaces")
        if _text(entry, "kind", "network.interfaces") not in ("loopback", "tun")
        and entry["name"] not in own
        and not _text(entry, "master", "network.interfaces")
        and any(
            not ipaddress.ip_address(_text(each, "ip", "network.interfaces")).is_link_local
            for each in entry["addresses"]
        )
    ]


def _enough(found: list[Mapping[str, Any]], gold: Mapping[str, Any], by_routing: bool) -> Outcome:
    uplinks = [
        uplink for switch in found for uplink in _list(need(switch, "uplinks", what="network.switches"), "uplinks")
    ]
    modes = {mode for switch in found for mode in _words(switch, "team_modes", "network.switches")}
    names = " and ".join(_text(switch, "name", "network.switches") for switch in found)
    working = {}
    for uplink in uplinks:
        if (
            need(uplink, "physical", what="network.switches") is True
            and need(uplink, "up", what="network.switches") is True
        ):
            # Two virtual functions of one port share its cable; so do two names for one PCI function.
            own = _text(uplink, "pf", "uplinks") or _text(uplink, "pci", "uplinks") or _text(uplink, "nic", "uplinks")
            working[own] = _text(uplink, "nic", "uplinks")
    actual = {
        "adapters that work": sorted(working.values()),
        "all": sorted(_text(uplink, "nic", "uplinks") for uplink in uplinks),
        "modes": sorted(modes),
    }
    if len(working) < gold["gold_min_uplinks"]:
        return o.failed(
            actual,
            None,
            f"{names} has {len(working)} working adapter(s) of its own, at least {gold['gold_min_uplinks']} are wanted",
        )
    if not modes and not by_routing:
        return o.failed(actual, None, f"{names} has several adapters, but they are not bonded")
    if not modes <= set(gold["gold_bond_modes"]):
        return o.failed(actual, None, f"{names} is bonded as {', '.join(sorted(modes))}")
    return o.passed(actual)


def _functions(
    vm: Mapping[str, Any],
    facts: Mapping[str, Any],
    defined: Mapping[str, Any],
    switches: Mapping[str, Any],
    gold: Mapping[str, Any],
) -> Outcome:
    """A guest with PCI functions has as many ways out as they have different ports, if it bonds them itself."""
    owners = {
        function: _text(entry, "pci", "network.interfaces")
        for entry in _list(facts["interfaces"], "network.interfaces")
        for function in _words(entry, "vfs", "network.interfaces")
    }
    found = {
        owners.get(_text(device, "address", "vms.devices"), _text(device, "address", "vms.devices"))
        for device in _list(need(vm, "devices", what="vms"), "vms.devices")
        if _text(device, "kind", "vms.devices") == "interface"
    }
    for nic in _list(need(vm, "nics", what="vms"), "vms.nics"):
        kind, name = _plug(nic, defined)
        if kind == "function" and name:
            found |= {_text(uplink, "pci", "uplinks") for uplink in _switch(name, switches)["uplinks"]}
        elif kind == "switch":
            found |= {
                _text(uplink, "pf", "uplinks") or _text(uplink, "pci", "uplinks")
                for uplink in _switch(name, switches)["uplinks"]
            }
    declared = {_text(vm, "name", "vms"), _text(vm, "id", "vms")} & set(gold["gold_guest_bond_vms"])
    if not declared:
        return o.failed(sorted(found), None, "a PCI function is a single way out, and no bond in the guest is declared")
    if len(found) < gold["gold_min_uplinks"]:
        return o.failed(
            sorted(found),
            None,
            f"its functions share {len(found)} port(s), at least {gold['gold_min_uplinks']} are wanted",
        )
    return o.passed(sorted(found))


PREDICATES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Outcome]] = {
    "management_dedicated": management_dedicated,
    "services_bound": services_bound,
    "multiple_uplinks": multiple_uplinks,
}
