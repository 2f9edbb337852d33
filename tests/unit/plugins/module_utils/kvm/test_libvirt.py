# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The libvirt part: the real bindings on libvirt's own test driver, recorded snapshots, and what cannot be seen."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import libvirt_source, virsh_source
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Answer, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import libvirt
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

UUID = "11111111-1111-4111-8111-111111111111"
XML = """<domain type='kvm'><name>vm1</name><uuid>%s</uuid><memory>1024</memory><vcpu>1</vcpu>
<devices>%s</devices></domain>"""
PCI = """<hostdev mode='subsystem' type='pci'>
<source><address domain='0' bus='0x3' slot='0' function='0'/></source></hostdev>"""
STATUS = (
    "Uid:\t0\t64055\t0\t0\nGid:\t0\t64055\t0\t0\nGroups:\t104\nCapEff:\t0000000000000000\nSeccomp:\t2\nNoNewPrivs:\t1\n"
)


def snapshot(**changes):
    record = {
        "uuid": UUID,
        "name": "vm1",
        "state": "running",
        "active": True,
        "autostart": False,
        "persistent": True,
        "live_xml": XML % (UUID, PCI),
        "inactive_xml": XML % (UUID, PCI),
        "error": None,
    }
    found = {"uri": "qemu:///system", "via": "binding", "version": "9.0.0", "hypervisor": "QEMU", "errors": []}
    found.update(domains=[record], networks=[], pools=[], nwfilters=[], secrets=[])
    found.update(changes)
    return found


def process(pid, uuid=UUID, executable="/usr/bin/qemu-system-x86_64", held="anon_inode:kvm-vm"):
    """The files and links of a QEMU in /proc."""
    base = f"/proc/{pid}"
    files = {
        f"{base}/status": STATUS,
        f"{base}/cmdline": f"{executable}\0-name\0guest=vm1,debug-threads=on\0-uuid\0{uuid}\0",
        f"{base}/attr/current": f"libvirt-{uuid} (enforce)\n",
        f"{base}/cgroup": "0::/machine.slice/machine-qemu.scope/libvirt/emulator\n",
        f"{base}/stat": f"{pid} (qemu (x)) S " + " ".join(["1"] * 18) + " 4200 0\n",
    }
    links = {f"{base}/exe": executable, f"{base}/fd/9": held, f"{base}/ns/mnt": "mnt:[2]", "/proc/1/ns/mnt": "mnt:[1]"}
    return files, links


def host_with(snapshot_, *processes, pid_files=None, uid=0, links=None):
    files = {
        "/proc/stat": "btime 1700000000\n",
        **{f"/run/libvirt/qemu/{name}": pid for name, pid in (pid_files or {}).items()},
    }
    known = dict(links or {})
    for some_files, some_links in processes:
        files.update(some_files)
        known.update(some_links)
    return FakeHost(files=files, links=known, snapshot=snapshot_, uid=uid)


def collect(host):
    notes = []
    facts = libvirt.collect(host, lambda path, reason: notes.append((path, reason)))
    return facts, notes


def test_a_managed_guest_is_seen_whole():
    groups = {"/sys/bus/pci/devices/0000:03:00.0/iommu_group": "../../../kernel/iommu_groups/12"}
    facts, notes = collect(host_with(snapshot(), process(225), pid_files={"vm1.pid": "225"}, links=groups))
    assert notes == []
    assert facts["libvirt"]["visibility"] == {"complete": True, "gaps": [], "unmatched": []}
    assert facts["libvirt"]["iommu_groups"] == {"0000:03:00.0": "12"}
    assert facts["vms"][0]["configured"] == {} and facts["vms"][0]["active"]
    assert facts["vms"][0]["security"]["confined"] is True and facts["vms"][0]["security"]["user"] == 64055


def test_a_qemu_without_libvirt_is_unmatched_even_with_the_uuid_of_a_domain():
    facts, _notes = collect(host_with(snapshot(), process(225), process(300), pid_files={"vm1.pid": "225"}))
    assert [entry["id"] for entry in facts["libvirt"]["visibility"]["unmatched"]] == ["process 300"]


def test_any_program_that_holds_a_guest_is_found():
    stray = process(300, executable="/opt/firecracker")
    facts, _notes = collect(host_with(snapshot(), process(225), stray, pid_files={"vm1.pid": "225"}))
    assert facts["libvirt"]["visibility"]["unmatched"][0]["name"] == "/opt/firecracker"


def test_a_filtered_list_is_not_complete():
    facts, _notes = collect(host_with(snapshot(domains=[]), process(225), pid_files={"vm1.pid": "225"}))
    assert facts["vms"] == []
    assert not facts["libvirt"]["visibility"]["complete"]
    assert "does not list it" in facts["libvirt"]["visibility"]["gaps"][0]


def test_a_running_domain_without_a_process_is_not_complete():
    facts, _notes = collect(host_with(snapshot()))
    assert "its process cannot be seen" in facts["libvirt"]["visibility"]["gaps"][0]


def test_a_guest_that_started_between_two_looks_is_no_difference():
    host = host_with(snapshot(), process(225), pid_files={"vm1.pid": "225"})
    listing, looks = host.list, []

    def late(path, limit=5000):
        if path == "/proc":
            looks.append(path)
        return [] if path == "/proc" and len(looks) == 1 else listing(path, limit)

    host.list = late
    facts, _notes = collect(host)
    assert len(looks) == 2
    assert facts["libvirt"]["visibility"] == {"complete": True, "gaps": [], "unmatched": []}


def test_fewer_rights_are_not_complete():
    facts, _notes = collect(host_with(snapshot(), process(225), pid_files={"vm1.pid": "225"}, uid=1000))
    assert not facts["libvirt"]["visibility"]["complete"]


def test_libvirts_own_probe_is_no_guest():
    files, links = process(400)
    files["/proc/400/cmdline"] = "qemu\0-machine\0none,accel=kvm\0-pidfile\0/var/lib/libvirt/qemu/qmp-X/qmp.pid\0"
    files["/var/lib/libvirt/qemu/qmp-X/qmp.pid"] = "400\n"
    facts, _notes = collect(host_with(snapshot(domains=[]), (files, links)))
    assert facts["libvirt"]["visibility"] == {"complete": True, "gaps": [], "unmatched": []}
    files["/var/lib/libvirt/qemu/qmp-X/qmp.pid"] = "401\n"
    facts, _notes = collect(host_with(snapshot(domains=[]), (files, links)))
    assert facts["libvirt"]["visibility"]["unmatched"], "the pid file has to be its own"


def test_without_libvirt_nothing_is_known():
    facts, notes = collect(FakeHost(snapshot=Unreadable("no libvirt here")))
    assert facts == {"libvirt": {"reachable": False, "uri": "qemu:///system"}}
    assert sorted(path for path, _reason in notes) == sorted(libvirt.PROVIDES)


def test_a_domain_that_cannot_be_described_is_noted():
    broken = snapshot()
    broken["domains"][0].update(live_xml="<!DOCTYPE x><domain/>")
    facts, notes = collect(host_with(broken, process(225), pid_files={"vm1.pid": "225"}))
    assert facts["vms"][0]["id"] == UUID and "mem_max_b" not in facts["vms"][0]
    assert notes[0][0] == f"vms[{UUID}]" and "document type" in notes[0][1]


@pytest.mark.parametrize("xml", [None, "<volume>", ""])
def test_a_list_with_a_hole_is_no_list(xml):
    volume = {"name": "a", "xml": xml}
    pool = {
        "uuid": "p",
        "name": "default",
        "active": True,
        "autostart": True,
        "persistent": True,
        "xml": "<pool type='dir'/>",
    }
    facts, _notes = collect(host_with(snapshot(domains=[], pools=[{**pool, "volumes": [volume]}])))
    assert facts["volumes"] is None and facts["pools"][0]["volumes"] == 1


def test_hostile_names_stay_data():
    hostile = snapshot()
    hostile["domains"][0]["name"] = "<script>\n=cmd|../../etc" + "x" * 1000
    facts, _notes = collect(host_with(hostile, process(225), pid_files={"vm1.pid": "225"}))
    assert len(facts["vms"][0]["name"]) == 200


@pytest.mark.skipif(not libvirt_source.available(), reason="the libvirt binding is not installed")
def test_the_binding_on_the_test_driver(tmp_path):
    domains = "".join(
        f"<domain type='test'><name>vm{number}</name><uuid>11111111-1111-4111-8111-{number:012d}</uuid>"
        f"<memory>1024</memory><vcpu>2</vcpu><os><type>hvm</type></os></domain>"
        for number in range(20)
    )
    path = tmp_path / "node.xml"
    path.write_text(f"<node>{domains}</node>")
    found = libvirt_source.snapshot(f"test://{path}")
    assert len(found["domains"]) == 20 and found["hypervisor"] == "TEST"
    assert {record["state"] for record in found["domains"]} == {"running"}
    notes = []
    facts = libvirt.from_snapshot(found, lambda path, reason: notes.append(path))
    assert facts["vms"][0]["vcpus_max"] == 2 and facts["vms"][0]["configured"] == {}
    assert {error["path"] for error in found["errors"]} == {"nwfilters", "secrets"}, "the test driver has neither"


@pytest.mark.skipif(not libvirt_source.available(), reason="the libvirt binding is not installed")
def test_no_answer_is_said_so():
    with pytest.raises(libvirt_source.NoLibvirt, match="test:///nonexistent"):
        libvirt_source.snapshot("test:///nonexistent.xml")


class Virsh:
    """virsh with one domain: answers each command of a batch, and the mark between them."""

    ANSWERS = {
        "uri": "qemu:///system",
        "list --all --uuid": UUID,
        "list --all --uuid --autostart": "",
        "list --all --uuid --persistent": UUID,
        f"domstate {UUID}": "running",
        f"dumpxml {UUID}": XML % (UUID, ""),
        f"dumpxml {UUID} --inactive": XML % (UUID, PCI),
        "nwfilter-list": f"{UUID} clean-traffic",
        f"nwfilter-dumpxml {UUID}": "<filter name='clean-traffic'><rule action='drop'/></filter>",
    }

    def __call__(self, argv, timeout=10, stdin=""):
        if argv == ["virsh", "--version"]:
            return Answer(0, "9.0.0\n", "")
        out = []
        for command in argv[-1].split("; "):
            out.append(command[5:] if command.startswith("echo ") else self.ANSWERS.get(command, "") + "\n")
        return Answer(0, "".join(out), "error: some failed\n")


def test_virsh_gives_the_same_facts():
    found = virsh_source.snapshot("qemu:///system", Virsh())
    facts = libvirt.from_snapshot(found, lambda path, reason: None)
    assert facts["vms"][0]["id"] == UUID and facts["vms"][0]["name"] == "vm1" and facts["vms"][0]["persistent"]
    assert facts["vms"][0]["configured"]["devices"][0]["address"] == "0000:03:00.0"
    assert facts["nwfilters"][0]["name"] == "clean-traffic" and facts["networks"] == []


def test_virsh_without_an_answer_is_said_so():
    with pytest.raises(libvirt_source.NoLibvirt, match="failed to connect"):
        virsh_source.snapshot("qemu:///system", lambda argv, timeout=10: Answer(1, "", "error: failed to connect\n"))
