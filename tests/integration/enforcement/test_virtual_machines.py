# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of virtual machines and of the daemon above them, on a booted host: what runs keeps running."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans import plan
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm import qemu_conf
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Row, Situation
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.registry import planners
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.standard import gold
from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import BootedHost, CollectError

VM1, VM2 = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
PASSWORD = "planted8"
QEMU_CONF = "/etc/libvirt/qemu.conf"


@pytest.fixture
def host(lab_ready: None) -> Iterator[BootedHost]:
    """A fresh host; its machine vm2 has a password."""
    made = BootedHost("machines")
    try:
        made.run(
            "virsh dumpxml vm2 --inactive --security-info "
            f'| sed \'s#</devices>#<graphics type="vnc" passwd="{PASSWORD}"/></devices>#\' > /root/vm2.xml && '
            "virsh -q define /root/vm2.xml"
        )
        yield made
    finally:
        made.stop()


def restart(host: BootedHost) -> list[Row]:
    """How a planner has qemu.conf taken up."""
    return qemu_conf.take_up(Situation(facts=host.facts(["libvirt", "libvirt_daemons"]), gold={}, checks=frozenset()))


def settings(host: BootedHost, *rows: Row) -> dict[str, Any]:
    """Have kvm_settings make rows of one area."""
    given = [{**row, "checks": ["kvm-11.3.3-vcpu"]} for row in rows]
    return host.module("dwp.hypervisor.kvm_settings", {"area": "resource_governance", "settings": given})


def revert(host: BootedHost) -> dict[str, Any]:
    return host.module("dwp.hypervisor.kvm_changes", {"state": "reverted", "areas": ["resource_governance"]})


def definition(host: BootedHost, name: str) -> str:
    return host.run(f"virsh dumpxml {name} --inactive --security-info")


def pid(host: BootedHost) -> str:
    """The process of vm1, the only machine that runs."""
    found = host.run("pidof qemu-system-x86_64").strip()
    assert found.isdigit(), found
    return found


def test_a_restart_of_the_daemon_leaves_machines_running(host: BootedHost) -> None:
    before, daemon = pid(host), host.run("pidof libvirtd")
    row = plan.keys(QEMU_CONF, {"security_default_confined": "1"}, syntax="libvirt", then=restart(host))
    assert settings(host, row)["changed"]
    assert host.run("pidof libvirtd") != daemon, "the daemon did not take the file up"
    assert pid(host) == before
    assert host.run("virsh domstate vm1").strip() == "running"
    revert(host)
    assert pid(host) == before
    assert "security_default_confined = 1" not in host.run(f"grep -v '^#' {QEMU_CONF} || true")


def test_a_configuration_the_daemon_refuses_is_put_back(host: BootedHost) -> None:
    """systemd says that it started; only a call tells that it ended, again and again until systemd gives up."""
    before, content = pid(host), host.run(f"sha256sum {QEMU_CONF}")
    row = plan.keys(
        QEMU_CONF, {"default_tls_x509_cert_dir": '"/no/such/directory"'}, syntax="libvirt", then=restart(host)
    )
    with pytest.raises(CollectError, match="everything was put back"):
        settings(host, row)
    assert host.run(f"sha256sum {QEMU_CONF}") == content
    assert "vm1" in host.run("virsh -q list --name")
    assert pid(host) == before
    assert host.run("systemctl is-failed libvirtd.service libvirtd.socket", check=False).split() == ["active", "active"]


def test_a_password_is_kept_and_never_shown(host: BootedHost) -> None:
    before = definition(host, "vm2")
    assert PASSWORD in before
    rows = [
        plan.domain(VM2, [plan.domain_set("cputune/quota", text="50000")]),
        plan.domain(VM2, [plan.domain_remove("devices/sound")]),
    ]
    result = settings(host, *rows)
    assert result["updated"].keys() == {"vm2: cputune/quota"}
    assert PASSWORD not in json.dumps(result)
    assert PASSWORD in definition(host, "vm2") and "<quota>50000</quota>" in definition(host, "vm2")
    revert(host)
    assert definition(host, "vm2") == before
    # The password lies where libvirt itself has it: with root alone.
    for path in host.run(f"grep -rl {PASSWORD} /var/lib/dwp-hypervisor").split():
        assert host.run(f"stat -c '%a %U' {path}").strip() == "600 root"
    assert PASSWORD not in host.run("journalctl --no-pager -o cat")


def test_a_definition_that_could_not_start_changes_nothing(host: BootedHost) -> None:
    """Neither it, nor what the same change would have done before it."""
    before = [definition(host, name) for name in ("vm1", "vm2")]
    rows = [
        plan.domain(VM1, [plan.domain_set("cputune/quota", text="50000")]),
        plan.domain(VM2, [plan.domain_set("cpu/topology", {"sockets": "2", "cores": "3", "threads": "1"})]),
    ]
    with pytest.raises(CollectError, match=r"vm2 could not start with the new definition: .*topology"):
        settings(host, *rows)
    assert [definition(host, name) for name in ("vm1", "vm2")] == before


def test_what_somebody_else_changed_since_is_left_to_them(host: BootedHost) -> None:
    settings(host, plan.domain(VM2, [plan.domain_set("cputune/quota", text="50000")]))
    host.run("virsh -q setvcpus vm2 2 --maximum --config || true; virsh -q desc vm2 --config 'by hand'")
    theirs = definition(host, "vm2")
    assert "by hand" in theirs
    with pytest.raises(CollectError, match="by somebody else since: left as it is"):
        revert(host)
    assert definition(host, "vm2") == theirs


def test_a_machine_that_is_gone_is_not_made_again(host: BootedHost) -> None:
    settings(host, plan.domain(VM2, [plan.domain_set("cputune/quota", text="50000")]))
    host.run("virsh -q undefine vm2 --nvram")
    with pytest.raises(CollectError, match="changed or removed by somebody else"):
        revert(host)
    assert "vm2" not in host.run("virsh -q list --all --name")


def test_the_definition_of_a_machine_that_runs_changes_and_the_machine_does_not(host: BootedHost) -> None:
    before, live = pid(host), host.run("virsh dumpxml vm1")
    edits = [plan.domain_set("devices/disk[target/@dev='vda']/iotune/total_iops_sec", text="500")]
    assert settings(host, plan.domain(VM1, edits, pending="vm_power"))["changed"]
    assert host.run("virsh dumpxml vm1") == live and pid(host) == before
    assert "total_iops_sec" in definition(host, "vm1")
    host.run("virsh -q destroy vm1 && virsh -q start vm1")
    assert "total_iops_sec" in host.run("virsh dumpxml vm1"), "it starts with the new definition"


def test_a_machine_starts_from_a_directory_that_was_closed(host: BootedHost) -> None:
    """QEMU was the directory's owner, then nobody's: it has to find its disk at the next start all the same."""
    images = "/var/lib/libvirt/images"
    host.run(f"chown libvirt-qemu {images} && chmod 0700 {images}")
    asked = Situation(facts=host.facts(), gold=gold.defaults(), checks=frozenset())
    told = settings(host, *planners("kvm")["kvm-11.2.8-path-acl"](asked))
    assert told["changed"]
    assert host.run(f"stat -c '%a %U' {images}").split() == ["701", "root"]
    host.run("virsh -q destroy vm1 && virsh -q start vm1")
    assert host.run("virsh domstate vm1").strip() == "running"
    revert(host)
    assert host.run(f"stat -c '%a %U' {images}").split()[1] == "libvirt-qemu"


def test_the_proof_of_access_sees_the_machines(host: BootedHost) -> None:
    """What a guard compares: the process of each machine."""
    told = host.module("dwp.hypervisor.kvm_access_info", {})
    assert told["guests"] == {VM1: int(pid(host))}
