# Copyright: (c) 2026, dwp.hypervisor contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Part ssh: which servers there are, whom they are asked about, and whether their files are in force."""

from __future__ import annotations

import pytest

from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm import (
    sshd_config,
    sshd_contexts,
    sshd_servers,
    systemd,
)
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.host import Answer, Unreadable
from ansible_collections.dwp.hypervisor.plugins.module_utils.kvm.parts import ssh
from ansible_collections.dwp.hypervisor.tests.unit.plugins.module_utils.kvm.fake_host import FakeHost

SETTINGS = {
    **dict.fromkeys(ssh.SCALARS, "no"),
    **dict.fromkeys(ssh.COMMAS, "alpha,beta"),
    **dict.fromkeys(ssh.SPACED, "any"),
    "permitrootlogin": "no",
    "trustedusercakeys": "none",
    "pidfile": "/run/sshd.pid",
}
SOCKET = 'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=76,fd=3))\n'
NOBODY = 'udp UNCONN 0 0 127.0.0.1:323 0.0.0.0:* users:(("chronyd",pid=8,fd=5))\n'
UNITS = """Accept=no
Id=ssh.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
"""
NOT_FOUND = "Id={0}\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n"
SHOW = " ".join(systemd.command(sshd_servers.UNITS))
SS = "ss -H -l -n -t -u -p"


class SshHost(FakeHost):
    """A host whose sshd answers `sshd -T` with SETTINGS, changed by a function of the argument list."""

    def __init__(self, change=None, **changes):
        files = {
            "/etc/ssh/sshd_config": "Include /etc/ssh/sshd_config.d/*.conf\n",
            "/etc/passwd": "root:x:0:0::/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n",
            "/etc/group": "sudo:x:27:alice\noperators:x:1005:oscar\n",
            "/etc/nsswitch.conf": "group: files\n",
            "/proc/76/cmdline": "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups\0",
            "/proc/76/stat": "76 (sshd) S " + " ".join(["0"] * 18 + ["50000"]) + " 0",
            "/proc/uptime": "1000.00 0.00\n",
            "/run/sshd.pid": "76\n",
            **changes.pop("files", {}),
        }
        blocks = [UNITS, *[NOT_FOUND.format(name) for name in sshd_servers.UNITS[1:]]]
        commands = {SS: (0, SOCKET, ""), SHOW: (0, "\n".join(blocks), ""), **changes.pop("commands", {})}
        stats = {"/run/sshd.pid": {"mtime": 2000.0}, **changes.pop("stats", {})}
        super().__init__(files, commands, stats, {"/proc/76/exe": "/usr/sbin/sshd"}, now=1_000_000.0, **changes)
        self.change = change or (lambda argv, settings: None)
        self.asked = []

    def run(self, argv, timeout=10, stdin=""):
        if argv[0] != "/usr/sbin/sshd":
            return super().run(argv, timeout, stdin)
        self.asked.append(argv)
        settings = dict(SETTINGS)
        found = self.change(argv, settings)
        if isinstance(found, (Answer, Unreadable)):
            if isinstance(found, Unreadable):
                raise found
            return found
        return Answer(0, "".join(f"{key} {value}\n" for key, value in settings.items()), "")


def read(host):
    errors = {}
    return ssh.collect(host, errors.setdefault)["remote_access"]["ssh"], errors


def test_a_plain_server_is_asked_for_root_and_an_administrator_from_outside():
    found, errors = read(SshHost())
    assert not errors
    assert [context["id"] for context in found["contexts"]] == [
        "root@192.0.2.1",
        "root@2001:db8::1",
        "alice@192.0.2.1",
        "alice@2001:db8::1",
    ]
    assert found["effective_root"]["permitrootlogin"] == "no"
    assert found["servers"][0]["listen"] == ["0.0.0.0:22"]
    assert found["servers"][0]["algorithms"]["ciphers"] == ["alpha", "beta"]
    assert found["servers"][0]["in_force"] is True


def test_every_match_block_is_reached_through_includes():
    files = {
        "/etc/ssh/sshd_config.d/10-a.conf": "Match Address 10.0.0.0/8,!10.1.0.0/16\n  PermitRootLogin yes\n",
        "/etc/ssh/sshd_config.d/20-b.conf": 'match user "carol" host *.example.org\nMatch Group operators\n',
        "/etc/ssh/sshd_config.d/30-c.txt": "Match User never\n",
    }
    host = SshHost(files=files)
    found, errors = read(host)
    assert not errors
    pairs = {(context["user"], context["address"]) for context in found["contexts"]}
    assert {("root", "10.0.0.1"), ("root", "10.1.0.1"), ("carol", "192.0.2.1"), ("oscar", "192.0.2.1")} <= pairs
    assert not [user for user, _address in pairs if user == "never"]
    assert "host=x.example.org" in " ".join(" ".join(argv) for argv in host.asked)
    assert found["servers"][0]["config_files"][0] == "/etc/ssh/sshd_config"


def test_lists_are_read_line_by_line():
    def change(_argv, settings):
        settings["allowusers"] = "alice\nallowusers bob@10.0.0.0/8"
        settings["denygroups"] = "domain users"

    found, _errors = read(SshHost(change))
    assert found["allow_users"] == ["alice", "bob@10.0.0.0/8"]
    assert found["allow_groups"] == []
    assert found["effective"]["denygroups"] == ["domain users"]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        (
            "sshd: /usr/sbin/sshd -D -f /etc/ssh/second -o PermitRootLogin=yes [listener] 0 of 10",
            ["-f", "/etc/ssh/second", "-o", "PermitRootLogin=yes"],
        ),
        (
            "sshd: /usr/sbin/sshd -oAllowUsers alice bob -p 2222 [listener]",
            ["-o", "AllowUsers alice bob", "-p", "2222"],
        ),
        ("/usr/sbin/sshd\0-D\0-E\0/var/log/sshd\0-f\0/etc/ssh/old\0", ["-f", "/etc/ssh/old"]),
    ],
)
def test_a_servers_own_options_go_to_sshd_t(title, expected):
    files = {"/proc/76/cmdline": title, "/etc/ssh/second": "", "/etc/ssh/old": ""}
    host = SshHost(files=files)
    found, errors = read(host)
    assert not errors
    assert found["servers"][0]["arguments"] == expected
    assert all(argv[2 : 2 + len(expected)] == expected for argv in host.asked)


def test_the_names_of_older_versions_are_understood():
    def change(_argv, settings):
        settings["pubkeyacceptedkeytypes"] = settings.pop("pubkeyacceptedalgorithms")
        settings["challengeresponseauthentication"] = "yes"

    found, errors = read(SshHost(change))
    assert not errors
    assert found["effective"]["pubkeyacceptedalgorithms"] == ["alpha", "beta"]
    assert found["effective"]["kbdinteractiveauthentication"] == "yes"
    assert found["effective"]["gssapiauthentication"] == "unsupported"


def test_a_session_with_forwarded_ports_is_no_server():
    sockets = SOCKET + 'tcp LISTEN 0 128 127.0.0.1:6010 0.0.0.0:* users:(("sshd",pid=90,fd=9))\n'
    found, errors = read(SshHost(files={"/proc/90/cmdline": "sshd: alice@pts/0\0"}, commands={SS: (0, sockets, "")}))
    assert not errors
    assert [server["pid"] for server in found["servers"]] == [76]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"files": {"/proc/76/cmdline": "sshd: /usr/sbin/sshd -D -o Permi"}}, "cut short"),
        ({"commands": {SS: (0, SOCKET.replace("sshd", "dropbear"), "")}}, "dropbear listens"),
        (
            {"commands": {SS: (0, 'udp UNCONN 0 0 127.0.0.1:323 0.0.0.0:* users:(("chronyd",pid=8,fd=5))\n', "")}},
            "is active, but no sshd",
        ),
        ({"commands": {SS: (1, "", "Permission denied")}}, "Permission denied"),
        ({"commands": {SHOW: Unreadable("systemctl did not answer within 10 s")}}, "did not answer"),
        ({"commands": {SS: (0, SOCKET.split(" users", maxsplit=1)[0] + "\n", "")}, "uid": 1000}, "root only"),
    ],
)
def test_servers_that_might_be_missing_leave_everything_unknown(changes, reason):
    found, errors = read(SshHost(**changes))
    assert found["servers"] is None and found["contexts"] is None
    assert reason in errors["remote_access.ssh"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda argv, settings: Answer(255, "", "no hostkeys available -- exiting.\n"), "no hostkeys available"),
        (lambda argv, settings: Unreadable("sshd did not answer within 10 s"), "did not answer"),
        (lambda argv, settings: settings.pop("usepam") and None, "does not say usepam"),
        (lambda argv, settings: Answer(0, "", ""), "does not say"),
        (lambda argv, settings: "user=root" in argv[-1] and Answer(1, "", "broken") or None, "exit code 1: broken"),
    ],
)
def test_an_sshd_that_does_not_answer_leaves_the_connections_unknown(change, reason):
    found, errors = read(SshHost(change))
    assert found["contexts"] is None and found["user_ca"] is None and found["effective_root"] is None
    assert reason in errors["remote_access.ssh.contexts"]


def test_a_group_of_the_directory_that_cannot_be_listed_leaves_the_connections_unknown():
    files = {"/etc/ssh/sshd_config.d/a.conf": "Match Group hv-admins\n", "/etc/nsswitch.conf": "group: files sss\n"}
    found, errors = read(SshHost(files=files, commands={"getent group hv-admins": (2, "", "")}))
    assert found["contexts"] is None
    assert "Match Group hv-admins" in errors["remote_access.ssh.contexts"]
    found, errors = read(SshHost(files=files, commands={"getent group hv-admins": (0, "hv-admins:*:9001:dana\n", "")}))
    assert not errors
    assert "dana@192.0.2.1" in [context["id"] for context in found["contexts"]]


def test_too_many_match_blocks_are_cut_and_said():
    files = {"/etc/ssh/sshd_config.d/a.conf": "".join(f"Match User u{n} Address 10.{n}.0.0/16\n" for n in range(40))}
    found, errors = read(SshHost(files=files))
    assert len(found["contexts"]) == sshd_contexts.MAX_CONTEXTS
    assert "were not tried" in errors["remote_access.ssh.contexts"]


def test_a_match_that_no_connection_can_express_is_said():
    _found, errors = read(SshHost(files={"/etc/ssh/sshd_config.d/a.conf": "Match RDomain blue\n"}))
    assert "Match rdomain cannot be tried" in errors["remote_access.ssh.contexts"]


@pytest.mark.parametrize(
    ("changes", "in_force", "why"),
    [
        ({"stats": {"/etc/ssh/sshd_config": {"mtime": 2001.0}, "/proc/76/stat": {}}}, True, "started after"),
        ({"stats": {"/etc/ssh/sshd_config": {"mtime": 999_600.0}}}, False, "/etc/ssh/sshd_config changed after"),
        (
            {
                "stats": {"/etc/ssh/sshd_config.d": {"mtime": 999_600.0, "type": "dir"}},
                "dirs": ["/etc/ssh/sshd_config.d"],
            },
            False,
            "sshd_config.d changed",
        ),
        (
            {"stats": {"/etc/ssh/sshd_config": {"mtime": 999_600.0}, "/run/sshd.pid": {"mtime": 999_601.0}}},
            True,
            "pid file",
        ),
        # The pid file of another server proves nothing.
        (
            {
                "stats": {"/etc/ssh/sshd_config": {"mtime": 999_600.0}, "/run/sshd.pid": {"mtime": 999_601.0}},
                "files": {"/run/sshd.pid": "77\n"},
            },
            False,
            "changed",
        ),
    ],
)
def test_in_force(changes, in_force, why):
    # The process started at 1_000_000 - 1000 + 500 = 999_500.
    found, _errors = read(SshHost(**changes))
    server = found["servers"][0]
    assert (server["in_force"], why in server["in_force_why"]) == (in_force, True), server["in_force_why"]


def test_a_program_replaced_by_an_upgrade_is_not_in_force():
    host = SshHost()
    host.links["/proc/76/exe"] = "/usr/sbin/sshd (deleted)"
    found, _errors = read(host)
    assert found["servers"][0]["in_force"] is False
    assert "was replaced" in found["servers"][0]["in_force_why"]


def test_a_socket_unit_is_a_server_and_so_is_what_starts_at_boot():
    quiet = UNITS.replace("ActiveState=active", "ActiveState=inactive")
    socket = "Listen=[::]:22 (Stream)\nAccept=no\n" + NOT_FOUND.format("ssh.socket")
    socket = socket.replace("not-found", "loaded").replace("inactive", "active")
    absent = [NOT_FOUND.format(name) for name in ("sshd.service", "sshd.socket")]
    files = {"/etc/default/ssh": "# options\nSSHD_OPTS='-o PermitRootLogin=yes'\n"}
    by_socket = "\n".join([quiet.replace("enabled", "disabled"), absent[0], socket, absent[1]])
    found, errors = read(SshHost(files=files, commands={SS: (0, NOBODY, ""), SHOW: (0, by_socket, "")}))
    assert not errors
    assert [(server["activation"], server["arguments"]) for server in found["servers"]] == [
        ("socket", ["-o", "PermitRootLogin=yes"])
    ]
    at_boot = "\n".join([quiet, absent[0], NOT_FOUND.format("ssh.socket"), absent[1]])
    found, errors = read(SshHost(commands={SS: (0, NOBODY, ""), SHOW: (0, at_boot, "")}))
    assert [server["activation"] for server in found["servers"]] == ["boot"]
    gone = "\n".join(NOT_FOUND.format(name) for name in sshd_servers.UNITS)
    found, _errors = read(SshHost(commands={SS: (0, NOBODY, ""), SHOW: (0, gone, "")}))
    assert found["servers"] == [] and found["contexts"] == []


def test_a_server_that_a_socket_unit_started_is_one_server():
    socket = "Listen=[::]:22 (Stream)\nAccept=no\n" + NOT_FOUND.format("ssh.socket")
    socket = socket.replace("not-found", "loaded").replace("inactive", "active")
    absent = [NOT_FOUND.format(name) for name in ("sshd.service", "sshd.socket")]
    answer = "\n".join([UNITS.replace("enabled", "disabled"), absent[0], socket, absent[1]])
    held = 'tcp LISTEN 0 4096 *:22 *:* users:(("sshd",pid=76,fd=3),("systemd",pid=1,fd=19))\n'
    found, errors = read(SshHost(commands={SS: (0, held, ""), SHOW: (0, answer, "")}))
    assert not errors
    assert [server["id"] for server in found["servers"]] == ["[::]:22"]


def test_the_authority_for_certificates_is_counted():
    def change(_argv, settings):
        settings["trustedusercakeys"] = "/etc/ssh/ca.pub"

    found, _errors = read(SshHost(change, files={"/etc/ssh/ca.pub": "# ours\nssh-ed25519 AAAA ca\n"}))
    assert found["user_ca"] == [{"path": "/etc/ssh/ca.pub", "keys": 1}]
    found, _errors = read(SshHost(change))
    assert found["user_ca"] == [{"path": "/etc/ssh/ca.pub", "keys": 0}]


@pytest.mark.parametrize(
    ("pattern", "others", "expected"),
    [
        ("10.0.0.0/8", (), "10.0.0.1"),
        ("10.0.0.0/8", ("!10.0.0.0/16",), "10.127.255.255"),
        ("!10.1.0.0/16", (), "10.1.0.1"),
        ("10.1.2.3", (), "10.1.2.3"),
        ("10.1.*", (), "10.1.1.1"),
        ("*", (), "192.0.2.1"),
        ("2001:db8:1::/48", (), "2001:db8:1::1"),
        ("not an address", (), None),
    ],
)
def test_sample_address(pattern, others, expected):
    assert sshd_config.sample_address(pattern, others) == expected


def test_words_that_could_break_out_of_the_specification_are_left_out_and_counted():
    nobody = {"users": {}, "groups": {}}
    entries, cut = sshd_contexts.contexts([{"user": ["mallory,addr=10.0.0.1"]}], nobody, [("0.0.0.0", 22)])
    assert cut and not [entry for entry in entries if "," in entry["user"]]
    entries, cut = sshd_contexts.contexts([{"user": ["DWP\\\\alice"]}], nobody, [("0.0.0.0", 22)])
    assert not cut and "DWP\\\\alice" in [entry["user"] for entry in entries]
