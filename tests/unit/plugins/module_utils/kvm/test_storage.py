# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part storage: images and their chains, the devices below them, keys, access lists, signatures."""

from __future__ import annotations

import base64
import json
import os
import struct

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import image_header, key_material, openpgp
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.block_devices import Devices
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import storage
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

VM1 = "11111111-1111-4111-8111-111111111111"
MOUNTS = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
# A disk with a partition, a LUKS device on it and a logical volume on top of that, as sysfs shows them.
SDA1 = {
    "/sys/devices/pci/ata1/block/sda/dev": "8:0",
    "/sys/devices/pci/ata1/block/sda/device/wwid": "naa.5000c500\n",
    "/sys/devices/pci/ata1/block/sda/sda1/partition": "1",
    "/sys/devices/pci/ata1/block/sda/sda1/dev": "8:1",
    "/sys/class/block/sda1/dev": "8:1\n",
    "/sys/class/block/dm-0/dev": "252:0\n",
    "/sys/devices/virtual/block/dm-0/dm/uuid": "CRYPT-LUKS2-0123-images\n",
    "/sys/devices/virtual/block/dm-0/dm/name": "images\n",
    "/sys/devices/virtual/block/dm-0/slaves/sda1": "",
    "/sys/devices/virtual/block/dm-1/dm/uuid": "LVM-abc\n",
    "/sys/devices/virtual/block/dm-1/dm/name": "vg-images\n",
    "/sys/devices/virtual/block/dm-1/slaves/dm-0": "",
}
LINKS = {
    "/sys/dev/block/8:0": "/sys/devices/pci/ata1/block/sda",
    "/sys/dev/block/8:1": "/sys/devices/pci/ata1/block/sda/sda1",
    "/sys/dev/block/252:0": "/sys/devices/virtual/block/dm-0",
    "/sys/dev/block/252:1": "/sys/devices/virtual/block/dm-1",
}
# Made by gpg over a file of 1 MiB of zeros, with a key that was thrown away.
SIGNATURE = """-----BEGIN PGP SIGNATURE-----

iHUEABYIAB0WIQRqQPWiCNb27Ruts1iqMfm0IC50DwUCawSM8QAKCRCqMfm0IC50
DzX2AQD4B9yYbEK7Gr4LkYC+DOF0dF2xsP5FKomjvcBb9LJcXQEAv4u2MiJDR7bZ
hSr9L/sRGfmvw8MAybfOer5cIqrbCwE=
=LwI5
-----END PGP SIGNATURE-----
"""


def qcow2(backing="", method=0):
    name = backing.encode()
    head = b"QFI\xfb" + struct.pack(">IQIIQI", 3, 104 if name else 0, len(name), 16, 1 << 20, method)
    return head.ljust(104, b"\0") + name


def luks2(slots, tokens=None, cipher="aes-xts-plain64"):
    metadata = {"keyslots": slots, "tokens": tokens or {}, "segments": {"0": {"type": "crypt", "encryption": cipher}}}
    head = b"LUKS\xba\xbe" + struct.pack(">HQ", 2, 16384)
    return head.ljust(4096, b"\0") + json.dumps(metadata).encode().ljust(16384 - 4096, b"\0")


def slot(kdf):
    return {"type": "luks2", "key_size": 64, "kdf": {"type": kdf, "salt": "geheim"}, "area": {}}


def luks1(active):
    head = bytearray(b"LUKS\xba\xbe" + struct.pack(">H", 1) + b"aes".ljust(32, b"\0") + b"xts-plain64".ljust(32, b"\0"))
    head = head.ljust(592, b"\0")
    head[108:112] = struct.pack(">I", 64)
    for number in active:
        head[208 + 48 * number : 212 + 48 * number] = struct.pack(">I", 0x00AC71F3)
    return bytes(head)


def domain(disks):
    return "<domain type='kvm'><devices>%s</devices></domain>" % disks


def snapshot(disks="", pools=None):
    record = {"uuid": VM1, "name": "vm1", "live_xml": domain(disks), "inactive_xml": None, "error": ""}
    default = "<pool type='dir'><name>default</name><target><path>/srv/images</path></target></pool>"
    return {
        "domains": [record],
        "pools": [{"name": "default", "xml": default, "volumes": []}] if pools is None else pools,
        "errors": [],
    }


def collected(host):
    notes = []
    return storage.collect(host, lambda path, reason: notes.append((path, reason)))["storage"], notes


def host_with(files=None, answer=None, stats=None, **more):
    return FakeHost(
        files={
            "/proc/self/mountinfo": MOUNTS,
            "/etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n",
            "/etc/group": "root:x:0:\nimages:x:1001:\n",
            **SDA1,
            **(files or {}),
        },
        links=LINKS,
        stats=stats,
        snapshot=answer or snapshot(),
        **more,
    )


def test_a_chain_of_a_machine_that_is_shut_off_is_read_from_the_headers():
    disk = "<disk type='file' device='disk'><source file='/srv/images/top.qcow2'/><target dev='vda'/></disk>"
    host = host_with(
        {
            "/srv/images/top.qcow2": qcow2("base.qcow2"),
            "/srv/images/base.qcow2": qcow2("/srv/root.raw"),
            "/srv/root.raw": "x",
        },
        snapshot(disk),
    )
    facts, notes = collected(host)
    assert not notes
    images = {image["id"]: image for image in facts["images"]}
    assert set(images) == {"/srv/images/top.qcow2", "/srv/images/base.qcow2", "/srv/root.raw"}
    assert {"kind": "backing", "of": VM1, "writable": False} in images["/srv/root.raw"]["uses"]
    assert [item["id"] for item in facts["library"]["items"]] == ["/srv/images/base.qcow2"]
    assert facts["library"]["items"][0]["backing_of"] == ["/srv/images/top.qcow2", VM1]


def test_a_chain_that_bites_its_tail_ends():
    host = host_with({"/srv/images/a.qcow2": qcow2("b.qcow2"), "/srv/images/b.qcow2": qcow2("a.qcow2")})
    assert len(collected(host)[0]["images"]) == 2


def test_a_backing_image_at_an_address_is_kept_as_one():
    host = host_with({"/srv/images/a.qcow2": qcow2("http://images/base.qcow2")})
    assert "address:http://images/base.qcow2" in [image["id"] for image in collected(host)[0]["images"]]


def test_a_network_disk_tells_its_protocol_and_hosts_and_no_secret():
    disk = (
        "<disk type='network' device='disk'><source protocol='nbd' name='vm1' tls='yes'><host name='s1' port='10809'/>"
        "</source><auth username='u'><secret type='ceph' usage='geheim'/></auth><target dev='vda'/></disk>"
    )
    facts, _notes = collected(host_with(answer=snapshot(disk)))
    image = facts["images"][0]
    assert (image["id"], image["type"], image["protocol"], image["tls"]) == ("nbd:vm1", "network", "nbd", "yes")
    assert image["hosts"] == ["s1:10809"]
    assert "geheim" not in json.dumps(facts)


def test_an_image_that_cannot_be_read_says_so_and_hides_no_other():
    host = host_with({"/srv/images/a": Unreadable("Operation not permitted"), "/srv/images/b": "raw"})
    images = {image["id"]: image for image in collected(host)[0]["images"]}
    assert images["/srv/images/a"]["problem"] == "Operation not permitted"
    assert images["/srv/images/b"]["problem"] == ""


@pytest.mark.parametrize(
    "broken", [Unreadable("connection refused"), {**snapshot(), "pools": None}, {**snapshot(), "domains": None}]
)
def test_what_libvirt_does_not_tell_is_null_with_a_reason(broken):
    facts, notes = collected(host_with(answer=broken))
    assert facts["images"] is None and facts["library"] in (None, {"items": None})
    assert "storage.images" in dict(notes)
    assert facts["key_files"] == []


def test_a_link_that_leads_nowhere_is_no_image():
    host = host_with({"/srv/images/a": "x"})
    host.links = {**LINKS, "/srv/images/gone": "/nowhere"}
    assert [image["id"] for image in collected(host)[0]["images"]] == ["/srv/images/a"]


def test_saved_states_and_virtual_tpms_are_images_too():
    tpm = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'><encryption secret='x'/></backend></tpm>"
    host = host_with(
        {"/var/lib/libvirt/qemu/save/vm1.save": "x", f"/var/lib/libvirt/swtpm/{VM1}/tpm2/tpm2-00.permall": "x"},
        snapshot(tpm),
    )
    kinds = {image["uses"][0]["kind"]: image for image in collected(host)[0]["images"]}
    assert set(kinds) == {"saved state", "vtpm"}
    assert kinds["vtpm"]["encryption"] == "swtpm" and kinds["vtpm"]["type"] == "dir"


def test_a_virtual_tpm_with_a_place_of_its_own():
    tpm = "<tpm model='tpm-crb'><backend type='emulator'><source type='dir' path='/srv/tpm'/></backend></tpm>"
    facts, _notes = collected(host_with({"/srv/tpm/tpm2-00.permall": "x"}, snapshot(tpm)))
    assert [(image["id"], image["encryption"]) for image in facts["images"]] == [("/srv/tpm", "")]


def test_a_logical_volume_on_luks_is_encrypted():
    devices = Devices(host_with(stats={"/dev/vg/images": {"type": "block", "rdev": os.makedev(252, 1)}}))
    assert devices.place("/dev/vg/images") == "block 252:1"
    place = devices.places()[0]
    assert (place["encrypted"], place["crypt"]) == ("yes", ["images"])
    assert place["leaves"] == [{"id": "sda", "transport": "local", "wwid": "naa.5000c500"}]
    assert devices.crypt == {"images": {"kind": "luks2", "below": ["sda1"]}}


def test_a_file_on_a_bare_partition_is_not_encrypted():
    devices = Devices(host_with({"/srv/a": "x"}))
    assert devices.place("/srv/a") == "mount /"
    assert devices.places()[0]["encrypted"] == "no"


def test_half_an_encrypted_volume_group_is_not_encrypted():
    more = {"/sys/devices/virtual/block/dm-1/slaves/sda1": ""}
    devices = Devices(host_with(more, stats={"/dev/vg/images": {"type": "block", "rdev": os.makedev(252, 1)}}))
    devices.place("/dev/vg/images")
    assert devices.places()[0]["encrypted"] == "no"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "30 22 0:40 / /srv rw shared:9 - nfs4 filer:/images rw,vers=4.2,sec=krb5p,username=u",
            {"remote": True, "options": {"vers": "4.2", "sec": "krb5p"}},
        ),
        ("30 22 0:40 / /srv rw shared:9 - cifs //filer/images rw,seal,password=geheim", {"options": {"seal": ""}}),
        ("30 22 0:40 / /srv rw - tmpfs tmpfs rw", {"memory": True, "encrypted": "no"}),
        ("30 22 0:40 / /srv rw - overlay overlay rw", {"remote": False, "encrypted": "unknown"}),
        ("30 22 0:40 / /srv rw - zfs tank rw", {"encrypted": "unknown"}),
    ],
)
def test_mounts(line, expected):
    devices = Devices(host_with({"/proc/self/mountinfo": MOUNTS + line, "/srv/images/a": "x"}))
    assert devices.place("/srv/images/a") == "mount /srv"
    place = devices.places()[0]
    assert {key: place[key] for key in expected} == expected
    assert "geheim" not in json.dumps(place)


@pytest.mark.parametrize(
    ("path", "transport"),
    [
        ("/sys/devices/platform/host6/session1/target6/block/sdb", "iscsi"),
        ("/sys/devices/pci/host1/rport-1:0-0/target1/block/sdb", "fc"),
        ("/sys/devices/virtual/block/nbd0", "nbd"),
        ("/sys/devices/pci/virtio0/block/vda", "virtio"),
    ],
)
def test_how_a_disk_is_reached(path, transport):
    host = FakeHost(
        files={path + "/dev": "8:16"},
        links={"/sys/dev/block/8:16": path},
        stats={"/dev/sdb": {"type": "block", "rdev": os.makedev(8, 16)}},
    )
    devices = Devices(host)
    devices.place("/dev/sdb")
    assert devices.places()[0]["leaves"][0]["transport"] == transport


def test_headers_of_luks():
    tokens = {"0": {"type": "systemd-tpm2", "keyslots": ["1"]}}
    host = FakeHost(
        files={
            "/two": luks2({"0": slot("argon2id"), "1": slot("pbkdf2")}, tokens),
            "/one": luks1([0, 3]),
            "/none": "x" * 5000,
        }
    )
    two = image_header.luks_header(host, "/two")
    assert (two["version"], two["cipher"], two["key_bits"]) == (2, "aes-xts-plain64", 512)
    assert two["slots"] == [
        {"id": "0", "kdf": "argon2id", "token": ""},
        {"id": "1", "kdf": "pbkdf2", "token": "systemd-tpm2"},
    ]
    one = image_header.luks_header(host, "/one")
    assert (one["version"], one["cipher"], one["key_bits"]) == (1, "aes-xts-plain64", 512)
    assert [entry["id"] for entry in one["slots"]] == ["0", "3"]
    assert "geheim" not in json.dumps(two)
    with pytest.raises(Unreadable, match="no LUKS header"):
        image_header.luks_header(host, "/none")


@pytest.mark.parametrize(
    "data",
    [
        luks2({"0": {"type": "luks2"}}),
        b"LUKS\xba\xbe\0\x02" + struct.pack(">Q", 1 << 40) + b"\0" * 5000,
        b"LUKS\xba\xbe\0\x02" + struct.pack(">Q", 16384).ljust(4090, b"\0") + b"[1]" * 100,
        b"LUKS\xba\xbe\0\x09" + b"\0" * 1000,
        b"LUKS\xba\xbe",
        b"QFI\xfb",
        qcow2(method=7),
        b"QFI\xfb" + struct.pack(">IQIIQI", 3, 1 << 40, 1023, 16, 1, 0).ljust(200, b"\0"),
    ],
)
def test_a_header_nobody_writes_is_unreadable_and_never_an_exception(data):
    with pytest.raises(Unreadable):
        image_header.describe(FakeHost(files={"/i": data}), "/i")


@pytest.mark.parametrize(("method", "encryption"), [(0, ""), (1, "aes"), (2, "luks")])
def test_encryption_of_qcow2_comes_from_its_header(method, encryption):
    assert image_header.describe(FakeHost(files={"/i": qcow2(method=method)}), "/i")["encryption"] == encryption


def test_signatures():
    expected = {"algorithm": "ed25519", "hash": "sha256", "issuer": "6A40F5A208D6F6ED1BADB358AA31F9B4202E740F"}
    assert openpgp.signature(SIGNATURE.encode()) == expected
    raw = base64.b64decode("".join(SIGNATURE.splitlines()[2:5]))
    assert openpgp.signature(raw) == expected
    for end in range(len(raw)):
        with pytest.raises(openpgp.BadSignature):
            openpgp.signature(raw[:end])
    for bad in (b"", b"\x00", b"\xff\xff\xff", b"-----BEGIN PGP SIGNATURE-----\n\n!!!\n=x\n-----END", b"\x88\x01\x04"):
        with pytest.raises(openpgp.BadSignature):
            openpgp.signature(bad)


def test_signature_beside_an_image():
    host = host_with({"/srv/images/g.raw": "x", "/srv/images/g.raw.asc": SIGNATURE, "/srv/images/h.raw": "x"})
    items = {item["name"]: item["signature"] for item in collected(host)[0]["library"]["items"]}
    assert items["g.raw"]["issuer"].startswith("6A40") and items["g.raw"]["problem"] == ""
    assert items["h.raw"]["file"] == ""
    broken = host_with({"/srv/images/g.raw": "x", "/srv/images/g.raw.sig": "nonsense"})
    assert collected(broken)[0]["library"]["items"][0]["signature"]["problem"] == "no OpenPGP packet"


def test_access_lists():
    entries = [
        (1, 7, 0xFFFFFFFF),
        (2, 7, 1000),
        (4, 5, 0xFFFFFFFF),
        (8, 7, 1001),
        (0x10, 5, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    ]
    data = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    host = host_with(
        {"/srv/images/a": "x"}, stats={"/srv/images": {"type": "dir", "mode": "0750"}},
        xattrs={("/srv/images", "system.posix_acl_access"): data},
    )  # fmt: skip
    found = collected(host)[0]["directories"]
    assert found[0]["acl"] == ["user:alice:r-x", "group:images:r-x"], "the mask takes w away"
    assert (found[0]["owner"], found[0]["mode"], found[0]["default_acl"]) == ("root", "0750", [])


def test_key_files():
    host = host_with(
        {
            "/etc/crypttab": "# c\nimages UUID=1 /etc/keys/images luks\nswap /dev/sdb /dev/urandom\nroot UUID=2 none\n",
            "/etc/keys/images": "geheim",
            "/etc/cryptsetup-keys.d/data.key": "geheim",
            "/etc/libvirt/secrets/5b6c.base64": "Z2VoZWlt",
            "/etc/libvirt/secrets/5b6c.xml": "<secret/>",
        },
        stats={"/etc/keys/images": {"mode": "0400"}},
    )
    facts, notes = collected(host)
    assert not notes
    assert [(entry["opens"], entry["kind"], entry["mode"], entry["place"]) for entry in facts["key_files"]] == [
        ("images", "crypttab", "0400", "mount /"),
        ("data", "crypttab", "0644", "mount /"),
        ("5b6c", "libvirt secret", "0644", "mount /"),
    ]
    assert "geheim" not in json.dumps(facts) and "Z2VoZWlt" not in json.dumps(facts)


def test_certificates():
    command = "openssl x509 -noout -enddate -in /etc/pki/qemu/server-cert.pem"
    files = {"/etc/pki/qemu/server-cert.pem": "x", "/etc/pki/qemu/server-key.pem": "geheim"}
    host = host_with(files, commands={command: (0, "notAfter=Jan  5 09:34:43 2028 GMT\n", "")})
    found = key_material.tls_directories(host)[0]
    assert found["certificates"] == [{"id": "/etc/pki/qemu/server-cert.pem", "not_after": 1830677683, "problem": ""}]
    assert found["keys"] == [{"id": "/etc/pki/qemu/server-key.pem", "mode": "0644", "uid": 0}]
    assert key_material.tls_directories(host_with(files))[0]["certificates"][0]["problem"] == "openssl does not exist"


@pytest.mark.parametrize(
    ("text", "secure"),
    [("[client]\nms_client_mode = secure\n", True), ("ms client mode = crc secure\n", False), ("", False)],
)
def test_ceph(text, secure):
    assert storage.ceph(host_with({"/etc/ceph/ceph.conf": text})) == {"client_secure": secure}
