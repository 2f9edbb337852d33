# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of the administration network: who reaches management, libvirt's networks, listen addresses."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.outcome import PASS
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

PORTS, ADDRESS = "kvm-11.4.2-source-limits", "kvm-11.4.12-source-limits"
DEDICATED, BOUND = "kvm-11.4.12-dedicated", "kvm-11.4.12-services-bound"
SSH = "/etc/ssh/sshd_config.d/00-dwp-hypervisor-listen.conf"


def vm(name, *nets, power="running", autostart=False, configured=None):
    return {
        "name": name, "id": name, "power": power, "autostart": autostart, "configured": configured or {},
        "nics": [{"id": "1", "type": "network", "net": net, "bridge": "", "dev": "", "target": ""} for net in nets],
    }  # fmt: skip


def test_limits_are_a_table_of_their_own():
    rows = rows_of(PORTS, situation())
    assert {row["name"] for row in rows if row["kind"] == "nft_table"} == {"dwp_hypervisor_admin"}
    text = sections_of(rows)["admin_ports"]
    assert "policy accept" in text and "ip saddr 192.0.2.0/24 accept" in text
    assert "tcp dport { 22, 5900-5999, 9090, 16509, 16514, 49152-49215 } jump admin_ports_refused" in text
    assert "counter drop" in text


def test_ports_of_management_daemons_are_limited_too():
    found = facts()
    found["firewall"]["listeners"] += [
        listener("tcp", "0.0.0.0", 2222, "sshd"),
        listener("tcp", "*", 5950, "qemu-system-x86"),
    ]
    values = {"gold_firewall_services": [*SERVICES, {"name": "second", "protocol": "tcp", "ports": "2222"}]}
    assert "22, 2222, 5900-5999," in sections_of(rows_of(PORTS, situation(found, values)))["admin_ports"]


@pytest.mark.parametrize("alone", [PORTS, ADDRESS])
def test_what_is_planned_passes_the_checks(alone):
    """Each section alone passes its own check, without a default drop beside it."""
    section, test = {
        PORTS: ("admin_ports", network.management_sources), ADDRESS: ("admin_address", network.management_traffic)
    }[alone]  # fmt: skip
    asked = situation()
    tables = loaded(asked, True, section)
    saved = {"manager": "ours", "kind": "ruleset", "ruleset": tables, "detail": ""}
    given = {**asked.facts["firewall"], **asked.facts["network"], "networks": asked.facts["networks"], "saved": saved}
    assert test({**given, "ruleset": []}, dict(asked.gold)).status == "fail"
    found = test({**given, "ruleset": tables}, dict(asked.gold))
    assert (found.status, found.persistent) == (PASS, True), found.message


def test_a_migration_peer_outside_the_administration_networks_is_not_cut():
    peer = {
        "protocol": "tcp",
        "local_address": "192.0.2.10",
        "local_port": 49152,
        "peer": "198.51.100.2",
        "peer_port": 1,
    }
    found = facts()
    found["firewall"]["listeners"].append(listener("tcp", "*", 49152, "qemu-system-x86"))
    with pytest.raises(Refusal, match=r"tcp/49152: 198\.51\.100\.2 is connected"):
        rows_of(PORTS, situation(found, inbound=[peer]))


@pytest.mark.parametrize(("check", "values"), [(PORTS, {"gold_admin_cidrs": []}), (ADDRESS, {"gold_mgmt_cidrs": []})])
def test_empty_networks_are_refused(check, values):
    with pytest.raises(Refusal, match="is empty"):
        rows_of(check, situation(values=values))


def test_idle_networks_stop_and_used_ones_do_not():
    rows = rows_of(DEDICATED, situation())
    assert [(row["name"], row["autostart"], row["active"]) for row in rows] == [
        ("default", False, False),
        ("lab", False, False),
    ]
    rows = rows_of(DEDICATED, situation(facts(vms=[vm("web", "default")])))
    assert (rows[0]["autostart"], rows[0]["active"]) == (False, None)
    assert "default is not stopped under web" in told(rows)
    # What is plugged in at the next start counts where the machine starts with the host.
    later = vm("db", power="shutoff", autostart=True, configured={"nics": vm("", "default")["nics"]})
    rows = rows_of(DEDICATED, situation(facts(vms=[later])))
    assert [row["name"] for row in rows if row["kind"] == "libvirt_network"] == ["lab"]
    assert "db start with the host and need it" in told(rows)
    rows = rows_of(DEDICATED, situation(facts(vms=[vm("db", "default", power="shutoff")])))
    assert (rows[0]["autostart"], rows[0]["active"]) == (False, False)


def test_addresses_and_adapters_are_a_persons():
    found = facts(vms=[vm("web")])
    found["vms"][0]["nics"] = [{"id": "1", "type": "bridge", "bridge": "br0", "net": "", "dev": "", "target": ""}]
    found["network"]["interfaces"][2] = interface("br0", "bridge", "192.0.2.11")
    assert "guests are plugged into br0" in told(rows_of(DEDICATED, situation(found)))
    rows = rows_of(DEDICATED, situation(values={"gold_mgmt_cidrs": ["203.0.113.0/24"]}))
    assert "no address of this host lies in gold_mgmt_cidrs (203.0.113.0/24)" in told(rows)


def test_sshd_listens_on_the_management_address():
    rows = rows_of(BOUND, situation())
    files = {row["path"]: row for row in rows if row["kind"] == "file"}
    assert files[SSH]["content"] == "ListenAddress 192.0.2.10\n"
    assert files[SSH]["then"] == [
        {"run": ["/usr/sbin/sshd", "-t"], "undo": ["/bin/true"], "touches": []},
        {"reload": "ssh.service"},
    ]
    assert "network-online.target" in files["/etc/systemd/system/ssh.service.d/dwp-hypervisor-listen.conf"]["content"]
    assert [row["path"] for row in rows if row["kind"] == "lines"] == ["/etc/ssh/sshd_config"]
    keys = next(row for row in rows if row["kind"] == "keys")
    assert keys["values"] == {"migration_address": '"192.0.2.10"'}
    assert keys["then"][0]["run"] == ["systemctl", "try-restart", "libvirtd.service"]
    found = facts(host={"family": "rhel"}, libvirt_daemons={"mode": "modular", "daemons": []})
    rows = rows_of(BOUND, situation(found))
    assert {"reload": "sshd.service"} in next(row for row in rows if row.get("path") == SSH)["then"]
    assert next(row for row in rows if row["kind"] == "keys")["then"][0]["run"][-1] == "virtqemud.service"


def test_what_is_bound_is_left_alone():
    found = facts(network={"migration_address": "192.0.2.10"})
    found["firewall"]["listeners"] = [listener("tcp", "192.0.2.10", 22, "sshd")]
    found["remote_access"]["protocols"][0]["listen"] = ["192.0.2.10:22"]
    assert rows_of(BOUND, situation(found)) == []


def test_the_controllers_own_way_in_is_kept():
    inbound = [{"protocol": "tcp", "local_address": "10.5.5.5", "local_port": 22, "peer": "192.0.2.99", "peer_port": 9}]
    with pytest.raises(Refusal, match=r"reached the host at 10\.5\.5\.5, outside gold_mgmt_cidrs"):
        rows_of(BOUND, situation(inbound=inbound))
    with pytest.raises(Refusal, match="no address of this host lies in gold_mgmt_cidrs"):
        rows_of(BOUND, situation(values={"gold_mgmt_cidrs": ["203.0.113.0/24"]}))


def test_sockets_are_opened_again_under_their_services():
    found = facts()
    found["remote_access"]["protocols"] = [
        {"name": "libvirt_tls",
         "units": {"libvirtd-tls.socket": "enabled, active", "libvirtd.service": "enabled, active"},
         "listen": ["[::]:16514"]},
        {"name": "ssh", "units": {"ssh.socket": "enabled, active", "ssh.service": "disabled, inactive"},
         "listen": ["0.0.0.0:22"]},
    ]  # fmt: skip
    rows = {row["path"]: row for row in rows_of(BOUND, situation(found)) if row["kind"] == "file"}
    assert set(rows) == {
        "/etc/systemd/system/libvirtd-tls.socket.d/dwp-hypervisor-listen.conf",
        "/etc/systemd/system/ssh.socket.d/dwp-hypervisor-listen.conf",
    }
    tls = rows["/etc/systemd/system/libvirtd-tls.socket.d/dwp-hypervisor-listen.conf"]
    assert tls["content"] == "[Socket]\nListenStream=\nListenStream=192.0.2.10:16514\nFreeBind=yes\n"
    assert tls["then"][-1]["run"][-2:] == ["libvirtd-tls.socket", "libvirtd.service"]


def test_consoles_of_machines_are_a_persons():
    found = facts()
    found["firewall"]["listeners"].append(listener("tcp", "0.0.0.0", 5900, "qemu-system-x86"))
    assert "qemu-system-x86 listens on 0.0.0.0:5900: bind it to 192.0.2.10 in the machine's definition" in told(
        rows_of(BOUND, situation(found))
    )
