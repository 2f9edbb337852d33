# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part firewall: the running packet filter, what the next start loads, who listens."""

from __future__ import annotations

import json

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import collector, systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import firewall
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.sockets import COMMAND
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

NFT = "nft -j list ruleset"
UNITS = " ".join(systemd.command(firewall.SERVICES))
SS = " ".join(COMMAND)
CALL = "busctl --json=short call org.fedoraproject.FirewallD1 /org/fedoraproject/FirewallD1"
EMPTY = '{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}]}\n'


def socket(kind, address, process, unit, more=""):
    """A line of ss as iproute2 6.1 prints it."""
    return f'{kind} 0 128 {address} 0.0.0.0:* users:(("{process}",pid=77,fd=3)) {more}ino:1 sk:2 cgroup:{unit} <->\n'


LISTENING = (
    socket("udp UNCONN", "0.0.0.0%virbr0:67", "dnsmasq", "/system.slice/libvirtd.service")
    + socket("tcp LISTEN", "0.0.0.0:22", "sshd", "/system.slice/ssh.service")
    + socket("tcp LISTEN", "127.0.0.1:5900", "qemu-system-x86", "/machine.slice/vm1.scope", "uid:64055 ")
    + socket("tcp LISTEN", "[::]:22", "sshd", "/system.slice/ssh.service", "v6only:1 ")
)


def units(**enabled):
    """What systemctl show says; enabled: unit=state."""
    blocks = []
    for unit in firewall.UNITS:
        command = "{ path=/usr/sbin/nft ; argv[]=/usr/sbin/nft -f /etc/nftables.conf ; ignore_errors=no }"
        state = enabled.get(unit.replace("-", "_"), "")
        active = "active" if state else "inactive"
        values = {"ExecStart": command if unit == "nftables" else "", "Id": f"{unit}.service", "LoadState": "loaded"}
        values.update({"ActiveState": active, "UnitFileState": state})
        blocks.append("".join(f"{name}={value}\n" for name, value in values.items()))
    return (0, "\n".join(blocks), "")


def nft(*entries):
    return (0, json.dumps({"nftables": [{"metainfo": {}}, *entries]}) + "\n", "")


def chain(name, table="host", family="inet", **base):
    return {"chain": {"family": family, "table": table, "name": name, "handle": 1, **base}}


def rule(name, *expr, table="host", family="inet"):
    return {"rule": {"family": family, "table": table, "chain": name, "handle": 2, "expr": list(expr)}}


INPUT = chain("input", type="filter", hook="input", prio=0, policy="drop")


def facts(files=None, **commands):
    given = {NFT: (0, EMPTY, ""), UNITS: units(), SS: (0, LISTENING, "")}
    host = FakeHost(files=files or {}, commands={**given, **commands.pop("commands", {})}, **commands)
    return collector.collect(host, ["firewall"])


def reason(found, path):
    return [entry["reason"] for entry in found["collector"]["errors"] if entry["path"] == path]


def test_nothing_loaded_is_an_empty_list_not_unknown():
    found = facts()
    assert found["collector"]["errors"] == []
    assert found["firewall"]["ruleset"] == []
    assert found["firewall"]["saved"] == {
        "manager": "",
        "kind": "none",
        "ruleset": [],
        "detail": "no service that loads firewall rules is enabled at start",
    }


def test_listeners():
    found = facts()["firewall"]["listeners"]
    by_port = {(entry["port"], entry["addr"]): entry for entry in found}
    assert by_port[67, "0.0.0.0"]["interface"] == "virbr0"
    assert by_port[67, "0.0.0.0"]["unit"] == "libvirtd.service"
    assert by_port[22, "::"]["process"] == "sshd"
    assert by_port[5900, "127.0.0.1"]["uid"] == 64055


def test_a_daemon_comes_before_the_systemd_that_keeps_its_socket():
    line = socket("tcp LISTEN", "*:22", "systemd", "/init.scope").replace("fd=3))", 'fd=3),("sshd",pid=9,fd=4))')
    (found,) = facts(commands={SS: (0, line, "")})["firewall"]["listeners"]
    assert (found["process"], found["pid"], found["addr"]) == ("sshd", 9, "*")


@pytest.mark.parametrize("out", ["", LISTENING.rstrip("\n"), "Zugriff verweigert\n", LISTENING + "tcp LISTEN\n"])
def test_half_an_answer_about_listeners_is_none(out):
    found = facts(commands={SS: (0, out, "")})
    assert found["firewall"]["listeners"] is None
    assert reason(found, "firewall.listeners")


def test_only_root_sees_who_listens():
    found = facts(uid=1000)
    assert found["firewall"]["listeners"] is None
    assert "root" in reason(found, "firewall.listeners")[0]


@pytest.mark.parametrize(
    "answer",
    [
        (1, "", "Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed\n"),
        (0, "", ""),
        (0, "Vorgang nicht zulaessig\n", ""),
        (0, EMPTY[: len(EMPTY) // 2], ""),
        Unreadable("nft did not answer within 10 s"),
    ],
)
def test_a_ruleset_that_was_not_read_is_unknown(answer):
    found = facts(commands={NFT: answer})
    assert found["firewall"]["ruleset"] is None
    assert reason(found, "firewall.ruleset")


def test_without_nft_nothing_is_said():
    host = FakeHost(commands={UNITS: units(), SS: (0, LISTENING, ""), "iptables-nft-save": (0, "", "")})
    found = collector.collect(host, ["firewall"])
    assert found["firewall"]["ruleset"] is None


def test_what_cannot_decide_is_left_out():
    lone = chain("lone")
    nat = chain("post", type="nat", hook="postrouting", prio=100, policy="accept")
    entries = [
        {"table": {"family": "inet", "name": "host", "handle": 1}},
        {"set": {"family": "inet", "name": "unused", "table": "host", "type": "ipv4_addr", "elem": ["10.0.0.1"]}},
        {"set": {"family": "inet", "name": "admins", "table": "host", "type": "ipv4_addr",
                 "elem": [{"elem": {"val": "10.0.0.2", "timeout": 60, "expires": 5}}]}},
        INPUT, lone, nat,
        rule("input", {"counter": {"packets": 5, "bytes": 6}},
             {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@admins"}},
             {"log": {"prefix": "in"}}, {"accept": None}),
        rule("lone", {"drop": None}),
        {"table": {"family": "netdev", "name": "x", "handle": 2}},
    ]  # fmt: skip
    (table,) = facts(commands={NFT: nft(*entries)})["firewall"]["ruleset"]
    assert set(table["chains"]) == {"input"}
    assert table["sets"] == {"admins": {"elements": ["10.0.0.2"], "changes": False, "unread": ""}}
    ((first, last),) = table["chains"]["input"]["rules"]
    assert last == "accept" and first["match"]["right"] == "@admins"


def test_a_set_that_packets_change_is_marked():
    update = {"set": {"op": "add", "elem": {"payload": {"protocol": "ip", "field": "saddr"}}, "set": "@known"}}
    entries = [
        {"set": {"family": "inet", "name": "known", "table": "host", "type": "ipv4_addr", "flags": ["timeout"]}},
        INPUT,
        rule("input", update),
        rule(
            "input",
            {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@known"}},
        ),
    ]
    (table,) = facts(commands={NFT: nft(*entries)})["firewall"]["ruleset"]
    assert table["sets"]["known"]["changes"] is True


def test_a_long_set_is_not_cut_but_unread():
    elements = [f"10.{n >> 8}.{n & 255}.1" for n in range(6000)]
    entries = [
        {"set": {"family": "inet", "name": "many", "table": "host", "type": "ipv4_addr", "elem": elements}},
        INPUT,
        rule(
            "input",
            {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@many"}},
        ),
    ]
    (table,) = facts(commands={NFT: nft(*entries)})["firewall"]["ruleset"]
    assert table["sets"]["many"] == {"elements": [], "changes": False, "unread": "more than 5000 elements"}


OF_IPTABLES = [
    chain("INPUT", table="filter", family="ip", type="filter", hook="input", prio=0, policy="drop"),
    rule("INPUT", {"xt": {"type": "match", "name": "conntrack"}}, {"accept": None}, table="filter", family="ip"),
]
SAVED = "*filter\n:INPUT DROP [0:0]\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\nCOMMIT\n"


def test_tables_of_iptables_are_read_with_iptables_save():
    found = facts(commands={NFT: nft(*OF_IPTABLES), "iptables-nft-save": (0, SAVED, "")})
    (table,) = found["firewall"]["ruleset"]
    assert table["source"] == "iptables-nft"
    assert table["chains"]["INPUT"]["rules"][0][0]["match"]["left"] == {"ct": {"key": "state"}}


@pytest.mark.parametrize(
    "saved", [Unreadable("time-out"), (0, SAVED.replace("COMMIT\n", ""), ""), (0, "Zugriff verweigert\n", "")]
)
def test_tables_of_iptables_without_their_save_are_unknown(saved):
    found = facts(commands={NFT: nft(*OF_IPTABLES), "iptables-nft-save": saved})
    assert found["firewall"]["ruleset"] is None


def test_legacy_tables_are_added():
    found = facts(files={"/proc/net/ip_tables_names": "filter\n"}, commands={"iptables-legacy-save": (0, SAVED, "")})
    assert [table["source"] for table in found["firewall"]["ruleset"]] == ["iptables-legacy"]
    found = facts(files={"/proc/net/ip_tables_names": "filter\n"})
    assert found["firewall"]["ruleset"] is None


def test_the_saved_ruleset_is_loaded_apart():
    scratch = " ".join([*firewall.SCRATCH, "/etc/nftables.conf"])
    given = {UNITS: units(nftables="enabled"), scratch: nft(INPUT)}
    saved = facts(commands=given)["firewall"]["saved"]
    assert (saved["manager"], saved["kind"]) == ("nftables", "ruleset")
    assert saved["ruleset"][0]["chains"]["input"]["policy"] == "drop"
    given[scratch] = (1, "", "/etc/nftables.conf:3:1-5: Error: Interface does not exist\n")
    found = facts(files={"/sys/class/net/eth0/mtu": "1500\n"}, commands=given)
    assert found["firewall"]["saved"] is None
    assert "Interface does not exist" in reason(found, "firewall.saved")[0]
    given[scratch + " eth0"] = nft(INPUT)
    files = {
        "/sys/class/net/eth0/mtu": "1500\n",
        "/sys/class/net/lo/mtu": "65536\n",
        "/sys/module/bridge/refcnt": "1\n",
    }
    assert facts(files=files, commands=given)["firewall"]["saved"]["kind"] == "ruleset"


def test_netfilter_persistent():
    given = {UNITS: units(netfilter_persistent="enabled")}
    saved = facts(files={"/etc/iptables/rules.v4": SAVED}, commands=given)["firewall"]["saved"]
    assert saved["kind"] == "ruleset"
    assert [(table["family"], table["source"]) for table in saved["ruleset"]] == [("ip", "netfilter-persistent")]


UFW = 'IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\n'


@pytest.mark.parametrize(
    ("files", "kind", "detail"),
    [
        ({"/etc/default/ufw": UFW, "/etc/ufw/ufw.conf": "ENABLED=yes\n"}, "same", ""),
        (
            {"/etc/default/ufw": UFW.replace("DROP", "ACCEPT"), "/etc/ufw/ufw.conf": "ENABLED=yes\n"},
            "differs",
            "ACCEPT",
        ),
        ({"/etc/default/ufw": UFW.replace("yes", "no"), "/etc/ufw/ufw.conf": "ENABLED=yes\n"}, "differs", "IPV6=no"),
        ({"/etc/default/ufw": UFW, "/etc/ufw/ufw.conf": "ENABLED=no\n"}, "none", "no service"),
    ],
)
def test_ufw(files, kind, detail):
    saved = facts(files=files, commands={UNITS: units(ufw="enabled")})["firewall"]["saved"]
    assert saved["kind"] == kind
    assert detail.lower() in saved["detail"].lower()


# firewalld 1.3.3, Debian 12.
ACTIVE = '{"type":"a{sa{sas}}","data":[{"public":{"interfaces":["eth0"]}}]}'
SETTINGS = (
    '{"type":"a{sv}","data":[{"short":{"type":"s","data":"Public"},"target":{"type":"s","data":"default"},'
    '"services":{"type":"as","data":["ssh"]},"ports":{"type":"a(ss)","data":[["9100","tcp"]]},'
    '"masquerade":{"type":"b","data":false}}]}'
)


def firewalld(saved=SETTINGS, **more):
    return {
        UNITS: units(firewalld="enabled"),
        f"{CALL} org.fedoraproject.FirewallD1.zone getActiveZones": (0, ACTIVE, ""),
        f"{CALL} org.fedoraproject.FirewallD1 getDefaultZone": (0, '{"type":"s","data":["public"]}', ""),
        f"{CALL} org.fedoraproject.FirewallD1.zone getZoneSettings2 s public": (0, SETTINGS, ""),
        f"{CALL}/config org.fedoraproject.FirewallD1.config getZoneByName s public": (
            0,
            '{"type":"o","data":["/org/fedoraproject/FirewallD1/config/zone/8"]}',
            "",
        ),
        f"{CALL}/config/zone/8 org.fedoraproject.FirewallD1.config.zone getSettings2": (0, saved, ""),
        **more,
    }


def test_firewalld():
    found = facts(commands=firewalld())["firewall"]
    (zone,) = found["firewalld"]["zones"]
    assert (zone["name"], zone["services"], zone["ports"]) == ("public", ["ssh"], ["9100/tcp"])
    assert found["saved"]["kind"] == "same"


def test_firewalld_changed_at_run_time_only():
    saved = facts(commands=firewalld(SETTINGS.replace('"default"', '"DROP"')))["firewall"]["saved"]
    assert saved["kind"] == "differs"
    assert "target is now default, saved is DROP" in saved["detail"]


@pytest.mark.parametrize(
    "answer", [(1, "", "Call failed: Access denied\n"), (0, "", ""), (0, "[]", ""), Unreadable("time-out")]
)
def test_firewalld_that_does_not_answer_is_unknown(answer):
    key = f"{CALL} org.fedoraproject.FirewallD1.zone getActiveZones"
    found = facts(commands=firewalld(**{key: answer}))
    assert found["firewall"]["firewalld"] is None
    assert found["firewall"]["saved"] is None
    assert reason(found, "firewall.saved")


@pytest.mark.parametrize("answer", [(0, "", ""), (1, "", "denied"), (0, units()[1][:120], "")])
def test_units_that_were_not_read(answer):
    found = facts(commands={UNITS: answer})
    assert found["firewall"]["units"] is None
    assert found["firewall"]["saved"] is None
    assert reason(found, "firewall.saved")


# Our own tables

OURS = {"family": "inet", "name": "dwp_hypervisor", "handle": 1}
BOOT_UNIT = "/etc/systemd/system/sysinit.target.wants/dwp-hypervisor-firewall.service"
OWN_FILE = "/etc/dwp-hypervisor/firewall.nft"


def seen_set(name, *elements):
    return {
        "set": {
            "family": "inet", "table": "dwp_hypervisor", "name": name, "type": [], "handle": 1, "flags": ["timeout"],
            "elem": [
                {"elem": {"val": {"concat": list(key)}, "expires": 9, "counter": {"packets": packets, "bytes": 1}}}
                for key, packets in elements
            ],
        }
    }  # fmt: skip


def ours(files=None, sets=(), apart=None, **more):
    loaded = nft({"table": OURS}, chain("input", "dwp_hypervisor", hook="input", type="filter", policy="drop"), *sets)
    given = {NFT: loaded, "nft -j list table inet dwp_hypervisor": loaded}
    given[" ".join([*firewall.SCRATCH, OWN_FILE])] = apart or loaded
    return facts(files, commands=given, stats={"/run/dwp-hypervisor-firewall": {"mtime": 1_790_000_000.0}}, **more)


def test_nothing_of_ours_is_nothing_refused():
    assert facts()["firewall"]["own"] == {"since": {}, "seen": []}


def test_what_our_table_refused_is_read_from_its_sets():
    found = ours(
        sets=[
            seen_set(
                "input_ip_ports", (("eth0", "192.0.2.7", "tcp", 8080), 2), (("eth0", "192.0.2.8", "udp", 123), 31)
            ),
            seen_set("forward_ip6_others", (("br0", "eth0", "2001:db8::7", "esp"), 3)),
            seen_set("admin_ports_ip_ports", (("eth0", "192.0.2.9", "tcp", 22), 1)),
            seen_set("output_ip_ports", (("eth0", "192.0.2.53", "udp", 53), 1)),
        ]
    )["firewall"]["own"]
    assert found["since"] == {"dwp_hypervisor": "2026-09-21T14:13:20Z"}
    assert [tuple(entry.values()) for entry in found["seen"]] == [
        ("input", "eth0", "", "192.0.2.8", "udp", 123, 31),
        ("forward", "br0", "eth0", "2001:db8::7", "esp", 0, 3),
        ("input", "eth0", "", "192.0.2.7", "tcp", 8080, 2),
        ("output", "", "eth0", "192.0.2.53", "udp", 53, 1),
        ("admin_ports", "eth0", "", "192.0.2.9", "tcp", 22, 1),
    ]


def test_a_set_of_another_shape_is_unread():
    strange = seen_set("input_ip_ports")
    strange["set"]["elem"] = ["192.0.2.7"]
    found = ours(sets=[strange])
    assert found["firewall"]["own"] is None and "unexpected output" in reason(found, "firewall.own")[0]


def test_our_unit_loads_our_table_at_start():
    found = ours({BOOT_UNIT: "", OWN_FILE: ""})["firewall"]["saved"]
    assert (found["manager"], found["kind"]) == ("dwp-hypervisor-firewall", "ruleset")
    assert found["ruleset"][0]["name"] == "dwp_hypervisor"
    assert ours({OWN_FILE: ""})["firewall"]["saved"]["kind"] == "none"
    assert ours({BOOT_UNIT: ""})["firewall"]["saved"]["kind"] == "none"
    # A file that no longer loads is no ruleset.
    broken = ours({BOOT_UNIT: "", OWN_FILE: ""}, apart=(1, "", "syntax error"))
    assert broken["firewall"]["saved"] is None and "does not load" in reason(broken, "firewall.saved")[0]
