# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts protocols and pam."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import systemd
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import pam, protocols
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

SHOW = " ".join(systemd.command(protocols.UNITS))
SS = "ss -H -l -n -t -u -p"
SSHD = 'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=76,fd=3))\n'


def units(**states):
    """systemctl's answer: every unit not found but those given as name_with_underscores=(file state, active state)."""
    given = {name.replace("__", "."): state for name, state in states.items()}
    blocks = []
    for name in [name for name in protocols.UNITS if "*" not in name]:
        at_boot, now = given.get(name.replace("-", "_"), ("", ""))
        load = "loaded" if now else "not-found"
        blocks.append(f"Id={name}\nLoadState={load}\nActiveState={now or 'inactive'}\nUnitFileState={at_boot}\n")
    return "\n".join(blocks)


def read(sockets=SSHD, files=None, **states):
    errors = {}
    host = FakeHost(files or {}, {SHOW: (0, units(**states), ""), SS: (0, sockets, "")})
    found = protocols.collect(host, errors.setdefault)["remote_access"]["protocols"]
    assert not errors
    return {entry["name"]: entry for entry in found}


def flags(entry):
    return entry["enabled"], entry["active"], entry["listening"]


def test_each_protocol_is_enabled_active_and_listening_apart():
    found = read(ssh__service=("enabled", "active"), cockpit__socket=("enabled", "inactive"))
    assert flags(found["ssh"]) == (True, True, True)
    assert found["ssh"]["listen"] == ["0.0.0.0:22"]
    assert flags(found["cockpit"]) == (True, False, False)
    assert found["cockpit"]["units"] == {"cockpit.socket": "enabled, inactive"}
    assert flags(found["telnet"]) == (False, False, False)


@pytest.mark.parametrize("state", ["disabled", "masked", "static", "indirect"])
def test_a_socket_that_does_not_start_at_boot(state):
    assert flags(read(ssh__socket=(state, "inactive"))["ssh"])[0] is False


@pytest.mark.parametrize(
    ("socket", "name"),
    [
        ('tcp LISTEN 0 5 [::]:16509 [::]:* users:(("libvirtd",pid=9,fd=5))\n', "libvirt_tcp"),
        ('tcp LISTEN 0 5 [::]:16514 [::]:* users:(("virtproxyd",pid=9,fd=5),("systemd",pid=1,fd=44))\n', "libvirt_tls"),
        ('tcp LISTEN 0 5 *:3389 *:* users:(("xrdp",pid=9,fd=5))\n', "rdp"),
        ('tcp LISTEN 0 5 0.0.0.0:23 0.0.0.0:* users:(("xinetd",pid=9,fd=5))\n', "telnet"),
        ('tcp LISTEN 0 5 0.0.0.0:5901 0.0.0.0:* users:(("Xtigervnc",pid=9,fd=5))\n', "vnc"),
    ],
)
def test_who_listens_tells_the_protocol(socket, name):
    found = read(sockets=SSHD + socket)
    assert [entry["name"] for entry in found.values() if entry["listening"]] == ["ssh", name]


def test_a_socket_that_systemd_holds_for_a_unit_is_the_units():
    answer = units(ssh__socket=("enabled", "active")).replace("Id=ssh.socket", "Listen=[::]:22 (Stream)\nId=ssh.socket")
    sockets = 'tcp LISTEN 0 4096 *:22 *:* users:(("systemd",pid=1,fd=19))\n'
    host = FakeHost({}, {SHOW: (0, answer, ""), SS: (0, sockets, "")})
    found = {entry["name"]: entry for entry in protocols.collect(host, {}.setdefault)["remote_access"]["protocols"]}
    assert (flags(found["ssh"]), found["ssh"]["listen"]) == ((True, True, True), ["[::]:22"])


def test_a_guests_console_is_not_a_way_to_the_host():
    socket = 'tcp LISTEN 0 1 127.0.0.1:5900 0.0.0.0:* users:(("qemu-system-x86",pid=9,fd=5))\n'
    assert read(sockets=SSHD + socket)["vnc"]["listening"] is False


def test_libvirts_own_listen_counts_as_enabled_where_the_daemon_starts():
    files = {
        "/etc/default/libvirtd": 'libvirtd_opts="-v --listen"\n',
        "/etc/libvirt/libvirtd.conf": "listen_tls = 0\nlisten_tcp = 1\n",
    }
    found = read(files=files, libvirtd__service=("enabled", "active"))
    assert found["libvirt_tcp"]["enabled"] is True
    assert found["libvirt_tls"]["enabled"] is False
    assert read(files=files)["libvirt_tcp"]["enabled"] is False


def test_a_configured_tls_port_is_recognised():
    socket = 'tcp LISTEN 0 5 [::]:17000 [::]:* users:(("libvirtd",pid=9,fd=5))\n'
    found = read(sockets=SSHD + socket, files={"/etc/libvirt/libvirtd.conf": 'tls_port = "17000"\n'})
    assert found["libvirt_tls"]["listening"] and not found["libvirt_tcp"]["listening"]


@pytest.mark.parametrize("broken", [(0, "", ""), (0, "Zugriff verweigert\n", ""), (1, "", "no"), Unreadable("time")])
def test_without_systemd_or_ss_the_state_is_not_known(broken):
    errors = {}
    host = FakeHost({}, {SHOW: broken, SS: broken})
    found = protocols.collect(host, errors.setdefault)["remote_access"]["protocols"]
    assert errors[protocols.PATH]
    assert all(flags(entry)[1:] == (None, None) and entry["enabled"] in (None, False) for entry in found)


PAM = {
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:\nbob:x:1001:1001::/home/bob:/bin/sh\n",
    "/usr/sbin/sshd": "",
    "/bin/login": "",
    "/etc/pam.d/common-auth": "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n",
    "/etc/pam.d/sshd": "# comment\n@include common-auth\naccount required pam_nologin.so\n",
    "/etc/pam.d/login": "-auth optional pam_gnome_keyring.so\nauth substack common-auth\nauth include more # why\n",
    "/etc/pam.d/more": "auth required \\\n  /lib/security/pam_radius_auth.so secret=hunter2 conf=/etc/r\n",
    "/etc/pam.d/other": "auth required pam_deny.so\n",
}


def stacks(files):
    errors = {}
    return pam.collect(FakeHost(files), errors.setdefault)["mfa"]["pam"], errors


def test_stacks_are_resolved_as_pam_does():
    found, errors = stacks(PAM)
    assert not errors
    assert [(line["control"], line["module"]) for line in found["sshd"]["lines"]] == [
        ("[success=1 default=ignore]", "pam_unix.so"),
        ("requisite", "pam_deny.so"),
    ]
    assert [(line["control"], line["module"], line["level"]) for line in found["login"]["lines"]] == [
        ("optional", "pam_gnome_keyring.so", 0),
        ("substack", "common-auth", 0),
        ("[success=1 default=ignore]", "pam_unix.so", 1),
        ("requisite", "pam_deny.so", 1),
        ("required", "pam_radius_auth.so", 0),
    ]
    assert found["login"]["lines"][0]["optional"] is True


def test_secrets_of_arguments_do_not_leave_the_host():
    found, _errors = stacks(PAM)
    assert "hunter2" not in str(found)
    assert found["login"]["lines"][-1]["args"] == "secret=*** conf=/etc/r"


def test_a_service_without_a_file_gets_other_and_absence_is_a_fact():
    found, errors = stacks(PAM)
    assert not errors
    assert (found["su"]["present"], found["su"]["program"]) == (False, False)
    assert [line["module"] for line in found["su"]["lines"]] == ["pam_deny.so"]


def test_the_vendors_directory_is_second():
    found, _errors = stacks(
        {"/usr/lib/pam.d/polkit-1": "auth required pam_a.so\n", "/etc/pam.d/polkit-1": "auth required pam_b.so\n"}
    )
    assert [line["module"] for line in found["polkit-1"]["lines"]] == ["pam_b.so"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("@include missing\n", "does not exist"),
        ("auth required\n", "would refuse"),
        ("auth include sshd\n", "more than"),
        (Unreadable("/etc/pam.d/sshd: Permission denied"), "Permission denied"),
    ],
)
def test_a_stack_that_cannot_be_resolved_is_not_known(text, reason):
    found, errors = stacks({**PAM, "/etc/pam.d/sshd": text})
    assert found["sshd"] is None
    assert reason in errors["mfa.pam.sshd"]
    assert found["login"]["lines"]


def test_the_files_behind_the_stacks_are_kept_without_comments_and_secrets():
    found = pam.collect(FakeHost(PAM), {}.setdefault)["mfa"]["pam_files"]
    assert found["/etc/pam.d/sshd"] == "@include common-auth\naccount required pam_nologin.so\n"
    assert found["/etc/pam.d/more"] == "auth required /lib/security/pam_radius_auth.so secret=*** conf=/etc/r\n"


def test_enrolment_is_names_and_nothing_else():
    files = {
        **PAM,
        "/etc/users.oath": "# tokens\nHOTP/T30 alice - 3132333435363738393031323334353637383930\n\n",
        "/home/bob/.google_authenticator": "SEEDSEEDSEED\n",
        "/etc/u2f_mappings": "alice:HANDLE,KEY,es256,+presence\n",
        "/usr/lib64/security/pam_oath.so": b"",
        "/usr/lib64/security/pam_oath.la": b"",
    }
    errors = {}
    mfa = pam.collect(FakeHost(files), errors.setdefault)["mfa"]
    assert not errors and mfa["pam_modules"] == ["pam_oath.so"]
    assert [(entry["module"], entry["place"], entry["accounts"]) for entry in mfa["enrolment"]] == [
        ("pam_oath.so", "/etc/users.oath", ["alice"]),
        ("pam_u2f.so", "/etc/u2f_mappings", ["alice"]),
        ("pam_google_authenticator.so", "~/.google_authenticator", ["bob"]),
        ("pam_u2f.so", "~/.config/Yubico/u2f_keys", []),
    ]
    assert not any(secret in str(mfa) for secret in ("3132", "SEED", "HANDLE"))
