# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part network: interfaces, the switches guests are plugged into, and the adapters behind them."""

from __future__ import annotations

import json

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

ADDR, VLANS = "ip -j -d addr", "bridge -j vlan show"
OVS = "ovs-vsctl --timeout=5 --format=json --columns="


def link(name, kind="", up=True, slave=None, address="", **more):
    """One entry of `ip -j -d addr`."""
    flags = ["BROADCAST", "UP", "LOWER_UP"] if up else ["NO-CARRIER", "BROADCAST", "UP"]
    info = {"info_kind": kind, "info_data": more.pop("data", {})} if kind else {}
    if slave is not None:
        info.update({"info_slave_kind": "bond", "info_slave_data": slave})
    entry = {"ifname": name, "flags": flags, "addr_info": [], **more}
    if info:
        entry["linkinfo"] = info
    if address:
        ip, _slash, length = address.partition("/")
        entry["addr_info"] = [{"family": "inet", "local": ip, "prefixlen": int(length)}]
    return entry


def adapter(name, pci, files, links, speed="10000"):
    """Give an interface a device in sysfs."""
    links[f"/sys/class/net/{name}/device"] = f"/sys/devices/pci0000:00/{pci}"
    files[f"/sys/devices/pci0000:00/{pci}/vendor"] = "0x8086\n"
    files[f"/sys/class/net/{name}/speed"] = speed + "\n"


def facts(entries, files=None, links=None, **commands):
    given = {
        ADDR: (0, json.dumps(entries) + "\n", "") if isinstance(entries, list) else entries,
        "ip -j -4 route show default": (0, '[{"dst":"default","gateway":"10.0.0.1","dev":"br0"}]\n', ""),
        "ip -j -6 route show default": (0, "[ ]\n", ""),
        VLANS: (0, "[ ]\n", ""),
        **commands,
    }
    proc = {"/proc/sys/net/ipv4/ip_forward": "1\n", "/proc/sys/net/ipv6/conf/all/forwarding": "0\n"}
    return collector.collect(FakeHost(files={**proc, **(files or {})}, links=links, commands=given), ["network"])


def switch(found, name):
    return next(entry for entry in found["network"]["switches"] if entry["name"] == name)


def bonded(mii="UP"):
    files, links = {}, {}
    adapter("eth0", "0000:01:00.0", files, links)
    adapter("eth1", "0000:02:00.0", files, links, speed="-1")
    entries = [
        link("lo", flags=["LOOPBACK", "UP", "LOWER_UP"], address="127.0.0.1/8"),
        link("eth0", slave={"state": "ACTIVE", "mii_status": "UP"}, master="bond0"),
        link("eth1", slave={"state": "BACKUP", "mii_status": mii}, master="bond0"),
        link("bond0", "bond", data={"mode": "active-backup"}),
        link("bond0.20", "vlan", data={"id": 20}, link="bond0", master="br20"),
        link("br20", "bridge", data={"vlan_filtering": 0}),
        link("bond0.10", "vlan", data={"id": 10}, link="bond0", address="10.0.0.2/24"),
        link("vnet0", "tun", master="br20"),
    ]
    return facts(entries, files, links)


def test_a_bridge_on_a_vlan_of_a_bond_leads_to_both_adapters():
    found = bonded()
    assert found["collector"]["errors"] == []
    behind = switch(found, "br20")
    assert behind["team_modes"] == ["active-backup"]
    assert [(each["nic"], each["up"], each["pci"], each["role"]) for each in behind["uplinks"]] == [
        ("eth0", True, "0000:01:00.0", "active"),
        ("eth1", True, "0000:02:00.0", "backup"),
    ]
    assert [(nic["name"], nic["speed"]) for nic in found["network"]["nics"]] == [("eth0", 10000), ("eth1", 0)]
    by_name = {entry["name"]: entry for entry in found["network"]["interfaces"]}
    assert by_name["bond0.10"]["vlan"] == 10 and by_name["bond0.10"]["parent"] == "bond0"
    assert found["network"]["routes"] == [{"family": 4, "dev": "br0", "gateway": "10.0.0.1"}]
    assert found["network"]["forwarding"] == {"ipv4": True, "ipv6": False}


def test_a_member_the_bond_does_not_trust_is_not_up():
    assert [each["up"] for each in switch(bonded("DOWN"), "br20")["uplinks"]] == [True, False]


def test_guest_ports_are_no_way_out():
    found = facts([link("virbr0", "bridge", address="192.168.122.1/24"), link("vnet0", "tun", master="virbr0")])
    assert switch(found, "virbr0")["uplinks"] == []
    assert not any(entry["name"] == "vnet0" for entry in found["network"]["switches"])


def test_a_pair_of_virtual_interfaces_is_no_adapter():
    found = facts([link("br0", "bridge"), link("veth0", "veth", master="br0")])
    assert [(each["nic"], each["physical"]) for each in switch(found, "br0")["uplinks"]] == [("veth0", False)]
    assert found["network"]["nics"] == []


def test_virtual_functions_name_their_port():
    files, links = {}, {}
    adapter("eth0", "0000:01:00.0", files, links)
    adapter("eth0v0", "0000:01:10.0", files, links)
    links["/sys/devices/pci0000:00/0000:01:10.0/physfn"] = "/sys/devices/pci0000:00/0000:01:00.0"
    links["/sys/devices/pci0000:00/0000:01:00.0/virtfn0"] = "/sys/devices/pci0000:00/0000:01:10.0"
    by_name = {
        entry["name"]: entry for entry in facts([link("eth0"), link("eth0v0")], files, links)["network"]["interfaces"]
    }
    assert by_name["eth0v0"]["pf"] == "0000:01:00.0"
    assert by_name["eth0"]["vfs"] == ["0000:01:10.0"]


def rows(headings, *data):
    return (0, json.dumps({"headings": headings, "data": list(data)}) + "\n", "")


def ovs(mode):
    return {
        OVS + "_uuid,name,ports list Bridge": rows(
            ["_uuid", "name", "ports"], [["uuid", "b"], "ovsbr0", ["set", [["uuid", "p1"], ["uuid", "p2"]]]]
        ),
        OVS + "_uuid,name,interfaces,bond_mode list Port": rows(
            ["_uuid", "name", "interfaces", "bond_mode"],
            [["uuid", "p1"], "bond0", ["set", [["uuid", "i1"], ["uuid", "i2"]]], mode],
            [["uuid", "p2"], "ovsbr0", ["uuid", "i3"], ["set", []]],
        ),
        OVS + "_uuid,name list Interface": rows(
            ["_uuid", "name"], [["uuid", "i1"], "eth0"], [["uuid", "i2"], "eth1"], [["uuid", "i3"], "ovsbr0"]
        ),
    }


def test_open_vswitch():
    files, links = {}, {}
    adapter("eth0", "0000:01:00.0", files, links)
    adapter("eth1", "0000:02:00.0", files, links)
    entries = [link("eth0", master="ovs-system"), link("eth1", master="ovs-system"), link("ovsbr0", "openvswitch")]
    behind = switch(facts(entries, files, links, **ovs("balance-slb")), "ovsbr0")
    assert behind["type"] == "ovs"
    assert behind["team_modes"] == ["balance-slb"]
    assert [each["nic"] for each in behind["uplinks"]] == ["eth0", "eth1"]
    # An empty bond_mode is active-backup (ovs-vswitchd.conf.db(5)).
    assert switch(facts(entries, files, links, **ovs(["set", []])), "ovsbr0")["team_modes"] == ["active-backup"]


def test_open_vswitch_without_its_tool_is_unknown():
    found = facts([link("ovsbr0", "openvswitch")])
    assert found["network"]["switches"] is None
    assert any("ovs-vsctl" in entry["reason"] for entry in found["collector"]["errors"])


def test_a_team_is_asked_for_its_mode():
    entries = [link("team0", "team"), link("eth0", master="team0")]
    state = {"teamdctl team0 state dump": (0, '{"setup": {"runner_name": "lacp"}}', "")}
    assert switch(facts(entries, **state), "team0")["team_modes"] == ["lacp"]
    assert facts(entries)["network"]["switches"] is None


def test_vlans_of_bridge_ports():
    out = '[{"ifname":"vnet0","vlans":[{"vlan":1,"flags":["PVID"]},{"vlan":20,"vlanEnd":29}]}]\n'
    assert facts([link("eth0")], **{VLANS: (0, out, "")})["network"]["bridge_vlans"] == {"vnet0": [[1, 1], [20, 29]]}


def test_migration_address():
    conf = '#migration_address = "0.0.0.0"\nmigration_address = "10.0.0.2"\n'
    assert facts([], {"/etc/libvirt/qemu.conf": conf})["network"]["migration_address"] == "10.0.0.2"
    assert facts([])["network"]["migration_address"] == ""


def test_hops_of_a_multipath_route():
    out = '[{"dst":"default","nexthops":[{"gateway":"10.0.0.1","dev":"eth0"},{"gateway":"10.1.0.1","dev":"eth1"}]}]\n'
    found = facts([], **{"ip -j -4 route show default": (0, out, "")})
    assert [route["dev"] for route in found["network"]["routes"]] == ["eth0", "eth1"]


BROKEN = [
    (0, "", ""),
    (0, "[{", ""),
    (0, "Zugriff verweigert\n", ""),
    (0, '[{"a": 1}]', ""),
    (1, "", "denied"),
    Unreadable("time-out"),
]


@pytest.mark.parametrize("answer", BROKEN)
@pytest.mark.parametrize(
    ("command", "lost"),
    [
        (ADDR, ("interfaces", "nics", "switches")),
        ("ip -j -4 route show default", ("routes",)),
        (VLANS, ("bridge_vlans",)),
    ],
)
def test_what_was_not_read_is_unknown(command, lost, answer):
    found = facts([link("eth0")], **{command: answer})
    noted = {entry["path"] for entry in found["collector"]["errors"]}
    for name in lost:
        assert found["network"][name] is None
        assert f"network.{name}" in noted
