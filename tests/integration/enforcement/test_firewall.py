# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall on a booted host: it observes, then drops; guests keep their network; it lasts, and it goes back."""

from __future__ import annotations

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.enforcement import stand_ins
from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import (
    CHECKOUT,
    BootedHost,
    ansible_environment,
    result_of,
)
from ansible_collections.dwp.hypervisor.tests.lab.kvm import host as nspawn
from ansible_collections.dwp.hypervisor.tests.lab.kvm import network

GOLD: dict[str, Any] = {
    "gold_admin_cidrs": ["10.213.0.0/16"],
    "gold_mgmt_cidrs": ["10.213.0.0/16"],
    "gold_hypervisor_admins": ["alice", "bob"],
    "gold_breakglass_accounts": ["breakglass"],
}
CONTROL = [{"name": "icmp", "protocol": "icmp"}, {"name": "icmpv6", "protocol": "icmpv6"}]
ENFORCE = {**GOLD, "gold_firewall_mode": "enforce"}
CHECKS = ("kvm-11.4.9-default-drop", "kvm-11.4.9-allowlist", "kvm-11.4.9-egress")
LIMITS = ("kvm-11.4.2-source-limits", "kvm-11.4.12-source-limits")
PLAY = """\
- hosts: all
  gather_facts: false
  roles: [dwp.hypervisor.gold]
  tasks:
    - dwp.hypervisor.enforce: {platform: kvm, areas: "{{ areas }}", checks: "{{ checks }}", rollback_seconds: 60}
      register: answer
      ignore_errors: true
    - ansible.builtin.copy: {content: "{{ answer | to_json }}", dest: "{{ result }}", mode: "0600"}
      delegate_to: localhost
      check_mode: false
      vars:
        ansible_connection: local
        ansible_become: false
        ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""


@pytest.fixture(scope="module")
def host(lab_ready: None) -> Iterator[BootedHost]:
    """A host of its own with stand-in guests."""
    found = BootedHost(f"fw-{os.getpid()}")
    try:
        stand_ins.plug_in(found)
        yield found
    finally:
        found.stop()


@pytest.fixture
def clean(host: BootedHost) -> Iterator[BootedHost]:
    """The host without a change of ours before and after."""
    revert(host)
    yield host
    revert(host)


def enforce(
    host: BootedHost, gold: dict[str, Any], folder: pathlib.Path, areas=("firewall",), checks=CHECKS, check_mode=False
) -> dict[str, Any]:
    """The answer of one enforce task in a process of its own."""
    (folder / "play.yml").write_text(PLAY)
    result = folder / "answer.json"
    result.unlink(missing_ok=True)
    given = {**gold, "areas": list(areas), "checks": list(checks), "result": str(result)}
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", str(host.inventory)]
    command += [str(folder / "play.yml"), "-e", json.dumps(given)]
    done = subprocess.run(
        command + (["--check"] if check_mode else []),
        cwd=CHECKOUT, env=ansible_environment(), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert result.exists(), done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(result.read_text())


def revert(host: BootedHost) -> None:
    """Take back every change."""
    faults = host.module("dwp.hypervisor.kvm_changes", {"state": "reverted", "run": "all"})["reverted"]
    assert not any(faults.values()), faults


def verdicts(host: BootedHost, gold: dict[str, Any], checks=CHECKS) -> dict[str, str]:
    document = host.audit(gold, parts=["firewall", "network", "libvirt"])
    return {check: result_of(document, check)["measured"] for check in checks}


def rules(host: BootedHost) -> str:
    """The ruleset without counters."""
    text = host.run("nft -s -t list ruleset 2> /dev/null")
    return re.sub(r"counter packets \d+ bytes \d+", "counter", text)


def answers(host: BootedHost, port: int) -> bool:
    """Whether a connection from the controller gets any answer (nobody listens: a refusal), not silence."""
    address = host.run("ip -4 -o addr show eth0").split()[3].partition("/")[0]
    try:
        socket.create_connection((address, port), timeout=1.5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


def told(answer: dict[str, Any], area: str = "firewall") -> str:
    return " ".join(entry["what"] for entry in answer["areas"][area]["by_hand"])


def test_it_observes_before_it_drops(clean, tmp_path):
    before = rules(clean)
    assert verdicts(clean, GOLD) == dict.fromkeys(CHECKS, "fail")
    assert enforce(clean, GOLD, tmp_path, check_mode=True)["changed"]
    assert rules(clean) == before
    first = enforce(clean, GOLD, tmp_path)
    assert first["changed"] and "observing only" in told(first)
    assert answers(clean, 8080)
    clean.run("timeout 2 bash -c 'echo > /dev/udp/198.51.100.9/514'", check=False)
    second = enforce(clean, GOLD, tmp_path)
    assert not second["changed"]
    assert re.search(r"1 x tcp/8080 from 10\.213\.\d+\.1 \(eth0\)", told(second)), told(second)
    # Nothing is dropped, and an audit is not deceived.
    assert verdicts(clean, GOLD) == dict.fromkeys(CHECKS, "fail")
    # The others' tables are as they were.
    assert before.strip() in rules(clean)
    # Something would have been dropped: the next run does not enforce by itself, however long ago it was.
    hurried = {**GOLD, "gold_firewall_observe_hours": 0}
    assert "would have dropped" in told(enforce(clean, hurried, tmp_path))
    assert answers(clean, 8080)
    revert(clean)
    assert rules(clean) == before


def test_staged_enforces_when_nothing_would_have_been_dropped(clean, tmp_path):
    """The forward chain saw no stranger; input and output of a quiet host as well."""
    hurried = {**GOLD, "gold_firewall_observe_hours": 0}
    enforce(clean, hurried, tmp_path)
    clean.run("systemctl reload dwp-hypervisor-firewall")
    answer = enforce(clean, hurried, tmp_path)
    assert answer["changed"] and not told(answer), told(answer)
    assert verdicts(clean, GOLD) == dict.fromkeys(CHECKS, "pass")
    assert not enforce(clean, hurried, tmp_path)["changed"]


def test_guests_keep_their_network(clean, tmp_path):
    others = rules(clean)
    with stand_ins.watching(clean) as seen:
        time.sleep(3)
        began = time.time()
        answer = enforce(clean, ENFORCE, tmp_path, ("admin_network", "firewall"), (*CHECKS, *LIMITS))
        ended = time.time()
        assert answer["changed"] and not answer.get("failed"), answer
        assert verdicts(clean, ENFORCE, (*CHECKS, *LIMITS)) == dict.fromkeys((*CHECKS, *LIMITS), "pass")
        assert not enforce(clean, ENFORCE, tmp_path, ("admin_network", "firewall"), (*CHECKS, *LIMITS))["changed"]
        assert not answers(clean, 8080)
        time.sleep(3)
    lost = {}
    for guest, kinds in seen.items():
        for what, tries in kinds.items():
            times = [when for when, _ok in tries]
            assert min(times) < began and max(times) > ended, f"{guest} {what} was not watched throughout"
            failed = [round(when - began, 1) for when, ok in tries if not ok]
            if failed:
                lost[guest, what] = failed
    assert lost == {}
    assert others.strip() in rules(clean)
    # A lease that is asked for anew, name resolution and discovery after everything was set.
    for guest in ("dhcp4", "dual"):
        clean.run(f"ip netns exec {guest} udhcpc -i eth0 -n -q -f -t 3 -T 1 -s /run/stand-ins/lease", timeout=20)


def test_what_a_guest_could_not_do_before_stays_shut(clean, tmp_path):
    enforce(clean, ENFORCE, tmp_path)
    for target in ("192.168.122.1/22", "192.168.122.1/8080"):
        done = clean.run(f"ip netns exec dhcp4 timeout 2 bash -c 'echo > /dev/tcp/{target}'; echo $?")
        assert done.strip() == "124", target


def test_libvirt_and_the_boot_unit(clean, tmp_path):
    enforce(clean, ENFORCE, tmp_path)
    want = rules(clean)
    clean.run("systemctl restart libvirtd.service && sleep 1 && virsh -q net-list --name | grep -qx default")
    assert "table inet dwp_hypervisor {" in rules(clean) and "LIBVIRT_INP" in rules(clean)
    # As at a start of the host: the table is not there, the unit loads it; libvirt's are left alone.
    clean.run("systemctl stop dwp-hypervisor-firewall")
    assert "dwp_hypervisor" not in rules(clean) and "LIBVIRT_INP" in rules(clean)
    clean.run("systemctl start dwp-hypervisor-firewall")
    assert _ours(rules(clean)) == _ours(want)
    clean.run("systemctl reload dwp-hypervisor-firewall")
    assert _ours(rules(clean)) == _ours(want)
    # What flushes every table when it is reloaded is followed by ours.
    clean.run("systemctl stop dwp-hypervisor-firewall; systemctl start nftables dwp-hypervisor-firewall")
    clean.run("systemctl reload nftables; systemctl reload dwp-hypervisor-firewall")
    assert _ours(rules(clean)) == _ours(want)
    clean.run("systemctl stop nftables; systemctl restart libvirtd; systemctl restart dwp-hypervisor-firewall")
    assert verdicts(clean, ENFORCE) == dict.fromkeys(CHECKS, "pass")


def _ours(text: str) -> str:
    return text[text.index("table inet dwp_hypervisor {") :].partition("\n}\n")[0]


def test_one_area_goes_back_without_the_other(clean, tmp_path):
    before = rules(clean)
    enforce(clean, ENFORCE, tmp_path, ("admin_network",), LIMITS)
    limits = rules(clean)
    enforce(clean, ENFORCE, tmp_path)
    clean.module("dwp.hypervisor.kvm_changes", {"state": "reverted", "run": "all", "areas": ["admin_network"]})
    assert "dwp_hypervisor_admin" not in rules(clean)
    assert verdicts(clean, ENFORCE) == dict.fromkeys(CHECKS, "pass")
    revert(clean)
    assert rules(clean) == before != limits


@pytest.mark.parametrize(
    ("gold", "setup", "reason"),
    [
        ({"gold_admin_cidrs": []}, "", "gold_admin_cidrs is empty"),
        ({"gold_admin_cidrs": ["192.0.2.0/24"]}, "", "gold_admin_cidrs does not hold 10.213."),
        (
            {"gold_firewall_services": [{"name": "other", "protocol": "tcp", "ports": "2222"}, *CONTROL]},
            "", "this run itself: it comes from 10.213.",
        ),
        ({}, "systemd-run -q --collect --unit web python3 -m http.server 8081", "tcp/8081: python3 listens on"),
        ({}, "systemd-run -q --collect --unit web python3 -c 'import socket,time; "
             "s=socket.socket(2,3,112); time.sleep(600)'", "IP protocol vrrp: python3 listens"),
        ({}, "systemd-run -q --collect --unit web python3 -c 'import socket,time; "
             "s=socket.socket(2,2); s.bind((\"\", 5405)); time.sleep(600)'", "udp/5405: python3 listens"),
        ({"gold_firewall_services": [{"name": "ssh", "protocol": "tcp", "ports": "22"}]}, "", "ICMPv6: this host has"),
        ({"gold_firewall_egress": CONTROL[:1]}, "", "gold_firewall_egress does not name icmpv6"),
        ({}, "ip link add lab9 type bridge && ip addr add 10.99.0.1/24 dev lab9 && ip link set lab9 up && "
             "ip link add web0 type veth peer name web1 && ip link set web0 master lab9 up", "the guests on lab9"),
        ({}, "ip link add web0 type vxlan id 7 dstport 4789 dev eth0 && ip link set web0 up", "udp/4789: the kernel"),
    ],
)  # fmt: skip
def test_what_would_cut_something_is_refused(clean, tmp_path, gold, setup, reason):
    before = rules(clean)
    try:
        if setup:
            clean.run(setup)
            time.sleep(1)
        answer = enforce(clean, {**ENFORCE, **gold}, tmp_path)
    finally:
        clean.run("systemctl stop web; ip link del lab9; ip link del web0", check=False)
    assert answer["failed"] and reason in answer["areas"]["firewall"]["refused"], answer
    assert not answer["changed"]
    assert rules(clean) == before
    assert clean.run("ls /etc/dwp-hypervisor/* /etc/systemd/system/dwp-hypervisor-* 2> /dev/null", check=False) == ""


def test_a_peer_that_is_connected_is_not_cut(clean, tmp_path):
    """A cluster peer on a declared port whose sources do not name it."""
    services = [
        {"name": "ssh", "protocol": "tcp", "ports": "22"},
        {"name": "icmp", "protocol": "icmp"},
        {"name": "icmpv6", "protocol": "icmpv6"},
        {"name": "cluster", "protocol": "tcp", "ports": "8081", "sources": ["192.0.2.0/24"]},
    ]
    clean.run("systemd-run -q --collect --unit web python3 -m http.server 8081; sleep 1")
    address = clean.run("ip -4 -o addr show eth0").split()[3].partition("/")[0]
    try:
        with socket.create_connection((address, 8081), timeout=3):
            answer = enforce(clean, {**ENFORCE, "gold_firewall_services": services}, tmp_path)
            assert f"is connected to {address}" in answer["areas"]["firewall"]["refused"], answer
        closed = {"gold_firewall_closed": ["tcp/8081"]}
        answer = enforce(clean, {**ENFORCE, **closed}, tmp_path)
        assert answer["changed"] and not answers(clean, 8081)
    finally:
        clean.run("systemctl stop web", check=False)


def test_the_rules_are_there_after_a_restart_of_the_host(lab_ready, tmp_path):
    """Before anything else is up; and libvirt adds its own rules beside them."""
    host = BootedHost(f"fwboot-{os.getpid()}")
    try:
        enforce(host, ENFORCE, tmp_path, ("admin_network", "firewall"), (*CHECKS, *LIMITS))
        want = _ours(rules(host))
        nspawn.cut_power(host.lab)
        # The lab's network namespace outlives its host, the rules and bridges of a real one do not.
        inside = ["ip", "netns", "exec", network.namespace(host.name)]
        for words in (["nft", "flush", "ruleset"], ["ip", "link", "del", "virbr0"]):
            subprocess.run([*inside, *words], check=True, timeout=20)
        host.lab = nspawn.power_on(host.lab)
        assert _ours(rules(host)) == want
        host.run("virsh -q net-list --name | grep -qx default; nft list ruleset 2> /dev/null | grep -q LIBVIRT_INP")
        order = host.run(
            "systemctl show -p ActiveEnterTimestampMonotonic --value dwp-hypervisor-firewall.service ssh.service"
        ).split()
        assert 0 < int(order[0]) < int(order[1])
        assert verdicts(host, ENFORCE, (*CHECKS, *LIMITS)) == dict.fromkeys((*CHECKS, *LIMITS), "pass")
        assert not enforce(host, ENFORCE, tmp_path, ("admin_network", "firewall"), (*CHECKS, *LIMITS))["changed"]
        revert(host)
        assert "dwp_hypervisor" not in rules(host)
    finally:
        host.stop()
