# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Domain XML as facts: what the checks lean on, what differs at the next start, and what is refused."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import libvirt_objects
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.domain_xml import domain
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.libvirt_xml import MAX_XML, BadXml, parse

LIVE = """<domain type='kvm' id='1'>
  <name>vm1</name>
  <title>%s</title>
  <description>never a fact</description>
  <memory unit='KiB'>1048576</memory>
  <currentMemory unit='KiB'>524288</currentMemory>
  <maxMemory slots='4' unit='GiB'>4</maxMemory>
  <memoryBacking><hugepages/><locked/><nosharepages/></memoryBacking>
  <memtune><hard_limit unit='MiB'>5000</hard_limit><soft_limit unit='KiB'>9007199254740991</soft_limit></memtune>
  <vcpu placement='static' current='2' cpuset='0-3'>4</vcpu>
  <cputune><shares>2048</shares><quota>-1</quota><global_quota>400000</global_quota>
    <vcpupin vcpu='0' cpuset='2'/></cputune>
  <cpu mode='host-passthrough'/>
  <os firmware='efi'><type machine='q35'>hvm</type><loader secure='yes'/>
    <firmware><feature enabled='yes' name='secure-boot'/></firmware></os>
  <throttlegroups><throttlegroup><group_name>slow</group_name><total_bytes_sec>9000</total_bytes_sec></throttlegroup>
  </throttlegroups>
  <devices>
    <disk type='file' device='disk'>
      <driver type='qcow2'/><source file='/img/a.qcow2' index='2'><encryption format='luks' engine='qemu'>
        <secret type='passphrase' uuid='5b6c1c5e-0000-4000-8000-00000000000a'/></encryption></source>
      <backingStore type='file'><format type='raw'/><source file='/img/base.raw'/><backingStore/></backingStore>
      <target dev='vda' bus='virtio'/>
      <iotune><read_iops_sec>100</read_iops_sec><write_iops_sec>50</write_iops_sec></iotune>
    </disk>
    <disk type='network' device='disk'><source protocol='rbd' name='pool/b'><host name='mon1' port='6789'/>
      <auth username='x'><secret type='ceph' usage='y'/></auth></source><target dev='vdb'/><shareable/>
      <throttlefilters><throttlefilter group='slow'/></throttlefilters></disk>
    <disk type='file' device='cdrom'><target dev='sda'/><readonly/></disk>
    <interface type='bridge'><mac address='52:54:00:AA:BB:CC'/><source bridge='br0'/><target dev='vnet3'/>
      <virtualport type='openvswitch'/>
      <filterref filter='clean-traffic'><parameter name='IP' value='192.0.2.1'/></filterref>
      <port isolated='yes'/><vlan><tag id='42'/></vlan>
      <bandwidth><inbound average='1000' peak='2000'/><outbound average='500'/></bandwidth></interface>
    <interface type='hostdev' managed='yes'><mac address='52:54:00:00:00:01'/>
      <source><address type='pci' domain='0x0000' bus='0x05' slot='0x10' function='0x2'/></source></interface>
    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source><address domain='0x0000' bus='0x03' slot='0x00' function='0x0'/></source></hostdev>
    <hostdev mode='subsystem' type='usb'><source><vendor id='0x1D6B'/><product id='0x0002'/></source></hostdev>
    <hostdev mode='subsystem' type='mdev'>
      <source><address uuid='c2177883-f1bb-47f0-914d-32a22e3a8804'/></source></hostdev>
    <filesystem type='mount'><source dir='/srv'/><target dir='srv'/></filesystem>
    <shmem name='shared'/><redirdev bus='usb' type='spicevmc'/>
    <input type='evdev'><source dev='/dev/input/event1'/></input>
    <serial type='tcp'><source mode='bind' host='0.0.0.0' service='4555' tls='no'/><protocol type='telnet'/></serial>
    <console type='tcp'><source mode='bind' host='0.0.0.0' service='4555' tls='no'/><protocol type='telnet'/></console>
    <serial type='dev'><source path='/dev/ttyS0'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc' port='5900' autoport='yes' passwd='topsecret' listen='0.0.0.0'>
      <listen type='address' address='0.0.0.0'/></graphics>
    <tpm model='tpm-crb'><backend type='emulator' version='2.0'><encryption secret='x'/></backend></tpm>
  </devices>
  <seclabel type='dynamic' model='selinux' relabel='yes'><label>u:r:svirt_t:s0:c1,c2</label></seclabel>
</domain>""" % ("t" * 500)
MINIMAL = "<domain type='qemu'><name>x</name><memory>1024</memory><vcpu>1</vcpu><devices>%s</devices></domain>"


@pytest.fixture(scope="module")
def vm():
    return domain(LIVE, None)


def test_size_and_shape(vm):
    assert (vm["vcpus"], vm["vcpus_max"]) == (2, 4)
    assert (vm["mem_b"], vm["mem_max_b"]) == (512 * 2**20, 4 * 2**30)
    assert vm["mem"]["hard_limit_b"] == 5000 * 2**20
    assert vm["mem"]["soft_limit_b"] == 0, "libvirt's largest number is no limit"
    assert vm["mem"]["hugepages"] and vm["mem"]["locked"] and not vm["mem"]["shared_pages"]
    assert vm["cpu"]["quota_us"] == 0, "a negative quota is no limit"
    assert vm["cpu"]["global_quota_us"] == 400000 and vm["cpu"]["pins"] == {"0": "2"} and vm["cpu"]["nested"]
    assert vm["firmware"]["secure_boot"] and vm["tpm"] == {
        "present": True,
        "version": "2.0",
        "backend": "emulator",
        "encrypted": True,
    }
    assert len(vm["title"]) == 200 and "never a fact" not in str(vm)


def test_disks(vm):
    first, second, third = vm["disks"]
    assert (first["path"], first["encrypted"], first["iops_limit"], first["bps_limit"]) == (
        "/img/a.qcow2",
        "luks",
        150,
        0,
    )
    assert [link["path"] for link in first["backing"]] == ["/img/base.raw"] and first["backing_known"]
    assert (second["proto"], second["hosts"][0]["name"], second["shared"]) == ("rbd", "mon1", True)
    assert second["bps_limit"] == 9000, "throttle groups of libvirt 11 count"
    assert third["device"] == "cdrom" and third["readonly"] and not third["backing_known"]


def test_interfaces(vm):
    nic = vm["nics"][0]
    assert (nic["mac"], nic["bridge"], nic["filter"]) == ("52:54:00:aa:bb:cc", "br0", "clean-traffic")
    assert nic["isolated"] and nic["vlan"] == [42] and nic["virtualport"] == "openvswitch"
    assert (nic["in"]["average"], nic["out"]["average"], nic["out"]["peak"]) == (1000, 500, 0)


def test_assigned_devices(vm):
    assert [(entry["kind"], entry["address"]) for entry in vm["devices"]] == [
        ("interface", "0000:05:10.2"),
        ("hostdev", "0000:03:00.0"),
        ("hostdev", "usb:1d6b:0002"),
        ("hostdev", "mdev:c2177883-f1bb-47f0-914d-32a22e3a8804"),
        ("filesystem", "/srv"),
        ("shmem", "shared"),
        ("redirdev", "redirected usb"),
        ("input", "/dev/input/event1"),
        ("character", "/dev/ttyS0"),
    ]


def test_consoles_are_listeners_and_hold_no_password(vm):
    assert [(entry["type"], entry["listen"]) for entry in vm["consoles"]] == [
        ("vnc", ["0.0.0.0"]),
        ("serial telnet", ["0.0.0.0"]),
    ]
    assert "topsecret" not in str(vm)
    assert vm["channels"] == [{"type": "unix", "name": "org.qemu.guest_agent.0"}]
    assert vm["security"]["label"] == "u:r:svirt_t:s0:c1,c2"


def test_what_starting_fills_in_is_no_difference():
    live = (
        MINIMAL
        % """<graphics type='vnc' port='5901' autoport='yes' listen='127.0.0.1'>
    <listen type='address' address='127.0.0.1'/></graphics>
    <interface type='network'>
    <mac address='52:54:00:00:00:01'/><source network='default' bridge='virbr0'/>
    <target dev='vnet0'/></interface>"""
    )
    defined = (
        MINIMAL
        % """<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'>
    <listen type='address' address='127.0.0.1'/></graphics>
    <interface type='network'>
    <mac address='52:54:00:00:00:01'/><source network='default'/></interface>"""
    )
    assert domain(live, defined)["configured"] == {}


def test_what_the_next_start_changes_is_told():
    later = MINIMAL.replace("<vcpu>1<", "<vcpu>8<") % "<graphics type='vnc' listen='0.0.0.0'/>"
    configured = domain(MINIMAL % "<graphics type='vnc' listen='127.0.0.1'/>", later)["configured"]
    assert configured["vcpus_max"] == 8
    assert configured["consoles"][0]["listen"] == ["0.0.0.0"]


def test_the_hash_is_of_what_is_defined_not_of_what_runs():
    plain = MINIMAL % "<disk type='file'><source file='/a'/><target dev='vda'/></disk>"
    running = plain.replace("<source file='/a'/>", "<source file='/b' index='1'/><alias name='virtio-disk0'/>")
    found = domain(plain, None)["config_hash"]
    assert len(found) == 64
    assert domain(running, plain)["config_hash"] == found
    assert domain(running, None)["config_hash"] != found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("not xml", "not XML"),
        ("<network/>", "found network"),
        ("<domain><name>x</domain>", "not XML"),
        ("<!DOCTYPE d [<!ENTITY a 'b'>]><domain>&a;</domain>", "document type"),
        ("<?xml version='1.0'?><!-- <domain> --><!DOCTYPE d><domain/>", "document type"),
        ("<domain>" + " " * MAX_XML + "</domain>", "longer than"),
        ("<domain>" * 5000, "not XML"),
    ],
)
def test_bad_xml_is_refused_with_the_reason(text, why):
    with pytest.raises(BadXml, match=why):
        parse(text, "domain")


def test_a_number_that_is_none_is_not_a_number():
    found = domain("<domain type='kvm'><memory>lots</memory><vcpu>many</vcpu></domain>", None)
    assert found["vcpus_max"] is None and found["mem_max_b"] is None


def test_networks_and_filters():
    record = {"uuid": "u", "name": "n", "active": True, "autostart": True, "persistent": True}
    network = libvirt_objects.network(
        {
            **record,
            "xml": """<network><forward mode='bridge'/><bridge name='ovsbr0'/><virtualport type='openvswitch'/>
        <portgroup name='guests' default='yes'><bandwidth><inbound average='10'/><outbound average='20'/></bandwidth>
        </portgroup></network>""",
        }
    )
    assert (network["forward"], network["bridge"], network["virtualport"]) == ("bridge", "ovsbr0", "openvswitch")
    assert network["portgroups"][0]["default"] and network["portgroups"][0]["out"]["average"] == 20
    assert libvirt_objects.network({**record, "xml": "<network/>"})["forward"] == ""
    rules = "<filter name='f' chain='root'><filterref filter='g'/><rule action='drop'/><rule action='accept'/></filter>"
    found = libvirt_objects.nwfilter({**record, "xml": rules})
    assert (found["includes"], found["rules"], found["drops"]) == (["g"], 2, 1)
