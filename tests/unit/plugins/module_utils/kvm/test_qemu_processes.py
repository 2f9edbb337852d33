# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""qemu_processes: what the kernel says of QEMU, what QEMU was told, and how libvirt will start the next one."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import libvirt_conf, qemu_arguments
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import qemu_processes
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.test_libvirt import UUID, process

MOUNTS = """20 1 0:1 / / rw - ext4 /dev/vda1 rw
21 1 0:2 / /sys rw - sysfs sysfs rw
22 1 7:0 / /mnt ro - ext4 /dev/loop0 ro
"""
SYSTEM = {
    "/proc/stat": "btime 1700000000\n",
    "/proc/1/mountinfo": MOUNTS,
    "/sys/fs/cgroup/cgroup.controllers": "cpu cpuset memory\n",
    "/etc/libvirt/qemu.conf": """vnc_password = "hunter2"
user = "qemu" # who
cgroup_device_acl = [
  "/dev/null",
]
""",
}


def collect(files=None, links=None, **options):
    notes = []
    host = FakeHost(files={**SYSTEM, **(files or {})}, links=links, dirs=["/sys/block"], **options)
    return qemu_processes.collect(host, lambda path, reason: notes.append((path, reason)))["qemu"], notes


def test_a_process_as_the_kernel_shows_it():
    files, links = process(225)
    facts, notes = collect({**files, "/run/libvirt/qemu/vm1.pid": "225\n"}, links)
    assert notes == []
    found = facts["processes"][0]
    assert (found["uid"], found["seccomp"], found["nonewprivs"], found["capeff"]) == (64055, 2, 1, "0" * 16)
    assert found["domain"] == UUID and found["own_mount_namespace"] is True and found["holds_kvm"] is True
    assert found["label"].endswith("(enforce)") and found["started"] == 1700000042
    assert ".scope" in found["device_cgroup"]


def test_no_security_module_is_no_label_and_unreadable_is_unknown():
    files, links = process(225)
    facts, notes = collect({**files, "/proc/225/attr/current": Unreadable("x: Invalid argument")}, links)
    assert facts["processes"][0]["label"] == "" and notes == []
    facts, notes = collect({**files, "/proc/225/attr/current": Unreadable("x: Permission denied")}, links)
    assert facts["processes"][0]["label"] is None
    assert [path for path, _reason in notes] == ["qemu.processes[225].label"]


def test_configuration_keeps_no_password_and_tells_not_set_from_not_read():
    facts, _notes = collect()
    assert facts["conf"]["settings"] == {"vnc_password_set": True, "user": "qemu", "cgroup_device_acl": ["/dev/null"]}
    assert "hunter2" not in str(facts)
    facts, notes = collect({"/etc/libvirt/qemu.conf": Unreadable("denied")})
    assert facts["conf"] is None
    assert facts["daemon"]["in_force"] is None
    assert [path for path, _reason in notes] == ["qemu.conf", "qemu.daemon.in_force"]
    facts, notes = collect({"/etc/libvirt/qemu.conf": "user = \n"})
    assert facts["conf"] is None and "line 1" in notes[0][1]


@pytest.mark.parametrize(("mtime", "in_force"), [(1700000041.0, True), (1700000043.0, True), (1700000100.0, False)])
def test_a_daemon_older_than_its_file_has_not_read_it(mtime, in_force):
    files, links = process(97, executable="/usr/sbin/virtqemud", held="/dev/kvm")
    facts, _notes = collect(files, links, stats={"/etc/libvirt/qemu.conf": {"mtime": mtime}})
    assert facts["daemon"] == {"name": "virtqemud", "pid": 97, "started": 1700000042, "in_force": in_force}
    assert facts["processes"] == [], "libvirt's daemon looks at /dev/kvm, it runs no guest"


def test_disks_opened_on_the_host():
    files = {
        "/sys/block/loop0/loop/backing_file": "/var/lib/libvirt/images/vm1.raw\n",
        "/sys/block/loop0/ro": "1\n",
        "/sys/block/loop1/ro": "0\n",
        "/sys/block/nbd0/pid": "77\n",
    }
    facts, notes = collect(files)
    access = facts["disk_access"]
    assert notes == []
    assert access["loops"] == [
        {"device": "/dev/loop0", "backing": "/var/lib/libvirt/images/vm1.raw", "read_only": True}
    ]
    assert access["nbds"] == [{"device": "/dev/nbd0", "pid": 77}]
    assert [mount["source"] for mount in access["mounts"]] == ["/dev/vda1", "/dev/loop0"]


def test_control_groups_of_both_versions():
    facts, _notes = collect()
    assert facts["cgroup"] == {"version": 2, "controllers": ["cpu", "cpuset", "memory", "devices"]}
    mounts = "30 1 0:3 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw\n"
    mounts += "31 1 0:4 / /sys/fs/cgroup/systemd rw - cgroup x rw\n"
    host = FakeHost(files={"/proc/self/mountinfo": mounts})
    assert qemu_processes._cgroup(host) == {"version": 1, "controllers": ["cpu", "cpuacct"]}


def test_helpers_name_what_they_open():
    files, links = process(99, executable="/usr/bin/qemu-nbd", held="/img/a")
    files["/proc/99/cmdline"] = "qemu-nbd\0--socket=/run/x\0/img/a.qcow2\0--password\0hunter2\0"
    facts, _notes = collect(files, links)
    assert facts["helpers"][0]["sources"] == ["/run/x", "/img/a.qcow2"] and facts["helpers"][0]["kind"] == "disk access"
    assert "hunter2" not in str(facts)


def summary(*words):
    return qemu_arguments.summary([b"qemu", *(word.encode() for word in words)], "guest")


def test_consoles_as_qemu_was_told():
    creds = '{"qom-type":"tls-creds-x509","id":"t0","dir":"/etc/pki","endpoint":"server","verify-peer":true}'
    vnc = summary("-object", creds, "-vnc", "0.0.0.0:0,tls-creds=t0,sasl=on,password=on")["consoles"][0]
    assert vnc == {
        "type": "vnc",
        "listen": "0.0.0.0",
        "socket": "",
        "tls": True,
        "verify_peer": True,
        "sasl": True,
        "password": True,
        "plain": False,
    }
    assert summary("-vnc", "unix:/run/vnc.sock")["consoles"][0]["socket"] == "/run/vnc.sock"
    assert summary("-vnc", ":1")["consoles"][0]["listen"] == "0.0.0.0", "no address is every address"
    assert summary("-vnc", "[::1]:1")["consoles"][0]["listen"] == "::1"
    assert summary("-vnc", "none")["consoles"] == []


def test_spice_with_a_plain_port_is_plain():
    mixed = summary("-spice", "port=5900,tls-port=5901,addr=192.0.2.1,sasl=on")["consoles"][0]
    assert mixed["tls"] and mixed["plain"] and mixed["sasl"]
    secure = summary("-spice", "port=5900,tls-port=5901,tls-channel=default,addr=192.0.2.1")["consoles"][0]
    assert secure["tls"] and not secure["plain"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1\na = 2\n", {"a": 1}),
        ("a='x' b = [ 'c', \"d\" ] # e = 1\n", {"a": "x", "b": ["c", "d"]}),
        ('a = """x\ny"""', {"a": "x\ny"}),
        ("# a = 1\n\n", {}),
        ("a = []", {"a": []}),
    ],
)
def test_libvirt_configuration(text, expected):
    assert libvirt_conf.parse(text) == expected


@pytest.mark.parametrize("text", ["a", "a =", "a = [1", 'a = "x', "= 1", "a = b", "\u0000", "a b = 1"])
def test_what_libvirt_would_refuse_is_refused(text):
    with pytest.raises(libvirt_conf.BadConfiguration, match="line 1"):
        libvirt_conf.parse(text)
