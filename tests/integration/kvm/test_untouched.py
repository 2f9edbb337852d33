# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An audit changes nothing on the host: no file, no time stamp, nothing left in temporary directories."""

from __future__ import annotations

import time

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.kvm.booted import BootedHost
from ansible_collections.dwp.hypervisor.tests.integration.kvm.footprint import changed, footprint


@pytest.fixture(params=["kvm_host", "modular_host"])
def host(request: pytest.FixtureRequest) -> BootedHost:
    """The monolithic host, then the modular one."""
    return request.getfixturevalue(request.param)


def test_two_audits_touch_no_file(host: BootedHost) -> None:
    # The connection itself leaves traces (~/.ansible, login records): they are not the audit's.
    host.module("ansible.builtin.ping", {})
    before = footprint(host)
    first = host.audit()
    second = host.audit()
    assert changed(before, footprint(host)) == []
    assert [(r["check"], r["measured"]) for r in first["results"]] == [
        (r["check"], r["measured"]) for r in second["results"]
    ]


def test_the_comparison_sees_what_an_audit_could_do(kvm_host: BootedHost) -> None:
    before = footprint(kvm_host)
    with kvm_host.kept("/etc/ssh", "/etc/hosts", "/etc/issue"):
        kvm_host.run(
            "touch /etc/ssh/sshd_config; mkdir /etc/new; chmod 0600 /etc/hosts; rm /etc/issue; : > /var/tmp/left"
        )
        lines = changed(before, footprint(kvm_host))
    kvm_host.run("rm -r /var/tmp/left /etc/new; test $(stat -c %a /etc/hosts) = 644; test -e /etc/issue")
    for path in ("/etc/ssh/sshd_config", "volatile:/var/tmp/left", "/etc/new", "/etc/hosts", "/etc/issue"):
        assert any(line.endswith(f" {path}") for line in lines), (path, lines)


def test_an_audit_leaves_no_process_and_no_domain_behind(kvm_host: BootedHost) -> None:
    own = "-e ' ps$' -e ' sh$' -e ' grep$' -e ' sort$' -e sshd"
    listing = f"ps -e -o user=,comm= | grep -v {own} | sort; virsh list --all --uuid"
    # The first answer of libvirtd starts its own helpers.
    kvm_host.audit()
    before = kvm_host.run(listing)
    kvm_host.audit()
    deadline = time.monotonic() + 10
    while kvm_host.run(listing) != before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert kvm_host.run(listing) == before
