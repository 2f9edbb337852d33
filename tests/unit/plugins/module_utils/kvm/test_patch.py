# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import apt_lists, deb_version
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import patch
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

# Each later than the one before; taken from deb-version(7) and compared with dpkg --compare-versions.
ASCENDING = [
    "1.0~~",
    "1.0~rc1",
    "1.0",
    "1.0-1",
    "1.0-1+deb12u1",
    "1.0-1+deb12u10",
    "1.0a",
    "1.0+b1",
    "1.0.1",
    "2.36-9",
    "1:0.9",
]


@pytest.mark.parametrize(("older", "later"), list(zip(ASCENDING, ASCENDING[1:])))
def test_versions_are_ordered_as_dpkg_does(older, later):
    assert deb_version.newer(later, older)
    assert not deb_version.newer(older, later)


@pytest.mark.parametrize("pair", [("1.0", "1.0-0"), ("0:1.0", "1.0"), ("1.00", "1.0")])
def test_equal_versions(pair):
    assert not deb_version.newer(*pair)
    assert not deb_version.newer(*reversed(pair))


@given(st.text("0123456789.+~-:abc", max_size=20))
def test_any_text_has_a_place(text):
    assert not deb_version.newer(text, text)


STATUS = """Package: sudo
Status: install ok installed
Architecture: amd64
Version: 1.9.13p3-1

Package: openssl
Status: hold ok installed
Version: 3.0.11-1

Package: gone
Status: deinstall ok config-files
Version: 1
"""
LIST = "/var/lib/apt/lists/mirror_debian-security_dists_bookworm-security_main_binary-amd64_Packages"
RELEASE = "/var/lib/apt/lists/mirror_debian-security_dists_bookworm-security_InRelease"
DATED = "Origin: Debian\nDate: Sun, 22 Nov 2026 10:11:12 UTC\n"


def host(packages, **files):
    return FakeHost(files={"/var/lib/dpkg/status": STATUS, LIST: packages, RELEASE: DATED, **files})


def test_what_is_older_than_the_security_suite_is_pending_holds_included():
    found = apt_lists.pending(
        host(
            "Package: sudo\nVersion: 1.9.13p3-1+deb12u1\n\n"
            "Package: openssl\nVersion: 3.0.20-1\n\n"
            "Package: gone\nVersion: 9\n"
        )
    )
    assert [(entry["id"], entry["hold"]) for entry in found["pending"]] == [("openssl", True), ("sudo", False)]
    assert found["list_date"] == "2026-11-22T10:11:12+00:00"
    assert found["holds"] == ["openssl"]


def test_nothing_is_pending_when_everything_is_as_new():
    assert apt_lists.pending(host("Package: sudo\nVersion: 1.9.13p3-1\n"))["pending"] == []


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"/var/lib/dpkg/status": STATUS}, "does not exist"),
        ({"/var/lib/dpkg/status": STATUS, "/var/lib/apt/lists/lock": ""}, "no list of a security suite"),
        ({"/var/lib/dpkg/status": STATUS, LIST + ".lz4": b"x"}, "compressed"),
        ({"/var/lib/dpkg/status": "", LIST: "", RELEASE: DATED}, "no installed package"),
        ({"/var/lib/dpkg/status": STATUS, LIST: ""}, "no Release file"),
        ({"/var/lib/dpkg/status": STATUS, LIST: "", RELEASE: "Date: gestern\n"}, "no Release file with a date"),
    ],
)
def test_what_cannot_be_told_is_unreadable(files, complaint):
    with pytest.raises(Unreadable, match=complaint):
        apt_lists.pending(FakeHost(files=files))


DNF_INFO = """===============================================================================
  Important: openssl security update
===============================================================================
  Update ID: RHSA-2026:1234
       Type: security
    Updated: 2026-11-01 10:00:00
   Severity: Important
===============================================================================
  a package without a severity
===============================================================================
  Update ID: RHSA-2026:9999
    Updated: 2026-11-02 10:00:00
"""
INFO = "dnf --cacheonly --quiet updateinfo info --security --available"
EVERY = "dnf --cacheonly --quiet updateinfo list --all"


def test_errata_have_severity_and_date():
    fake = FakeHost(
        commands={INFO: (0, DNF_INFO, "")},
        files={"/var/cache/dnf/baseos.solv": "x"},
        stats={"/var/cache/dnf/baseos.solv": {"mtime": 1_700_000_000.0}},
    )
    found = patch.dnf_pending(fake)
    assert [(entry["id"], entry["severity"], entry["issued"][:10]) for entry in found["pending"]] == [
        ("RHSA-2026:1234", "high", "2026-11-01"),
        ("RHSA-2026:9999", "", "2026-11-02"),
    ]
    assert found["list_date"].startswith("2023-11-14")


def test_repositories_without_errata_are_not_clean():
    with pytest.raises(Unreadable, match="carry no errata"):
        patch.dnf_pending(FakeHost(commands={INFO: (0, "", ""), EVERY: (0, "", "")}))


def test_the_newest_kernel_is_not_the_last_by_name():
    boot = {f"/boot/vmlinuz-{release}": "" for release in ("6.1.0-9-amd64", "6.1.0-10-amd64", "0-rescue-1")}
    assert patch.newest_kernel(FakeHost(files=boot)) == "6.1.0-10-amd64"
    assert patch.newest_kernel(FakeHost(dirs=["/boot"])) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('APT::Periodic::Unattended-Upgrade "1";\n', True),
        ('APT::Periodic::Unattended-Upgrade "0";\n', False),
        ('// APT::Periodic::Unattended-Upgrade "1";\n', False),
        ("", False),
    ],
)
def test_unattended_upgrades(text, expected):
    assert patch.unattended(FakeHost(files={"/etc/apt/apt.conf.d/20auto": text})) is expected


@pytest.mark.parametrize(("rc", "out", "expected"), [(0, "no\n", False), (1, "yes\n", True)])
def test_needs_restarting(rc, out, expected):
    assert patch.reboot_required(FakeHost(commands={"needs-restarting -r": (rc, out, "")}), "dnf") is expected
    with pytest.raises(Unreadable):
        patch.reboot_required(FakeHost(commands={"needs-restarting -r": (2, "", "Fehler")}), "dnf")
