# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates are installed where the run allows it, from a repository made for the test. Not taken back by revert."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.enforcement import enforced
from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted, seen

pytestmark = pytest.mark.timeout(300)
CHECK = "kvm-11.4.8-pending"
# Version 1 is installed, and a security suite has version 2: in lists that were fetched a month ago.
REPOSITORY = """
rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*
for version in 1 2; do
  mkdir -p /srv/$version/DEBIAN
  printf 'Package: lab-tool\\nVersion: %s\\nArchitecture: all\\nMaintainer: lab <lab@lab>\\nDescription: x\\n' \
    $version > /srv/$version/DEBIAN/control
  dpkg-deb -b /srv/$version /srv/lab-tool_${version}_all.deb > /dev/null
done
dpkg -i /srv/lab-tool_1_all.deb > /dev/null
suite=/srv/repository/dists/bookworm-security
mkdir -p $suite/main/binary-amd64 /srv/repository/pool
cp /srv/lab-tool_2_all.deb /srv/repository/pool/
dpkg-deb -f /srv/lab-tool_2_all.deb > $suite/main/binary-amd64/Packages
printf 'Filename: pool/lab-tool_2_all.deb\\nSize: %s\\nSHA256: %s\\n\\n' $(stat -c %s /srv/lab-tool_2_all.deb) \
  $(sha256sum /srv/lab-tool_2_all.deb | cut -d' ' -f1) >> $suite/main/binary-amd64/Packages
echo 'deb [trusted=yes] file:/srv/repository bookworm-security main' > /etc/apt/sources.list
release() {
  printf 'Origin: Debian\\nSuite: stable-security\\nCodename: bookworm-security\\n'
  printf 'Components: main\\nArchitectures: amd64\\n'
  printf 'Date: %s\\nSHA256:\\n' "$(LC_ALL=C date -u -d "$1" '+%a, %d %b %Y %H:%M:%S UTC')"
  printf ' %s %s main/binary-amd64/Packages\\n' $(sha256sum $suite/main/binary-amd64/Packages | cut -d' ' -f1) \
    $(stat -c %s $suite/main/binary-amd64/Packages)
}
release '-30 days' > $suite/Release
apt-get -q update
release '-1 minute' > $suite/Release
"""


@pytest.fixture(scope="module")
def host(lab_ready: None) -> Iterator[booted.BootedHost]:
    found = booted.BootedHost(f"patching-{os.getpid()}")
    found.run(REPOSITORY)
    yield found
    found.stop()


def role(host: booted.BootedHost, *arguments: str, allowed: bool = True) -> dict:
    variables = {**enforced.PEOPLE, "hypervisor_options": {"install_updates": allowed}, "patching_checks": [CHECK]}
    play = [
        {
            "name": "Patching",
            "hosts": host.name,
            "gather_facts": False,
            "roles": [{"role": "dwp.hypervisor.patching", "vars": variables}],
        }
    ]
    result = enforced.play_result(host, play, *arguments)
    assert result["tasks"], result["output"][-4000:]
    task = result["tasks"][-1]
    return {**task["areas"]["patching"], "changed": task.get("changed", False)}


def version(host: booted.BootedHost) -> str:
    return host.run("dpkg-query -W -f '${Version}' lab-tool")


def test_updates_are_installed_only_where_the_run_allows_it(host: booted.BootedHost) -> None:
    before = booted.result_of(host.audit(), CHECK)
    assert before["measured"] == "fail", enforced.shown(before)
    found = role(host, allowed=False)
    assert not found["changed"]
    assert "1 security updates wait: lab-tool 2" in found["by_hand"][0]["what"]
    assert role(host, "--check")["changed"]
    assert version(host) == "1"
    found = role(host)
    assert found["changed"]
    assert found["pending"] == [{"check": CHECK, "waits_for": "maintenance"}]
    assert version(host) == "2"
    after = booted.result_of(host.audit(), CHECK)
    assert after["measured"] == "pass", enforced.shown(after)
    assert not role(host)["changed"]
    seen.ENFORCED.status(CHECK, seen.ENFORCED.where, "test_patching.py")


def test_taking_the_change_back_installs_nothing_a_second_time(host: booted.BootedHost) -> None:
    host.module("dwp.hypervisor.kvm_changes", {"state": "reverted", "areas": ["patching"]})
    assert version(host) == "2"
