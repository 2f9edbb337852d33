# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of the firewall: what it lets through, when it drops, and what it refuses to cut."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import PASS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import firewalld_zones
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.predicates import network
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.filter_side import (
    SERVICES,
    facts,
    interface,
    listener,
    loaded,
    rows_of,
    sections_of,
    situation,
    told,
)

DROP, ALLOW, EGRESS = "kvm-11.4.9-default-drop", "kvm-11.4.9-allowlist", "kvm-11.4.9-egress"
STAGED = {"gold_firewall_mode": "staged"}
SEEN = {
    "section": "input",
    "in": "eth0",
    "out": "",
    "peer": "198.51.100.7",
    "protocol": "udp",
    "port": 123,
    "packets": 31,
}


def web(*addresses):
    found = facts()
    found["firewall"]["listeners"] += [listener("tcp", address, 8080, "nginx") for address in addresses or ["*"]]
    return found


def test_each_check_plans_its_own_sections():
    assert set(sections_of(rows_of(DROP, situation()))) == {"input", "forward"}
    assert set(sections_of(rows_of(ALLOW, situation()))) == {"input"}
    assert set(sections_of(rows_of(EGRESS, situation()))) == {"output"}


def test_what_is_planned_passes_the_checks():
    """The same predicates that judge a host judge the plan, now and after a start."""
    asked = situation()
    tables = loaded(asked, True, "input", "forward", "output")
    given = {
        **asked.facts["firewall"], **asked.facts["network"], "networks": asked.facts["networks"], "ruleset": tables,
        "saved": {"manager": "ours", "kind": "ruleset", "ruleset": tables, "detail": ""},
    }  # fmt: skip
    for test in (network.firewall_default_deny, network.firewall_allow_list, network.firewall_egress):
        found = test(given, dict(asked.gold))
        assert (found.status, found.persistent) == (PASS, True), found.message
    # And what only observes deceives nobody.
    given["ruleset"] = loaded(asked, False, "input", "forward", "output")
    assert network.firewall_default_deny(given, dict(asked.gold)).status == "fail"


def test_both_families_and_libvirts_networks():
    text = sections_of(rows_of(DROP, situation()))
    assert "policy drop;" in text["input"]
    assert "ip saddr 192.0.2.0/24 tcp dport 22 accept" in text["input"]
    assert "ip6 saddr 2001:db8:1::/64 tcp dport 22 accept" in text["input"]
    for bridge in ("virbr*", "isolated0"):
        assert f'iifname "{bridge}" udp dport {{ 53, 67, 69, 547 }} accept' in text["input"]
        assert f'oifname "{bridge}" accept' in text["forward"]
    # Frames between ports of one bridge pass the forward hook where br_netfilter is on.
    assert 'iifname "br0" oifname "br0" accept' in text["forward"]
    assert "flush" not in "".join(str(row) for row in rows_of(DROP, situation()))


def test_protocols_without_ports_and_several_sources():
    services = [*SERVICES, {"name": "vrrp", "protocol": "vrrp", "sources": ["192.0.2.8/30", "192.0.2.12/30"]}]
    text = sections_of(rows_of(ALLOW, situation(values={"gold_firewall_services": services})))["input"]
    assert "ip saddr 192.0.2.8/29 meta l4proto 112 accept" in text


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"gold_admin_cidrs": []}, "gold_admin_cidrs is empty"),
        ({"gold_admin_cidrs": ["0.0.0.0/0"]}, "wider than /16"),
        ({"gold_admin_cidrs": ["198.51.100.0/24"]}, "does not hold 192.0.2.99"),
        ({"gold_firewall_services": [{"name": "ssh", "protocol": "tpc", "ports": "22"}]}, "nearest is tcp"),
        ({"gold_firewall_services": SERVICES[1:]}, "this run itself: it comes from 192.0.2.99 to tcp/22"),
        ({"gold_firewall_services": SERVICES[:2]}, "ICMPv6: this host has IPv6 addresses"),
    ],
)
def test_gold_that_would_lock_out_is_refused(values, reason):
    for check in (DROP, ALLOW):
        with pytest.raises(Refusal, match=reason):
            rows_of(check, situation(values=values))
    # Also where the rules would only observe: an empty list never means any.
    if "cidrs" in reason:
        with pytest.raises(Refusal, match=reason):
            rows_of(DROP, situation(values={**values, **STAGED}))


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (listener("tcp", "*", 8080, "nginx"), "tcp/8080: nginx listens on"),
        (listener("udp", "0.0.0.0", 5405, "corosync"), "udp/5405: corosync"),
        (listener("udp", "0.0.0.0", 68, "dhclient"), "udp/68: dhclient"),
        (listener("udp", "fe80::10", 546, "dhclient"), "udp/546: dhclient"),
        (listener("tcp", "192.0.2.10", 6789, "ceph-mon"), "tcp/6789: ceph-mon"),
        (listener("raw", "0.0.0.0", 112, "keepalived"), "IP protocol vrrp: keepalived"),
        (listener("udp", "0.0.0.0", 500, "charon"), "IP protocol esp: charon"),
        (listener("udp", "10.88.0.1", 53, "aardvark-dns", "podman0"), "udp/53: aardvark-dns"),
    ],
)
def test_a_listener_in_use_is_not_cut(entry, reason):
    found = facts()
    found["network"]["interfaces"].append(interface("podman0", "bridge", "10.88.0.1"))
    found["firewall"]["listeners"].append(entry)
    with pytest.raises(Refusal, match=reason):
        rows_of(ALLOW, situation(found))
    # Observing it is only told.
    observed = rows_of(ALLOW, situation(found, STAGED))
    assert reason in told(observed) and "policy accept" in sections_of(observed)["input"]


def test_a_listener_may_be_declared_or_closed():
    service = {"name": "web", "protocol": "tcp", "ports": "8080", "sources": ["198.51.100.0/24"]}
    rows_of(ALLOW, situation(web(), {"gold_firewall_services": [*SERVICES, service]}))
    rows_of(ALLOW, situation(web(), {"gold_firewall_closed": ["tcp/8000-8999"]}))
    # Nobody reaches the loopback, and what another table stops is not cut by ours.
    rows_of(ALLOW, situation(web("127.0.0.1", "::1")))
    stopped = web()
    stopped["firewall"]["ruleset"] = [{**table, "name": "site"} for table in loaded(situation(), True, "input")]
    rows_of(ALLOW, situation(stopped))


def test_a_daemons_own_questions_are_no_listeners():
    found = facts()
    found["firewall"]["listeners"].append(listener("udp", "0.0.0.0", 41999, "dnsmasq"))
    rows_of(ALLOW, situation(found))
    # Nobody knows for whom a socket without a process, or of a process without another port, waits.
    for name in ("", "rpc.statd"):
        served = facts()
        served["firewall"]["listeners"].append(listener("udp", "0.0.0.0", 51820, name))
        with pytest.raises(Refusal, match="udp/51820"):
            rows_of(ALLOW, situation(served))


def test_peers_of_now_are_not_cut():
    peer = {
        "protocol": "tcp",
        "local_address": "192.0.2.10",
        "local_port": 8080,
        "peer": "198.51.100.7",
        "peer_port": 1,
    }
    service = {"name": "web", "protocol": "tcp", "ports": "8080", "sources": ["203.0.113.0/24"]}
    values = {"gold_firewall_services": [*SERVICES, service]}
    with pytest.raises(Refusal, match=r"tcp/8080: 198\.51\.100\.7 is connected to 192\.0\.2\.10"):
        rows_of(ALLOW, situation(web(), values, inbound=[peer]))
    rows_of(ALLOW, situation(web(), values, inbound=[{**peer, "peer": "::ffff:203.0.113.9"}]))
    rows_of(ALLOW, situation(web(), values, inbound=[{**peer, "peer": "192.0.2.10"}]))


def test_servers_of_now_are_not_cut():
    sent = [{"protocol": "tcp", "peer": "198.51.100.14", "peer_port": 6514, "process": "rsyslogd"}]
    with pytest.raises(Refusal, match=r"tcp/6514 to 198\.51\.100\.14: rsyslogd"):
        rows_of(EGRESS, situation(outbound=sent))
    egress = [
        {"name": "logs", "protocol": "tcp", "ports": "6514", "destinations": ["198.51.100.14/32"]},
        {"name": "icmp", "protocol": "icmp"},
        {"name": "icmpv6", "protocol": "icmpv6"},
    ]
    text = sections_of(rows_of(EGRESS, situation(values={"gold_firewall_egress": egress}, outbound=sent)))["output"]
    assert "ip daddr 198.51.100.14 tcp dport 6514 accept" in text
    with pytest.raises(Refusal, match="gold_firewall_egress does not name icmpv6"):
        rows_of(EGRESS, situation(values={"gold_firewall_egress": egress[:2]}))


def test_tunnels_and_guests_that_this_host_routes_are_not_cut():
    found = facts()
    found["network"]["interfaces"].append(interface("tun0", "gre"))
    with pytest.raises(Refusal, match="IP protocol gre: the tunnel tun0"):
        rows_of(ALLOW, situation(found))
    found = facts()
    found["network"]["interfaces"] += [interface("br7", "bridge", "10.7.0.1"), interface("vnet7", "tun", master="br7")]
    with pytest.raises(Refusal, match=r"the guests on br7: this host \(10\.7\.0\.1\)"):
        rows_of(DROP, situation(found))
    rows_of(DROP, situation(found, {"gold_firewall_forward": ["br7"]}))
    # With a physical way out they need not be routed; without forwarding they are not.
    bridged = facts()
    bridged["network"]["interfaces"] = [*found["network"]["interfaces"], interface("eth7", "adapter", master="br7")]
    rows_of(DROP, situation(bridged))
    found["network"]["forwarding"] = {"ipv4": False, "ipv6": False}
    rows_of(DROP, situation(found))


@pytest.mark.parametrize("path", ["ruleset", "listeners", "firewalld"])
def test_facts_that_were_not_read_refuse(path):
    with pytest.raises(Refusal, match=f"firewall.{path} could not be read"):
        rows_of(DROP, situation(facts(firewall={path: None})))


def test_a_service_nobody_serves_is_told_not_opened():
    idle = {"name": "web", "protocol": "tcp", "ports": "8080"}
    rows = rows_of(ALLOW, situation(values={"gold_firewall_services": [*SERVICES, idle]}))
    assert "8080" not in sections_of(rows)["input"] and "web (tcp/8080) is not opened" in told(rows)
    rows = rows_of(ALLOW, situation(values={"gold_firewall_services": [*SERVICES, {**idle, "on_demand": True}]}))
    assert "8080" in sections_of(rows)["input"] and told(rows) == ""


def observing(since="2026-06-01T11:00:00Z", seen=(), enforcing=False):
    """The host with input and forward loaded a day and an hour ago."""
    found = facts()
    found["firewall"]["ruleset"] = loaded(situation(), enforcing, "input", "forward")
    found["firewall"]["own"] = {"since": {"dwp_hypervisor": since}, "seen": list(seen)}
    return found


@pytest.mark.parametrize(
    ("given", "values", "drops"),
    [
        (facts(), STAGED, False),
        (observing(), STAGED, True),
        (observing("2026-06-02T11:00:00Z"), STAGED, False),
        (observing("2026-06-02T11:00:00Z"), {**STAGED, "gold_firewall_observe_hours": 1}, True),
        (observing(seen=[SEEN]), STAGED, False),
        (observing(seen=[{**SEEN, "section": "forward"}]), STAGED, True),
        (observing(since=""), STAGED, False),
        (observing("2026-06-02T11:00:00Z", seen=[SEEN], enforcing=True), STAGED, True),
        (observing(seen=[SEEN]), {}, True),
        (observing(enforcing=True), {"gold_firewall_mode": "observe"}, False),
    ],
)
def test_stages(given, values, drops):
    rows = rows_of(ALLOW, situation(given, values))
    assert ("counter drop" in sections_of(rows)["input"]) is drops
    assert ("observing only" in told(rows)) is not drops


def test_what_would_have_been_dropped_is_listed():
    rows = rows_of(DROP, situation(observing(seen=[SEEN]), STAGED))
    assert "since 2026-06-01T11:00:00Z it would have dropped 31 x udp/123 from 198.51.100.7 (eth0)" in told(rows)
    out = {**SEEN, "section": "forward", "out": "br0", "port": 0, "protocol": "esp"}
    assert "31 x esp from 198.51.100.7 (eth0 to br0)" in told(rows_of(DROP, situation(observing(seen=[out]), STAGED)))


def test_a_running_filter_is_not_taken_to_cut_something_new():
    """Staged and enforcing: a plan that would cut a peer is refused, it does not go back to observing."""
    found = observing(enforcing=True)
    asked = {**STAGED, "gold_firewall_services": SERVICES[1:], "gold_firewall_closed": []}
    with pytest.raises(Refusal, match="this run itself"):
        rows_of(ALLOW, situation(found, asked))


ZONE = {
    "name": "public", "default": True, "interfaces": ["eth0"], "target": "default", "services": ["ssh"], "ports": [],
    "protocols": [], "source_ports": [], "sources": [], "forward_ports": [], "masquerade": False, "forward": True,
    "rules_str": [], "saved": {},
}  # fmt: skip


def firewalld(*zones):
    return facts(firewall={"firewalld": {"running": True, "zones": list(zones), "unsaved": ""}})


def contents(rows):
    return {row["path"].rpartition("/")[2]: row["content"] for row in rows if row["kind"] == "file"}


def test_firewalld_is_set_where_it_rules():
    internal = {**ZONE, "name": "internal", "default": False, "interfaces": ["eth1"], "sources": ["192.0.2.128/25"]}
    found = firewalld(ZONE, internal, {**ZONE, "name": "libvirt", "default": False, "interfaces": ["virbr0"]})
    rows = rows_of(DROP, situation(found))
    assert sections_of(rows) == {}
    files = contents(rows)
    assert set(files) == {"public.xml", "internal.xml", "libvirt.xml"}
    assert '<zone target="DROP">' in files["public.xml"] and "<forward" not in files["public.xml"]
    rule = '<rule family="ipv4"><source address="192.0.2.0/24"/><port port="22" protocol="tcp"/><accept/></rule>'
    assert rule in files["public.xml"] and rule.replace("ipv4", "ipv6") not in files["public.xml"]
    assert '<protocol value="ipv6-icmp"/>' in files["public.xml"]
    assert '<interface name="eth1"/>' in files["internal.xml"]
    assert '<source address="192.0.2.128/25"/>' in files["internal.xml"]
    assert "<interface" not in files["public.xml"] and "ssh" not in files["libvirt.xml"]
    assert rows[0]["then"] == list(firewalld_zones.THEN)
    policies = contents(rows_of(EGRESS, situation(found)))
    assert set(policies) == {"dwp-egress.xml", "dwp-guests.xml"}
    assert all(len(name) - len(".xml") <= 18 for name in policies)


def test_firewalld_is_observed_by_a_table_of_ours_that_goes():
    rows = rows_of(DROP, situation(firewalld(ZONE), STAGED))
    assert "policy accept" in sections_of(rows)["input"]
    found = firewalld(ZONE)
    found["firewall"]["ruleset"] = loaded(situation(), False, "input", "forward")
    assert sections_of(rows_of(DROP, situation(found))) == {"input": None, "forward": None}
    # Once it drops, there is nothing left to observe.
    rows = rows_of(DROP, situation(firewalld({**ZONE, "target": "DROP"}), STAGED))
    assert contents(rows) and not sections_of(rows) and not told(rows)


def test_firewalld_without_zones_is_refused():
    with pytest.raises(Refusal, match="names no zone in use"):
        rows_of(DROP, situation(firewalld()))
