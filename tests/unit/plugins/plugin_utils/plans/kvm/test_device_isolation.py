# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of device isolation."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.kvm.device_isolation import PLANS
from ansible_collections.dwp.hypervisor.plugins.plugin_utils.plans.plan import Refusal
from ansible_collections.dwp.hypervisor.tests.unit.plugins.plugin_utils.plans.kvm.vm_side import (
    VM1,
    VM2,
    both,
    conf,
    kinds,
    of_kind,
    situation,
    told,
    vm,
)


def values(rows):
    """The keys of qemu.conf that the rows set."""
    return {key: value for row in of_kind(rows, "keys") for key, value in row["values"].items()}


def confine(facts):
    """Every running machine has an enforced label of its own."""
    for process in facts["qemu"]["processes"]:
        process["label"] = f"libvirt-{process['domain']} (enforce)"


def of_processes(**found):
    def change(facts):
        for process in facts["qemu"]["processes"]:
            process.update(found)

    return change


@pytest.mark.parametrize(
    ("check", "settings", "expected"),
    [
        ("kvm-11.2.1-qemu-unprivileged", {"user": "root"}, {"user": '"libvirt-qemu"'}),
        (
            "kvm-11.2.1-qemu-unprivileged",
            {"user": "+0", "group": "0"},
            {"user": '"libvirt-qemu"', "group": '"libvirt-qemu"'},
        ),
        ("kvm-11.2.1-seccomp", {"seccomp_sandbox": 0}, {"seccomp_sandbox": None}),
        ("kvm-11.2.6-emulation-caps", {"swtpm_user": "root"}, {"swtpm_user": None, "swtpm_group": None}),
        ("kvm-11.2.6-emulation-caps", {"clear_emulator_capabilities": 0}, {"clear_emulator_capabilities": None}),
        ("kvm-11.2.7-cgroup-devices", {"cgroup_controllers": ["cpu"]}, {"cgroup_controllers": None}),
        ("kvm-11.2.7-cgroup-devices", {"cgroup_device_acl": ["/dev/kvm", "/dev/sda"]}, {"cgroup_device_acl": None}),
        ("kvm-11.2.7-mount-namespace", {"namespaces": []}, {"namespaces": None}),
        (
            "kvm-11.2.1-svirt",
            {"security_driver": ["none"]},
            {"security_driver": None, "security_require_confined": "1"},
        ),
        ("kvm-11.2.6-passthrough-vfio", {"relaxed_acs_check": 1}, {"relaxed_acs_check": None}),
    ],
)
def test_what_somebody_set_goes(check, settings, expected):
    rows = PLANS[check](situation(both(conf(**settings), confine)))
    assert values(rows) == expected
    for row in of_kind(rows, "keys"):
        assert row["path"] == "/etc/libvirt/qemu.conf" and row["syntax"] == "libvirt"
        assert [entry["run"] for entry in row["then"]] == [
            ["systemctl", "try-restart", "libvirtd.service"],
            ["virsh", "-q", "-c", "qemu:///system", "list"],
        ]


@pytest.mark.parametrize(
    "check", [check for check in PLANS if check not in ("kvm-11.2.1-svirt", "kvm-11.2.6-vhost-kernel")]
)
def test_nothing_is_planned_for_what_is_right(check):
    assert PLANS[check](situation(confine)) == []


def test_rhel_has_accounts_of_its_own():
    rows = PLANS["kvm-11.2.1-qemu-unprivileged"](situation(conf(user="root", group="root"), family="rhel"))
    assert values(rows) == {"user": '"qemu"', "group": '"qemu"'}


def test_the_modular_daemon_is_restarted():
    def modular(facts):
        facts["libvirt_daemons"]["mode"] = "modular"

    rows = PLANS["kvm-11.2.1-seccomp"](situation(both(conf(seccomp_sandbox=0), modular)))
    assert rows[0]["then"][0]["run"] == ["systemctl", "try-restart", "virtqemud.service"]


def test_without_a_daemon_nothing_proves_a_change():
    def none(facts):
        facts["libvirt_daemons"]["mode"] = "none"

    with pytest.raises(Refusal, match="nothing proves"):
        PLANS["kvm-11.2.1-seccomp"](situation(both(conf(seccomp_sandbox=0), none)))


def test_unread_configuration_is_not_changed():
    def unread(facts):
        facts["qemu"]["conf"] = None

    with pytest.raises(Refusal, match="could not be read"):
        PLANS["kvm-11.2.7-mount-namespace"](situation(unread))


def test_images_that_libvirt_does_not_hand_over_keep_the_account():
    rows = PLANS["kvm-11.2.1-qemu-unprivileged"](situation(conf(user="root", dynamic_ownership=0)))
    assert kinds(rows) == ["by_hand"] and "dynamic_ownership is 0" in told(rows)


def test_a_daemon_older_than_its_file_is_restarted():
    def older(facts):
        facts["qemu"]["daemon"]["in_force"] = False

    rows = PLANS["kvm-11.2.1-seccomp"](situation(older))
    assert kinds(rows) == ["activate"] and rows[0]["then"][0]["run"][:2] == ["systemctl", "try-restart"]


@pytest.mark.parametrize(
    ("check", "found", "text"),
    [
        ("kvm-11.2.1-qemu-unprivileged", {"uid": 0}, "runs as root"),
        ("kvm-11.2.1-seccomp", {"seccomp": 0}, "without a filter"),
        ("kvm-11.2.6-emulation-caps", {"capeff": "0000000000000001"}, "holds capabilities"),
        ("kvm-11.2.7-cgroup-devices", {"device_cgroup": "/"}, "no control group of its own"),
        ("kvm-11.2.7-mount-namespace", {"own_mount_namespace": False}, "shares the host's /dev"),
    ],
)
def test_a_machine_started_before_waits_for_its_power_cycle(check, found, text):
    rows = PLANS[check](situation(both(confine, of_processes(**found))))
    assert kinds(rows) == ["by_hand"] and rows[0]["pending"] == "vm_power"
    assert f"vm1 ({VM1})" in told(rows) and text in told(rows)


def test_a_list_of_devices_is_cut_to_what_is_declared_and_keeps_libvirts_own():
    acl = ["/dev/null", "/dev/sdb", "/dev/vfio/1"]
    found = situation(both(confine, conf(cgroup_device_acl=acl)), gold={"gold_extra_device_acl": ["/dev/vfio/1"]})
    written = values(PLANS["kvm-11.2.7-cgroup-devices"](found))["cgroup_device_acl"]
    assert '"/dev/vfio/1"' in written and '"/dev/kvm"' in written and "sdb" not in written


# require_confined keeps a machine that is not confined from starting: only once every one is.


def require(change, **more):
    rows = PLANS["kvm-11.2.1-svirt"](situation(change, **more))
    return values(rows), told(rows)


def test_refusal_of_unconfined_machines_comes_last():
    assert require(confine) == ({"security_require_confined": "1"}, "")


def test_a_running_machine_without_a_label_would_not_start_any_more():
    found, text = require(None)
    assert found == {} and f"vm1 ({VM1})" in text and "would not start any more" in text


def test_a_definition_that_switches_labelling_off_would_not_start_any_more():
    def unlabelled(facts):
        vm(facts, VM2)["security"]["labels"] = [
            {"type": "none", "model": "", "label": "", "relabel": False, "baselabel": ""}
        ]

    found, text = require(both(confine, unlabelled))
    assert found == {} and f"vm2 ({VM2})" in text and "vm1" not in text


def test_without_a_running_machine_nothing_proves_the_security_module():
    def none(facts):
        facts["qemu"]["processes"] = []

    found, text = require(none)
    assert found == {} and "no machine runs" in text


def test_the_site_may_do_without_the_refusal():
    assert require(confine, gold={"gold_require_confined": False}) == ({}, "")


# Machines: nothing by default.


def test_no_machine_is_changed_by_default():
    rows = PLANS["kvm-11.2.6-vhost-kernel"](situation())
    assert kinds(rows) == ["by_hand", "by_hand"]
    assert VM1 in told(rows) and "hypervisor_allow_vm_changes" in told(rows)


def test_allowed_machines_are_changed_where_they_are_stored():
    rows = PLANS["kvm-11.2.6-vhost-kernel"](situation(allow=[VM1.upper(), VM2]))
    assert [(row["kind"], row["uuid"], row["pending"]) for row in rows] == [
        ("domain", VM1, "vm_power"),
        ("domain", VM2, ""),
    ]
    assert rows[0]["edits"] == [
        {
            "set": "devices/interface[mac/@address='52:54:00:00:00:01']/driver",
            "attributes": {"name": "qemu"},
            "text": None,
        }
    ]


def test_a_machine_that_waits_for_its_power_cycle_is_planned_again():
    def stored_right(facts):
        nics = [{**nic, "driver": "qemu"} for nic in vm(facts, VM1)["nics"]]
        vm(facts, VM1)["configured"] = {"nics": nics}

    rows = PLANS["kvm-11.2.6-vhost-kernel"](situation(stored_right, allow=[VM1, VM2]))
    assert (rows[0]["uuid"], rows[0]["pending"]) == (VM1, "vm_power")


def test_declared_machines_keep_vhost():
    assert PLANS["kvm-11.2.6-vhost-kernel"](situation(gold={"gold_vhost_kernel_vms": ["vm1", VM2]})) == []


def test_a_machine_without_a_definition_is_for_a_person():
    def transient(facts):
        vm(facts, VM1)["persistent"] = False

    rows = PLANS["kvm-11.2.6-vhost-kernel"](situation(transient, allow=[VM1, VM2]))
    assert kinds(rows) == ["by_hand", "domain"] and "no stored definition" in told(rows)


def static(facts):
    vm(facts, VM2)["security"]["labels"] = [
        {"type": "static", "model": "dac", "label": "+0:+0", "relabel": True, "baselabel": ""}
    ]


def test_fixed_labels_go_unless_declared():
    (row,) = PLANS["kvm-11.2.7-unique-label"](situation(both(confine, static), allow=[VM2]))
    assert row["edits"] == [{"remove": "seclabel[@type='static']"}]
    assert (
        PLANS["kvm-11.2.7-unique-label"](situation(both(confine, static), gold={"gold_static_label_vms": ["vm2"]}))
        == []
    )


def test_a_definition_that_runs_as_root():
    (row,) = PLANS["kvm-11.2.1-qemu-unprivileged"](situation(static, allow=[VM2]))
    assert row["edits"] == [{"remove": "seclabel[@type='static'][@model='dac']"}]


def test_two_machines_with_one_label():
    def same(facts):
        (process,) = facts["qemu"]["processes"]
        facts["qemu"]["processes"] = [
            {**process, "label": "system_u:system_r:svirt_t:s0:c1,c2"},
            {**process, "domain": VM2, "guest": "vm2", "label": "system_u:system_r:svirt_t:s0:c1,c2"},
        ]

    rows = PLANS["kvm-11.2.7-unique-label"](situation(same))
    assert told(rows).count("has the label of another machine") == 2


def passed_through(kind="hostdev", managed=False):
    def change(facts):
        device = {
            "kind": kind,
            "type": "pci",
            "mode": "",
            "address": "0000:03:00.1",
            "managed": managed,
            "readonly": False,
        }
        vm(facts, VM2)["devices"] = [device]
        facts["devices"]["pci"] = [{"id": "0000:03:00.1", "kind": "network", "driver": "ixgbe"}]

    return change


def test_an_assigned_device_is_left_to_libvirt():
    (row,) = PLANS["kvm-11.2.6-passthrough-vfio"](situation(passed_through(), allow=[VM2]))
    (edit,) = row["edits"]
    assert edit["attributes"] == {"managed": "yes"} and edit["set"] == (
        "devices/hostdev[@type='pci'][source/address/@domain='0x0000'][source/address/@bus='0x03']"
        "[source/address/@slot='0x00'][source/address/@function='0x1']"
    )
    (row,) = PLANS["kvm-11.2.6-passthrough-vfio"](situation(passed_through("nvme"), allow=[VM2]))
    assert row["edits"][0]["set"].startswith("devices/disk[@type='nvme']/source[address/@domain=")
    assert PLANS["kvm-11.2.6-passthrough-vfio"](situation(passed_through(managed=True))) == []


def test_options_of_vfio_hold_from_the_next_start_of_the_host():
    def unsafe(facts):
        facts["devices"]["vfio"].update(unsafe_noiommu=True)

    (row,) = PLANS["kvm-11.2.6-passthrough-vfio"](situation(unsafe))
    assert row["pending"] == "reboot" and row["content"].endswith("options vfio enable_unsafe_noiommu_mode=0\n")


def test_helpers_that_run_as_root_are_for_a_person():
    def helpers(facts):
        facts["qemu"]["helpers"] = [
            {"name": "virtiofsd", "kind": "file system", "pid": 7, "uid": 0, "own_mount_namespace": False, "seccomp": 0}
        ]

    rows = PLANS["kvm-11.2.6-emulation-caps"](situation(helpers))
    assert "virtiofsd (process 7) runs as root" in told(rows)


def test_a_guest_outside_libvirt_is_for_a_person():
    def stranger(facts):
        facts["libvirt"]["visibility"]["unmatched"] = [
            {"id": "process 9", "pid": 9, "name": "qemu", "uid": 0, "why": "x"}
        ]

    for check in PLANS:
        assert "process 9 (qemu) runs a guest libvirt did not start" in told(
            PLANS[check](situation(both(confine, stranger)))
        )
