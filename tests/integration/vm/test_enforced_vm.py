# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a kernel and a boot loader of its own can show.

First the entries of enforced/*.yml whose variant is vm, each area's through the test law on a machine of its own. Then
one story, told once (half an hour, emulated), of which each test asks for one thing: hardened, restarted, audited,
taken back, restarted, audited again. Its machine starts without secure boot, for under secure boot the kernel is locked
down and there is nothing to enforce.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.dwp.hypervisor.tests.integration.enforcement import enforced
from ansible_collections.dwp.hypervisor.tests.integration.kvm import booted, seen

pytestmark = pytest.mark.timeout(5400)

# What each may do here, in the order of harden.yml but for the first: the audit rules of logging watch what 11.3.7 asks
# for as well, and nothing would be left for config_drift to do.
AREAS = {
    "config_drift": ["kvm-11.3.7-audit", "kvm-11.4.7-native-tool"],
    "logging": [
        "kvm-11.4.4-audit-immutable",
        "kvm-11.4.10-tls-forward",
        "kvm-11.4.10-format-coverage",
        "kvm-11.4.10-perms-integrity",
        "kvm-11.4.11-remote-target",
    ],
    "device_isolation": ["kvm-11.2.1-svirt"],
    "image_library": ["kvm-11.2.8-audit"],
    "resource_governance": ["kvm-11.3.1-pressure"],
    "platform_assurance": ["kvm-11.1.2-nested-off"],
    "driver_signing": ["kvm-11.2.1-sig-enforce"],
}
LAW = [entry for entry in enforced.load() if entry.variant == booted.VM]
CHECKS = [check for checks in AREAS.values() for check in checks]
# In force only after the restart.
WAIT = {"kvm-11.4.4-audit-immutable", "kvm-11.1.2-nested-off", "kvm-11.2.1-sig-enforce"}
VARIABLES: dict[str, Any] = {
    **enforced.PEOPLE,
    "gold_log_servers": ["192.0.2.10"],
    "gold_log_peer_names": {"192.0.2.10": "log.example.invalid"},
    "gold_log_ca_file": "/etc/ssl/log/ca.pem",
    "hypervisor_time_limit": 300,
    "hypervisor_rollback_seconds": 1200,
}
# It has to be there again after a restart, and before rsyslog.
LOG_SERVER = """
mkdir -p /etc/ssl/log && cd /etc/ssl/log
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=lab-ca -keyout ca.key -out ca.pem 2> /dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=log.example.invalid -keyout srv.key -out srv.csr 2> /dev/null
printf 'subjectAltName=DNS:log.example.invalid\\n' > names
openssl x509 -req -in srv.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out srv.pem 2> /dev/null
cat srv.pem srv.key > both.pem
cat > /usr/local/sbin/log-server <<'PROGRAM'
import socket, ssl, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/ssl/log/both.pem")
def take(connection):
    try:
        stream = context.wrap_socket(connection, server_side=True)
        while data := stream.recv(65536):
            with open("/run/received", "ab") as handle:
                handle.write(data)
    except OSError:
        pass
listener = socket.create_server(("192.0.2.10", 6514))
while True:
    threading.Thread(target=take, args=(listener.accept()[0],), daemon=True).start()
PROGRAM
cat > /etc/systemd/system/log-server.service <<'UNIT'
[Unit]
Before=rsyslog.service
[Service]
ExecStartPre=/usr/sbin/ip address replace 192.0.2.10/32 dev lo
ExecStart=/usr/bin/python3 /usr/local/sbin/log-server
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --now -q log-server.service
"""
# Somebody has pages merged, at every start.
MERGING = """
printf 'w /sys/kernel/mm/ksm/run - - - - 1\\n' > /etc/tmpfiles.d/merging.conf
systemd-tmpfiles --create /etc/tmpfiles.d/merging.conf
"""
START = "virsh -q -c qemu:///system start vm1"
CONFINED = "cat /proc/$(pgrep -o qemu-system)/attr/current; grep ^security_require_confined /etc/libvirt/qemu.conf"
UNCONFINED = (
    "virsh -c qemu:///system dumpxml vm1 --inactive | sed -e 's#<name>.*#<name>bare</name>#; /<uuid>/d; /<mac /d' "
    "-e \"s#</domain>#<seclabel type='none'/></domain>#\" > /run/bare.xml; "
    "virsh -c qemu:///system create /run/bare.xml 2>&1; true"
)
# At each start augenrules keeps a copy of the rules that were loaded before.
FILES = (
    "cd /etc && find audit rsyslog.d systemd default/grub.d grub.d modprobe.d tmpfiles.d libvirt/qemu.conf -type f "
    "-not -name audit.rules.prev | sort | xargs sha256sum"
)
# A driver of the kernel's own, with its signature cut off.
UNSIGNED = """
import glob, lzma, os
path = glob.glob("/lib/modules/%s/kernel/drivers/net/dummy.ko*" % os.uname().release)[0]
data = (lzma.open if path.endswith(".xz") else open)(path, "rb").read()
mark = b"~Module signature appended~\\n"
assert data.endswith(mark)
size = int.from_bytes(data[-len(mark) - 4:-len(mark)], "big")
open("/root/dummy.ko", "wb").write(data[: -len(mark) - 12 - size])
"""


@dataclasses.dataclass
class Story:
    """What was seen, in the order in which it happened. Audits are {check: result}."""

    host: booted.BootedHost
    refused: dict[str, Any] = dataclasses.field(default_factory=dict)
    before: dict[str, Any] = dataclasses.field(default_factory=dict)
    preview: dict[str, Any] = dataclasses.field(default_factory=dict)
    applied: dict[str, Any] = dataclasses.field(default_factory=dict)
    again: dict[str, Any] = dataclasses.field(default_factory=dict)
    written: dict[str, Any] = dataclasses.field(default_factory=dict)
    hardened: dict[str, Any] = dataclasses.field(default_factory=dict)
    locked: dict[str, Any] = dataclasses.field(default_factory=dict)
    restored: dict[str, Any] = dataclasses.field(default_factory=dict)
    told: dict[str, str] = dataclasses.field(default_factory=dict)

    def tell(self) -> Story:
        """Run all of it."""
        host = self.host
        host.run(LOG_SERVER, timeout=300)
        host.run(MERGING, timeout=60)
        host.lab.run(["python3", "-c", UNSIGNED])
        host.run("insmod /root/dummy.ko", timeout=60)
        self.refused = self._role("driver_signing")
        host.run("rm /root/dummy.ko")
        self._restart()
        self._ask("files before", FILES)
        self._ask("loader before", "sha256sum < /boot/grub/grub.cfg")
        self.before = self._audit()
        self.preview = {area: self._role(area, "--check") for area in AREAS}
        self.applied = {area: self._role(area) for area in AREAS}
        self.written = self._audit()
        self.again = {area: self._role(area) for area in AREAS}
        self._ask("auditing once written", "auditctl -s | sed -n 's/^enabled //p'")
        host.run("logger a-message-of-the-lab")
        self._restart()
        self._ask("confinement once hardened", CONFINED)
        self._ask("unconfined once hardened", UNCONFINED)
        self._ask("merging once hardened", "cat /sys/kernel/mm/ksm/run")
        self._ask("arguments once hardened", "cat /proc/cmdline")
        self._ask("insmod once hardened", "modinfo -F filename dummy; cp $(modinfo -F filename dummy) /root/x.ko; "
                  "printf x >> /root/x.ko; insmod /root/x.ko 2>&1; true")  # fmt: skip
        host.run("logger a-message-after-the-restart && sleep 5")
        self._ask("received", "grep -ac a-message-after-the-restart /run/received; grep -ac type=SYSCALL /run/received")
        self.hardened = self._audit()
        # Those of logging watch the configuration too.
        host.run(
            "rm /etc/audit/rules.d/60-dwp-hypervisor-config.rules /etc/audit/rules.d/60-dwp-hypervisor-logging.rules"
        )
        self.locked = {"preview": self._role("config_drift", "--check"), "applied": self._role("config_drift")}
        host.run("grub-reboot 'dwp-hypervisor-way-back>0'")
        host.reboot()
        self._ask("arguments on the way back", "cat /proc/cmdline")
        for area in reversed(AREAS):
            host.module("dwp.hypervisor.kvm_changes", {"state": "reverted", "areas": [area], "run": "all"})
        self._restart()
        self._ask("files after", FILES)
        self._ask("loader after", "sha256sum < /boot/grub/grub.cfg")
        self._ask("arguments at the end", "cat /proc/cmdline")
        self.restored = self._audit()
        return self

    def _restart(self) -> None:
        """A guest is started again, so that there is something to confine."""
        self.host.reboot()
        self.host.run(START, timeout=300)

    def _ask(self, what: str, command: str) -> None:
        self.told[what] = self.host.run(command, timeout=120)

    def _audit(self) -> dict[str, Any]:
        return {result["check"]: result for result in self.host.audit(VARIABLES)["results"]}

    def _role(self, area: str, *arguments: str) -> dict[str, Any]:
        variables = {**VARIABLES, f"{area}_checks": AREAS[area]}
        role = {"role": f"dwp.hypervisor.{area}", "vars": variables}
        play = [{"name": "One role", "hosts": self.host.name, "gather_facts": False, "roles": [role]}]
        result = enforced.play_result(self.host, play, *arguments)
        assert result["tasks"], result["output"][-4000:]
        task = result["tasks"][-1]
        return {**task["areas"][area], "changed": task.get("changed", False), "failed": task.get("failed", False)}


@pytest.fixture(scope="module")
def rounds(vm_ready: None) -> enforced.Rounds:
    """The rounds of the test law, run when first asked for."""
    return enforced.Rounds(LAW)


@pytest.mark.parametrize("entry", LAW, ids=lambda entry: entry.id)
def test_enforced(rounds: enforced.Rounds, entry: enforced.Entry) -> None:
    rounds.of(entry).judge(entry)


@pytest.fixture(scope="module")
def story(vm_ready: None) -> Iterator[Story]:
    """The whole story."""
    host = booted.BootedHost(f"vm-enforce-{os.getpid()}", booted.VM, secure_boot=False)
    try:
        yield Story(host).tell()
    finally:
        host.stop()


def test_an_unsigned_driver_that_is_loaded_stops_the_enforcement(story: Story) -> None:
    assert story.refused["failed"]
    assert "dummy (unsigned)" in story.refused["refused"]
    assert not story.refused["updated"]


@pytest.mark.parametrize("check", CHECKS)
def test_the_host_failed_before(story: Story, check: str) -> None:
    assert story.before[check]["measured"] == "fail", enforced.shown(story.before[check])


@pytest.mark.parametrize("area", AREAS)
def test_check_mode_says_what_is_then_done_and_twice_is_once(story: Story, area: str) -> None:
    applied = story.applied[area]
    assert applied["changed"], applied
    assert set(story.preview[area]["updated"]) == set(applied["updated"])
    assert not story.again[area]["changed"], story.again[area]["updated"]
    waits = {entry["check"] for entry in story.again[area]["pending"]}
    assert waits == WAIT & set(AREAS[area])


def test_nothing_is_locked_before_the_restart_and_auditing_stays_on(story: Story) -> None:
    """Debian's journald switches auditing off when it is started again; the lock waits until every rule is in."""
    assert story.told["auditing once written"].strip() == "1"


@pytest.mark.parametrize("check", CHECKS)
def test_written_now_and_in_force_after_the_restart(story: Story, check: str) -> None:
    expected = "fail" if check in WAIT else "pass"
    assert story.written[check]["measured"] == expected, enforced.shown(story.written[check])
    assert story.hardened[check]["measured"] == "pass", enforced.shown(story.hardened[check])
    waits = ", waits for reboot" if check in WAIT else ""
    seen.ENFORCED.status(check, seen.VM.where, f"test_enforced_vm.py, restarted{waits}")


def test_messages_and_audit_records_arrive_after_the_restart(story: Story) -> None:
    message, records = (int(line) for line in story.told["received"].split())
    assert message >= 1
    assert records >= 1


def test_the_kernel_refuses_a_driver_whose_signature_does_not_hold(story: Story) -> None:
    assert "module.sig_enforce=1 lockdown=integrity" in story.told["arguments once hardened"]
    assert "Key was rejected" in story.told["insmod once hardened"] or "denied" in story.told["insmod once hardened"]


def test_guests_start_confined_after_the_restart_and_unconfined_ones_do_not_start_any_more(story: Story) -> None:
    label, setting = story.told["confinement once hardened"].splitlines()
    assert label.startswith("libvirt-") and label.endswith("(enforce)")
    assert setting == "security_require_confined = 1"
    assert "Unconfined guests are not allowed on this host" in story.told["unconfined once hardened"]


def test_pages_are_not_merged_after_the_restart_although_somebody_asks_for_it(story: Story) -> None:
    assert story.told["merging once hardened"].strip() == "0"


def test_locked_rules_are_reported_as_pending_in_check_mode_too(story: Story) -> None:
    for found in story.locked.values():
        assert found["changed"]
        assert {"check": "kvm-11.3.7-audit", "waits_for": "reboot"} in found["pending"]


def test_the_way_back_starts_without_the_arguments(story: Story) -> None:
    assert "module.sig_enforce" not in story.told["arguments on the way back"]
    assert "console=ttyS0" in story.told["arguments on the way back"]


@pytest.mark.parametrize("check", CHECKS)
def test_taken_back_the_audit_says_what_it_said_before(story: Story, check: str) -> None:
    assert story.restored[check]["measured"] == story.before[check]["measured"]


def test_taken_back_every_file_is_what_it_was(story: Story) -> None:
    assert story.told["files after"] == story.told["files before"]
    assert story.told["loader after"] == story.told["loader before"]
    assert "module.sig_enforce" not in story.told["arguments at the end"]
